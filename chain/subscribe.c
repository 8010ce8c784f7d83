/* SPDX-License-Identifier: MIT */
#include "chain/subscribe.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain/account.h"
#include "chain/backoff.h"
#include "crypto/secret.h"

#define NS_PER_MS UINT64_C(1000000)

struct value {
    struct mig_got got; /* first: a value's address is its box's */
    atomic_size_t refs;
};

/* What streams and their hub share, for as long as either lives. */
struct shared {
    atomic_size_t refs;
    pthread_mutex_t lock; /* protects everything of hub and streams below; never held over I/O */
    pthread_cond_t news;  /* a stream changed, or the hub's work did */
};

struct mig_values {
    struct shared *shared;
    struct mig_hub *hub; /* NULL once it stopped */
    struct mig_values *next;
    enum mig_get_kind kind;
    struct mig_policy policy;
    uint64_t due_ns;
    struct value *latest;
    uint64_t changes, given; /* how often `latest` was replaced, and what next gave */
    struct mig_fresh fresh;
    bool cancelled, ended;
};

struct mig_hub {
    struct shared *shared;
    struct mig_rpc *rpc;
    char contract[MIG_ACCOUNT_MAX + 1], account[MIG_ACCOUNT_MAX + 1];
    pthread_t thread;
    bool started;
    struct mig_values *streams;
    bool stop;
};

static uint64_t monotonic_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- values ---- */

static struct value *value_of(const struct mig_got *got)
{
    return (struct value *)(uintptr_t)got;
}

const struct mig_got *mig_value_ref(const struct mig_got *got)
{
    if (got != NULL)
        (void)atomic_fetch_add_explicit(&value_of(got)->refs, 1, memory_order_relaxed);
    return got;
}

void mig_value_release(const struct mig_got **got)
{
    struct value *v = value_of(*got);
    *got = NULL;
    if (v == NULL || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    mig_got_clear(&v->got);
    free(v);
}

static void drop(struct value **value)
{
    const struct mig_got *got = *value != NULL ? &(*value)->got : NULL;
    *value = NULL;
    mig_value_release(&got);
}

/* ---- shared ---- */

static struct shared *shared_new(void)
{
    pthread_condattr_t monotonic;
    struct shared *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    atomic_init(&s->refs, 1);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->news, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return s;
}

static void shared_release(struct shared **shared)
{
    struct shared *s = *shared;
    *shared = NULL;
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    (void)pthread_cond_destroy(&s->news);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

static int wait_until(struct shared *s, uint64_t ns)
{
    const struct timespec at = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    return pthread_cond_timedwait(&s->news, &s->lock, &at);
}

/* ---- what a look does to a stream; the lock is held ---- */

static uint32_t pause_after(const struct mig_strategy *strategy, uint32_t failures)
{
    uint32_t random = 0;
    const struct mig_backoff backoff = {
        strategy->initial_ms,
        strategy->on_failure == MIG_RETRY_FIXED ? strategy->initial_ms : strategy->max_ms};
    if (strategy->jitter)
        mig_random(&random, sizeof random);
    uint32_t ms = mig_backoff_ms(&backoff, failures, random);
    return strategy->jitter ? ms : 2 * ms; /* without chance it gives the lower half */
}

static void note_failure(struct mig_values *s, enum mig_err err)
{
    const struct mig_strategy *strategy =
        s->latest == NULL ? &s->policy.bootstrap : &s->policy.update;
    s->fresh.err = err;
    s->fresh.failures++;
    if (strategy->on_failure == MIG_FAIL_FAST)
        s->ended = true;
    s->due_ns = monotonic_ns() + pause_after(strategy, s->fresh.failures) * NS_PER_MS;
}

static void note_value(struct mig_values *s, struct value *value)
{
    s->fresh.err = MIG_OK;
    s->fresh.failures = 0;
    s->due_ns = monotonic_ns() + s->policy.update.interval_ms * NS_PER_MS;
    if (s->latest != NULL && value->got.height <= s->fresh.height)
        return;
    s->fresh.height = value->got.height;
    if (s->latest != NULL && mig_got_is_equal(&s->latest->got, &value->got))
        return;
    drop(&s->latest);
    s->latest = value_of(mig_value_ref(&value->got));
    s->changes++;
}

/* ---- the loop ---- */

/* Which views are due now; *next: when the next one will be. */
static unsigned due_kinds(const struct mig_hub *h, uint64_t now, uint64_t *next)
{
    unsigned kinds = 0;
    *next = UINT64_MAX;
    for (const struct mig_values *s = h->streams; s != NULL; s = s->next) {
        if (s->ended || s->cancelled)
            continue;
        if (s->due_ns <= now)
            kinds |= 1u << s->kind;
        else if (s->due_ns < *next)
            *next = s->due_ns;
    }
    return kinds;
}

static enum mig_err read_view(struct mig_hub *h, enum mig_get_kind kind, const char *hash,
                              struct value **out)
{
    struct mig_returned r = {0};
    struct value *v = calloc(1, sizeof *v);
    *out = NULL;
    if (v == NULL)
        return MIG_ERR_NOMEM;
    atomic_init(&v->refs, 1);
    enum mig_err err = mig_rpc_view(h->rpc, h->contract, mig_get_method(kind), "{}", hash, &r);
    if (err == MIG_OK)
        err = mig_got_parse(kind, r.bytes, r.len, h->account, &v->got);
    if (err == MIG_OK) {
        v->got.height = r.height;
        memcpy(v->got.block_hash, r.block_hash, sizeof r.block_hash);
    }
    mig_returned_clear(&r);
    if (err == MIG_OK)
        *out = v;
    else
        drop(&v);
    return err;
}

/* Streams that asked for this view while it was read are served by it too. */
static void give(struct mig_hub *h, enum mig_get_kind kind, enum mig_err err, struct value *value)
{
    uint64_t now = monotonic_ns();
    (void)pthread_mutex_lock(&h->shared->lock);
    for (struct mig_values *s = h->streams; s != NULL; s = s->next) {
        if (s->kind != kind || s->ended || s->cancelled || s->due_ns > now)
            continue;
        if (err == MIG_OK)
            note_value(s, value);
        else if (err != MIG_ERR_CANCELLED)
            note_failure(s, err);
    }
    (void)pthread_cond_broadcast(&h->shared->news);
    (void)pthread_mutex_unlock(&h->shared->lock);
}

/* All that is due, at one final block. */
static void look(struct mig_hub *h, unsigned kinds)
{
    struct mig_tip head;
    enum mig_err block = mig_rpc_final_block(h->rpc, &head);
    for (unsigned kind = 0; kind < MIG_GET_KINDS; kind++) {
        struct value *value = NULL;
        if ((kinds >> kind & 1) == 0)
            continue;
        enum mig_err err =
            block == MIG_OK ? read_view(h, (enum mig_get_kind)kind, head.hash, &value) : block;
        give(h, (enum mig_get_kind)kind, err, value);
        drop(&value);
    }
}

static void *run(void *arg)
{
    struct mig_hub *h = arg;
    (void)pthread_setname_np(pthread_self(), "mig-hub");
    (void)pthread_mutex_lock(&h->shared->lock);
    while (!h->stop) {
        uint64_t next;
        unsigned kinds = due_kinds(h, monotonic_ns(), &next);
        if (kinds == 0) {
            if (next == UINT64_MAX)
                (void)pthread_cond_wait(&h->shared->news, &h->shared->lock);
            else
                (void)wait_until(h->shared, next);
            continue;
        }
        (void)pthread_mutex_unlock(&h->shared->lock);
        look(h, kinds);
        (void)pthread_mutex_lock(&h->shared->lock);
    }
    (void)pthread_mutex_unlock(&h->shared->lock);
    return NULL;
}

/* ---- life ---- */

enum mig_err mig_hub_start(const struct mig_hub_options *o, struct mig_hub **out)
{
    *out = NULL;
    if (!mig_account_is_valid(o->contract, strlen(o->contract)) ||
        !mig_account_is_valid(o->account, strlen(o->account)))
        return MIG_ERR_MALFORMED;
    const struct mig_rpc_options ro = {.url = o->rpc_url, .timeout_ms = o->timeout_ms};
    struct mig_hub *h = calloc(1, sizeof *h);
    if (h == NULL)
        return MIG_ERR_NOMEM;
    strcpy(h->contract, o->contract);
    strcpy(h->account, o->account);
    h->shared = shared_new();
    enum mig_err err = h->shared != NULL ? mig_rpc_new(&ro, &h->rpc) : MIG_ERR_NOMEM;
    if (err == MIG_OK) {
        h->started = pthread_create(&h->thread, NULL, run, h) == 0;
        err = h->started ? MIG_OK : MIG_ERR_NOMEM;
    }
    if (err != MIG_OK)
        mig_hub_stop(&h);
    *out = h;
    return err;
}

static void end_streams(struct mig_hub *h)
{
    (void)pthread_mutex_lock(&h->shared->lock);
    h->stop = true;
    for (struct mig_values *s = h->streams; s != NULL; s = s->next)
        s->cancelled = true;
    (void)pthread_cond_broadcast(&h->shared->news);
    (void)pthread_mutex_unlock(&h->shared->lock);
}

void mig_hub_stop(struct mig_hub **hub)
{
    struct mig_hub *h = *hub;
    *hub = NULL;
    if (h == NULL)
        return;
    if (h->started) {
        end_streams(h);
        mig_rpc_cancel(h->rpc);
        (void)pthread_join(h->thread, NULL);
        (void)pthread_mutex_lock(&h->shared->lock);
        for (struct mig_values *s = h->streams; s != NULL; s = s->next)
            s->hub = NULL;
        (void)pthread_mutex_unlock(&h->shared->lock);
    }
    mig_rpc_free(&h->rpc);
    shared_release(&h->shared);
    free(h);
}

static bool is_strategy(const struct mig_strategy *s, bool needs_interval)
{
    if (needs_interval && s->interval_ms == 0)
        return false;
    if (s->on_failure == MIG_FAIL_FAST)
        return true;
    return s->initial_ms != 0 && (s->on_failure == MIG_RETRY_FIXED || s->max_ms >= s->initial_ms);
}

enum mig_err mig_subscribe(struct mig_hub *hub, enum mig_get_kind kind,
                           const struct mig_policy *policy, struct mig_values **out)
{
    *out = NULL;
    if ((unsigned)kind >= MIG_GET_KINDS || !is_strategy(&policy->bootstrap, false) ||
        !is_strategy(&policy->update, true))
        return MIG_ERR_MALFORMED;
    struct mig_values *s = calloc(1, sizeof *s);
    if (s == NULL)
        return MIG_ERR_NOMEM;
    s->kind = kind;
    s->policy = *policy;
    s->shared = hub->shared;
    s->hub = hub;
    (void)atomic_fetch_add(&hub->shared->refs, 1);
    (void)pthread_mutex_lock(&hub->shared->lock);
    s->next = hub->streams;
    hub->streams = s;
    (void)pthread_cond_broadcast(&hub->shared->news);
    (void)pthread_mutex_unlock(&hub->shared->lock);
    *out = s;
    return MIG_OK;
}

void mig_values_free(struct mig_values **stream)
{
    struct mig_values *s = *stream;
    *stream = NULL;
    if (s == NULL)
        return;
    (void)pthread_mutex_lock(&s->shared->lock);
    for (struct mig_values **at = s->hub != NULL ? &s->hub->streams : NULL;
         at != NULL && *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    (void)pthread_mutex_unlock(&s->shared->lock);
    drop(&s->latest);
    shared_release(&s->shared);
    free(s);
}

void mig_values_cancel(struct mig_values *s)
{
    (void)pthread_mutex_lock(&s->shared->lock);
    s->cancelled = true;
    (void)pthread_cond_broadcast(&s->shared->news);
    (void)pthread_mutex_unlock(&s->shared->lock);
}

/* ---- reading ---- */

const struct mig_got *mig_values_latest(struct mig_values *s, struct mig_fresh *fresh)
{
    (void)pthread_mutex_lock(&s->shared->lock);
    const struct mig_got *got = s->latest != NULL ? mig_value_ref(&s->latest->got) : NULL;
    if (fresh != NULL)
        *fresh = s->fresh;
    (void)pthread_mutex_unlock(&s->shared->lock);
    return got;
}

enum mig_err mig_values_next(struct mig_values *s, uint32_t wait_ms, const struct mig_got **out)
{
    uint64_t until = monotonic_ns() + wait_ms * NS_PER_MS;
    enum mig_err err = MIG_ERR_RETRY;
    int rc = 0;
    *out = NULL;
    (void)pthread_mutex_lock(&s->shared->lock);
    while (!s->cancelled && !s->ended && s->given == s->changes && rc == 0)
        rc = wait_until(s->shared, until);
    if (s->cancelled) {
        err = MIG_ERR_CANCELLED;
    } else if (s->given != s->changes) {
        s->given = s->changes;
        *out = mig_value_ref(&s->latest->got);
        err = MIG_OK;
    } else if (s->ended) {
        err = s->fresh.err;
    }
    (void)pthread_mutex_unlock(&s->shared->lock);
    return err;
}
