/* SPDX-License-Identifier: MIT */
#ifndef MIG_MIGRATION_PARTICIPANTS_H
#define MIG_MIGRATION_PARTICIPANTS_H
/*
 * What changed between two participant sets. Pure. The identity of a
 * participant is (id, account, TLS key): an id that appears under another
 * account or key is another participant, re-keyed. A change of address or
 * threshold alone asks for nothing.
 */
#include "include/mpc_migration.h"

/* Ids of one kind, ascending and unique. */
struct mig_ids {
    size_t count;
    uint32_t *list;
};
void mig_ids_clear(struct mig_ids *ids);
bool mig_ids_has(const struct mig_ids *ids, uint32_t id);
/* Adds every id of `from` to `into`. MIG_ERR_NOMEM: `into` is unchanged. */
enum mig_err mig_ids_merge(struct mig_ids *into, const struct mig_ids *from) MIG_MUST_USE;

/* Deep copy into *out, which is overwritten; release with _clear. */
enum mig_err mig_participants_copy(const struct mig_participants *from,
                                   struct mig_participants *out) MIG_MUST_USE;
void mig_participants_clear(struct mig_participants *set);
/* True when this account holds a place in the set under this very key. */
bool mig_participants_has(const struct mig_participants *set, const char *account,
                          const uint8_t tls_key[MIG_KEY_LEN]);

struct mig_delta {
    struct mig_ids joined;  /* ids that were not there */
    struct mig_ids left;    /* ids that are not there any more */
    struct mig_ids rekeyed; /* same id, other account or TLS key */
    struct mig_ids gone;    /* left and rekeyed together: their assets are void */
    bool address_changed;   /* of somebody who stayed */
    bool threshold_changed;
    bool epoch_changed; /* also when there is no set before: every asset is void */
    bool was_member;    /* this node, by account and TLS key, before */
    bool is_member;     /* and after */
};

/* `before` may be NULL (none known); both sets sorted by ascending, unique id.
 * Clear the result with mig_delta_clear, also after an error. */
enum mig_err mig_delta_compute(const struct mig_participants *before, uint64_t epoch_before,
                               const struct mig_participants *after, uint64_t epoch_after,
                               const char *account, const uint8_t tls_key[MIG_KEY_LEN],
                               struct mig_delta *out) MIG_MUST_USE;
void mig_delta_clear(struct mig_delta *delta);
/* Connections must be made anew: somebody joined, left or was re-keyed, or the
 * epoch changed. */
bool mig_delta_reconnects(const struct mig_delta *delta);

#endif
