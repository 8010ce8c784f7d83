/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "store/assets.h"

/* One asset of a batch on its way in. */
struct entry {
    const struct mig_asset *asset;
    struct mig_asset_set *set;
};

/* ---- is the batch proper ----------------------------------------------- */

static int compare_keys(const struct mig_asset_key *a, const struct mig_asset_key *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->scope != b->scope)
        return a->scope < b->scope ? -1 : 1;
    return memcmp(a->id, b->id, sizeof a->id);
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return compare_keys(&x->asset->key, &y->asset->key);
}

static int by_set(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->set->set != y->set->set)
        return x->set->set < y->set->set ? -1 : 1;
    return compare_keys(&x->asset->key, &y->asset->key);
}

static bool is_proper(const struct mig_asset *asset)
{
    return mig_asset_key_is_proper(&asset->key) && asset->len <= MIG_ASSET_VALUE_MAX &&
           mig_asset_ids_are_proper(asset->participants, asset->participant_count);
}

static enum mig_err check(const struct mig_asset *list, size_t count, struct entry *entries)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_proper(&list[i]))
            return MIG_ERR_MALFORMED;
        entries[i] = (struct entry){&list[i], NULL};
    }
    qsort(entries, count, sizeof *entries, by_key);
    for (size_t i = 1; i < count; i++)
        if (by_key(&entries[i - 1], &entries[i]) == 0)
            return MIG_ERR_CONFLICT;
    return MIG_OK;
}

/* ---- participant sets -------------------------------------------------- */

static enum mig_err write_set(struct mig_assets *a, uint32_t number, uint32_t slot, const struct mig_asset *asset)
{
    uint8_t meta[MIG_ASSET_META_LEN], set[MIG_ASSET_SET_RECORD_MAX];
    struct mig_asset_at at_meta = mig_asset_at_meta(), at_set = mig_asset_at_set(number);
    size_t len = mig_asset_set_format(slot, asset->participants, asset->participant_count, set);
    struct mig_engine_batch *batch = mig_engine_batch_new();
    mig_asset_meta_format(&a->meta, meta);
    mig_engine_batch_put(batch, mig_asset_at(&at_meta), (struct mig_bytes){meta, sizeof meta});
    mig_engine_batch_put(batch, mig_asset_at(&at_set), (struct mig_bytes){set, len});
    enum mig_err err = mig_assets_commit(a, batch, false);
    mig_engine_batch_free(&batch);
    return err;
}

/* A slot may be used again only when no power cut can bring back the set that
 * had it before. */
static enum mig_err settle_removed(struct mig_assets *a)
{
    if (!a->loose)
        return MIG_OK;
    enum mig_err err = mig_engine_sync(a->engine);
    if (err == MIG_OK)
        a->loose = false;
    else
        a->broken = true;
    return err;
}

static enum mig_err add_set(struct mig_assets *a, const struct mig_asset *asset)
{
    uint32_t slot;
    uint8_t key[MIG_ASSET_SET_KEY_LEN];
    struct mig_asset_set *set;
    if (a->meta.next_set >= MIG_ASSET_SET_LAST)
        return MIG_ERR_STATE;
    struct mig_asset_set_name name = {a->meta.next_set, asset->participants, asset->participant_count};
    enum mig_err err = settle_removed(a);
    if (err != MIG_OK)
        return err;
    /* In memory first: the engine's threads must not take its records for
     * those of a set that is no more. It is condemned until it is written. */
    err = mig_asset_keys_add(&a->keys, &name, key, &slot);
    if (err != MIG_OK)
        return err;
    err = mig_asset_sets_add(&a->sets, name.set, slot, name.ids, name.count, &set);
    a->meta.next_set++; /* also after a failure: a number is never given twice */
    if (err == MIG_OK) {
        set->state = MIG_ASSET_SET_CONDEMNED;
        err = write_set(a, name.set, slot, asset);
    } else {
        mig_asset_keys_release(&a->keys, slot);
    }
    if (err == MIG_OK) {
        memcpy(mig_assets_set_key(a, set), key, sizeof key);
        set->state = MIG_ASSET_SET_USABLE;
    }
    mig_wipe(key, sizeof key);
    return err;
}

static enum mig_err add_missing(struct mig_assets *a, const struct entry *entries, size_t count)
{
    enum mig_err err = MIG_OK;
    for (size_t i = 0; err == MIG_OK && i < count; i++) {
        const struct mig_asset *asset = entries[i].asset;
        if (mig_asset_sets_of(&a->sets, asset->participants, asset->participant_count) != NULL)
            continue;
        err = add_set(a, asset);
        if (err == MIG_ERR_STATE && (err = mig_assets_collect(a)) == MIG_OK)
            err = add_set(a, asset);
    }
    return err;
}

static bool resolve(const struct mig_assets *a, struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct mig_asset *asset = entries[i].asset;
        entries[i].set = mig_asset_sets_of(&a->sets, asset->participants, asset->participant_count);
        if (entries[i].set == NULL)
            return false;
    }
    return true;
}

/* Leaves the gate locked when it succeeds: alone when a set was new, so that no
 * purge comes between. */
static enum mig_err enter_resolved(struct mig_assets *a, struct entry *entries, size_t count)
{
    enum mig_err err = mig_assets_enter(a, false);
    if (err != MIG_OK || resolve(a, entries, count))
        return err;
    mig_assets_leave(a);
    if ((err = mig_assets_enter(a, true)) != MIG_OK)
        return err;
    /* Twice: making room may take an empty set of ours away. */
    for (int pass = 0; err == MIG_OK && !resolve(a, entries, count); pass++)
        err = pass < 2 ? add_missing(a, entries, count) : MIG_ERR_STATE;
    if (err != MIG_OK)
        mig_assets_leave(a);
    return err;
}

/* ---- values ------------------------------------------------------------ */

static enum mig_err check_absent(struct mig_assets *a, const struct mig_asset_key *key)
{
    uint8_t set[4];
    size_t len;
    struct mig_asset_at at = mig_asset_at_index(key);
    enum mig_err err = mig_engine_get(a->engine, mig_asset_at(&at), set, sizeof set, &len);
    if (err == MIG_ERR_NOT_FOUND)
        return MIG_OK;
    if (err != MIG_OK)
        return MIG_ERR_IO;
    /* The index of a purged set is cleared by and by. */
    uint32_t number = mig_asset_set_of(mig_asset_at(&at), (struct mig_bytes){set, len});
    return mig_asset_sets_find(&a->sets, number) == NULL ? MIG_OK : MIG_ERR_CONFLICT;
}

static void add_value(const struct mig_assets *a, const struct entry *entry, uint8_t *sealed,
                      struct mig_engine_batch *batch)
{
    const struct mig_asset *asset = entry->asset;
    struct mig_asset_at at = mig_asset_at_value(entry->set->set, &asset->key);
    struct mig_asset_at index = mig_asset_at_index(&asset->key);
    mig_asset_seal(mig_assets_set_key(a, entry->set), mig_asset_at(&at), asset->value, asset->len, sealed);
    mig_engine_batch_put(batch, mig_asset_at(&at),
                         (struct mig_bytes){sealed, asset->len + MIG_ASSET_NONCE_LEN + MIG_ASSET_TAG_LEN});
    /* The set's number, as it stands in the value's key. */
    mig_engine_batch_put(batch, mig_asset_at(&index), (struct mig_bytes){at.bytes + 1, 4});
}

/* Entries of one set and kind follow each other. */
static size_t group_of(const struct entry *entries, size_t count)
{
    size_t n = 1;
    while (n < count && entries[n].set == entries[0].set &&
           entries[n].asset->key.kind == entries[0].asset->key.kind)
        n++;
    return n;
}

static void fill(const struct mig_assets *a, const struct entry *entries, size_t count, uint8_t *sealed,
                 struct mig_engine_batch *batch)
{
    for (size_t i = 0, n = 0; i < count; i += n) {
        n = group_of(entries + i, count - i);
        struct mig_asset_at at = mig_asset_at_count(entries[i].set->set, entries[i].asset->key.kind);
        mig_engine_batch_add(batch, mig_asset_at(&at), (int64_t)n);
        for (size_t j = i; j < i + n; j++)
            add_value(a, &entries[j], sealed, batch);
    }
}

/* Before the write: a take may come right after it. */
static void count_in(struct mig_assets *a, const struct entry *entries, size_t count, uint64_t by)
{
    (void)pthread_mutex_lock(&a->state);
    for (size_t i = 0; i < count; i++)
        entries[i].set->held[entries[i].asset->key.kind] += by;
    (void)pthread_mutex_unlock(&a->state);
}

static void note_arrivals(struct mig_assets *a, const struct entry *entries, size_t count)
{
    (void)pthread_mutex_lock(&a->state);
    for (size_t i = 0; i < count; i++) {
        enum mig_asset_kind kind = entries[i].asset->key.kind;
        struct mig_asset_set *set = entries[i].set;
        struct mig_asset_at at = mig_asset_at_value(set->set, &entries[i].asset->key);
        set->arrivals[kind]++;
        if (set->hint[kind].len > 0 && memcmp(at.bytes, set->hint[kind].bytes, at.len) < 0)
            set->hint[kind].len = 0;
    }
    (void)pthread_mutex_unlock(&a->state);
}

static enum mig_err put_resolved(struct mig_assets *a, struct entry *entries, size_t count, uint8_t *sealed)
{
    enum mig_err err = MIG_OK;
    for (size_t i = 0; err == MIG_OK && i < count; i++)
        err = check_absent(a, &entries[i].asset->key);
    if (err != MIG_OK)
        return err;
    qsort(entries, count, sizeof *entries, by_set);
    struct mig_engine_batch *batch = mig_engine_batch_new();
    fill(a, entries, count, sealed, batch);
    count_in(a, entries, count, 1);
    err = mig_assets_commit(a, batch, false);
    mig_engine_batch_free(&batch);
    if (err == MIG_OK)
        note_arrivals(a, entries, count);
    else
        count_in(a, entries, count, UINT64_MAX); /* minus one */
    return err;
}

enum mig_err mig_assets_put(struct mig_assets *assets, const struct mig_asset *list, size_t count)
{
    if (count == 0)
        return MIG_OK;
    if (count > MIG_ASSET_BATCH_MAX)
        return MIG_ERR_MALFORMED;
    struct entry *entries = calloc(count, sizeof *entries);
    uint8_t *sealed = malloc(MIG_ASSET_SEALED_MAX);
    enum mig_err err = entries != NULL && sealed != NULL ? MIG_OK : MIG_ERR_NOMEM;
    if (err == MIG_OK)
        err = check(list, count, entries);
    if (err == MIG_OK && (err = enter_resolved(assets, entries, count)) == MIG_OK) {
        (void)pthread_mutex_lock(&assets->put);
        err = put_resolved(assets, entries, count, sealed);
        (void)pthread_mutex_unlock(&assets->put);
        mig_assets_leave(assets);
    }
    free(entries);
    free(sealed);
    return err;
}
