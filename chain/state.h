/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_STATE_H
#define MIG_CHAIN_STATE_H
/*
 * The contract's answers to `state`, `migration_info`, `recovery_info` and
 * `ephemeral_keys`, from bytes to values. Pure and total: all of the text is
 * consumed and every known field checked, or nothing is given.
 */
#include "chain/view.h"

enum {
    MIG_STATE_MAX = 4 * 1024 * 1024, /* bytes of any of these answers */
    MIG_PARTICIPANTS_MAX = 1024,
};

/* `state`. Keyset and participants as struct mig_view has them. */
struct mig_state {
    enum mig_protocol protocol;
    struct mig_keyset keyset;
    /* The contract's own text of the keyset (its order, every field), for the
     * conclude of the deployed dialect; NULL when there is no keyset. */
    char *keyset_json;
    struct mig_participants participants, prospective;
    /* Two counters that tell apart two stretches of Running with one keyset. */
    uint64_t next_domain;
    bool has_cancelled_epoch;
    uint64_t cancelled_epoch;
};
/* MIG_ERR_MALFORMED, MIG_ERR_NOMEM. */
enum mig_err mig_state_parse(const char *json, size_t len, struct mig_state *out) MIG_MUST_USE;
void mig_state_clear(struct mig_state *state);

/* One account's entry of `migration_info` or `recovery_info`. */
struct mig_info {
    bool has_service_key;
    uint8_t service_key[MIG_KEY_LEN];
    bool has_destination;
    struct mig_destination destination; /* since and active are left alone */
    bool has_epoch; /* draft: the record names its epoch */
    uint64_t epoch;
};
/* Both give an empty value when the account has no entry. */
enum mig_err mig_migration_info_parse(const char *json, size_t len, const char *account,
                                      struct mig_info *out) MIG_MUST_USE;
enum mig_err mig_recovery_info_parse(const char *json, size_t len, const char *account,
                                     struct mig_info *out) MIG_MUST_USE;
/* `ephemeral_keys`, likewise. */
enum mig_err mig_ephemeral_keys_parse(const char *json, size_t len, const char *account,
                                      struct mig_published *out) MIG_MUST_USE;

/* `version`: a string of printable ASCII, 1 to cap - 1 characters. */
enum { MIG_VERSION_MAX = 63 };
enum mig_err mig_version_parse(const char *json, size_t len, char out[MIG_VERSION_MAX + 1]) MIG_MUST_USE;

#endif
