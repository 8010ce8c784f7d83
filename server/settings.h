/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_SETTINGS_H
#define MIG_SERVER_SETTINGS_H
/*
 * The configuration of mpc_migration.h, judged: strings copied, defaults
 * filled in, every key file read. What passes here can be started.
 */
#include "chain/cache.h"
#include "migration/admit.h"
#include "crypto/key.h"

struct mig_settings {
    char *contract, *account, *state_dir, *rpc, *listen, *admin;
    struct mig_identity *identity;
    struct mig_identity *access;     /* NULL: the host concludes */
    struct mig_secret *operator_key; /* NULL: none */
    struct mig_secret *store_key;    /* NULL: the host stores */
    enum mig_dialect dialect;
    uint32_t quorum; /* as configured */
    uint32_t poll_interval_ms;
    uint32_t max_staleness_s;
    uint32_t key_delay_s;
    uint32_t skew_s;
    bool plain, plain_anywhere;
    struct mig_self self; /* strings point into this struct */
};

/* `why`: MIG_WHY_MAX bytes for one sentence. On failure nothing is left. */
enum mig_err mig_settings_load(const struct mig_config *config, const struct mig_host *host,
                               struct mig_settings *out, char *why) MIG_MUST_USE;
void mig_settings_clear(struct mig_settings *settings);

#endif
