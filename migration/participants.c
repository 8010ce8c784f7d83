/* SPDX-License-Identifier: MIT */
#include "migration/participants.h"

#include <stdlib.h>
#include <string.h>

/* ---- sets of ids ------------------------------------------------------- */

void mig_ids_clear(struct mig_ids *ids)
{
    free(ids->list);
    *ids = (struct mig_ids){0};
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

bool mig_ids_has(const struct mig_ids *ids, uint32_t id)
{
    return ids->count > 0 && bsearch(&id, ids->list, ids->count, sizeof id, by_id) != NULL;
}

static void append(struct mig_ids *ids, uint32_t id)
{
    ids->list[ids->count++] = id;
}

/* The smaller of the two heads, stepping over both when they are equal. */
static uint32_t take_smaller(const struct mig_ids *a, const struct mig_ids *b, size_t *i, size_t *j)
{
    if (*j == b->count || (*i < a->count && a->list[*i] < b->list[*j]))
        return a->list[(*i)++];
    if (*i < a->count && a->list[*i] == b->list[*j])
        (*i)++;
    return b->list[(*j)++];
}

enum mig_err mig_ids_merge(struct mig_ids *into, const struct mig_ids *from)
{
    if (from->count == 0)
        return MIG_OK;
    struct mig_ids all = {0, malloc((into->count + from->count) * sizeof *all.list)};
    if (all.list == NULL)
        return MIG_ERR_NOMEM;
    for (size_t i = 0, j = 0; i < into->count || j < from->count;)
        append(&all, take_smaller(into, from, &i, &j));
    mig_ids_clear(into);
    *into = all;
    return MIG_OK;
}

/* ---- sets of participants ---------------------------------------------- */

enum mig_err mig_participants_copy(const struct mig_participants *from,
                                   struct mig_participants *out)
{
    *out = (struct mig_participants){.threshold = from->threshold};
    if (from->count == 0)
        return MIG_OK;
    out->list = malloc(from->count * sizeof *out->list);
    if (out->list == NULL)
        return MIG_ERR_NOMEM;
    memcpy(out->list, from->list, from->count * sizeof *out->list);
    out->count = from->count;
    return MIG_OK;
}

void mig_participants_clear(struct mig_participants *set)
{
    free(set->list);
    *set = (struct mig_participants){0};
}

static bool is_member(const struct mig_participant *p, const char *account,
                      const uint8_t tls_key[MIG_KEY_LEN])
{
    return strcmp(p->account, account) == 0 && memcmp(p->tls_key, tls_key, MIG_KEY_LEN) == 0;
}

bool mig_participants_has(const struct mig_participants *set, const char *account,
                          const uint8_t tls_key[MIG_KEY_LEN])
{
    for (size_t i = 0; i < set->count; i++)
        if (is_member(&set->list[i], account, tls_key))
            return true;
    return false;
}

/* ---- the difference ---------------------------------------------------- */

static enum mig_err alloc_ids(struct mig_ids *ids, size_t cap)
{
    ids->list = malloc((cap > 0 ? cap : 1) * sizeof *ids->list);
    return ids->list != NULL ? MIG_OK : MIG_ERR_NOMEM;
}

static enum mig_err alloc_delta(struct mig_delta *out, size_t before, size_t after)
{
    if (alloc_ids(&out->joined, after) != MIG_OK || alloc_ids(&out->left, before) != MIG_OK ||
        alloc_ids(&out->rekeyed, before) != MIG_OK || alloc_ids(&out->gone, before) != MIG_OK)
        return MIG_ERR_NOMEM;
    return MIG_OK;
}

static void compare_same_id(const struct mig_participant *a, const struct mig_participant *b,
                            struct mig_delta *out)
{
    if (!is_member(b, a->account, a->tls_key)) {
        append(&out->rekeyed, a->id);
        append(&out->gone, a->id);
    } else if (strcmp(a->url, b->url) != 0) {
        out->address_changed = true;
    }
}

static void walk(const struct mig_participants *before, const struct mig_participants *after,
                 struct mig_delta *out)
{
    size_t i = 0, j = 0;
    while (i < before->count || j < after->count) {
        const struct mig_participant *a = i < before->count ? &before->list[i] : NULL;
        const struct mig_participant *b = j < after->count ? &after->list[j] : NULL;
        if (b == NULL || (a != NULL && a->id < b->id)) {
            append(&out->left, a->id);
            append(&out->gone, a->id);
            i++;
        } else if (a == NULL || b->id < a->id) {
            append(&out->joined, b->id);
            j++;
        } else {
            compare_same_id(a, b, out);
            i++;
            j++;
        }
    }
}

enum mig_err mig_delta_compute(const struct mig_participants *before, uint64_t epoch_before,
                               const struct mig_participants *after, uint64_t epoch_after,
                               const char *account, const uint8_t tls_key[MIG_KEY_LEN],
                               struct mig_delta *out)
{
    static const struct mig_participants nobody;
    *out = (struct mig_delta){.epoch_changed = before == NULL || epoch_before != epoch_after,
                              .threshold_changed =
                                  before != NULL && before->threshold != after->threshold};
    if (before == NULL)
        before = &nobody;
    enum mig_err err = alloc_delta(out, before->count, after->count);
    if (err != MIG_OK)
        return err;
    walk(before, after, out);
    out->was_member = mig_participants_has(before, account, tls_key);
    out->is_member = mig_participants_has(after, account, tls_key);
    return MIG_OK;
}

void mig_delta_clear(struct mig_delta *delta)
{
    mig_ids_clear(&delta->joined);
    mig_ids_clear(&delta->left);
    mig_ids_clear(&delta->rekeyed);
    mig_ids_clear(&delta->gone);
}

bool mig_delta_reconnects(const struct mig_delta *delta)
{
    return delta->epoch_changed || delta->joined.count > 0 || delta->gone.count > 0;
}
