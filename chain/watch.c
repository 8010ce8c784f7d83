/* SPDX-License-Identifier: MIT */
#include "chain/watch.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain/account.h"
#include "chain/backoff.h"
#include "chain/meaning.h"
#include "chain/quorum.h"
#include "crypto/secret.h"

enum { CHAIN_EVERY = 300 }; /* looks */

struct endpoint {
    struct mig_watch *watch;
    size_t index;
    /* Its thread's. */
    struct mig_rpc *rpc;
    struct mig_poller poller;
    struct mig_meaning_memo memo;
    uint32_t until_chain;
    pthread_t thread;
    bool started;
    /* Protected by the watch's lock. */
    bool poked;
    bool known; /* copies of what the poller knows */
    struct mig_speech speech;
    char version[MIG_VERSION_MAX + 1];
    struct mig_watch_stats stats;
};

struct mig_watch {
    size_t count;
    struct endpoint endpoints[MIG_ENDPOINTS_MAX];
    struct mig_cache *cache;
    char account[MIG_ACCOUNT_MAX + 1];
    struct mig_backoff backoff;
    unsigned poll_ms;
    void (*log)(void *ctx, enum mig_log_level level, const char *event, const char *text);
    void *log_ctx;
    pthread_mutex_t voting; /* protects quorum, and makes one writer of the cache; taken first */
    struct mig_quorum quorum;
    bool stale; /* as last said; likewise */
    uint64_t max_staleness_ns;
    pthread_mutex_t lock; /* protects what follows, and part of the endpoints */
    pthread_cond_t wake;
    bool stop;
    bool known; /* by enough endpoints */
    struct mig_speech speech;
    char version[MIG_VERSION_MAX + 1];
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- what is said ---- */

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
static void say_change(struct endpoint *e, enum mig_err err, uint32_t failed_before,
                       const char *reason_before)
{
    if (err == MIG_OK && failed_before > 0)
        say(e->watch, MIG_LOG_NOTICE, "rpc_ok", "%s answers again after %u failures",
            mig_rpc_origin(e->rpc), failed_before);
    else if (err != MIG_OK && err != MIG_ERR_CANCELLED &&
             (failed_before == 0 || strcmp(reason_before, e->poller.reason) != 0))
        say(e->watch, MIG_LOG_WARNING, "rpc_failed", "%s: %s", mig_rpc_origin(e->rpc),
            e->poller.reason);
}

/* Endpoints may answer each time, and show the same old block. */
static void say_age(struct endpoint *e)
{
    struct mig_watch *w = e->watch;
    const struct mig_view *view = w->max_staleness_ns != 0 ? mig_cache_view(w->cache) : NULL;
    if (view == NULL)
        return;
    uint64_t age = mig_view_age_ns(view, now_ns(CLOCK_REALTIME));
    bool stale = age > w->max_staleness_ns;
    (void)pthread_mutex_lock(&w->voting);
    if (stale && !w->stale)
        say(w, MIG_LOG_WARNING, "view_stale",
            "%s shows no block newer than %llu s; nothing is served until it does, or until this "
            "machine's clock is right",
            w->count == 1 ? mig_rpc_origin(e->rpc) : "the quorum of endpoints",
            (unsigned long long)(age / 1000000000u));
    else if (!stale && w->stale)
        say(w, MIG_LOG_NOTICE, "view_fresh", "%s shows new blocks again",
            w->count == 1 ? mig_rpc_origin(e->rpc) : "the quorum of endpoints");
    w->stale = stale;
    (void)pthread_mutex_unlock(&w->voting);
    mig_view_release(&view);
}

static void say_speech(struct mig_watch *w, const struct endpoint *e)
{
    say(w, MIG_LOG_INFO, "contract_version", "%s is version %s, dialect %s", e->poller.contract,
        e->poller.version[0] != '\0' ? e->poller.version : "unknown",
        e->poller.speech.dialect == MIG_DIALECT_DRAFT ? "draft" : "deployed");
}

/* True when enough endpoints name one chain and this one names another. An
 * endpoint that does not tell is judged by what it says of the contract. */
static bool is_of_another_chain(struct endpoint *e)
{
    struct mig_watch *w = e->watch;
    const char *chains[MIG_ENDPOINTS_MAX];
    (void)pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->count; i++) {
        const char *id = w->endpoints[i].stats.chain_id;
        chains[i] = id[0] != '\0' ? id : NULL;
    }
    int at = mig_quorum_text(chains, w->count, w->quorum.need);
    bool other = at >= 0 && chains[e->index] != NULL && strcmp(chains[at], chains[e->index]) != 0;
    (void)pthread_mutex_unlock(&w->lock);
    return other;
}

static const char *why_outvoted(struct mig_watch *w, size_t i)
{
    const struct mig_voter *v = &w->quorum.voters[i];
    struct mig_watch_stats s;
    mig_watch_stats(w, i, &s);
    if (s.failing > 0 || !v->has_vote)
        return "it does not answer";
    if (is_of_another_chain(&w->endpoints[i]))
        return "it is of another chain";
    if (memcmp(v->vote.meaning, w->quorum.belief.meaning, MIG_DIGEST_LEN) == 0)
        return "it lags behind or stands still";
    return "it tells something else than the others";
}

static void say_tally(struct mig_watch *w, const struct mig_tally *tally)
{
    for (size_t i = 0; i < w->count; i++) {
        const char *origin = w->endpoints[i].stats.origin;
        if (tally->fallen >> i & 1)
            say(w, MIG_LOG_WARNING, "rpc_outvoted", "%s (endpoint %zu): %s", origin, i,
                why_outvoted(w, i));
        if (tally->back >> i & 1)
            say(w, MIG_LOG_NOTICE, "rpc_agrees", "%s (endpoint %zu) agrees with the others again",
                origin, i);
    }
    if (tally->split)
        say(w, MIG_LOG_ERROR, "rpc_split",
            "fewer than %zu of %zu endpoints tell the same; nothing new is believed",
            w->quorum.need, w->count);
}

/* ---- several endpoints ---- */

static enum mig_agreement agreement_of(const struct mig_quorum *q, size_t i)
{
    const struct mig_voter *v = &q->voters[i];
    if (v->outvoted)
        return MIG_AGREEMENT_OUTVOTED;
    if (!v->has_vote || !q->believes)
        return MIG_AGREEMENT_UNKNOWN;
    return memcmp(v->vote.meaning, q->belief.meaning, MIG_DIGEST_LEN) == 0 ? MIG_AGREEMENT_AGREES
                                                                           : MIG_AGREEMENT_DIFFERS;
}

static void count_tally(struct mig_watch *w, size_t voter, const struct mig_tally *tally)
{
    (void)pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->count; i++) {
        w->endpoints[i].stats.disagreements += tally->fallen >> i & 1;
        w->endpoints[i].stats.agreement = agreement_of(&w->quorum, i);
    }
    w->endpoints[voter].stats.disagreements += tally->differs;
    (void)pthread_mutex_unlock(&w->lock);
}

static void ask_chain(struct endpoint *e)
{
    struct mig_node_status status;
    if (e->until_chain-- > 0)
        return;
    e->until_chain = CHAIN_EVERY;
    if (mig_rpc_status(e->rpc, &status) != MIG_OK) {
        /* Not every provider offers it; an endpoint that fails is asked again. */
        e->until_chain = mig_rpc_error(e->rpc)->fault == MIG_FAULT_NO_METHOD ? CHAIN_EVERY : 0;
        return;
    }
    (void)pthread_mutex_lock(&e->watch->lock);
    memcpy(e->stats.chain_id, status.chain_id, sizeof status.chain_id);
    (void)pthread_mutex_unlock(&e->watch->lock);
}

static enum mig_err believe(struct mig_watch *w, const struct mig_reading *r)
{
    return mig_cache_feed_all(w->cache, &w->quorum.belief.block, r->answers, r->count);
}

static enum mig_err vote(struct endpoint *e, const struct mig_reading *r)
{
    struct mig_watch *w = e->watch;
    struct mig_vote ballot = {.block = r->block};
    enum mig_err err = mig_meaning(e->poller.speech.dialect, w->account, r->answers, r->count,
                                   &e->memo, ballot.meaning);
    if (err != MIG_OK)
        return err;
    if (is_of_another_chain(e))
        ballot.meaning[0] ^= 1; /* whatever it says, it is not of our contract */
    (void)pthread_mutex_lock(&w->voting);
    struct mig_tally tally = mig_quorum_vote(&w->quorum, e->index, &ballot);
    if (tally.moved)
        err = believe(w, r);
    count_tally(w, e->index, &tally);
    say_tally(w, &tally);
    (void)pthread_mutex_unlock(&w->voting);
    return err;
}

static enum mig_err feed(struct endpoint *e, const struct mig_reading *r)
{
    return mig_cache_feed_all(e->watch->cache, &r->block, r->answers, r->count);
}

static enum mig_err look(struct endpoint *e)
{
    struct mig_reading r;
    bool alone = e->watch->count == 1;
    if (!alone)
        ask_chain(e);
    enum mig_err err = mig_poll_read(&e->poller, now_ns(CLOCK_REALTIME), &r);
    if (err == MIG_OK && r.newer)
        err = mig_poll_taken(&e->poller, &r, alone ? feed(e, &r) : vote(e, &r));
    mig_reading_clear(&r);
    return err;
}

/* ---- taking note ---- */

/* Enough endpoints tell one version: how the contract is spoken to. True when
 * that is news. The lock is held. */
static bool agree_on_speech(struct mig_watch *w)
{
    const char *versions[MIG_ENDPOINTS_MAX];
    for (size_t i = 0; i < w->count; i++)
        versions[i] = w->endpoints[i].known ? w->endpoints[i].version : NULL;
    int at = mig_quorum_text(versions, w->count, w->quorum.need);
    if (at < 0)
        return false;
    const struct endpoint *e = &w->endpoints[at];
    bool news = !w->known || strcmp(w->version, e->version) != 0;
    w->known = true;
    w->speech = e->speech;
    memcpy(w->version, e->version, sizeof w->version);
    return news;
}

/* Takes note of a look; gives the pause until the next one. */
static uint32_t note(struct endpoint *e, enum mig_err err)
{
    struct mig_watch *w = e->watch;
    struct mig_watch_stats *s = &e->stats;
    const struct mig_poller *p = &e->poller;
    char reason_before[MIG_POLL_REASON_MAX];
    uint32_t random;
    mig_random(&random, sizeof random);
    (void)pthread_mutex_lock(&w->lock);
    uint32_t failed_before = s->failing;
    memcpy(reason_before, s->reason, sizeof reason_before);
    e->known |= p->known;
    e->speech = p->speech;
    memcpy(e->version, p->version, sizeof e->version);
    bool news = agree_on_speech(w);
    s->polls++;
    s->failures += err != MIG_OK;
    s->failing = err == MIG_OK ? 0 : s->failing + 1;
    s->height = p->block.height;
    s->time_ns = p->block.time_ns;
    memcpy(s->reason, p->reason, sizeof s->reason);
    if (err == MIG_OK)
        s->ok_at = now_ns(CLOCK_REALTIME) / 1000000000u;
    uint32_t failing = s->failing;
    (void)pthread_mutex_unlock(&w->lock);
    if (news)
        say_speech(w, e);
    say_change(e, err, failed_before, reason_before);
    say_age(e);
    return failing == 0 ? w->poll_ms : mig_backoff_ms(&w->backoff, failing, random);
}

/* ---- the loop of one endpoint ---- */

/* Until the pause is over, or somebody pokes; false to stop. */
static bool wait_for(struct endpoint *e, uint32_t ms)
{
    struct mig_watch *w = e->watch;
    uint64_t until = now_ns(CLOCK_MONOTONIC) + ms * 1000000ull;
    const struct timespec at = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
    (void)pthread_mutex_lock(&w->lock);
    int rc = 0;
    while (!w->stop && !e->poked && rc == 0)
        rc = pthread_cond_timedwait(&w->wake, &w->lock, &at);
    e->poked = false;
    bool go_on = !w->stop;
    (void)pthread_mutex_unlock(&w->lock);
    return go_on;
}

static void *run(void *arg)
{
    struct endpoint *e = arg;
    uint32_t pause = 0;
    (void)pthread_setname_np(pthread_self(), "mig-watch");
    while (wait_for(e, pause))
        pause = note(e, look(e));
    return NULL;
}

/* ---- life ---- */

static void release(struct mig_watch **watch)
{
    struct mig_watch *w = *watch;
    *watch = NULL;
    for (size_t i = 0; i < w->count; i++)
        mig_rpc_free(&w->endpoints[i].rpc);
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->lock);
    (void)pthread_mutex_destroy(&w->voting);
    free(w);
}

static enum mig_err add_endpoint(const struct mig_watch_options *o, const char *url,
                                 struct mig_watch *w)
{
    struct endpoint *e = &w->endpoints[w->count];
    const struct mig_rpc_options ro = {
        .url = url, .timeout_ms = o->timeout_ms, .ca_file = o->ca_file};
    enum mig_err err = mig_rpc_new(&ro, &e->rpc);
    if (err != MIG_OK)
        return err;
    e->watch = w;
    e->index = w->count++;
    (void)snprintf(e->stats.origin, sizeof e->stats.origin, "%s", mig_rpc_origin(e->rpc));
    return mig_poller_init(&e->poller, e->rpc, o->cache, o->contract, o->dialect);
}

static enum mig_err prepare(const struct mig_watch_options *o, struct mig_watch *w)
{
    struct mig_endpoints list;
    enum mig_err err = mig_endpoints_parse(o->rpc_url, &list);
    size_t need = mig_endpoints_quorum(list.count, o->quorum);
    if (err != MIG_OK || need == 0)
        return MIG_ERR_MALFORMED;
    if (o->account != NULL && mig_account_is_valid(o->account, strlen(o->account)))
        strcpy(w->account, o->account);
    else if (list.count > 1)
        return MIG_ERR_MALFORMED;
    w->cache = o->cache;
    w->max_staleness_ns = o->max_staleness_ns;
    w->poll_ms = o->poll_ms != 0 ? o->poll_ms : 1000;
    w->backoff.initial_ms = w->poll_ms;
    w->backoff.max_ms = o->backoff_max_ms != 0 ? o->backoff_max_ms : 30000;
    w->log = o->log;
    w->log_ctx = o->log_ctx;
    mig_quorum_init(&w->quorum, list.count, need);
    for (size_t i = 0; err == MIG_OK && i < list.count; i++)
        err = add_endpoint(o, list.url[i], w);
    return err;
}

static enum mig_err start_threads(struct mig_watch *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct endpoint *e = &w->endpoints[i];
        e->started = pthread_create(&e->thread, NULL, run, e) == 0;
        if (!e->started)
            return MIG_ERR_NOMEM;
    }
    return MIG_OK;
}

enum mig_err mig_watch_start(const struct mig_watch_options *options, struct mig_watch **out)
{
    pthread_condattr_t monotonic;
    *out = NULL;
    struct mig_watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        return MIG_ERR_NOMEM;
    (void)pthread_mutex_init(&w->voting, NULL);
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    enum mig_err err = prepare(options, w);
    if (err == MIG_OK)
        err = start_threads(w);
    if (err != MIG_OK) {
        mig_watch_stop(&w);
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
    (void)pthread_cond_broadcast(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->count; i++)
        mig_rpc_cancel(w->endpoints[i].rpc);
    for (size_t i = 0; i < w->count; i++)
        if (w->endpoints[i].started)
            (void)pthread_join(w->endpoints[i].thread, NULL);
    release(watch);
}

void mig_watch_poke(struct mig_watch *w)
{
    (void)pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->count; i++)
        w->endpoints[i].poked = true;
    (void)pthread_cond_broadcast(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
}

const char *mig_agreement_text(enum mig_agreement agreement)
{
    switch (agreement) {
    case MIG_AGREEMENT_UNKNOWN:
        return "unknown";
    case MIG_AGREEMENT_AGREES:
        return "agrees";
    case MIG_AGREEMENT_DIFFERS:
        return "differs";
    case MIG_AGREEMENT_OUTVOTED:
        return "outvoted";
    }
    return "unknown";
}

size_t mig_watch_count(const struct mig_watch *w)
{
    return w->count;
}

size_t mig_watch_quorum(const struct mig_watch *w)
{
    return w->quorum.need;
}

void mig_watch_stats(struct mig_watch *w, size_t index, struct mig_watch_stats *out)
{
    (void)pthread_mutex_lock(&w->lock);
    *out = w->endpoints[index].stats;
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
