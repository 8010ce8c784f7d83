/* SPDX-License-Identifier: MIT */
#include "chain/follow.h"

#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 128,      /* heights that are planned at once while far behind */
    SKIPPED_MAX = 64, /* heights without a block that are looked through */
    PATH_MAX = 1024,  /* blocks of a plan; more than an honest source needs */
};

static void forget_path(struct mig_follow *f)
{
    while (f->path_count > 0)
        mig_block_update_clear(&f->path[--f->path_count]);
    f->has_gap = false;
}

void mig_follow_clear(struct mig_follow *follow)
{
    forget_path(follow);
    free(follow->path);
    follow->path = NULL;
    follow->path_cap = 0;
}

void mig_follow_apply(struct mig_marks *marks, const struct mig_stream_event *event)
{
    const struct mig_block_context *c = &event->block.context;
    switch (event->kind) {
    case MIG_STREAM_BLOCK:
        mig_marks_push(marks, c->height, c->hash);
        mig_marks_settle(marks, event->settles ? c->hash : c->last_final);
        return;
    case MIG_STREAM_ROLLBACK:
        mig_marks_undo(marks, c->hash);
        return;
    case MIG_STREAM_GAP:
        mig_marks_push(marks, event->mark.height, event->mark.hash);
        if (event->settles)
            mig_marks_settle(marks, event->mark.hash);
        return;
    }
}

static enum mig_err object(struct mig_follow *f, enum mig_err err, const char *complaint)
{
    f->complaint = complaint;
    return err;
}

/* ---- planning ---- */

/* Takes `block` over. */
static enum mig_err push(struct mig_follow *f, struct mig_block_update *block)
{
    enum mig_err err = MIG_OK;
    if (f->path_count == PATH_MAX)
        err =
            object(f, MIG_ERR_MALFORMED, "the source's heights and parents contradict each other");
    if (err == MIG_OK && f->path_count == f->path_cap) {
        size_t cap = f->path_cap == 0 ? 16 : f->path_cap * 2;
        struct mig_block_update *moved = realloc(f->path, cap * sizeof *moved);
        if (moved == NULL)
            err = object(f, MIG_ERR_NOMEM, "out of memory");
        else {
            f->path = moved;
            f->path_cap = cap;
        }
    }
    if (err == MIG_OK)
        f->path[f->path_count++] = *block;
    else
        mig_block_update_clear(block);
    memset(block, 0, sizeof *block);
    return err;
}

/* True when this block was asked for in vain often enough. */
static bool is_given_up(struct mig_follow *f, const uint8_t hash[MIG_DIGEST_LEN])
{
    if (memcmp(f->missing, hash, MIG_DIGEST_LEN) != 0)
        f->tries = 0;
    memcpy(f->missing, hash, MIG_DIGEST_LEN);
    return ++f->tries >= f->missing_tries;
}

static const struct mig_mark *tip(const struct mig_follow *f)
{
    return f->marks.count > 0 ? &f->marks.list[f->marks.count - 1] : NULL;
}

/* Blocks above this height are wanted. */
static uint64_t floor_height(const struct mig_follow *f)
{
    return tip(f) != NULL ? tip(f)->height : f->start - 1;
}

/* The first block at `height` or a little above, below `end`. */
static enum mig_err first_at(struct mig_follow *f, uint64_t height, uint64_t end,
                             struct mig_block_update *out)
{
    enum mig_err err = MIG_ERR_NOT_FOUND;
    for (uint64_t h = height; err == MIG_ERR_NOT_FOUND && h < end && h < height + SKIPPED_MAX; h++)
        err = f->source.at(f->source.self, h, out);
    return err;
}

/* Where to go when the head is far away: some block BATCH heights on. If there is
 * none the source has forgotten them: then the first that it has. `anchor` is the
 * head at first. */
static enum mig_err come_closer(struct mig_follow *f, struct mig_block_update *anchor)
{
    struct mig_block_update found = {0};
    uint64_t low = floor_height(f) + BATCH, high = anchor->context.height;
    enum mig_err err = first_at(f, low, high, &found);
    while (err == MIG_ERR_NOT_FOUND && high - low > SKIPPED_MAX) {
        uint64_t middle = low + (high - low) / 2;
        err = first_at(f, middle, high, &found);
        if (err == MIG_ERR_NOT_FOUND)
            low = middle;
        if (err != MIG_OK)
            continue;
        mig_block_update_clear(anchor);
        *anchor = found;
        high = found.context.height;
        memset(&found, 0, sizeof found);
        err = MIG_ERR_NOT_FOUND; /* perhaps there is an earlier one */
    }
    if (err != MIG_OK)
        return err == MIG_ERR_NOT_FOUND ? MIG_OK : err;
    mig_block_update_clear(anchor);
    *anchor = found;
    return MIG_OK;
}

/* Whether the walk has arrived at `c`: its parent is known, or, at the beginning,
 * not wanted. */
static enum mig_err arrived(const struct mig_follow *f, const struct mig_block_context *c, bool *is)
{
    size_t at;
    *is = false;
    if (f->marks.count > 0) {
        *is = mig_marks_find(&f->marks, c->prev_hash, &at);
        uint64_t above = f->marks.list[*is ? at : 0].height;
        return c->height > above ? MIG_OK : MIG_ERR_CONFLICT;
    }
    *is = f->start == 0 || c->height == f->start ||
          (c->prev_height != 0 && c->prev_height < f->start);
    return MIG_OK;
}

/* The block before `c` is not to be had. When that is for good, the walk goes on from
 * the first block above our tip that is there; when there is none below `c`, all up
 * to `c` is a gap (*is_end). */
static enum mig_err pass_hole(struct mig_follow *f, const struct mig_block_context *c, bool *is_end)
{
    struct mig_block_update first;
    struct mig_mark end = {.height = c->height - 1};
    uint64_t from = floor_height(f) + 1;
    memcpy(end.hash, c->prev_hash, MIG_DIGEST_LEN);
    if (!is_given_up(f, c->prev_hash))
        return MIG_ERR_NOT_FOUND;
    enum mig_err err = first_at(f, from, c->height, &first);
    *is_end = err == MIG_ERR_NOT_FOUND;
    if (err == MIG_OK) {
        forget_path(f);
        return push(f, &first);
    }
    if (!*is_end)
        return err;
    f->has_gap = true;
    f->gap_end = end;
    /* In a fork its blocks may be lower than our tip. */
    f->gap_from = from < end.height ? from : end.height;
    return MIG_OK;
}

/* From the block on top of the path back to one that is known. */
static enum mig_err walk(struct mig_follow *f)
{
    struct mig_block_update before;
    for (;;) {
        const struct mig_block_context *c = &f->path[f->path_count - 1].context;
        bool is;
        if (f->marks.count == 0 &&
            c->height < f->start) { /* everything from start on was skipped */
            mig_block_update_clear(&f->path[--f->path_count]);
            return MIG_OK;
        }
        enum mig_err err = arrived(f, c, &is);
        if (err != MIG_OK)
            return object(f, err, "the source's chain does not hold a block that was final");
        if (is)
            return MIG_OK;
        err = f->source.parent(f->source.self, c, &before);
        if (err == MIG_ERR_NOT_FOUND) {
            err = pass_hole(f, c, &is);
            if (err != MIG_OK || is)
                return err;
            continue;
        }
        if (err == MIG_OK && before.context.height >= c->height) {
            mig_block_update_clear(&before);
            err = object(f, MIG_ERR_MALFORMED, "a block is not above the one before it");
        }
        if (err == MIG_OK)
            err = push(f, &before);
        if (err != MIG_OK)
            return err;
    }
}

static enum mig_err plan(struct mig_follow *f)
{
    struct mig_block_update head;
    size_t at;
    enum mig_err err = f->source.head(f->source.self, f->optimistic, &head);
    if (err != MIG_OK)
        return err;
    f->head = head.context.height;
    bool fresh = f->marks.count == 0;
    bool known = !fresh && mig_marks_find(&f->marks, head.context.hash, &at);
    bool wanted = (fresh && f->start == 0) || f->head > floor_height(f);
    if (known || !wanted) {
        /* An older head is a slower node; a fork is believed when it is longer. */
        mig_block_update_clear(&head);
        return MIG_ERR_STATE;
    }
    if ((!fresh || f->start != 0) && f->head - floor_height(f) > BATCH)
        err = come_closer(f, &head);
    if (err != MIG_OK) {
        mig_block_update_clear(&head);
        return err;
    }
    err = push(f, &head);
    return err == MIG_OK ? walk(f) : err;
}

/* ---- coming forward ---- */

static void gap_event(struct mig_follow *f, uint64_t from, const struct mig_mark *end,
                      struct mig_stream_event *e)
{
    e->kind = MIG_STREAM_GAP;
    e->reason = MIG_GAP_NO_DATA;
    e->from = from;
    e->to = end->height;
    e->mark = *end;
    e->settles = !f->optimistic;
}

static void rollback_event(const struct mig_mark *mark, struct mig_stream_event *e)
{
    e->kind = MIG_STREAM_ROLLBACK;
    e->block.context.height = mark->height;
    memcpy(e->block.context.hash, mark->hash, MIG_DIGEST_LEN);
}

/* The block on top of the path, or a gap in its place. */
static enum mig_err block_event(struct mig_follow *f, struct mig_stream_event *e)
{
    struct mig_block_update *top = &f->path[f->path_count - 1];
    struct mig_mark mark = {.height = top->context.height};
    memcpy(mark.hash, top->context.hash, MIG_DIGEST_LEN);
    enum mig_err err = f->source.gives_whole_blocks ? MIG_OK : f->source.fill(f->source.self, top);
    if (err == MIG_ERR_NOT_FOUND && is_given_up(f, mark.hash))
        gap_event(f, mark.height, &mark, e);
    else if (err != MIG_OK)
        return err;
    else {
        e->kind = MIG_STREAM_BLOCK;
        e->block = *top;
        e->settles = !f->optimistic;
        memset(top, 0, sizeof *top);
    }
    mig_block_update_clear(top);
    f->path_count--;
    return MIG_OK;
}

static enum mig_err make_event(struct mig_follow *f, struct mig_stream_event *e)
{
    enum mig_err err = f->path_count == 0 ? plan(f) : MIG_OK;
    if (err != MIG_OK)
        return err;
    /* All that a wrong `start` leaves is a path of blocks below it. */
    if (f->path_count == 0)
        return MIG_ERR_STATE;
    const struct mig_block_context *next = &f->path[f->path_count - 1].context;
    if (f->has_gap) {
        gap_event(f, f->gap_from, &f->gap_end, e);
        f->has_gap = false;
        return MIG_OK;
    }
    if (tip(f) != NULL && memcmp(tip(f)->hash, next->prev_hash, MIG_DIGEST_LEN) != 0) {
        rollback_event(tip(f), e);
        return MIG_OK;
    }
    return block_event(f, e);
}

enum mig_err mig_follow_next(struct mig_follow *follow, struct mig_stream_event **out)
{
    *out = NULL;
    follow->complaint = NULL;
    struct mig_stream_event *e = calloc(1, sizeof *e);
    if (e == NULL)
        return object(follow, MIG_ERR_NOMEM, "out of memory");
    enum mig_err err = make_event(follow, e);
    if (err != MIG_OK) {
        forget_path(follow); /* what was planned may no longer be the chain */
        free(e);
        return err;
    }
    mig_follow_apply(&follow->marks, e);
    *out = e;
    return MIG_OK;
}
