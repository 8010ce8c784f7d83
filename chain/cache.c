/* SPDX-License-Identifier: MIT */
/*
 * The reducer, and how its views reach readers.
 *
 * Publication. `current` points at the newest view, which holds one reference
 * for the cache. A reader must add its own before that one goes; between
 * loading the pointer and adding the reference it is announced in one of two
 * counters (`reading`). The writer replaces the pointer and puts the old view
 * on a list; it drops the cache's reference once it has seen each counter at
 * zero after the replacement: whoever loaded the old pointer was counted
 * before, and left only with a reference of its own (all four accesses are
 * sequentially consistent). `turn` sends new readers to the other counter
 * after every replacement, so that each gets to zero however busy they are.
 * Neither side ever waits: readers do four atomic operations, the writer looks
 * at the counters again at the next feed.
 *
 * Survival. The deployed contract keeps a destination record when Running
 * ends. Such a record is inactive: one first seen at a block before the
 * present stretch of Running was first seen. A stretch ends when the protocol
 * leaves Running, and also, unseen between two answers, when the keyset, the
 * next domain id or the cancelled epoch changes: the contract cannot change
 * these without leaving Running. What was there in the first answer after the
 * start counts as one stretch with it.
 */
#include "chain/cache.h"

#include <stdlib.h>
#include <string.h>

#include "chain/account.h"
#include "chain/view_box.h"
#include "crypto/keyset.h"

enum { PARTS = 3 };

/* All that was learnt so far; replaced as a whole. */
struct facts {
    struct mig_snapshot *snapshot; /* owned */
    struct mig_info info;
    struct mig_published published;
    struct mig_block block[PARTS];
    bool fed[PARTS];
    bool running;           /* the newest state is Running */
    uint64_t running_since; /* its first block; 0 when it was so from the start */
};

struct mig_cache {
    char contract[MIG_ACCOUNT_MAX + 1];
    char account[MIG_ACCOUNT_MAX + 1];
    enum mig_dialect dialect;
    void (*changed)(void *ctx, const struct mig_view *view);
    void *changed_ctx;
    /* The writer's. */
    struct facts facts;
    struct mig_view_box *retired;
    /* Shared. */
    _Atomic(struct mig_view_box *) current;
    atomic_uint_least64_t generation;
    atomic_uint turn;
    atomic_size_t reading[2];
};

enum mig_err mig_cache_new(const char *contract, const char *account, enum mig_dialect dialect,
                           struct mig_cache **out)
{
    *out = NULL;
    if (!mig_account_is_valid(contract, strlen(contract)) ||
        !mig_account_is_valid(account, strlen(account)))
        return MIG_ERR_MALFORMED;
    struct mig_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return MIG_ERR_NOMEM;
    strcpy(cache->contract, contract);
    strcpy(cache->account, account);
    cache->dialect = dialect;
    *out = cache;
    return MIG_OK;
}

void mig_cache_on_view(struct mig_cache *cache,
                       void (*changed)(void *ctx, const struct mig_view *view), void *ctx)
{
    cache->changed = changed;
    cache->changed_ctx = ctx;
}

/* ---- readers ---- */

const struct mig_view *mig_cache_view(struct mig_cache *cache)
{
    atomic_size_t *reading = &cache->reading[atomic_load(&cache->turn) & 1];
    (void)atomic_fetch_add(reading, 1);
    struct mig_view_box *box = atomic_load(&cache->current);
    const struct mig_view *view = box != NULL ? mig_view_ref(&box->view) : NULL;
    (void)atomic_fetch_sub(reading, 1);
    return view;
}

uint64_t mig_cache_generation(const struct mig_cache *cache)
{
    return atomic_load(&cache->generation);
}

/* ---- publication ---- */

/* Drops the replaced views that no reader can be about to take. */
static void reclaim(struct mig_cache *cache)
{
    unsigned quiet = 0;
    for (unsigned i = 0; i < 2; i++)
        if (atomic_load(&cache->reading[i]) == 0)
            quiet |= 1u << i;
    struct mig_view_box **at = &cache->retired;
    while (*at != NULL) {
        struct mig_view_box *box = *at;
        box->unseen &= ~quiet;
        if (box->unseen != 0) {
            at = &box->retired;
            continue;
        }
        *at = box->retired;
        const struct mig_view *view = &box->view;
        mig_view_release(&view);
    }
}

/* The generation goes first: a commit that still finds its own is one that
 * came before this view. */
static void publish(struct mig_cache *cache, struct mig_view_box *box)
{
    atomic_store(&cache->generation, box->view.generation);
    struct mig_view_box *old = atomic_exchange(&cache->current, box);
    (void)atomic_fetch_add(&cache->turn, 1);
    if (old != NULL) {
        old->unseen = 3;
        old->retired = cache->retired;
        cache->retired = old;
    }
    reclaim(cache);
    if (cache->changed != NULL)
        cache->changed(cache->changed_ctx, &box->view);
}

void mig_cache_free(struct mig_cache **cache)
{
    struct mig_cache *c = *cache;
    *cache = NULL;
    if (c == NULL)
        return;
    struct mig_view_box *box = atomic_load(&c->current);
    if (box != NULL) {
        box->unseen = 0;
        box->retired = c->retired;
        c->retired = box;
    }
    while (c->retired != NULL) { /* no reader is left in mig_cache_view */
        const struct mig_view *view = &c->retired->view;
        c->retired = c->retired->retired;
        mig_view_release(&view);
    }
    mig_snapshot_release(&c->facts.snapshot);
    free(c);
}

/* ---- meaning ---- */

static bool same_participants(const struct mig_participants *a, const struct mig_participants *b)
{
    if (a->threshold != b->threshold || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct mig_participant *x = &a->list[i], *y = &b->list[i];
        if (x->id != y->id || strcmp(x->account, y->account) != 0 || strcmp(x->url, y->url) != 0 ||
            memcmp(x->tls_key, y->tls_key, MIG_KEY_LEN) != 0)
            return false;
    }
    return true;
}

/* All keys are zero where their flag is false. */
static bool same_published(const struct mig_published *a, const struct mig_published *b)
{
    return a->has_node == b->has_node && a->has_service == b->has_service &&
           memcmp(a->node, b->node, MIG_KEY_LEN) == 0 &&
           memcmp(a->service, b->service, MIG_KEY_LEN) == 0;
}

/* The same record, whenever it was seen. */
static bool same_record(const struct mig_destination *a, const struct mig_destination *b)
{
    return memcmp(a->tls_key, b->tls_key, MIG_KEY_LEN) == 0 &&
           memcmp(a->signer_key, b->signer_key, MIG_KEY_LEN) == 0 && strcmp(a->url, b->url) == 0;
}

static bool same_meaning(const struct mig_view *a, const struct mig_view *b)
{
    return a->protocol == b->protocol && mig_keyset_is_equal(&a->keyset, &b->keyset) &&
           same_participants(&a->participants, &b->participants) &&
           same_participants(&a->prospective, &b->prospective) &&
           a->has_service_key == b->has_service_key &&
           memcmp(a->service_key, b->service_key, MIG_KEY_LEN) == 0 &&
           a->has_destination == b->has_destination &&
           same_record(&a->destination, &b->destination) &&
           a->destination.since == b->destination.since &&
           a->destination.active == b->destination.active &&
           same_published(&a->published, &b->published);
}

static bool record_is_active(const struct facts *f)
{
    const struct mig_info *info = &f->info;
    return info->has_destination && f->running && info->destination.since >= f->running_since &&
           (!info->has_epoch || info->epoch == f->snapshot->state.keyset.epoch);
}

/* ---- feeding ---- */

static bool ended_unseen(const struct mig_state *a, const struct mig_state *b)
{
    return a->next_domain != b->next_domain || a->has_cancelled_epoch != b->has_cancelled_epoch ||
           a->cancelled_epoch != b->cancelled_epoch || !mig_keyset_is_equal(&a->keyset, &b->keyset);
}

static enum mig_err feed_state(const struct mig_cache *cache, uint64_t height, const char *json,
                               size_t len, struct facts *next)
{
    struct mig_snapshot *before = next->snapshot;
    if (before != NULL && before->len == len && memcmp(before->json, json, len) == 0)
        return MIG_OK;
    struct mig_state state;
    enum mig_err err = mig_state_parse(json, len, &state);
    if (err != MIG_OK)
        return err;
    bool running = state.protocol == MIG_PROTOCOL_RUNNING;
    bool began =
        running && before != NULL && (!next->running || ended_unseen(&before->state, &state));
    struct mig_snapshot *snapshot = mig_snapshot_new(&state, json, len);
    if (snapshot == NULL)
        return MIG_ERR_NOMEM;
    if (snapshot->state.keyset_json != NULL)
        mig_keyset_digest(cache->contract, &snapshot->state.keyset, snapshot->digest);
    mig_snapshot_release(&next->snapshot);
    next->snapshot = snapshot;
    next->running = running;
    if (began)
        next->running_since = height;
    return MIG_OK;
}

static enum mig_err parse_info(const struct mig_cache *cache, const char *json, size_t len,
                               struct mig_info *info)
{
    enum mig_err err = MIG_ERR_MALFORMED;
    /* Unknown dialect: the two shapes exclude each other. */
    if (cache->dialect != MIG_DIALECT_DEPLOYED)
        err = mig_recovery_info_parse(json, len, cache->account, info);
    if (err == MIG_ERR_MALFORMED && cache->dialect != MIG_DIALECT_DRAFT)
        err = mig_migration_info_parse(json, len, cache->account, info);
    return err;
}

static enum mig_err feed_info(const struct mig_cache *cache, uint64_t height, const char *json,
                              size_t len, struct facts *next)
{
    struct mig_info info;
    enum mig_err err = parse_info(cache, json, len, &info);
    if (err != MIG_OK)
        return err;
    const struct mig_info *old = &next->info;
    bool same = old->has_destination && info.has_destination && old->has_epoch == info.has_epoch &&
                old->epoch == info.epoch && same_record(&old->destination, &info.destination);
    if (info.has_destination)
        info.destination.since = same ? old->destination.since : height;
    next->info = info;
    return MIG_OK;
}

/* Into `next`, unless its part is already known at this height or above. */
static enum mig_err take(const struct mig_cache *cache, const struct mig_answer *a,
                         const struct mig_block *block, struct facts *next)
{
    enum mig_err err = MIG_ERR_BUG;
    if (a->part < MIG_PART_STATE || a->part > MIG_PART_EPHEMERAL)
        return MIG_ERR_BUG;
    if (next->fed[a->part] && block->height <= next->block[a->part].height)
        return MIG_OK;
    switch (a->part) {
    case MIG_PART_STATE:
        err = feed_state(cache, block->height, a->json, a->len, next);
        break;
    case MIG_PART_MIGRATION:
        err = feed_info(cache, block->height, a->json, a->len, next);
        break;
    case MIG_PART_EPHEMERAL:
        err = mig_ephemeral_keys_parse(a->json, a->len, cache->account, &next->published);
        break;
    }
    if (err == MIG_OK) {
        next->block[a->part] = *block;
        next->fed[a->part] = true;
    }
    return err;
}

/* The view of these facts; the old one's generation when it means the same. */
static struct mig_view_box *make_view(const struct facts *f, const struct mig_view *old)
{
    struct mig_view_box *box = mig_view_box_new(f->snapshot);
    if (box == NULL)
        return NULL;
    struct mig_view *view = &box->view;
    view->state_block = f->block[MIG_PART_STATE];
    view->info_block = f->block[MIG_PART_MIGRATION];
    view->has_service_key = f->info.has_service_key;
    memcpy(view->service_key, f->info.service_key, MIG_KEY_LEN);
    view->has_destination = f->info.has_destination;
    view->destination = f->info.destination;
    view->destination.active = record_is_active(f);
    view->published = f->published;
    view->generation = old == NULL ? 1 : old->generation + !same_meaning(old, view);
    return box;
}

static bool is_newer(const struct facts *a, const struct facts *b)
{
    for (int i = 0; i < PARTS; i++)
        if (a->fed[i] != b->fed[i] || a->block[i].height != b->block[i].height)
            return true;
    return false;
}

enum mig_err mig_cache_feed_all(struct mig_cache *cache, const struct mig_block *block,
                                const struct mig_answer *answers, size_t count)
{
    struct facts next = cache->facts;
    struct mig_view_box *box = NULL;
    enum mig_err err = MIG_OK;
    (void)mig_snapshot_ref(next.snapshot);
    for (size_t i = 0; err == MIG_OK && i < count; i++)
        err = take(cache, &answers[i], block, &next);
    if (err != MIG_OK || !is_newer(&next, &cache->facts))
        goto out;
    if (next.fed[MIG_PART_STATE] && next.fed[MIG_PART_MIGRATION]) {
        const struct mig_view_box *old = atomic_load(&cache->current);
        box = make_view(&next, old != NULL ? &old->view : NULL);
        err = box != NULL ? MIG_OK : MIG_ERR_NOMEM;
        if (box == NULL)
            goto out;
    }
    struct mig_snapshot *replaced = cache->facts.snapshot;
    cache->facts = next;
    next.snapshot = replaced;
    if (box != NULL)
        publish(cache, box);

out:
    mig_snapshot_release(&next.snapshot);
    return err;
}

enum mig_err mig_cache_feed(struct mig_cache *cache, enum mig_part part,
                            const struct mig_block *block, const char *json, size_t len)
{
    const struct mig_answer answer = {part, json, len};
    return mig_cache_feed_all(cache, block, &answer, 1);
}
