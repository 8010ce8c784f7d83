/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_ASSETS_H
#define MIG_STORE_ASSETS_H
/*
 * Inside the asset store (include/mpc_assets.h is its interface): what
 * assets.c (open, close, repair), assets_put.c, assets_take.c and
 * assets_purge.c share.
 */
#include <stdatomic.h>

#include "store/asset_keys.h"
#include "store/asset_sets.h"

struct mig_asset_flight; /* a take under way: store/assets_take.c */

struct mig_assets {
    char *path; /* of the engine's folder */
    int folder, lock;
    struct mig_secret *key;      /* the store key */
    struct mig_secret *set_keys; /* by slot */
    struct mig_asset_keys keys;
    struct mig_engine_garbage garbage;
    struct mig_engine *engine; /* NULL while broken beyond a reopen */
    struct mig_asset_meta meta;
    struct mig_asset_sets sets;
    /* Takes and puts share it; what changes the sets or the engine has it alone. */
    pthread_rwlock_t gate;
    atomic_bool broken;  /* the engine refused a write: reopen before the next */
    bool loose;          /* removed sets that the engine may still resurrect after a power cut */
    pthread_mutex_t put; /* one put at a time: it looks, then writes */
    /* Counts, hints and flights. */
    pthread_mutex_t state;
    pthread_cond_t landed;
    struct mig_asset_flight *flights;
    uint64_t damaged, quarantined;
    const char *reason;
};

/* Locks the gate, shared or alone, with an engine that works; on failure it is
 * not locked. */
enum mig_err mig_assets_enter(struct mig_assets *assets, bool alone) MIG_MUST_USE;
void mig_assets_leave(struct mig_assets *assets);
/* Reopens a broken engine; the gate is held alone. */
enum mig_err mig_assets_repair(struct mig_assets *assets) MIG_MUST_USE;
/* Commits; a failure makes the engine broken. */
enum mig_err mig_assets_commit(struct mig_assets *assets, struct mig_engine_batch *batch,
                               bool durable) MIG_MUST_USE;
/* Makes room among the sets: removes the empty ones. The gate is held alone. */
enum mig_err mig_assets_collect(struct mig_assets *assets) MIG_MUST_USE;

static inline uint8_t *mig_assets_set_key(const struct mig_assets *assets, const struct mig_asset_set *set)
{
    return assets->set_keys->bytes + (size_t)set->slot * MIG_ASSET_SET_KEY_LEN;
}

#endif
