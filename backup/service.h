/* SPDX-License-Identifier: MIT */
#ifndef MIG_BACKUP_SERVICE_H
#define MIG_BACKUP_SERVICE_H
/*
 * The unattended backup service: looks at the contract's view, asks the plan
 * what to do, does it, and looks again. It holds nothing that a restart would
 * lose: what is done is in the vault, what is to be done follows from the
 * contract. It never deletes. Whatever runs is given up the moment the view no
 * longer calls for it.
 */
#include "backup/announcer.h"
#include "backup/client.h"
#include "backup/plan.h"
#include "chain/cache.h"

struct mig_backup_service;

/* Everything borrowed for the life of the service. */
struct mig_backup_config {
    const char *contract;
    const char *account;
    const struct mig_identity *service;
    const struct mig_secret *operator_key; /* NULL: none */
    enum mig_announce announce;
    /* announce=contract: sends publish_ephemeral_key. On the caller's thread. */
    enum mig_err (*publish)(void *ctx, const uint8_t key[MIG_KEY_LEN]);
    void *publish_ctx;
    const char *node_url;    /* of the node that has the seat; NULL: as in the contract */
    const char *recover_url; /* of a destination; NULL: as in its record */
    bool plain_anywhere;     /* http beyond loopback was asked for */
    uint64_t max_staleness_ns;
    struct mig_cache *cache; /* somebody else feeds it */
    const struct mig_vault *vault;
    void (*log)(void *ctx, enum mig_log_level level, const char *event, const char *text);
    void *log_ctx;
};

enum mig_err mig_backup_service_new(const struct mig_backup_config *config,
                                    struct mig_backup_service **out) MIG_MUST_USE;
void mig_backup_service_free(struct mig_backup_service **service);

/* Works until `stop_fd` is readable (it is not read). One thread, the caller's. */
void mig_backup_service_run(struct mig_backup_service *service, int stop_fd);
/* The view changed: look now. Any thread. */
void mig_backup_service_wake(struct mig_backup_service *service);

/* What the vault holds of the view's keyset, for a plan made elsewhere. `note`
 * is filled when facts->note is set to it. */
void mig_backup_facts(const struct mig_vault *vault, const struct mig_view *view,
                      struct mig_facts *facts, struct mig_note *note);

#endif
