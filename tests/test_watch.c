/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "chain/backoff.h"
#include "chain/poll.h"
#include "chain/watch.h"
#include "tests/scripted.h"

#define HASH "HrjUQYM4NtwTPY5Q2ZYSzbVsF13VQbtHHWPtRX8f1Ztk"
#define BOB_KEY "US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"
#define NO_METHOD                                                                                  \
    "{\"result\":{\"error\":\"wasm execution failed with error: "                                  \
    "MethodResolveError(MethodNotFound)\"}}"

/* A chain of our own: what its endpoint says is what these fields say. */
struct chain {
    pthread_mutex_t lock;
    pthread_cond_t moved; /* a view was published, a log line written, a request came */
    uint64_t height;
    int64_t ahead_s;                                /* of the block's time */
    uint64_t answer_off;                            /* added to the height of a view's answer */
    const char *version, *state, *info, *published; /* NULL: no such method */
    bool broken, hangs;
    unsigned behind; /* so many views find the block unknown */
    unsigned requests, views, logs, warnings;
    uint64_t generation, seen;
    char last_log[512];
};

static void change(struct chain *c)
{
    (void)pthread_cond_broadcast(&c->moved);
    (void)pthread_mutex_unlock(&c->lock);
}

static char *as_numbers(const char *text, uint64_t height)
{
    char *out = malloc(strlen(text) * 4 + 256),
         *p = out + sprintf(out, "{\"result\":{\"result\":[");
    for (const char *t = text; *t != '\0'; t++)
        p += sprintf(p, "%s%u", t == text ? "" : ",", (unsigned char)*t);
    (void)sprintf(p, "],\"logs\":[],\"block_height\":%llu,\"block_hash\":\"" HASH "\"}}",
                  (unsigned long long)height);
    return out;
}

static const char *view_of(const struct chain *c, const char *body)
{
    if (strstr(body, "\"version\"") != NULL)
        return c->version;
    if (strstr(body, "\"state\"") != NULL)
        return c->state;
    if (strstr(body, "\"migration_info\"") != NULL || strstr(body, "\"recovery_info\"") != NULL)
        return c->info;
    return strstr(body, "\"ephemeral_keys\"") != NULL ? c->published : NULL;
}

static char *answer_of(struct chain *c, const char *body)
{
    char *out = NULL;
    if (strstr(body, "\"method\":\"block\"") != NULL) {
        uint64_t now = (uint64_t)((int64_t)time(NULL) + c->ahead_s) * 1000000000u;
        if (asprintf(&out,
                     "{\"result\":{\"header\":{\"height\":%llu,\"hash\":\"" HASH
                     "\",\"timestamp\":%llu}}}",
                     (unsigned long long)c->height, (unsigned long long)now) < 0)
            abort();
        return out;
    }
    const char *view = view_of(c, body);
    if (c->behind > 0 && strstr(body, "\"block_id\"") != NULL) {
        c->behind--;
        return strdup("{\"error\":{\"cause\":{\"name\":\"UNKNOWN_BLOCK\"}}}");
    }
    return view != NULL ? as_numbers(view, c->height + c->answer_off) : strdup(NO_METHOD);
}

static bool serve(struct scripted *s, int fd, const char *body, unsigned n)
{
    struct chain *c = (struct chain *)(uintptr_t)s->ctx;
    (void)n;
    (void)pthread_mutex_lock(&c->lock);
    char *answer = answer_of(c, body);
    bool broken = c->broken, hangs = c->hangs;
    c->requests++;
    change(c);
    while (hangs && !atomic_load(&s->stop))
        (void)poll(NULL, 0, 5);
    scripted_reply(fd, broken ? "503 Service Unavailable" : "200 OK", answer);
    free(answer);
    return true;
}

static void on_view(void *ctx, const struct mig_view *view)
{
    struct chain *c = ctx;
    (void)pthread_mutex_lock(&c->lock);
    c->views++;
    c->generation = view->generation;
    c->seen = view->state_block.height;
    change(c);
}

static void on_log(void *ctx, enum mig_log_level level, const char *event, const char *text)
{
    struct chain *c = ctx;
    (void)pthread_mutex_lock(&c->lock);
    c->logs++;
    c->warnings += level <= MIG_LOG_WARNING;
    (void)snprintf(c->last_log, sizeof c->last_log, "%s %s", event, text);
    change(c);
}

struct bench {
    struct chain chain;
    struct scripted *server;
    struct mig_cache *cache;
    struct mig_watch *watch;
    char *state, *info;
};

static void set_up(struct bench *b)
{
    memset(b, 0, sizeof *b);
    (void)pthread_mutex_init(&b->chain.lock, NULL);
    (void)pthread_cond_init(&b->chain.moved, NULL);
    b->state = test_data("state-running.json", NULL);
    b->info = test_data("migration-info.json", NULL);
    b->chain.height = 100;
    b->chain.version = "\"3.14.1\"";
    b->chain.state = b->state;
    b->chain.info = b->info;
    b->server = scripted_start(serve, &b->chain);
    CU_ASSERT_EQUAL_FATAL(mig_cache_new("v1.signer", "alice.near", MIG_DIALECT_AUTO, &b->cache),
                          MIG_OK);
    mig_cache_on_view(b->cache, on_view, &b->chain);
}

static void start(struct bench *b, unsigned poll_ms)
{
    char url[128];
    (void)snprintf(url, sizeof url, "%s/secret?key=hush", b->server->url);
    const struct mig_watch_options o = {.rpc_url = url,
                                        .contract = "v1.signer",
                                        .poll_ms = poll_ms,
                                        .cache = b->cache,
                                        .backoff_max_ms = 20,
                                        .max_staleness_ns = 10000000000u,
                                        .log = on_log,
                                        .log_ctx = &b->chain};
    CU_ASSERT_EQUAL_FATAL(mig_watch_start(&o, &b->watch), MIG_OK);
}

static void tear_down(struct bench *b)
{
    mig_watch_stop(&b->watch);
    CU_ASSERT_PTR_NULL(b->watch);
    mig_watch_stop(&b->watch);
    scripted_stop(b->server);
    mig_cache_free(&b->cache);
    free(b->state);
    free(b->info);
    CU_ASSERT_PTR_NULL(strstr(b->chain.last_log, "hush"));
}

/* Waits, with the lock held, until the condition holds. */
#define AWAIT(chain, condition)                                                                    \
    do {                                                                                           \
        while (!(condition))                                                                       \
            (void)pthread_cond_wait(&(chain)->moved, &(chain)->lock);                              \
    } while (0)

static void the_first_view_comes_and_every_change_follows(void)
{
    struct bench b;
    set_up(&b);
    struct chain *c = &b.chain;
    start(&b, 1);
    (void)pthread_mutex_lock(&c->lock);
    AWAIT(c, c->generation == 1);
    CU_ASSERT_EQUAL(c->seen, 100);
    c->height = 101;
    AWAIT(c, c->seen == 101);
    CU_ASSERT_EQUAL(c->generation, 1);
    c->info = "{}";
    c->height = 102;
    AWAIT(c, c->generation == 2);
    c->state = "\"NotInitialized\"";
    c->height = 103;
    AWAIT(c, c->generation == 3);
    (void)pthread_mutex_unlock(&c->lock);
    struct mig_speech speech;
    char version[MIG_VERSION_MAX + 1];
    CU_ASSERT(mig_watch_speech(b.watch, &speech, version));
    CU_ASSERT(speech.dialect == MIG_DIALECT_DEPLOYED && speech.deposit == 1);
    CU_ASSERT_STRING_EQUAL(version, "3.14.1");
    tear_down(&b);
}

static void a_block_that_does_not_advance_is_not_read_again(void)
{
    struct bench b;
    set_up(&b);
    struct chain *c = &b.chain;
    start(&b, 1);
    (void)pthread_mutex_lock(&c->lock);
    AWAIT(c, c->generation == 1);
    unsigned before = c->requests;
    AWAIT(c, c->requests >= before + 5);
    c->height = 99;
    AWAIT(c, c->requests >= before + 10);
    CU_ASSERT_EQUAL(c->views, 1);
    (void)pthread_mutex_unlock(&c->lock);
    struct mig_watch_stats stats;
    mig_watch_stats(b.watch, 0, &stats);
    CU_ASSERT(stats.height == 100 && stats.failing == 0 && stats.failures == 0 && stats.polls >= 6);
    CU_ASSERT(stats.ok_at > 0 && strncmp(stats.origin, "http://127.0.0.1:", 17) == 0);
    CU_ASSERT_PTR_NULL(strstr(stats.origin, "secret"));
    tear_down(&b);
}

static void a_poke_brings_the_next_look_at_once(void)
{
    struct bench b;
    set_up(&b);
    struct chain *c = &b.chain;
    start(&b, 3600 * 1000);
    (void)pthread_mutex_lock(&c->lock);
    AWAIT(c, c->generation == 1);
    c->height = 101;
    c->info = "{}";
    (void)pthread_mutex_unlock(&c->lock);
    mig_watch_poke(b.watch);
    (void)pthread_mutex_lock(&c->lock);
    AWAIT(c, c->generation == 2);
    (void)pthread_mutex_unlock(&c->lock);
    tear_down(&b);
}

static void a_failing_endpoint_is_reported_once_and_retried(void)
{
    struct bench b;
    set_up(&b);
    struct chain *c = &b.chain;
    struct mig_watch_stats stats;
    c->broken = true;
    start(&b, 1);
    (void)pthread_mutex_lock(&c->lock);
    AWAIT(c, c->requests >= 6);
    CU_ASSERT_EQUAL(c->warnings, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->last_log, "rpc_failed http://127.0.0.1:"));
    CU_ASSERT_PTR_NOT_NULL(strstr(c->last_log, "HTTP 503"));
    (void)pthread_mutex_unlock(&c->lock);
    mig_watch_stats(b.watch, 0, &stats);
    CU_ASSERT(stats.failing >= 5 && stats.failures == stats.failing && stats.ok_at == 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(stats.reason, "HTTP 503"));
    (void)pthread_mutex_lock(&c->lock);
    c->broken = false;
    AWAIT(c, c->generation == 1);
    AWAIT(c, strstr(c->last_log, "rpc_ok") != NULL);
    (void)pthread_mutex_unlock(&c->lock);
    mig_watch_stats(b.watch, 0, &stats);
    CU_ASSERT(stats.failing == 0 && stats.ok_at > 0 && stats.reason[0] == '\0');
    tear_down(&b);
}

static void an_endpoint_that_answers_with_old_blocks_is_reported_once(void)
{
    struct bench b;
    set_up(&b);
    struct chain *c = &b.chain;
    c->ahead_s = -100;
    start(&b, 1);
    (void)pthread_mutex_lock(&c->lock);
    AWAIT(c, strstr(c->last_log, "view_stale http://127.0.0.1:") != NULL);
    unsigned before = c->requests;
    AWAIT(c, c->requests >= before + 5);
    CU_ASSERT_EQUAL(c->warnings, 1);
    c->height = 101;
    c->ahead_s = 0;
    AWAIT(c, strstr(c->last_log, "view_fresh http://127.0.0.1:") != NULL);
    (void)pthread_mutex_unlock(&c->lock);
    tear_down(&b);
}

static void stop_does_not_wait_for_a_silent_endpoint(void)
{
    struct bench b;
    set_up(&b);
    b.chain.hangs = true;
    start(&b, 1);
    (void)pthread_mutex_lock(&b.chain.lock);
    AWAIT(&b.chain, b.chain.requests >= 1);
    (void)pthread_mutex_unlock(&b.chain.lock);
    time_t before = time(NULL);
    mig_watch_stop(&b.watch);
    CU_ASSERT(time(NULL) - before < 5); /* the request's own limit is 10 s */
    tear_down(&b);
}

static void refuses_to_start_on_nonsense(void)
{
    struct bench b;
    struct mig_watch *w;
    set_up(&b);
    const struct mig_watch_options bad_url = {
        .rpc_url = "ftp://x", .contract = "v1.signer", .cache = b.cache};
    const struct mig_watch_options bad_contract = {
        .rpc_url = "http://x", .contract = "V1", .cache = b.cache};
    CU_ASSERT_EQUAL(mig_watch_start(&bad_url, &w), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NULL(w);
    CU_ASSERT_EQUAL(mig_watch_start(&bad_contract, &w), MIG_ERR_MALFORMED);
    tear_down(&b);
}

/* ---- single looks ---- */

struct look {
    struct bench b;
    struct mig_rpc *rpc;
    struct mig_poller poller;
};

static void look_up(struct look *l, enum mig_dialect forced)
{
    set_up(&l->b);
    const struct mig_rpc_options o = {.url = l->b.server->url, .timeout_ms = 5000};
    CU_ASSERT_EQUAL_FATAL(mig_rpc_new(&o, &l->rpc), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_poller_init(&l->poller, l->rpc, l->b.cache, "v1.signer", forced),
                          MIG_OK);
}

static enum mig_err look(struct look *l)
{
    return mig_poll(&l->poller, (uint64_t)time(NULL) * 1000000000u);
}

static void look_down(struct look *l)
{
    mig_rpc_free(&l->rpc);
    tear_down(&l->b);
}

static void the_draft_has_three_views(void)
{
    struct look l;
    look_up(&l, MIG_DIALECT_AUTO);
    l.b.chain.version = "\"0.1.0-draft\"";
    l.b.chain.info = "{\"backup_services\":{},\"recoveries\":{}}";
    l.b.chain.published = "{\"alice.near\":{\"node\":\"x25519:" BOB_KEY "\",\"service\":null}}";
    CU_ASSERT_EQUAL(look(&l), MIG_OK);
    CU_ASSERT_EQUAL(l.poller.speech.dialect, MIG_DIALECT_DRAFT);
    const struct mig_view *view = mig_cache_view(l.b.cache);
    CU_ASSERT_PTR_NOT_NULL_FATAL(view);
    CU_ASSERT(view->published.has_node && !view->published.has_service && view->generation == 1);
    mig_view_release(&view);
    look_down(&l);
}

static void a_contract_without_version_is_an_old_deployed_one(void)
{
    struct look l;
    look_up(&l, MIG_DIALECT_AUTO);
    l.b.chain.version = NULL;
    CU_ASSERT_EQUAL(look(&l), MIG_OK);
    CU_ASSERT(l.poller.known && l.poller.speech.dialect == MIG_DIALECT_DEPLOYED &&
              l.poller.speech.deposit == 0);
    CU_ASSERT_STRING_EQUAL(l.poller.version, "");
    look_down(&l);
}

static void the_wrong_dialect_is_a_clear_error(void)
{
    struct look l;
    look_up(&l, MIG_DIALECT_DRAFT);
    CU_ASSERT_EQUAL(look(&l), MIG_ERR_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(l.poller.reason, "ephemeral_keys"));
    CU_ASSERT_PTR_NULL(mig_cache_view(l.b.cache));
    look_down(&l);
}

static void a_node_that_is_a_block_behind_gets_a_moment(void)
{
    struct look l;
    look_up(&l, MIG_DIALECT_AUTO);
    l.b.chain.behind = 2;
    CU_ASSERT_EQUAL(look(&l), MIG_OK);
    CU_ASSERT_EQUAL(mig_cache_generation(l.b.cache), 1);
    l.b.chain.height++;
    l.b.chain.behind = 100;
    CU_ASSERT_EQUAL(look(&l), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(l.b.chain.behind, 96);
    look_down(&l);
}

static void an_upgrade_of_the_contract_is_noticed(void)
{
    struct look l;
    look_up(&l, MIG_DIALECT_AUTO);
    l.b.chain.version = "\"3.13.0\"";
    CU_ASSERT_EQUAL(look(&l), MIG_OK);
    CU_ASSERT_EQUAL(l.poller.speech.deposit, 0);
    l.b.chain.version = "\"3.14.1\"";
    for (int i = 0; i <= MIG_POLL_VERSION_EVERY; i++)
        CU_ASSERT_EQUAL(look(&l), MIG_OK);
    CU_ASSERT_EQUAL(l.poller.speech.deposit, 1);
    look_down(&l);
}

static void a_block_from_the_future_is_not_believed(void)
{
    struct look l;
    look_up(&l, MIG_DIALECT_AUTO);
    l.b.chain.ahead_s = MIG_POLL_FUTURE_S + 10;
    CU_ASSERT_EQUAL(look(&l), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(l.poller.reason, "future"));
    CU_ASSERT_PTR_NULL(mig_cache_view(l.b.cache));
    l.b.chain.ahead_s = 5;
    CU_ASSERT_EQUAL(look(&l), MIG_OK);
    look_down(&l);
}

static void an_answer_from_another_height_is_not_believed(void)
{
    struct look l;
    look_up(&l, MIG_DIALECT_AUTO);
    l.b.chain.answer_off = 1;
    CU_ASSERT_EQUAL(look(&l), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NULL(mig_cache_view(l.b.cache));
    l.b.chain.answer_off = 0;
    CU_ASSERT_EQUAL(look(&l), MIG_OK);
    look_down(&l);
}

static void answers_that_do_not_parse_change_nothing(void)
{
    static const char *const states[] = {"{}", "", "null", "{\"Running\":{}}"};
    struct look l;
    look_up(&l, MIG_DIALECT_AUTO);
    CU_ASSERT_EQUAL(look(&l), MIG_OK);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        l.b.chain.height++;
        l.b.chain.state = states[i];
        CU_ASSERT_EQUAL(look(&l), MIG_ERR_MALFORMED);
        CU_ASSERT_EQUAL(mig_cache_generation(l.b.cache), 1);
    }
    l.b.chain.state = l.b.state;
    CU_ASSERT_EQUAL(look(&l), MIG_OK);
    look_down(&l);
}

static void pauses_double_up_to_a_ceiling(void)
{
    const struct mig_backoff b = {1000, 30000};
    static const uint32_t full[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    for (uint32_t i = 0; i < 7; i++) {
        CU_ASSERT_EQUAL(mig_backoff_ms(&b, i + 1, 0), full[i] / 2);
        CU_ASSERT_EQUAL(mig_backoff_ms(&b, i + 1, full[i] - full[i] / 2), full[i]);
        for (uint32_t r = 1; r != 0 && r < UINT32_MAX / 2; r *= 7) {
            uint32_t ms = mig_backoff_ms(&b, i + 1, r);
            CU_ASSERT(ms >= full[i] / 2 && ms <= full[i]);
        }
    }
    CU_ASSERT(mig_backoff_ms(&b, UINT32_MAX, 0) == 15000);
    const struct mig_backoff small = {5000, 1000};
    CU_ASSERT(mig_backoff_ms(&small, 1, 0) == 500);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(the_first_view_comes_and_every_change_follows),
        TEST(a_block_that_does_not_advance_is_not_read_again),
        TEST(a_poke_brings_the_next_look_at_once),
        TEST(a_failing_endpoint_is_reported_once_and_retried),
        TEST(an_endpoint_that_answers_with_old_blocks_is_reported_once),
        TEST(stop_does_not_wait_for_a_silent_endpoint),
        TEST(refuses_to_start_on_nonsense),
        TEST(the_draft_has_three_views),
        TEST(a_contract_without_version_is_an_old_deployed_one),
        TEST(the_wrong_dialect_is_a_clear_error),
        TEST(a_node_that_is_a_block_behind_gets_a_moment),
        TEST(an_upgrade_of_the_contract_is_noticed),
        TEST(a_block_from_the_future_is_not_believed),
        TEST(an_answer_from_another_height_is_not_believed),
        TEST(answers_that_do_not_parse_change_nothing),
        TEST(pauses_double_up_to_a_ceiling),
    };
    return run_tests("watch", tests, sizeof tests / sizeof *tests);
}
