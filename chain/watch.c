/* SPDX-License-Identifier: MIT */
#include "chain/watch.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain/backoff.h"
#include "chain/poll.h"
#include "crypto/secret.h"

struct mig_watch {
    struct mig_rpc *rpc;
    struct mig_poller poller; /* the thread's */
    struct mig_backoff backoff;
    unsigned poll_ms;
    void (*log)(void *ctx, enum mig_log_level level, const char *event, const char *text);
    void *log_ctx;
    struct mig_cache *cache;
    uint64_t max_staleness_ns;
    bool stale; /* as last said */
    pthread_t thread;
    pthread_mutex_t lock; /* protects everything below */
    pthread_cond_t wake;
    bool stop, poked;
    bool known; /* copies of what the poller knows */
    struct mig_speech speech;
    char version[MIG_VERSION_MAX + 1];
    struct mig_watch_stats stats;
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

__attribute__((format(printf, 4, 5))) static void say(struct mig_watch *w, enum mig_log_level level,
                                                      const char *event, const char *format, ...)
{
    char text[MIG_POLL_REASON_MAX + MIG_RPC_ORIGIN_MAX];
    va_list args;
    if (w->log == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    w->log(w->log_ctx, level, event, text);
}

/* Once when it begins, once when it ends, and when the reason changes. */
static void say_change(struct mig_watch *w, enum mig_err err, uint32_t failed_before,
                       const char *reason_before)
{
    if (err == MIG_OK && failed_before > 0)
        say(w, MIG_LOG_NOTICE, "rpc_ok", "%s answers again after %u failures",
            mig_rpc_origin(w->rpc), failed_before);
    else if (err != MIG_OK && err != MIG_ERR_CANCELLED &&
             (failed_before == 0 || strcmp(reason_before, w->poller.reason) != 0))
        say(w, MIG_LOG_WARNING, "rpc_failed", "%s: %s", mig_rpc_origin(w->rpc), w->poller.reason);
}

/* An endpoint may answer each time, and show the same old block. */
static void say_age(struct mig_watch *w)
{
    const struct mig_view *view = w->max_staleness_ns != 0 ? mig_cache_view(w->cache) : NULL;
    if (view == NULL)
        return;
    uint64_t age = mig_view_age_ns(view, now_ns(CLOCK_REALTIME));
    bool stale = age > w->max_staleness_ns;
    if (stale && !w->stale)
        say(w, MIG_LOG_WARNING, "view_stale",
            "%s shows no block newer than %llu s; nothing is served until it does, or until this "
            "machine's clock is right",
            mig_rpc_origin(w->rpc), (unsigned long long)(age / 1000000000u));
    else if (!stale && w->stale)
        say(w, MIG_LOG_NOTICE, "view_fresh", "%s shows new blocks again", mig_rpc_origin(w->rpc));
    w->stale = stale;
    mig_view_release(&view);
}

static void say_speech(struct mig_watch *w)
{
    say(w, MIG_LOG_INFO, "contract_version", "%s is version %s, dialect %s", w->poller.contract,
        w->poller.version[0] != '\0' ? w->poller.version : "unknown",
        w->poller.speech.dialect == MIG_DIALECT_DRAFT ? "draft" : "deployed");
}

/* Takes note of a look; gives the pause until the next one. */
static uint32_t note(struct mig_watch *w, enum mig_err err)
{
    struct mig_watch_stats *s = &w->stats;
    const struct mig_poller *p = &w->poller;
    char reason_before[MIG_POLL_REASON_MAX];
    uint32_t random;
    mig_random(&random, sizeof random);
    (void)pthread_mutex_lock(&w->lock);
    uint32_t failed_before = s->failing;
    memcpy(reason_before, s->reason, sizeof reason_before);
    bool news = p->known && (!w->known || strcmp(w->version, p->version) != 0 ||
                             w->speech.dialect != p->speech.dialect);
    w->known |= p->known;
    w->speech = p->speech;
    memcpy(w->version, p->version, sizeof w->version);
    s->polls++;
    s->failures += err != MIG_OK;
    s->failing = err == MIG_OK ? 0 : s->failing + 1;
    s->height = p->block.height;
    if (err == MIG_OK)
        s->ok_at = now_ns(CLOCK_REALTIME) / 1000000000u;
    memcpy(s->reason, p->reason, sizeof s->reason);
    uint32_t failing = s->failing;
    (void)pthread_mutex_unlock(&w->lock);
    if (news)
        say_speech(w);
    say_change(w, err, failed_before, reason_before);
    say_age(w);
    return failing == 0 ? w->poll_ms : mig_backoff_ms(&w->backoff, failing, random);
}

/* Until the pause is over, or somebody pokes; false to stop. */
static bool wait_for(struct mig_watch *w, uint32_t ms)
{
    uint64_t until = now_ns(CLOCK_MONOTONIC) + ms * 1000000ull;
    const struct timespec at = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
    (void)pthread_mutex_lock(&w->lock);
    int rc = 0;
    while (!w->stop && !w->poked && rc == 0)
        rc = pthread_cond_timedwait(&w->wake, &w->lock, &at);
    w->poked = false;
    bool go_on = !w->stop;
    (void)pthread_mutex_unlock(&w->lock);
    return go_on;
}

static void *run(void *arg)
{
    struct mig_watch *w = arg;
    uint32_t pause = 0;
    (void)pthread_setname_np(pthread_self(), "mig-watch");
    while (wait_for(w, pause))
        pause = note(w, mig_poll(&w->poller, now_ns(CLOCK_REALTIME)));
    return NULL;
}

static void release(struct mig_watch **watch)
{
    struct mig_watch *w = *watch;
    *watch = NULL;
    mig_rpc_free(&w->rpc);
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}

static enum mig_err prepare(const struct mig_watch_options *o, struct mig_watch *w)
{
    const struct mig_rpc_options ro = {
        .url = o->rpc_url, .timeout_ms = o->timeout_ms, .ca_file = o->ca_file};
    enum mig_err err = mig_rpc_new(&ro, &w->rpc);
    if (err == MIG_OK)
        err = mig_poller_init(&w->poller, w->rpc, o->cache, o->contract, o->dialect);
    if (err != MIG_OK)
        return err;
    w->poll_ms = o->poll_ms != 0 ? o->poll_ms : 1000;
    w->backoff.initial_ms = w->poll_ms;
    w->backoff.max_ms = o->backoff_max_ms != 0 ? o->backoff_max_ms : 30000;
    w->cache = o->cache;
    w->max_staleness_ns = o->max_staleness_ns;
    w->log = o->log;
    w->log_ctx = o->log_ctx;
    (void)snprintf(w->stats.origin, sizeof w->stats.origin, "%s", mig_rpc_origin(w->rpc));
    return MIG_OK;
}

enum mig_err mig_watch_start(const struct mig_watch_options *options, struct mig_watch **out)
{
    pthread_condattr_t monotonic;
    *out = NULL;
    struct mig_watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        return MIG_ERR_NOMEM;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    enum mig_err err = prepare(options, w);
    if (err == MIG_OK && pthread_create(&w->thread, NULL, run, w) != 0)
        err = MIG_ERR_NOMEM;
    if (err != MIG_OK) {
        release(&w);
        return err;
    }
    *out = w;
    return MIG_OK;
}

void mig_watch_stop(struct mig_watch **watch)
{
    struct mig_watch *w = *watch;
    if (w == NULL)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->stop = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    mig_rpc_cancel(w->rpc);
    (void)pthread_join(w->thread, NULL);
    release(watch);
}

void mig_watch_poke(struct mig_watch *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->poked = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
}

void mig_watch_stats(struct mig_watch *w, struct mig_watch_stats *out)
{
    (void)pthread_mutex_lock(&w->lock);
    *out = w->stats;
    (void)pthread_mutex_unlock(&w->lock);
}

bool mig_watch_speech(struct mig_watch *w, struct mig_speech *speech,
                      char version[MIG_VERSION_MAX + 1])
{
    (void)pthread_mutex_lock(&w->lock);
    bool known = w->known;
    *speech = w->speech;
    if (version != NULL)
        memcpy(version, w->version, sizeof w->version);
    (void)pthread_mutex_unlock(&w->lock);
    return known;
}
