/* SPDX-License-Identifier: MIT */
/*
 * A take opens the value, removes it durably, and only then lets the caller
 * have it. Takes of different assets go on side by side, so that their syncs
 * are shared; of two takes of the same one the second waits for the first and
 * then finds nothing.
 */
#include <string.h>

#include "store/assets.h"

enum { RECORDS_PER_TAKE = 3 }; /* the value, its index, the count */

struct mig_asset_flight {
    const struct mig_asset_key *key;
    struct mig_asset_flight *next;
};

/* ---- flights ----------------------------------------------------------- */

static bool is_same(const struct mig_asset_key *a, const struct mig_asset_key *b)
{
    return a->kind == b->kind && a->scope == b->scope && memcmp(a->id, b->id, sizeof a->id) == 0;
}

static bool is_flying(const struct mig_assets *a, const struct mig_asset_key *key)
{
    for (const struct mig_asset_flight *f = a->flights; f != NULL; f = f->next)
        if (is_same(f->key, key))
            return true;
    return false;
}

/* False when another has it and we would not wait. */
static bool take_off(struct mig_assets *a, struct mig_asset_flight *flight, bool wait)
{
    (void)pthread_mutex_lock(&a->state);
    while (wait && is_flying(a, flight->key))
        (void)pthread_cond_wait(&a->landed, &a->state);
    bool is_ours = !is_flying(a, flight->key);
    if (is_ours) {
        flight->next = a->flights;
        a->flights = flight;
    }
    (void)pthread_mutex_unlock(&a->state);
    return is_ours;
}

static void land(struct mig_assets *a, struct mig_asset_flight *flight)
{
    (void)pthread_mutex_lock(&a->state);
    struct mig_asset_flight **p = &a->flights;
    while (*p != flight)
        p = &(*p)->next;
    *p = flight->next;
    (void)pthread_cond_broadcast(&a->landed);
    (void)pthread_mutex_unlock(&a->state);
}

/* ---- one asset --------------------------------------------------------- */

static enum mig_err find_set(struct mig_assets *a, const struct mig_asset_key *key, struct mig_asset_set **set)
{
    uint8_t number[4];
    size_t len;
    struct mig_asset_at at = mig_asset_at_index(key);
    enum mig_err err = mig_engine_get(a->engine, mig_asset_at(&at), number, sizeof number, &len);
    if (err != MIG_OK)
        return err;
    *set = mig_asset_sets_find(&a->sets, mig_asset_set_of(mig_asset_at(&at), (struct mig_bytes){number, len}));
    if (*set == NULL || (*set)->state == MIG_ASSET_SET_CONDEMNED)
        return MIG_ERR_NOT_FOUND; /* purged */
    return (*set)->state == MIG_ASSET_SET_USABLE ? MIG_OK : MIG_ERR_MALFORMED;
}

static enum mig_err read_value(struct mig_assets *a, const struct mig_asset_set *set, struct mig_bytes at,
                               uint8_t *value, size_t cap, size_t *len)
{
    uint8_t sealed[MIG_ASSET_SEALED_MAX];
    size_t sealed_len;
    enum mig_err err = mig_engine_get(a->engine, at, sealed, sizeof sealed, &sealed_len);
    if (err == MIG_ERR_NOT_FOUND)
        return MIG_ERR_MALFORMED; /* the index says that it is here */
    if (err != MIG_OK)
        return err;
    if (sealed_len > cap + MIG_ASSET_NONCE_LEN + MIG_ASSET_TAG_LEN)
        return MIG_ERR_BUG;
    return mig_asset_open(mig_assets_set_key(a, set), at, (struct mig_bytes){sealed, sealed_len}, value, len);
}

static enum mig_err remove_value(struct mig_assets *a, const struct mig_asset_set *set,
                                 const struct mig_asset_key *key)
{
    struct mig_asset_at at = mig_asset_at_value(set->set, key);
    struct mig_asset_at index = mig_asset_at_index(key);
    struct mig_asset_at count = mig_asset_at_count(set->set, key->kind);
    struct mig_engine_batch *batch = mig_engine_batch_new();
    mig_engine_batch_remove(batch, mig_asset_at(&at));
    mig_engine_batch_remove(batch, mig_asset_at(&index));
    mig_engine_batch_add(batch, mig_asset_at(&count), -1);
    uint64_t before = mig_engine_sequence(a->engine);
    enum mig_err err = mig_assets_commit(a, batch, true);
    mig_engine_batch_free(&batch);
    if (err == MIG_OK)
        mig_asset_keys_mark(&a->keys, before + RECORDS_PER_TAKE);
    return err;
}

static void tell(const struct mig_asset_set *set, const struct mig_asset_key *key, struct mig_asset_taken *taken)
{
    if (taken == NULL)
        return;
    taken->key = *key;
    taken->participant_count = set->count;
    memcpy(taken->participants, set->ids, set->count * sizeof *set->ids);
}

/* The key is ours: nobody else takes it. */
static enum mig_err take_ours(struct mig_assets *a, const struct mig_asset_key *key, uint8_t *value, size_t cap,
                              size_t *len, struct mig_asset_taken *taken)
{
    struct mig_asset_set *set;
    enum mig_err err = find_set(a, key, &set);
    if (err != MIG_OK)
        return err;
    struct mig_asset_at at = mig_asset_at_value(set->set, key);
    err = read_value(a, set, mig_asset_at(&at), value, cap, len);
    if (err == MIG_OK && (err = remove_value(a, set, key)) != MIG_OK) {
        mig_wipe(value, *len);
        *len = 0;
    }
    (void)pthread_mutex_lock(&a->state);
    if (err == MIG_OK)
        set->held[key->kind]--;
    else
        set->hint[key->kind].len = 0; /* it may still be there */
    a->damaged += err == MIG_ERR_MALFORMED;
    (void)pthread_mutex_unlock(&a->state);
    if (err == MIG_OK)
        tell(set, key, taken);
    return err;
}

static enum mig_err take_one(struct mig_assets *a, const struct mig_asset_key *key, bool wait, uint8_t *value,
                             size_t cap, size_t *len, struct mig_asset_taken *taken)
{
    struct mig_asset_flight flight = {key, NULL};
    if (!take_off(a, &flight, wait))
        return MIG_ERR_NOT_FOUND;
    enum mig_err err = take_ours(a, key, value, cap, len, taken);
    land(a, &flight);
    return err;
}

enum mig_err mig_assets_take(struct mig_assets *assets, const struct mig_asset_key *key, uint8_t *value,
                             size_t cap, size_t *len, struct mig_asset_taken *taken)
{
    *len = 0;
    if (!mig_asset_key_is_proper(key))
        return MIG_ERR_MALFORMED;
    enum mig_err err = mig_assets_enter(assets, false);
    if (err != MIG_OK)
        return err;
    err = take_one(assets, key, true, value, cap, len, taken);
    mig_assets_leave(assets);
    return err;
}

/* ---- any asset --------------------------------------------------------- */

/* A seek over what was taken before would cost more with every take. */
static struct mig_asset_at begin_at(struct mig_assets *a, const struct mig_asset_set *set,
                                    enum mig_asset_kind kind, uint64_t scope, uint64_t *arrivals)
{
    struct mig_asset_at at = mig_asset_at_scope(set->set, kind, scope);
    (void)pthread_mutex_lock(&a->state);
    const struct mig_asset_at *hint = &set->hint[kind];
    if (hint->len > 0 && memcmp(hint->bytes, at.bytes, at.len) == 0)
        at = *hint;
    *arrivals = set->arrivals[kind];
    (void)pthread_mutex_unlock(&a->state);
    return at;
}

/* Unless something arrived since begin_at, which may lie before. */
static void keep_hint(struct mig_assets *a, struct mig_asset_set *set, enum mig_asset_kind kind,
                      struct mig_bytes first, uint64_t arrivals)
{
    (void)pthread_mutex_lock(&a->state);
    if (set->arrivals[kind] == arrivals && first.len <= sizeof set->hint[kind].bytes) {
        memcpy(set->hint[kind].bytes, first.bytes, first.len);
        set->hint[kind].len = first.len;
    }
    (void)pthread_mutex_unlock(&a->state);
}

static struct mig_asset_at end_of(const struct mig_asset_set *set, enum mig_asset_kind kind, uint64_t scope)
{
    if (scope < UINT64_MAX)
        return mig_asset_at_scope(set->set, kind, scope + 1);
    return mig_asset_at_scope(set->set, (enum mig_asset_kind)(kind + 1), 0);
}

struct wish {
    enum mig_asset_kind kind;
    uint64_t scope;
    const uint32_t *among;
    size_t among_count;
};

static enum mig_err take_from(struct mig_assets *a, struct mig_asset_set *set, const struct wish *wish,
                              uint8_t *value, size_t cap, size_t *len, struct mig_asset_taken *taken)
{
    uint64_t arrivals;
    struct mig_asset_at from = begin_at(a, set, wish->kind, wish->scope, &arrivals);
    struct mig_asset_at to = end_of(set, wish->kind, wish->scope);
    struct mig_engine_cursor *cursor = mig_engine_cursor_new(a->engine, mig_asset_at(&from), mig_asset_at(&to));
    struct mig_bytes at, unused;
    if (cursor == NULL)
        return MIG_ERR_NOMEM;
    enum mig_err err;
    bool first = true;
    while ((err = mig_engine_cursor_next(cursor, &at, &unused)) == MIG_OK) {
        struct mig_asset_key key;
        uint32_t number;
        if (first)
            keep_hint(a, set, wish->kind, at, arrivals);
        first = false;
        if (mig_asset_at_parse(at, &number, &key) != MIG_OK)
            continue;
        err = take_one(a, &key, false, value, cap, len, taken);
        if (err != MIG_ERR_NOT_FOUND && err != MIG_ERR_MALFORMED)
            break;
    }
    mig_engine_cursor_free(&cursor);
    return err;
}

static bool is_wanted(struct mig_assets *a, const struct mig_asset_set *set, const struct wish *wish)
{
    (void)pthread_mutex_lock(&a->state);
    bool has_some = set->held[wish->kind] > 0;
    (void)pthread_mutex_unlock(&a->state);
    return has_some && set->state == MIG_ASSET_SET_USABLE &&
           mig_asset_ids_within(set->ids, set->count, wish->among, wish->among_count);
}

enum mig_err mig_assets_take_any(struct mig_assets *assets, enum mig_asset_kind kind, uint64_t scope,
                                 const uint32_t *among, size_t among_count, uint8_t *value, size_t cap,
                                 size_t *len, struct mig_asset_taken *taken)
{
    *len = 0;
    struct wish wish = {kind, scope, among, among_count};
    if (kind != MIG_ASSET_TRIPLE && kind != MIG_ASSET_PRESIGNATURE)
        return MIG_ERR_MALFORMED;
    enum mig_err err = mig_assets_enter(assets, false);
    if (err != MIG_OK)
        return err;
    err = MIG_ERR_NOT_FOUND;
    for (size_t i = 0; i < assets->sets.count && err == MIG_ERR_NOT_FOUND; i++)
        if (is_wanted(assets, assets->sets.by_number[i], &wish))
            err = take_from(assets, assets->sets.by_number[i], &wish, value, cap, len, taken);
    mig_assets_leave(assets);
    return err;
}
