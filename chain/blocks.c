/* SPDX-License-Identifier: MIT */
/* The thread that follows, the channel between it and the consumer, and what
 * the consumer has finished. */
#include "chain/blocks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain/backoff.h"
#include "chain/follow.h"
#include "crypto/secret.h"

enum { INTERVAL_MS = 500, BACKOFF_MS = 10000, CHANNEL = 256, MISSING_TRIES = 5 };

struct mig_stream {
    struct mig_block_source source;
    struct mig_follow follow; /* the thread's */
    char contract[MIG_ACCOUNT_MAX + 1];
    unsigned interval_ms;
    struct mig_backoff backoff;
    size_t channel;
    enum mig_when_full when_full;
    enum mig_err (*save)(void *ctx, const uint8_t *bytes, size_t len);
    void *ctx;
    struct mig_marks done; /* the consumer's: what is finished */
    uint64_t done_number;  /* likewise */
    pthread_t thread;
    pthread_mutex_t lock; /* protects everything below */
    pthread_cond_t news;  /* for the consumer: an event, or the end */
    pthread_cond_t room;  /* for the thread: room, or the end */
    bool stop;
    struct mig_stream_event *first, *last;
    uint64_t numbered;
    /* Blocks that did not fit, waiting to become a gap. */
    bool has_lost;
    uint64_t lost_from, lost_to;
    struct mig_mark lost_end;
    struct mig_stream_stats stats;
};

static struct timespec in_ms(unsigned ms)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* ---- the channel; with the lock held ---- */

static void put(struct mig_stream *s, struct mig_stream_event *e)
{
    e->number = ++s->numbered;
    e->next = NULL;
    if (s->last != NULL)
        s->last->next = e;
    else
        s->first = e;
    s->last = e;
    s->stats.waiting++;
    s->stats.blocks += e->kind == MIG_STREAM_BLOCK;
    s->stats.rollbacks += e->kind == MIG_STREAM_ROLLBACK;
    s->stats.gaps += e->kind == MIG_STREAM_GAP;
    if (e->kind == MIG_STREAM_BLOCK)
        s->stats.height = e->block.context.height;
    (void)pthread_cond_broadcast(&s->news);
}

static bool wait_for_room(struct mig_stream *s, size_t events)
{
    while (!s->stop && s->stats.waiting + events > s->channel)
        (void)pthread_cond_wait(&s->room, &s->lock);
    return !s->stop;
}

/* The gap of what was lost, in front of what comes now. */
static enum mig_err put_lost(struct mig_stream *s)
{
    struct mig_stream_event *e = calloc(1, sizeof *e);
    if (e == NULL)
        return MIG_ERR_NOMEM;
    e->kind = MIG_STREAM_GAP;
    e->reason = MIG_GAP_FULL;
    e->from = s->lost_from;
    e->to = s->lost_to;
    e->mark = s->lost_end;
    e->settles = !s->follow.optimistic;
    s->has_lost = false;
    put(s, e);
    return MIG_OK;
}

/* Takes `e` into the loss. */
static void lose(struct mig_stream *s, struct mig_stream_event *e)
{
    const struct mig_marks *m = &s->follow.marks;
    uint64_t from = e->kind == MIG_STREAM_GAP ? e->from : e->block.context.height;
    uint64_t to = e->kind == MIG_STREAM_GAP ? e->to : e->block.context.height;
    if (!s->has_lost) {
        s->lost_from = from;
        s->lost_to = to;
    }
    s->has_lost = true;
    s->stats.lost += e->kind == MIG_STREAM_BLOCK;
    s->lost_from = from < s->lost_from ? from : s->lost_from;
    s->lost_to = to > s->lost_to ? to : s->lost_to;
    if (m->count > 0) /* where the follower stands now */
        s->lost_end = m->list[m->count - 1];
    mig_stream_drop(&e);
}

/* A rollback of a block that was lost is nobody's business; any other must
 * arrive, and waits. */
static bool may_be_lost(const struct mig_stream *s, const struct mig_stream_event *e)
{
    return e->kind != MIG_STREAM_ROLLBACK ||
           (s->has_lost && e->block.context.height >= s->lost_from);
}

static enum mig_err deliver(struct mig_stream *s, struct mig_stream_event *e)
{
    enum mig_err err = MIG_OK;
    size_t need = s->has_lost ? 2 : 1;
    bool is_full = s->stats.waiting + need > s->channel;
    bool waits = s->when_full == MIG_FULL_WAIT || !may_be_lost(s, e);
    bool is_lost_rollback = e->kind == MIG_STREAM_ROLLBACK && may_be_lost(s, e);
    if (s->when_full == MIG_FULL_GAP && (is_lost_rollback || (is_full && !waits))) {
        lose(s, e);
        return MIG_OK;
    }
    if (!wait_for_room(s, need)) {
        mig_stream_drop(&e);
        return MIG_ERR_CANCELLED;
    }
    if (s->has_lost)
        err = put_lost(s);
    if (err == MIG_OK)
        put(s, e);
    else
        lose(s, e); /* no memory for the gap: it grows */
    return MIG_OK;
}

/* At the head nothing may come for long: what was lost is told as soon as it fits. */
static void tell_lost(struct mig_stream *s)
{
    if (s->has_lost && s->stats.waiting < s->channel && put_lost(s) != MIG_OK)
        s->has_lost = true;
}

/* ---- the thread ---- */

static void note(struct mig_stream *s, enum mig_err err)
{
    struct mig_stream_stats *t = &s->stats;
    t->head = s->follow.head;
    if (err == MIG_ERR_CANCELLED)
        return;
    bool failed = err != MIG_OK && err != MIG_ERR_STATE;
    t->err = failed ? err : MIG_OK;
    t->failures += failed;
    t->failing = failed ? t->failing + 1 : 0;
    const char *reason = !failed                       ? ""
                         : s->follow.complaint != NULL ? s->follow.complaint
                                                       : s->source.reason(s->source.self);
    (void)snprintf(t->reason, sizeof t->reason, "%s", reason);
}

static bool pause_for(struct mig_stream *s, unsigned ms)
{
    const struct timespec until = in_ms(ms);
    int late = 0;
    while (!s->stop && late == 0)
        late = pthread_cond_timedwait(&s->room, &s->lock, &until);
    return !s->stop;
}

/* One question, with the lock released; true to go on. */
static bool step(struct mig_stream *s)
{
    struct mig_stream_event *e;
    uint32_t random;
    (void)pthread_mutex_unlock(&s->lock);
    enum mig_err err = mig_follow_next(&s->follow, &e);
    mig_random(&random, sizeof random);
    (void)pthread_mutex_lock(&s->lock);
    note(s, err);
    if (err == MIG_OK)
        return deliver(s, e) == MIG_OK;
    tell_lost(s);
    return pause_for(s, s->stats.failing > 0 ? mig_backoff_ms(&s->backoff, s->stats.failing, random)
                                             : s->interval_ms);
}

static void *run(void *arg)
{
    struct mig_stream *s = arg;
    (void)pthread_setname_np(pthread_self(), "mig-blocks");
    (void)pthread_mutex_lock(&s->lock);
    while (!s->stop && step(s))
        ;
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- life ---- */

static enum mig_err load(struct mig_stream *s, const struct mig_stream_options *o)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (o->load == NULL)
        return MIG_OK;
    enum mig_err err = o->load(o->ctx, &bytes, &len);
    if (err == MIG_ERR_NOT_FOUND)
        return MIG_OK;
    if (err == MIG_OK)
        err = mig_checkpoint_decode(bytes, len, s->contract, &s->done);
    free(bytes);
    s->follow.marks = s->done;
    if (s->done.count > 0)
        s->stats.done = s->stats.height = s->done.list[s->done.count - 1].height;
    return err;
}

static enum mig_err prepare(struct mig_stream *s, const struct mig_stream_options *o)
{
    size_t name = strlen(o->contract);
    if (name > MIG_ACCOUNT_MAX || o->channel == 1)
        return MIG_ERR_MALFORMED;
    memcpy(s->contract, o->contract, name + 1);
    s->interval_ms = o->interval_ms != 0 ? o->interval_ms : INTERVAL_MS;
    s->backoff.initial_ms = s->interval_ms;
    s->backoff.max_ms = o->backoff_max_ms != 0 ? o->backoff_max_ms : BACKOFF_MS;
    s->channel = o->channel != 0 ? o->channel : CHANNEL;
    s->when_full = o->when_full;
    s->save = o->save;
    s->ctx = o->ctx;
    s->follow.source = s->source;
    s->follow.optimistic = o->optimistic;
    s->follow.start = o->start_height;
    s->follow.missing_tries = o->missing_tries != 0 ? o->missing_tries : MISSING_TRIES;
    return load(s, o);
}

static void release(struct mig_stream *s)
{
    for (struct mig_stream_event *e = s->first, *next; e != NULL; e = next) {
        next = e->next;
        mig_stream_drop(&e);
    }
    mig_follow_clear(&s->follow);
    mig_block_source_clear(&s->source);
    (void)pthread_cond_destroy(&s->room);
    (void)pthread_cond_destroy(&s->news);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

enum mig_err mig_stream_start(const struct mig_stream_options *options, struct mig_stream **out)
{
    pthread_condattr_t monotonic;
    struct mig_block_source source = *options->source;
    *out = NULL;
    struct mig_stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        mig_block_source_clear(&source);
        return MIG_ERR_NOMEM;
    }
    s->source = source;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->news, &monotonic);
    (void)pthread_cond_init(&s->room, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    enum mig_err err = prepare(s, options);
    if (err == MIG_OK && pthread_create(&s->thread, NULL, run, s) != 0)
        err = MIG_ERR_NOMEM;
    if (err != MIG_OK) {
        release(s);
        return err;
    }
    *out = s;
    return MIG_OK;
}

void mig_stream_cancel(struct mig_stream *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->stop = true;
    (void)pthread_cond_broadcast(&s->news);
    (void)pthread_cond_broadcast(&s->room);
    (void)pthread_mutex_unlock(&s->lock);
    s->source.cancel(s->source.self);
}

void mig_stream_stop(struct mig_stream **stream)
{
    struct mig_stream *s = *stream;
    *stream = NULL;
    if (s == NULL)
        return;
    mig_stream_cancel(s);
    (void)pthread_join(s->thread, NULL);
    release(s);
}

/* ---- the consumer ---- */

enum mig_err mig_stream_next(struct mig_stream *s, unsigned timeout_ms,
                             struct mig_stream_event **out)
{
    const struct timespec until = in_ms(timeout_ms);
    int late = 0;
    (void)pthread_mutex_lock(&s->lock);
    while (!s->stop && s->first == NULL && late == 0)
        late = pthread_cond_timedwait(&s->news, &s->lock, &until);
    enum mig_err err = s->stop ? MIG_ERR_CANCELLED : s->first == NULL ? MIG_ERR_RETRY : MIG_OK;
    *out = err == MIG_OK ? s->first : NULL;
    if (err == MIG_OK) {
        s->first = (*out)->next;
        if (s->first == NULL)
            s->last = NULL;
        (*out)->next = NULL;
        s->stats.waiting--;
        (void)pthread_cond_broadcast(&s->room);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return err;
}

static enum mig_err save(struct mig_stream *s, const struct mig_marks *marks)
{
    uint8_t bytes[MIG_CHECKPOINT_MAX];
    size_t len;
    if (s->save == NULL)
        return MIG_OK;
    enum mig_err err = mig_checkpoint_encode(marks, s->contract, bytes, &len);
    return err == MIG_OK ? s->save(s->ctx, bytes, len) : err;
}

enum mig_err mig_stream_done(struct mig_stream *s, struct mig_stream_event **event)
{
    struct mig_marks marks = s->done;
    if ((*event)->number != s->done_number + 1)
        return MIG_ERR_BUG;
    mig_follow_apply(&marks, *event);
    enum mig_err err = save(s, &marks);
    if (err != MIG_OK)
        return err;
    s->done = marks;
    s->done_number++;
    (void)pthread_mutex_lock(&s->lock);
    s->stats.done = marks.count > 0 ? marks.list[marks.count - 1].height : 0;
    (void)pthread_mutex_unlock(&s->lock);
    mig_stream_drop(event);
    return MIG_OK;
}

void mig_stream_drop(struct mig_stream_event **event)
{
    if (*event == NULL)
        return;
    mig_block_update_clear(&(*event)->block);
    free(*event);
    *event = NULL;
}

void mig_stream_stats(struct mig_stream *s, struct mig_stream_stats *out)
{
    (void)pthread_mutex_lock(&s->lock);
    *out = s->stats;
    (void)pthread_mutex_unlock(&s->lock);
}
