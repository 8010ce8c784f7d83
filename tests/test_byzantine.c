/* SPDX-License-Identifier: MIT */
/*
 * Three endpoints over real sockets, the first of which does what it should
 * not. Whatever that is: the view shows what the other two show, follows their
 * changes, and the first is counted and named.
 */
#include <time.h>

#include "chain/watch.h"
#include "tests/scripted.h"

#define HASH "HrjUQYM4NtwTPY5Q2ZYSzbVsF13VQbtHHWPtRX8f1Ztk"
#define NO_METHOD                                                                                  \
    "{\"result\":{\"error\":\"wasm execution failed with error: "                                  \
    "MethodResolveError(MethodNotFound)\"}}"

enum { NODES = 3, START = 1000000 };

enum way {
    HONEST,
    WRONG_EPOCH,
    WRONG_ATTEMPT,
    WRONG_KEY, /* another backup key */
    OLDER,     /* a thousand blocks behind, and of that time */
    FROZEN,    /* where it was at the start */
    AHEAD,     /* lies about a far height */
    GARBAGE,
    ENDLESS,
    REDIRECT,
    GZIP,
    DRIP,
    HANGS,
    GONE, /* closes every connection */
    OTHER_CHAIN,
    WAYS
};

struct node {
    struct bench *bench;
    struct scripted *server;
    _Atomic enum way way;
    atomic_uint served;
};

struct bench {
    struct node nodes[NODES];
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t moved;
    uint64_t since; /* milliseconds; the chain makes a block every five */
    char *state, *wrong_epoch, *wrong_attempt, *wrong_info;
    const char *info; /* the truth; changes */
    unsigned views, wrong, splits;
    uint64_t generation, height, time_ns;
    uint8_t keyset[MIG_DIGEST_LEN]; /* the true one */
    char log[65536];
    struct mig_cache *cache;
    struct mig_watch *watch;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
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

/* A node answers all questions of a look at the block it named last. */
static _Thread_local uint64_t looked_at;

static char *block_answer(const struct bench *b, enum way way)
{
    char *out = NULL;
    uint64_t now = now_ms(), height = START + (now - b->since) / 5;
    if (way == OLDER) {
        height -= 1000;
        now -= 600 * 1000;
    } else if (way == FROZEN) {
        height = START + 1;
        now = b->since;
    } else if (way == AHEAD) {
        height += UINT64_C(1000000000000);
        now += 30 * 1000;
    }
    looked_at = height;
    if (asprintf(&out,
                 "{\"result\":{\"header\":{\"height\":%llu,\"hash\":\"" HASH
                 "\",\"timestamp\":%llu}}}",
                 (unsigned long long)height, (unsigned long long)now * 1000000) < 0)
        abort();
    return out;
}

static char *answer_of(struct bench *b, enum way way, const char *body)
{
    if (strstr(body, "\"method\":\"status\"") != NULL)
        return strdup(way == OTHER_CHAIN ? "{\"result\":{\"chain_id\":\"testnet\"}}"
                                         : "{\"result\":{\"chain_id\":\"mainnet\"}}");
    if (strstr(body, "\"method\":\"block\"") != NULL)
        return block_answer(b, way);
    if (strstr(body, "\"version\"") != NULL)
        return as_numbers("\"3.14.1\"", START);
    if (strstr(body, "\"state\"") != NULL)
        return as_numbers(way == WRONG_EPOCH                     ? b->wrong_epoch
                          : way == WRONG_ATTEMPT || way == AHEAD ? b->wrong_attempt
                                                                 : b->state,
                          looked_at);
    if (strstr(body, "\"migration_info\"") != NULL)
        return as_numbers(way == WRONG_KEY ? b->wrong_info : b->info, looked_at);
    return strdup(NO_METHOD);
}

static void flood(struct scripted *s, int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    static char chunk[8 + 4096 + 2] = "001000\r\n";
    memset(chunk + 8, ' ', 4096);
    memcpy(chunk + sizeof chunk - 2, "\r\n", 2);
    scripted_write(fd, head, sizeof head - 1);
    while (!atomic_load(&s->stop) && send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) > 0)
        continue;
}

static void drip(struct scripted *s, int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    scripted_write(fd, head, sizeof head - 1);
    while (!atomic_load(&s->stop) && send(fd, " ", 1, MSG_NOSIGNAL) > 0)
        (void)poll(NULL, 0, 5);
}

/* True when it was one of the rude ways. */
static bool misbehave(struct scripted *s, int fd, enum way way)
{
    switch (way) {
    case GARBAGE:
        scripted_reply(fd, "200 OK", "<html>\xff{{{");
        return true;
    case ENDLESS:
        flood(s, fd);
        return true;
    case REDIRECT:
        scripted_reply(fd, "302 Found\r\nLocation: http://127.0.0.1:1/?key=hush", "");
        return true;
    case GZIP:
        scripted_reply(fd, "200 OK\r\nContent-Encoding: gzip", "\x1f\x8b\x08");
        return true;
    case DRIP:
        drip(s, fd);
        return true;
    case HANGS:
        while (!atomic_load(&s->stop))
            (void)poll(NULL, 0, 5);
        return true;
    case GONE:
        return true;
    default:
        return false;
    }
}

static bool serve(struct scripted *s, int fd, const char *body, unsigned n)
{
    struct node *node = (struct node *)(uintptr_t)s->ctx;
    struct bench *b = node->bench;
    enum way way = atomic_load(&node->way);
    (void)n;
    (void)atomic_fetch_add(&node->served, 1);
    if (misbehave(s, fd, way))
        return false;
    (void)pthread_mutex_lock(&b->lock);
    char *answer = answer_of(b, way, body);
    (void)pthread_mutex_unlock(&b->lock);
    scripted_reply(fd, "200 OK", answer);
    free(answer);
    return true;
}

static void on_view(void *ctx, const struct mig_view *view)
{
    struct bench *b = ctx;
    (void)pthread_mutex_lock(&b->lock);
    bool right = memcmp(view->keyset_digest, b->keyset, MIG_DIGEST_LEN) == 0 &&
                 view->state_block.height > b->height &&
                 view->state_block.height <= START + (now_ms() - b->since) / 5 &&
                 view->state_block.time_ns <= now_ms() * 1000000 + 999999 && !view->has_destination;
    b->wrong += !right;
    b->views++;
    b->generation = view->generation;
    b->height = view->state_block.height;
    b->time_ns = view->state_block.time_ns;
    (void)pthread_cond_broadcast(&b->moved);
    (void)pthread_mutex_unlock(&b->lock);
}

static void on_log(void *ctx, enum mig_log_level level, const char *event, const char *text)
{
    struct bench *b = ctx;
    (void)level;
    (void)pthread_mutex_lock(&b->lock);
    size_t len = strlen(b->log);
    (void)snprintf(b->log + len, sizeof b->log - len, "%s %s\n", event, text);
    b->splits += strcmp(event, "rpc_split") == 0;
    (void)pthread_cond_broadcast(&b->moved);
    (void)pthread_mutex_unlock(&b->lock);
}

static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    char *out = NULL;
    if (at == NULL || asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) < 0)
        abort();
    return out;
}

/* The keyset that honest endpoints show. */
static void learn_truth(struct bench *b)
{
    struct mig_cache *cache;
    struct mig_block block = {1, 1};
    const struct mig_answer answers[] = {{MIG_PART_STATE, b->state, strlen(b->state)},
                                         {MIG_PART_MIGRATION, "{}", 2}};
    CU_ASSERT_EQUAL_FATAL(mig_cache_new("v1.signer", "alice.near", MIG_DIALECT_AUTO, &cache),
                          MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_cache_feed_all(cache, &block, answers, 2), MIG_OK);
    const struct mig_view *view = mig_cache_view(cache);
    memcpy(b->keyset, view->keyset_digest, MIG_DIGEST_LEN);
    mig_view_release(&view);
    mig_cache_free(&cache);
}

static struct bench *set_up(enum way first, enum way second, enum way third)
{
    const enum way ways[NODES] = {first, second, third};
    struct bench *b = calloc(1, sizeof *b);
    char list[512] = "";
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_cond_init(&b->moved, NULL);
    b->since = now_ms();
    b->state = test_data("state-running.json", NULL);
    b->wrong_epoch = replaced(b->state, "\"epoch_id\":5", "\"epoch_id\":6");
    b->wrong_attempt = replaced(b->state, "\"attempt\":2", "\"attempt\":1");
    b->info = "{}";
    b->wrong_info = strdup("{\"alice.near\":[{\"public_key\":"
                           "\"ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx\"},null]}");
    learn_truth(b);
    for (size_t i = 0; i < NODES; i++) {
        struct node *n = &b->nodes[i];
        n->bench = b;
        atomic_store(&n->way, ways[i]);
        n->server = scripted_start(serve, n);
        (void)snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s/v1/?key=hush",
                       i == 0 ? "" : ", ", n->server->url);
    }
    CU_ASSERT_EQUAL_FATAL(mig_cache_new("v1.signer", "alice.near", MIG_DIALECT_AUTO, &b->cache),
                          MIG_OK);
    mig_cache_on_view(b->cache, on_view, b);
    const struct mig_watch_options o = {.rpc_url = list,
                                        .contract = "v1.signer",
                                        .account = "alice.near",
                                        .poll_ms = 4,
                                        .timeout_ms = 300,
                                        .backoff_max_ms = 20,
                                        .cache = b->cache,
                                        .log = on_log,
                                        .log_ctx = b};
    CU_ASSERT_EQUAL_FATAL(mig_watch_start(&o, &b->watch), MIG_OK);
    return b;
}

static void tear_down(struct bench *b)
{
    mig_watch_stop(&b->watch);
    for (size_t i = 0; i < NODES; i++)
        scripted_stop(b->nodes[i].server);
    mig_cache_free(&b->cache);
    CU_ASSERT_EQUAL(b->wrong, 0);
    CU_ASSERT_PTR_NULL(strstr(b->log, "hush"));
    free(b->state);
    free(b->wrong_epoch);
    free(b->wrong_attempt);
    free(b->wrong_info);
    free(b);
}

/* Waits, with the lock held, until the condition holds. */
#define AWAIT(b, condition)                                                                        \
    do {                                                                                           \
        while (!(condition))                                                                       \
            (void)pthread_cond_wait(&(b)->moved, &(b)->lock);                                      \
    } while (0)

static bool is_logged(const struct bench *b, const char *event, size_t node)
{
    char line[128];
    (void)snprintf(line, sizeof line, "%s %s", event, b->nodes[node].server->url);
    return strstr(b->log, line) != NULL;
}

/* All but the first are honest. */
static struct bench *outvotes(enum way way)
{
    struct bench *b = set_up(way, HONEST, HONEST);
    (void)pthread_mutex_lock(&b->lock);
    AWAIT(b, b->generation == 1);
    AWAIT(b, is_logged(b, "rpc_outvoted", 0));
    CU_ASSERT_EQUAL(b->generation, 1);
    b->info = "{\"alice.near\":[{\"public_key\":"
              "\"ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB\"},null]}";
    AWAIT(b, b->generation == 2);
    CU_ASSERT(!is_logged(b, "rpc_outvoted", 1) && !is_logged(b, "rpc_outvoted", 2));
    (void)pthread_mutex_unlock(&b->lock);
    struct mig_watch_stats stats;
    mig_watch_stats(b->watch, 0, &stats);
    CU_ASSERT(stats.disagreements >= 1);
    CU_ASSERT(stats.agreement == MIG_AGREEMENT_OUTVOTED);
    const struct mig_view *view = mig_cache_view(b->cache);
    CU_ASSERT(view->has_service_key);
    mig_view_release(&view);
    return b;
}

#define OUTVOTED(name, way)                                                                        \
    static void name(void)                                                                         \
    {                                                                                              \
        tear_down(outvotes(way));                                                                  \
    }
OUTVOTED(a_wrong_epoch_is_outvoted, WRONG_EPOCH)
OUTVOTED(a_wrong_attempt_of_the_same_epoch_is_outvoted, WRONG_ATTEMPT)
OUTVOTED(another_backup_key_is_outvoted, WRONG_KEY)
OUTVOTED(an_older_height_is_outvoted, OLDER)
OUTVOTED(a_frozen_height_is_outvoted, FROZEN)
OUTVOTED(a_far_height_is_outvoted, AHEAD)
OUTVOTED(garbage_is_outvoted, GARBAGE)
OUTVOTED(an_endless_body_is_outvoted, ENDLESS)
OUTVOTED(a_redirect_is_outvoted, REDIRECT)
OUTVOTED(a_gzip_bomb_is_outvoted, GZIP)
OUTVOTED(a_slow_drip_is_outvoted, DRIP)
OUTVOTED(silence_is_outvoted, HANGS)
OUTVOTED(an_endpoint_that_is_gone_is_outvoted, GONE)

static void another_chain_is_outvoted_and_called_so(void)
{
    struct bench *b = outvotes(OTHER_CHAIN);
    CU_ASSERT_PTR_NOT_NULL(strstr(b->log, "it is of another chain"));
    struct mig_watch_stats stats;
    mig_watch_stats(b->watch, 0, &stats);
    CU_ASSERT_STRING_EQUAL(stats.chain_id, "testnet");
    tear_down(b);
}

static void who_comes_to_its_senses_counts_again(void)
{
    struct bench *b = outvotes(WRONG_ATTEMPT);
    struct mig_watch_stats stats;
    atomic_store(&b->nodes[0].way, HONEST);
    (void)pthread_mutex_lock(&b->lock);
    AWAIT(b, is_logged(b, "rpc_agrees", 0));
    (void)pthread_mutex_unlock(&b->lock);
    /* Now it makes up for another. */
    atomic_store(&b->nodes[1].way, GONE);
    (void)pthread_mutex_lock(&b->lock);
    AWAIT(b, is_logged(b, "rpc_outvoted", 1));
    uint64_t height = b->height;
    AWAIT(b, b->height > height + 2);
    (void)pthread_mutex_unlock(&b->lock);
    mig_watch_stats(b->watch, 0, &stats);
    CU_ASSERT(stats.agreement == MIG_AGREEMENT_AGREES);
    tear_down(b);
}

static void two_that_tell_different_things_are_not_believed(void)
{
    struct bench *b = set_up(WRONG_EPOCH, HONEST, GONE);
    struct mig_speech speech;
    (void)pthread_mutex_lock(&b->lock);
    AWAIT(b, b->splits == 1);
    CU_ASSERT_EQUAL(b->views, 0);
    (void)pthread_mutex_unlock(&b->lock);
    CU_ASSERT_PTR_NULL(mig_cache_view(b->cache));
    CU_ASSERT(mig_watch_speech(b->watch, &speech, NULL)); /* both tell the version */
    tear_down(b);
}

static void a_liar_cannot_keep_a_view_fresh(void)
{
    struct bench *b = set_up(HONEST, HONEST, HONEST);
    (void)pthread_mutex_lock(&b->lock);
    AWAIT(b, b->generation == 1 && b->views > 5);
    (void)pthread_mutex_unlock(&b->lock);
    atomic_store(&b->nodes[1].way, GONE);
    atomic_store(&b->nodes[2].way, GONE);
    /* What is under way ends; from then on one endpoint advances alone. */
    struct mig_watch_stats stats;
    for (size_t i = 1; i < NODES; i++)
        for (stats.failing = 0; stats.failing == 0; (void)poll(NULL, 0, 1))
            mig_watch_stats(b->watch, i, &stats);
    (void)pthread_mutex_lock(&b->lock);
    uint64_t height = b->height;
    unsigned before = atomic_load(&b->nodes[0].served);
    (void)pthread_mutex_unlock(&b->lock);
    while (atomic_load(&b->nodes[0].served) < before + 30)
        (void)poll(NULL, 0, 1);
    (void)pthread_mutex_lock(&b->lock);
    CU_ASSERT_EQUAL(b->height, height);
    (void)pthread_mutex_unlock(&b->lock);
    tear_down(b);
}

static void a_slow_endpoint_does_not_slow_the_others(void)
{
    struct bench *b = set_up(HANGS, HONEST, HONEST);
    (void)pthread_mutex_lock(&b->lock);
    /* Within less than one timeout of the silent one there are many views. */
    AWAIT(b, b->views >= 10);
    (void)pthread_mutex_unlock(&b->lock);
    struct mig_watch_stats stats;
    mig_watch_stats(b->watch, 0, &stats);
    CU_ASSERT(stats.ok_at == 0);
    tear_down(b);
}

static void stop_waits_for_none_of_them(void)
{
    struct bench *b = set_up(HANGS, DRIP, ENDLESS);
    for (size_t i = 0; i < NODES; i++)
        while (atomic_load(&b->nodes[i].served) == 0)
            (void)poll(NULL, 0, 1);
    mig_watch_stop(&b->watch);
    CU_ASSERT_PTR_NULL(b->watch);
    tear_down(b);
}

static void refuses_lists_and_quorums_that_are_none(void)
{
    struct mig_cache *cache;
    struct mig_watch *w;
    CU_ASSERT_EQUAL_FATAL(mig_cache_new("v1.signer", "alice.near", MIG_DIALECT_AUTO, &cache),
                          MIG_OK);
    const struct mig_watch_options bad[] = {
        {.rpc_url = "http://127.0.0.1:1,http://127.0.0.1:1", .account = "alice.near"},
        {.rpc_url = "http://127.0.0.1:1,", .account = "alice.near"},
        {.rpc_url = "http://127.0.0.1:1", .account = "alice.near", .quorum = 2},
        {.rpc_url = "http://127.0.0.1:1,http://127.0.0.1:2", .account = "Alice"},
        {.rpc_url = "http://127.0.0.1:1,http://127.0.0.1:2"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mig_watch_options o = bad[i];
        o.contract = "v1.signer";
        o.cache = cache;
        CU_ASSERT_EQUAL(mig_watch_start(&o, &w), MIG_ERR_MALFORMED);
        CU_ASSERT_PTR_NULL(w);
    }
    mig_cache_free(&cache);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(a_wrong_epoch_is_outvoted),
        TEST(a_wrong_attempt_of_the_same_epoch_is_outvoted),
        TEST(another_backup_key_is_outvoted),
        TEST(an_older_height_is_outvoted),
        TEST(a_frozen_height_is_outvoted),
        TEST(a_far_height_is_outvoted),
        TEST(garbage_is_outvoted),
        TEST(an_endless_body_is_outvoted),
        TEST(a_redirect_is_outvoted),
        TEST(a_gzip_bomb_is_outvoted),
        TEST(a_slow_drip_is_outvoted),
        TEST(silence_is_outvoted),
        TEST(an_endpoint_that_is_gone_is_outvoted),
        TEST(another_chain_is_outvoted_and_called_so),
        TEST(who_comes_to_its_senses_counts_again),
        TEST(two_that_tell_different_things_are_not_believed),
        TEST(a_liar_cannot_keep_a_view_fresh),
        TEST(a_slow_endpoint_does_not_slow_the_others),
        TEST(stop_waits_for_none_of_them),
        TEST(refuses_lists_and_quorums_that_are_none),
    };
    return run_tests("byzantine", tests, sizeof tests / sizeof *tests);
}
