/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_ASSET_SETS_H
#define MIG_STORE_ASSET_SETS_H
/*
 * The participant sets of an asset store, in memory: by number and by members.
 * Numbers only grow and are never given twice. The owner locks; only
 * mig_asset_sets_is_garbage may be called from any thread at any time.
 */
#include <pthread.h>

#include "store/asset_layout.h"

enum { MIG_ASSET_KINDS = 3 }; /* index by enum mig_asset_kind */

enum mig_asset_set_state {
    MIG_ASSET_SET_USABLE = 0,
    MIG_ASSET_SET_DAMAGED,   /* its key does not open: kept, not used */
    MIG_ASSET_SET_CONDEMNED, /* a purge of it has begun */
};

struct mig_asset_set {
    uint32_t set, slot;
    size_t count;
    uint32_t *ids;
    enum mig_asset_set_state state;
    uint64_t held[MIG_ASSET_KINDS];
    uint64_t arrivals[MIG_ASSET_KINDS];          /* puts so far */
    struct mig_asset_at hint[MIG_ASSET_KINDS];   /* nothing of its scope lies before it; len 0: none */
};

struct mig_asset_sets {
    size_t count, cap, ids; /* ids: of all sets together */
    struct mig_asset_set **by_number;
    struct mig_asset_set **by_ids;
    bool complete;        /* all sets are here: others are garbage */
    pthread_mutex_t live; /* by_number, count and complete, against the engine's threads */
};

void mig_asset_sets_init(struct mig_asset_sets *sets);
void mig_asset_sets_clear(struct mig_asset_sets *sets);
/* `set` is higher than all before. MIG_ERR_STATE: too many. *out lives until removed. */
enum mig_err mig_asset_sets_add(struct mig_asset_sets *sets, uint32_t set, uint32_t slot, const uint32_t *ids,
                                size_t count, struct mig_asset_set **out) MIG_MUST_USE;
struct mig_asset_set *mig_asset_sets_find(const struct mig_asset_sets *sets, uint32_t set);
/* A usable one with exactly these members, or NULL. */
struct mig_asset_set *mig_asset_sets_of(const struct mig_asset_sets *sets, const uint32_t *ids, size_t count);
/* Removes and frees all that are condemned. */
void mig_asset_sets_sweep(struct mig_asset_sets *sets);
void mig_asset_sets_complete(struct mig_asset_sets *sets);

/* `ids` and `among` ascending. */
bool mig_asset_ids_within(const uint32_t *ids, size_t count, const uint32_t *among, size_t among_count);
bool mig_asset_ids_touch(const uint32_t *ids, size_t count, const uint32_t *gone, size_t gone_count);

/* For the engine: a record of a set that is no more. `ctx`: the sets. */
bool mig_asset_sets_is_garbage(void *ctx, struct mig_bytes key, struct mig_bytes value);

#endif
