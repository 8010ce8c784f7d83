/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "chain/subscribe.h"
#include "tests/scripted.h"

#define HASH "HrjUQYM4NtwTPY5Q2ZYSzbVsF13VQbtHHWPtRX8f1Ztk"

enum { LONG_MS = 60000 };

/* A contract that has a version and allowed images. */
struct chain {
    pthread_mutex_t lock;
    uint64_t height;
    const char *version;
    unsigned failing; /* so many requests get a 503 */
    bool hangs;
    atomic_uint blocks, views;
};

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

static char *answer_of(struct chain *c, const char *body)
{
    char *out = NULL;
    if (strstr(body, "\"method\":\"block\"") == NULL) {
        (void)atomic_fetch_add(&c->views, 1);
        return as_numbers(strstr(body, "\"version\"") != NULL ? c->version : "[]", c->height);
    }
    (void)atomic_fetch_add(&c->blocks, 1);
    if (asprintf(&out,
                 "{\"result\":{\"header\":{\"height\":%llu,\"hash\":\"" HASH
                 "\",\"timestamp\":1}}}",
                 (unsigned long long)c->height) < 0)
        abort();
    return out;
}

static bool serve(struct scripted *s, int fd, const char *body, unsigned n)
{
    struct chain *c = (struct chain *)(uintptr_t)s->ctx;
    (void)n;
    (void)pthread_mutex_lock(&c->lock);
    bool fails = c->failing > 0, hangs = c->hangs;
    c->failing -= fails;
    char *answer = answer_of(c, body);
    (void)pthread_mutex_unlock(&c->lock);
    while (hangs && !atomic_load(&s->stop))
        (void)poll(NULL, 0, 5);
    scripted_reply(fd, fails ? "503 Service Unavailable" : "200 OK", answer);
    free(answer);
    return true;
}

struct bench {
    struct chain chain;
    struct scripted *server;
    struct mig_hub *hub;
};

static void set_up(struct bench *b)
{
    memset(b, 0, sizeof *b);
    (void)pthread_mutex_init(&b->chain.lock, NULL);
    b->chain.height = 100;
    b->chain.version = "\"1.0.0\"";
    b->server = scripted_start(serve, &b->chain);
    const struct mig_hub_options o = {
        .rpc_url = b->server->url, .contract = "v1.signer", .account = "alice.near"};
    CU_ASSERT_EQUAL_FATAL(mig_hub_start(&o, &b->hub), MIG_OK);
}

static void tear_down(struct bench *b)
{
    mig_hub_stop(&b->hub);
    CU_ASSERT_PTR_NULL(b->hub);
    scripted_stop(b->server);
}

static void becomes(struct chain *c, uint64_t height, const char *version)
{
    (void)pthread_mutex_lock(&c->lock);
    c->height = height;
    c->version = version;
    (void)pthread_mutex_unlock(&c->lock);
}

static const struct mig_policy quick = {
    .bootstrap = {.on_failure = MIG_RETRY_FIXED, .initial_ms = 1},
    .update = {.interval_ms = 1,
               .on_failure = MIG_RETRY_EXPONENTIAL,
               .initial_ms = 1,
               .max_ms = 4,
               .jitter = true}};

static void next_is(struct mig_values *s, const char *version, uint64_t height)
{
    const struct mig_got *got;
    CU_ASSERT_EQUAL_FATAL(mig_values_next(s, LONG_MS, &got), MIG_OK);
    CU_ASSERT_STRING_EQUAL(got->version, version);
    CU_ASSERT_EQUAL(got->height, height);
    mig_value_release(&got);
}

static void await_height(struct mig_values *s, uint64_t height)
{
    struct mig_fresh fresh = {0};
    for (; fresh.height != height; (void)poll(NULL, 0, 1)) {
        const struct mig_got *got = mig_values_latest(s, &fresh);
        mig_value_release(&got);
    }
}

static void a_value_is_reported_when_its_meaning_changes(void)
{
    struct bench b;
    struct mig_values *s;
    const struct mig_got *got;
    set_up(&b);
    CU_ASSERT_EQUAL_FATAL(mig_subscribe(b.hub, MIG_GET_VERSION, &quick, &s), MIG_OK);
    next_is(s, "1.0.0", 100);
    /* The same at a newer block: fresher, but no news. */
    becomes(&b.chain, 101, " \"1.0.0\" ");
    await_height(s, 101);
    CU_ASSERT_EQUAL(mig_values_next(s, 0, &got), MIG_ERR_RETRY);
    CU_ASSERT_PTR_NULL(got);
    /* An older block, whatever it says. */
    becomes(&b.chain, 99, "\"2.0.0\"");
    unsigned before = atomic_load(&b.chain.views);
    while (atomic_load(&b.chain.views) < before + 3)
        (void)poll(NULL, 0, 1);
    CU_ASSERT_EQUAL(mig_values_next(s, 0, &got), MIG_ERR_RETRY);
    await_height(s, 101);
    becomes(&b.chain, 102, "\"2.0.0\"");
    next_is(s, "2.0.0", 102);
    mig_values_free(&s);
    tear_down(&b);
}

static void streams_of_one_view_share_a_look(void)
{
    enum { STREAMS = 5 };
    struct bench b;
    struct mig_values *s[STREAMS];
    struct mig_policy rare = quick;
    rare.update.interval_ms = 3600 * 1000;
    set_up(&b);
    (void)pthread_mutex_lock(&b.chain.lock); /* no answer before all have asked */
    for (int i = 0; i < STREAMS; i++)
        CU_ASSERT_EQUAL_FATAL(mig_subscribe(b.hub, MIG_GET_VERSION, &rare, &s[i]), MIG_OK);
    (void)pthread_mutex_unlock(&b.chain.lock);
    for (int i = 0; i < STREAMS; i++) {
        next_is(s[i], "1.0.0", 100);
        mig_values_free(&s[i]);
    }
    CU_ASSERT(atomic_load(&b.chain.views) == 1 && atomic_load(&b.chain.blocks) == 1);
    tear_down(&b);
}

static void bootstrap_retries_until_there_is_a_value(void)
{
    struct bench b;
    struct mig_values *s;
    set_up(&b);
    b.chain.failing = 5;
    CU_ASSERT_EQUAL_FATAL(mig_subscribe(b.hub, MIG_GET_VERSION, &quick, &s), MIG_OK);
    next_is(s, "1.0.0", 100);
    /* And updates survive failures, too. */
    (void)pthread_mutex_lock(&b.chain.lock);
    b.chain.failing = 5;
    b.chain.height = 101;
    b.chain.version = "\"1.0.1\"";
    (void)pthread_mutex_unlock(&b.chain.lock);
    next_is(s, "1.0.1", 101);
    mig_values_free(&s);
    tear_down(&b);
}

static void fail_fast_ends_with_the_first_failure(void)
{
    struct bench b;
    struct mig_values *s;
    const struct mig_got *got;
    struct mig_policy hasty = quick;
    set_up(&b);
    hasty.bootstrap = hasty.update = (struct mig_strategy){.interval_ms = 1};
    b.chain.failing = 1;
    CU_ASSERT_EQUAL_FATAL(mig_subscribe(b.hub, MIG_GET_VERSION, &hasty, &s), MIG_OK);
    CU_ASSERT_EQUAL(mig_values_next(s, LONG_MS, &got), MIG_ERR_RETRY);
    struct mig_fresh fresh;
    CU_ASSERT_PTR_NULL(mig_values_latest(s, &fresh));
    CU_ASSERT(fresh.failures == 1 && fresh.err == MIG_ERR_RETRY);
    mig_values_free(&s);
    /* After a value: the value stays, then the end is told. */
    CU_ASSERT_EQUAL_FATAL(mig_subscribe(b.hub, MIG_GET_VERSION, &hasty, &s), MIG_OK);
    next_is(s, "1.0.0", 100);
    becomes(&b.chain, 101, "not a version");
    CU_ASSERT_EQUAL(mig_values_next(s, LONG_MS, &got), MIG_ERR_MALFORMED);
    got = mig_values_latest(s, NULL);
    CU_ASSERT_STRING_EQUAL(got->version, "1.0.0");
    mig_value_release(&got);
    mig_values_free(&s);
    tear_down(&b);
}

static void *cancel_soon(void *arg)
{
    (void)poll(NULL, 0, 20);
    mig_values_cancel(arg);
    return NULL;
}

static void *stop_soon(void *arg)
{
    (void)poll(NULL, 0, 20);
    mig_hub_stop(arg);
    return NULL;
}

static void cancel_and_stop_end_a_wait_at_once(void)
{
    struct bench b;
    struct mig_values *s, *other;
    const struct mig_got *got;
    pthread_t thread;
    set_up(&b);
    b.chain.hangs = true;
    CU_ASSERT_EQUAL_FATAL(mig_subscribe(b.hub, MIG_GET_VERSION, &quick, &s), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_subscribe(b.hub, MIG_GET_IMAGES, &quick, &other), MIG_OK);
    CU_ASSERT_EQUAL(pthread_create(&thread, NULL, cancel_soon, s), 0);
    CU_ASSERT_EQUAL(mig_values_next(s, LONG_MS, &got), MIG_ERR_CANCELLED);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(mig_values_next(s, LONG_MS, &got), MIG_ERR_CANCELLED);
    CU_ASSERT_EQUAL(mig_values_next(other, 1, &got), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(pthread_create(&thread, NULL, stop_soon, &b.hub), 0);
    CU_ASSERT_EQUAL(mig_values_next(other, LONG_MS, &got), MIG_ERR_CANCELLED);
    (void)pthread_join(thread, NULL);
    mig_values_free(&s); /* streams outlive their hub */
    mig_values_free(&other);
    CU_ASSERT_PTR_NULL(other);
    mig_values_free(&other);
    tear_down(&b);
}

static void refuses_policies_and_names_that_are_none(void)
{
    struct bench b;
    struct mig_values *s;
    struct mig_hub *h;
    set_up(&b);
    struct mig_policy bad[4] = {quick, quick, quick, quick};
    bad[0].update.interval_ms = 0;
    bad[1].bootstrap.initial_ms = 0;
    bad[2].update.max_ms = 0;
    bad[3].update.on_failure = (enum mig_on_failure)7;
    bad[3].update.max_ms = 0;
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(mig_subscribe(b.hub, MIG_GET_VERSION, &bad[i], &s), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_subscribe(b.hub, MIG_GET_KINDS, &quick, &s), MIG_ERR_MALFORMED);
    const struct mig_hub_options no_url = {.rpc_url = "x", .contract = "a.b", .account = "a.b"};
    const struct mig_hub_options no_name = {
        .rpc_url = "http://127.0.0.1:1", .contract = "A", .account = "a.b"};
    CU_ASSERT_EQUAL(mig_hub_start(&no_url, &h), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_hub_start(&no_name, &h), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NULL(h);
    tear_down(&b);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(a_value_is_reported_when_its_meaning_changes),
        TEST(streams_of_one_view_share_a_look),
        TEST(bootstrap_retries_until_there_is_a_value),
        TEST(fail_fast_ends_with_the_first_failure),
        TEST(cancel_and_stop_end_a_wait_at_once),
        TEST(refuses_policies_and_names_that_are_none),
    };
    return run_tests("subscribe", tests, sizeof tests / sizeof *tests);
}
