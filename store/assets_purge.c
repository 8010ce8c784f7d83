/* SPDX-License-Identifier: MIT */
/*
 * A purge destroys the keys of the sets concerned, with one sync, and with that
 * it has happened: what lies under them cannot be read by anybody. Removing the
 * records from the engine is tidying up; it needs no sync of its own, because
 * a set whose key is destroyed is removed at the next open.
 */
#include "store/assets_purge.h"

#include <stdlib.h>

static bool concerns(const struct mig_asset_set *set, const uint32_t *gone, size_t count)
{
    return gone == NULL || mig_asset_ids_touch(set->ids, set->count, gone, count);
}

/* Also those that an earlier purge left. NULL gone: all. */
static size_t condemn(struct mig_assets *a, const uint32_t *gone, size_t count, uint32_t *slots)
{
    size_t n = 0;
    for (size_t i = 0; i < a->sets.count; i++) {
        struct mig_asset_set *s = a->sets.by_number[i];
        if (s->state != MIG_ASSET_SET_CONDEMNED && !concerns(s, gone, count))
            continue;
        s->state = MIG_ASSET_SET_CONDEMNED;
        slots[n++] = s->slot;
    }
    return n;
}

static void remove_set(struct mig_engine_batch *batch, uint32_t set)
{
    struct mig_asset_at from = mig_asset_at_range(set), to = mig_asset_at_range(set + 1);
    struct mig_asset_at record = mig_asset_at_set(set);
    mig_engine_batch_remove_range(batch, mig_asset_at(&from), mig_asset_at(&to));
    mig_engine_batch_remove(batch, mig_asset_at(&record));
    for (int kind = MIG_ASSET_TRIPLE; kind <= MIG_ASSET_PRESIGNATURE; kind++) {
        struct mig_asset_at at = mig_asset_at_count(set, (enum mig_asset_kind)kind);
        mig_engine_batch_remove(batch, mig_asset_at(&at));
    }
}

enum mig_err mig_assets_finish(struct mig_assets *assets)
{
    size_t n = 0;
    struct mig_engine_batch *batch = mig_engine_batch_new();
    for (size_t i = 0; i < assets->sets.count; i++) {
        const struct mig_asset_set *s = assets->sets.by_number[i];
        if (s->state != MIG_ASSET_SET_CONDEMNED)
            continue;
        remove_set(batch, s->set);
        n++;
    }
    enum mig_err err = n > 0 ? mig_assets_commit(assets, batch, false) : MIG_OK;
    mig_engine_batch_free(&batch);
    if (err != MIG_OK || n == 0)
        return err;
    for (size_t i = 0; i < assets->sets.count; i++)
        if (assets->sets.by_number[i]->state == MIG_ASSET_SET_CONDEMNED)
            mig_asset_keys_release(&assets->keys, assets->sets.by_number[i]->slot);
    mig_asset_sets_sweep(&assets->sets);
    assets->loose = true;
    return MIG_OK;
}

static void wipe_keys(struct mig_assets *a)
{
    for (size_t i = 0; i < a->sets.count; i++)
        if (a->sets.by_number[i]->state == MIG_ASSET_SET_CONDEMNED)
            mig_wipe(mig_assets_set_key(a, a->sets.by_number[i]), MIG_ASSET_SET_KEY_LEN);
}

static enum mig_err purge(struct mig_assets *a, const uint32_t *gone, size_t count)
{
    uint32_t *slots = malloc(MIG_ASSET_SETS_MAX * sizeof *slots);
    if (slots == NULL)
        return MIG_ERR_NOMEM;
    if (pthread_rwlock_wrlock(&a->gate) != 0) {
        free(slots);
        return MIG_ERR_BUG;
    }
    /* Keys first, and also when the engine is broken: this needs no space. */
    size_t n = condemn(a, gone, count, slots);
    enum mig_err err = n > 0 ? mig_asset_keys_destroy(&a->keys, slots, n) : MIG_OK;
    if (err == MIG_OK) {
        wipe_keys(a);
        err = n > 0 || a->broken ? mig_assets_repair(a) : MIG_OK;
    }
    if (err == MIG_OK)
        err = mig_assets_finish(a);
    mig_assets_leave(a);
    free(slots);
    return err;
}

enum mig_err mig_assets_purge(struct mig_assets *assets, const uint32_t *gone, size_t count)
{
    if (count == 0)
        return MIG_OK;
    for (size_t i = 1; i < count; i++)
        if (gone[i - 1] >= gone[i])
            return MIG_ERR_MALFORMED;
    return purge(assets, gone, count);
}

enum mig_err mig_assets_purge_all(struct mig_assets *assets)
{
    return purge(assets, NULL, 0);
}

enum mig_err mig_assets_collect(struct mig_assets *assets)
{
    uint32_t *slots = malloc(MIG_ASSET_SETS_MAX * sizeof *slots);
    size_t n = 0;
    if (slots == NULL)
        return MIG_ERR_NOMEM;
    for (size_t i = 0; i < assets->sets.count; i++) {
        struct mig_asset_set *s = assets->sets.by_number[i];
        bool is_empty = s->held[MIG_ASSET_TRIPLE] + s->held[MIG_ASSET_PRESIGNATURE] == 0;
        if (s->state == MIG_ASSET_SET_DAMAGED || (s->state == MIG_ASSET_SET_USABLE && !is_empty))
            continue; /* condemned ones go along: their keys may not be destroyed yet */
        s->state = MIG_ASSET_SET_CONDEMNED;
        slots[n++] = s->slot;
    }
    enum mig_err err = n > 0 ? mig_asset_keys_destroy(&assets->keys, slots, n) : MIG_ERR_STATE;
    if (err == MIG_OK) {
        wipe_keys(assets);
        err = mig_assets_finish(assets);
    }
    free(slots);
    return err;
}
