/* SPDX-License-Identifier: MIT */
/*
 * A 200 kB `state` as an endpoint sends it, from bytes to view, against
 * jansson's plain parse of the same text; what an unchanged one costs; reads of
 * the view by two threads while a writer swaps it.
 */
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chain/cache.h"
#include "chain/envelope.h"
#include "chain/watch.h"
#include "crypto/secret.h"
#include "devnet/devnet.h"

#define HASH "HrjUQYM4NtwTPY5Q2ZYSzbVsF13VQbtHHWPtRX8f1Ztk"
#define GROUP_KEY                                                                                  \
    "secp256k1:"                                                                                   \
    "4Q9aK3YhZAugWM3vJrePc5CAxL81yEXzkcT5zqSscURArmybYWJyDLhJ6vijgdDr6PfCcc3dgCvG2fgdoTtFfM7i"
#define TLS_KEY "ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"

enum { DOMAINS = 1000, ROUNDS = 9, CHANGES = 20, READ_MS = 400 };

static double seconds(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof values[0], by_value);
    return values[count / 2];
}

/* Running, with `DOMAINS` keys; `mark` in a member that means nothing. */
static char *make_state(unsigned mark)
{
    char *text = malloc((size_t)DOMAINS * 256 + 4096), *p = text;
    p += sprintf(p,
                 "{\"Running\":{\"mark\":%u,\"domains\":{\"domains\":[],\"next_domain_id\":0},"
                 "\"keyset\":{\"epoch_id\":5,\"domains\":[",
                 mark);
    for (int i = 0; i < DOMAINS; i++)
        p += sprintf(p,
                     "%s{\"domain_id\":%d,\"key\":{\"Secp256k1\":{\"near_public_key\":\"" GROUP_KEY
                     "\"}},\"attempt\":0}",
                     i == 0 ? "" : ",", i);
    (void)sprintf(p, "]},\"parameters\":{\"participants\":{\"next_id\":1,\"participants\":[["
                     "\"alice.near\",0,{\"url\":\"http://a\","
                     "\"tls_public_key\":\"" TLS_KEY
                     "\"}]]},\"threshold\":1},\"parameters_votes\":{},\"add_domains_votes\":{}}}");
    return text;
}

static char *make_answer(const char *state, size_t *len)
{
    char *text = malloc(strlen(state) * 4 + 512),
         *p = text + sprintf(text, "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{\"result\":[");
    for (const char *s = state; *s != '\0'; s++)
        p += sprintf(p, "%s%u", s == state ? "" : ",", (unsigned char)*s);
    p += sprintf(p, "],\"logs\":[],\"block_height\":1000,\"block_hash\":\"" HASH "\"}}");
    *len = (size_t)(p - text);
    return text;
}

static void must(bool holds)
{
    if (!holds)
        exit(1);
}

static double jansson_time(const char *text, size_t len)
{
    double t = seconds(CLOCK_THREAD_CPUTIME_ID);
    json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    t = seconds(CLOCK_THREAD_CPUTIME_ID) - t;
    must(o != NULL);
    json_decref(o);
    return t;
}

/* The answer into the cache at the next height. */
static double our_time(struct mig_cache *cache, const char *text, size_t len)
{
    static uint64_t height;
    struct mig_block block = {.height = ++height};
    struct mig_returned r;
    struct mig_rpc_error e;
    double t = seconds(CLOCK_THREAD_CPUTIME_ID);
    must(mig_envelope_view(text, len, &r, &e) == MIG_OK);
    must(mig_cache_feed(cache, MIG_PART_STATE, &block, r.bytes, r.len) == MIG_OK);
    mig_returned_clear(&r);
    return seconds(CLOCK_THREAD_CPUTIME_ID) - t;
}

static void bench_parse(struct mig_cache *cache)
{
    double theirs[ROUNDS], ours[ROUNDS], same[ROUNDS];
    size_t len = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char *state = make_state(i % 10), *text = make_answer(state, &len);
        theirs[i] = jansson_time(text, len);
        ours[i] = our_time(cache, text, len);
        same[i] = our_time(cache, text, len);
        free(state);
        free(text);
    }
    double them = median(theirs, ROUNDS), us = median(ours, ROUNDS);
    printf("state_parse_vs_jansson %.2f ratio\n", them / us);
    printf("state_parse_mb_per_s %.0f MB/s\n", (double)len / us / 1e6);
    printf("poll_cpu_us %.0f us\n", median(same, ROUNDS) * 1e6);
}

/* Most memory that a process of its own had resident while it read the answer,
 * over what it had before. */
static double peak_mib(bool ours)
{
    size_t len = 0;
    char *state = make_state(1), *text = make_answer(state, &len);
    int fds[2];
    long kib = 0;
    free(state);
    must(pipe(fds) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        struct rusage before, after;
        struct mig_cache *cache = NULL;
        (void)getrusage(RUSAGE_SELF, &before);
        if (ours) {
            must(mig_cache_new("v1.signer", "alice.near", MIG_DIALECT_DEPLOYED, &cache) == MIG_OK);
            (void)our_time(cache, text, len);
        } else {
            (void)jansson_time(text, len);
        }
        (void)getrusage(RUSAGE_SELF, &after);
        kib = after.ru_maxrss - before.ru_maxrss;
        must(write(fds[1], &kib, sizeof kib) == (ssize_t)sizeof kib);
        _exit(0);
    }
    must(read(fds[0], &kib, sizeof kib) == (ssize_t)sizeof kib);
    (void)waitpid(child, NULL, 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    free(text);
    return (double)kib / 1024;
}

struct readers {
    struct mig_cache *cache;
    atomic_bool stop;
    atomic_ulong reads;
};

static void *read_views(void *arg)
{
    struct readers *r = arg;
    unsigned long n = 0;
    for (; !atomic_load_explicit(&r->stop, memory_order_relaxed); n++) {
        const struct mig_view *view = mig_cache_view(r->cache);
        must(view->keyset.count == DOMAINS);
        mig_view_release(&view);
    }
    (void)atomic_fetch_add(&r->reads, n);
    return NULL;
}

static void bench_reads(struct mig_cache *cache)
{
    struct readers r = {.cache = cache};
    pthread_t threads[2];
    uint64_t height = 1000000;
    double began = seconds(CLOCK_MONOTONIC), t;
    for (int i = 0; i < 2; i++)
        must(pthread_create(&threads[i], NULL, read_views, &r) == 0);
    for (; (t = seconds(CLOCK_MONOTONIC) - began) < READ_MS / 1e3; height++) {
        struct mig_block block = {.height = height};
        struct timespec pause = {0, 1000000};
        must(mig_cache_feed(cache, MIG_PART_MIGRATION, &block, "{}", 2) == MIG_OK);
        (void)nanosleep(&pause, NULL);
    }
    atomic_store(&r.stop, true);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    printf("view_reads_per_s %.0f /s\n", (double)atomic_load(&r.reads) / t);
}

/* From a change on a local devnet (a block each 20 ms, looks each 10 ms) to the
 * generation that shows it. */
static double change_ms(struct mig_devnet *net, struct mig_cache *cache)
{
    static const char *const ops[] = {"{\"op\":\"start_resharing\"}",
                                      "{\"op\":\"finish_resharing\"}"};
    char why[MIG_DEVNET_ERROR_MAX];
    double ms[CHANGES];
    for (unsigned i = 0; i < CHANGES; i++) {
        uint64_t before = mig_cache_generation(cache);
        double began = seconds(CLOCK_MONOTONIC);
        must(mig_devnet_scenario(net, ops[i % 2], why) == MIG_OK);
        while (mig_cache_generation(cache) == before)
            (void)nanosleep(&(struct timespec){0, 100000}, NULL);
        ms[i] = (seconds(CLOCK_MONOTONIC) - began) * 1e3;
    }
    return median(ms, CHANGES);
}

static void bench_change(void)
{
    char why[MIG_DEVNET_ERROR_MAX], url[64];
    struct mig_devnet_config config = MIG_DEVNET_DEFAULTS;
    struct mig_devnet *net = NULL;
    struct mig_cache *cache = NULL;
    struct mig_watch *watch = NULL;
    config.block_ms = 20;
    config.genesis =
        "{\"dialect\":\"3.14.1\",\"contract\":{\"account_id\":\"v1.signer\",\"threshold\":1,"
        "\"participants\":[{\"account_id\":\"alice.near\",\"url\":\"http://a:80\","
        "\"tls_public_key\":\"" TLS_KEY "\"}],\"domains\":[{\"protocol\":\"Frost\"}]},"
        "\"accounts\":[]}";
    must(mig_devnet_start(&config, &net, why) == MIG_OK);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", mig_devnet_rpc_port(net));
    must(mig_cache_new("v1.signer", "alice.near", MIG_DIALECT_AUTO, &cache) == MIG_OK);
    const struct mig_watch_options o = {.rpc_url = url,
                                        .contract = "v1.signer",
                                        .account = "alice.near",
                                        .poll_ms = 10,
                                        .cache = cache};
    must(mig_watch_start(&o, &watch) == MIG_OK);
    while (mig_cache_generation(cache) == 0)
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    printf("change_to_generation_ms %.1f ms\n", change_ms(net, cache));
    mig_watch_stop(&watch);
    mig_cache_free(&cache);
    mig_devnet_stop(&net);
}

int main(void)
{
    struct mig_cache *cache = NULL;
    struct mig_block block = {.height = 1};
    must(mig_crypto_init() == MIG_OK);
    must(mig_cache_new("v1.signer", "alice.near", MIG_DIALECT_DEPLOYED, &cache) == MIG_OK);
    must(mig_cache_feed(cache, MIG_PART_MIGRATION, &block, "{}", 2) == MIG_OK);
    printf("state_parse_peak_mib %.1f MiB\n", peak_mib(true));
    printf("state_parse_peak_jansson_mib %.1f MiB\n", peak_mib(false));
    bench_parse(cache);
    bench_change();
    bench_reads(cache);
    mig_cache_free(&cache);
    return 0;
}
