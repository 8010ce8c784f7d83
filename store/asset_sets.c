/* SPDX-License-Identifier: MIT */
#include "store/asset_sets.h"

#include <stdlib.h>
#include <string.h>

enum { IDS_MAX = 2 * 1024 * 1024 }; /* of all sets: 8 MiB */

void mig_asset_sets_init(struct mig_asset_sets *sets)
{
    *sets = (struct mig_asset_sets){0};
    (void)pthread_mutex_init(&sets->live, NULL);
}

static void free_set(struct mig_asset_set *set)
{
    free(set->ids);
    free(set);
}

void mig_asset_sets_clear(struct mig_asset_sets *sets)
{
    for (size_t i = 0; i < sets->count; i++)
        free_set(sets->by_number[i]);
    free(sets->by_number);
    free(sets->by_ids);
    (void)pthread_mutex_destroy(&sets->live);
    *sets = (struct mig_asset_sets){0};
}

/* ---- order ------------------------------------------------------------- */

static int compare_ids(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count)
{
    if (a_count != b_count)
        return a_count < b_count ? -1 : 1;
    for (size_t i = 0; i < a_count; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

/* The first whose members are not before these. */
static size_t place_of(const struct mig_asset_sets *sets, const uint32_t *ids, size_t count)
{
    size_t low = 0, high = sets->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct mig_asset_set *s = sets->by_ids[mid];
        if (compare_ids(s->ids, s->count, ids, count) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct mig_asset_set *mig_asset_sets_of(const struct mig_asset_sets *sets, const uint32_t *ids, size_t count)
{
    /* A damaged one may have a usable successor with the same members. */
    for (size_t i = place_of(sets, ids, count); i < sets->count; i++) {
        struct mig_asset_set *s = sets->by_ids[i];
        if (compare_ids(s->ids, s->count, ids, count) != 0)
            break;
        if (s->state == MIG_ASSET_SET_USABLE)
            return s;
    }
    return NULL;
}

struct mig_asset_set *mig_asset_sets_find(const struct mig_asset_sets *sets, uint32_t set)
{
    size_t low = 0, high = sets->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (sets->by_number[mid]->set < set)
            low = mid + 1;
        else
            high = mid;
    }
    return low < sets->count && sets->by_number[low]->set == set ? sets->by_number[low] : NULL;
}

/* ---- change ------------------------------------------------------------ */

static enum mig_err make_room(struct mig_asset_sets *sets)
{
    if (sets->count < sets->cap)
        return MIG_OK;
    size_t cap = sets->cap == 0 ? 64 : 2 * sets->cap;
    struct mig_asset_set **by_ids = realloc(sets->by_ids, cap * sizeof(struct mig_asset_set *));
    if (by_ids == NULL)
        return MIG_ERR_NOMEM;
    sets->by_ids = by_ids;
    (void)pthread_mutex_lock(&sets->live);
    struct mig_asset_set **by_number = realloc(sets->by_number, cap * sizeof(struct mig_asset_set *));
    if (by_number != NULL) {
        sets->by_number = by_number;
        sets->cap = cap;
    }
    (void)pthread_mutex_unlock(&sets->live);
    return by_number != NULL ? MIG_OK : MIG_ERR_NOMEM;
}

static struct mig_asset_set *new_set(uint32_t set, uint32_t slot, const uint32_t *ids, size_t count)
{
    struct mig_asset_set *s = calloc(1, sizeof *s);
    if (s == NULL || (s->ids = malloc(count * sizeof *ids)) == NULL) {
        free(s);
        return NULL;
    }
    memcpy(s->ids, ids, count * sizeof *ids);
    s->count = count;
    s->set = set;
    s->slot = slot;
    return s;
}

enum mig_err mig_asset_sets_add(struct mig_asset_sets *sets, uint32_t set, uint32_t slot, const uint32_t *ids,
                                size_t count, struct mig_asset_set **out)
{
    *out = NULL;
    if (sets->count == MIG_ASSET_SETS_MAX || sets->ids + count > IDS_MAX)
        return MIG_ERR_STATE;
    if (sets->count > 0 && sets->by_number[sets->count - 1]->set >= set)
        return MIG_ERR_BUG;
    enum mig_err err = make_room(sets);
    if (err != MIG_OK)
        return err;
    struct mig_asset_set *s = new_set(set, slot, ids, count);
    if (s == NULL)
        return MIG_ERR_NOMEM;
    size_t at = place_of(sets, ids, count);
    memmove(sets->by_ids + at + 1, sets->by_ids + at, (sets->count - at) * sizeof(struct mig_asset_set *));
    sets->by_ids[at] = s;
    (void)pthread_mutex_lock(&sets->live);
    sets->by_number[sets->count++] = s;
    (void)pthread_mutex_unlock(&sets->live);
    sets->ids += count;
    *out = s;
    return MIG_OK;
}

static size_t keep_usable(struct mig_asset_set **list, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (list[i]->state != MIG_ASSET_SET_CONDEMNED)
            list[kept++] = list[i];
    return kept;
}

void mig_asset_sets_sweep(struct mig_asset_sets *sets)
{
    size_t total = sets->count;
    (void)keep_usable(sets->by_ids, total);
    (void)pthread_mutex_lock(&sets->live);
    sets->count = 0;
    for (size_t i = 0; i < total; i++) {
        struct mig_asset_set *s = sets->by_number[i];
        if (s->state != MIG_ASSET_SET_CONDEMNED) {
            sets->by_number[sets->count++] = s;
            continue;
        }
        sets->ids -= s->count;
        free_set(s);
    }
    (void)pthread_mutex_unlock(&sets->live);
}

void mig_asset_sets_complete(struct mig_asset_sets *sets)
{
    (void)pthread_mutex_lock(&sets->live);
    sets->complete = true;
    (void)pthread_mutex_unlock(&sets->live);
}

/* ---- questions --------------------------------------------------------- */

bool mig_asset_ids_within(const uint32_t *ids, size_t count, const uint32_t *among, size_t among_count)
{
    size_t j = 0;
    for (size_t i = 0; i < count; i++) {
        while (j < among_count && among[j] < ids[i])
            j++;
        if (j == among_count || among[j] != ids[i])
            return false;
    }
    return true;
}

bool mig_asset_ids_touch(const uint32_t *ids, size_t count, const uint32_t *gone, size_t gone_count)
{
    for (size_t i = 0, j = 0; i < count && j < gone_count;) {
        if (ids[i] == gone[j])
            return true;
        if (ids[i] < gone[j])
            i++;
        else
            j++;
    }
    return false;
}

bool mig_asset_sets_is_garbage(void *ctx, struct mig_bytes key, struct mig_bytes value)
{
    struct mig_asset_sets *sets = ctx;
    uint32_t set = mig_asset_set_of(key, value);
    if (set == 0)
        return false;
    (void)pthread_mutex_lock(&sets->live);
    bool garbage = sets->complete && mig_asset_sets_find(sets, set) == NULL;
    (void)pthread_mutex_unlock(&sets->live);
    return garbage;
}
