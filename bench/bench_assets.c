/* SPDX-License-Identifier: MIT */
/*
 * The asset store with 1 000 000 assets of about 400 bytes, of which 200 000
 * involve one of ten participants: its purge against the engine's own range
 * deletes of the same records (one synced batch: the fastest it has) and against scanning
 * and deleting, each on a fresh copy of the same files, in turns. Then puts,
 * takes, memory and space. `bench_assets large`: the purge again with
 * 10 000 000 stored and as many concerned. Lines of `name value unit`.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "include/mpc_assets.h"
#include "store/asset_layout.h"

enum {
    PARTICIPANTS = 10,
    GONE = 9,          /* who leaves */
    CONCERNED = 200000,
    VALUE = 360,       /* 400 with nonce and tag */
    ROUNDS = 7,
    TAKES = 2000,
    THREADS = 4,
};
static const uint8_t store_key[MIG_KEY_LEN] = {7};
static const uint32_t gone[] = {GONE};
static uint32_t with[64][3], without[128][3]; /* participant sets */
static size_t with_count, without_count;
static char base[300];

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void need(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench_assets: %s\n", what);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *sample, size_t n)
{
    qsort(sample, n, sizeof *sample, by_value);
    return sample[n / 2];
}

static void make_sets(void)
{
    for (uint32_t i = 0; i < PARTICIPANTS; i++)
        for (uint32_t j = i + 1; j < PARTICIPANTS; j++)
            for (uint32_t k = j + 1; k < PARTICIPANTS; k++) {
                uint32_t *set = k == GONE ? with[with_count++] : without[without_count++];
                set[0] = i, set[1] = j, set[2] = k;
            }
}

static long peak_kib(void)
{
    char line[200];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (f != NULL)
        (void)fclose(f);
    return kib;
}

static uint64_t disk_bytes(const char *path)
{
    char command[500];
    unsigned long long kib = 0;
    (void)snprintf(command, sizeof command, "du -sk '%s'", path);
    FILE *f = popen(command, "r");
    need(f != NULL && fscanf(f, "%llu", &kib) == 1, "du");
    (void)pclose(f);
    return kib * 1024;
}

static struct mig_assets *open_store(const char *path)
{
    struct mig_assets *a;
    const char *why = "";
    need(mig_assets_open(path, store_key, &a, &why) == MIG_OK, why);
    return a;
}

/* An id as the network makes them: owner, time, counter. */
static struct mig_asset_key key_of(uint64_t n)
{
    struct mig_asset_key key = {n % 4 == 3 ? MIG_ASSET_PRESIGNATURE : MIG_ASSET_TRIPLE, 2, {0}};
    key.id[3] = (uint8_t)(n % PARTICIPANTS);
    for (size_t i = 0; i < 8; i++)
        key.id[15 - i] = (uint8_t)(n >> 8 * i);
    return key;
}

/* `total` assets from number `first` on, `concerned` of them with the one who leaves. */
static double insert(struct mig_assets *a, uint64_t first, uint64_t total, uint64_t concerned)
{
    static uint8_t values[MIG_ASSET_BATCH_MAX][VALUE];
    static struct mig_asset batch[MIG_ASSET_BATCH_MAX];
    double start = now_ms();
    mig_random(values, sizeof values);
    uint64_t credit = 0;
    size_t n = 0;
    for (uint64_t i = 0; i < total; i++) {
        credit += concerned;
        bool is_concerned = credit >= total;
        credit -= is_concerned ? total : 0;
        const uint32_t *set = is_concerned ? with[i / 7 % with_count] : without[i % without_count];
        batch[n] = (struct mig_asset){key_of(first + i), set, 3, values[n], VALUE};
        if (++n == MIG_ASSET_BATCH_MAX || i + 1 == total) {
            need(mig_assets_put(a, batch, n) == MIG_OK, "a put failed");
            n = 0;
        }
    }
    return now_ms() - start;
}

/* The tables are never written to again, so other names of them suffice. */
static const char *copy_of(const char *from)
{
    static char path[400], command[3000];
    (void)snprintf(path, sizeof path, "%s/copy", base);
    (void)snprintf(command, sizeof command, "rm -rf '%s' && cp -al '%s' '%s' && rm '%s/keys' && cp '%s/keys' '%s/keys'",
                   path, from, path, path, from, path);
    need(system(command) == 0, "a copy failed");
    return path;
}

static double purge_ms(const char *from)
{
    struct mig_assets_stats before, after;
    struct mig_assets *a = open_store(copy_of(from));
    mig_assets_stats(a, &before);
    double start = now_ms();
    need(mig_assets_purge(a, gone, 1) == MIG_OK, "a purge failed");
    double took = now_ms() - start;
    mig_assets_stats(a, &after);
    need(before.triples + before.presignatures - after.triples - after.presignatures == CONCERNED, "the purge took others");
    mig_assets_close(&a);
    return took;
}

/* Numbers of the sets with the one who leaves. */
static size_t sets_with_gone(struct mig_engine *engine, uint32_t *sets)
{
    struct mig_asset_at from = mig_asset_at_set(0), to = mig_asset_at_set(MIG_ASSET_SET_LAST);
    struct mig_engine_cursor *c = mig_engine_cursor_new(engine, mig_asset_at(&from), mig_asset_at(&to));
    struct mig_bytes key, value;
    size_t n = 0;
    while (mig_engine_cursor_next(c, &key, &value) == MIG_OK) {
        uint32_t slot, ids[MIG_ASSET_PARTICIPANTS_MAX];
        size_t count;
        const uint8_t *p = key.bytes;
        need(mig_asset_set_parse(value, &slot, ids, &count) == MIG_OK, "a set record");
        if (ids[count - 1] == GONE)
            sets[n++] = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    }
    mig_engine_cursor_free(&c);
    return n;
}

static struct mig_engine *open_raw(const char *from)
{
    struct mig_engine *engine;
    char path[500];
    (void)snprintf(path, sizeof path, "%s/db", copy_of(from));
    need(mig_engine_open(path, NULL, &engine) == MIG_OK, "the engine does not open");
    return engine;
}

static double raw_ms(const char *from)
{
    uint32_t sets[64];
    struct mig_engine *engine = open_raw(from);
    size_t n = sets_with_gone(engine, sets);
    double start = now_ms();
    struct mig_engine_batch *batch = mig_engine_batch_new();
    for (size_t i = 0; i < n; i++) {
        struct mig_asset_at a = mig_asset_at_range(sets[i]), b = mig_asset_at_range(sets[i] + 1);
        mig_engine_batch_remove_range(batch, mig_asset_at(&a), mig_asset_at(&b));
    }
    need(mig_engine_commit(engine, batch, true) == MIG_OK, "a commit failed");
    double took = now_ms() - start;
    mig_engine_batch_free(&batch);
    mig_engine_close(&engine);
    return took;
}

static double scan_ms(const char *from)
{
    static bool doomed[1 << 16];
    uint32_t sets[64];
    struct mig_engine *engine = open_raw(from);
    size_t n = sets_with_gone(engine, sets), removed = 0;
    for (size_t i = 0; i < n; i++)
        doomed[sets[i]] = true;
    double start = now_ms();
    struct mig_asset_at a = mig_asset_at_range(0), b = mig_asset_at_range(MIG_ASSET_SET_LAST);
    struct mig_engine_cursor *c = mig_engine_cursor_new(engine, mig_asset_at(&a), mig_asset_at(&b));
    struct mig_engine_batch *batch = mig_engine_batch_new();
    struct mig_bytes key, value;
    while (mig_engine_cursor_next(c, &key, &value) == MIG_OK) {
        if (!doomed[mig_asset_set_of(key, value)])
            continue;
        mig_engine_batch_remove(batch, key);
        removed++;
    }
    need(mig_engine_commit(engine, batch, true) == MIG_OK, "a commit failed");
    double took = now_ms() - start;
    need(removed == CONCERNED, "the scan found others");
    mig_engine_batch_free(&batch);
    mig_engine_cursor_free(&c);
    mig_engine_close(&engine);
    return took;
}

/* ---- takes ------------------------------------------------------------- */

struct taker {
    struct mig_assets *assets;
    uint64_t first;
};

static void *take_some(void *arg)
{
    struct taker *t = arg;
    uint8_t value[VALUE + 64];
    size_t len;
    for (uint64_t i = 0; i < TAKES; i++) {
        struct mig_asset_key key = key_of(t->first + i);
        need(mig_assets_take(t->assets, &key, value, sizeof value, &len, NULL) == MIG_OK, "a take failed");
    }
    return NULL;
}

static void takes(struct mig_assets *a)
{
    static uint32_t all[PARTICIPANTS];
    uint8_t value[VALUE + 64];
    size_t len;
    struct taker one = {a, 1000}, many[THREADS];
    pthread_t threads[THREADS];
    double start = now_ms();
    (void)take_some(&one);
    printf("take_per_s %.0f /s\n", TAKES / (now_ms() - start) * 1e3);
    start = now_ms();
    for (size_t i = 0; i < THREADS; i++) {
        many[i] = (struct taker){a, 100000 + i * TAKES};
        need(pthread_create(&threads[i], NULL, take_some, &many[i]) == 0, "a thread");
    }
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    printf("take_4_threads_per_s %.0f /s\n", THREADS * TAKES / (now_ms() - start) * 1e3);
    for (uint32_t i = 0; i < PARTICIPANTS; i++)
        all[i] = i;
    start = now_ms();
    for (int i = 0; i < TAKES; i++)
        need(mig_assets_take_any(a, MIG_ASSET_TRIPLE, 2, all, PARTICIPANTS, value, sizeof value, &len, NULL) == MIG_OK,
             "a take of any failed");
    printf("take_any_per_s %.0f /s\n", TAKES / (now_ms() - start) * 1e3);
}

/* ---- space ------------------------------------------------------------- */

static void space(const char *path, struct mig_assets *a, uint64_t total)
{
    need(mig_assets_purge(a, gone, 1) == MIG_OK, "a purge failed");
    printf("bytes_after_purge %.1f MiB\n", (double)disk_bytes(path) / 1048576);
    double start = now_ms();
    need(mig_assets_reclaim(a) == MIG_OK, "reclaiming failed");
    printf("reclaim_ms %.0f ms\n", now_ms() - start);
    printf("bytes_after_reclaim %.1f MiB\n", (double)disk_bytes(path) / 1048576);
    (void)insert(a, total, CONCERNED, CONCERNED);
    printf("bytes_after_refill %.1f MiB\n", (double)disk_bytes(path) / 1048576);
}

static double purges(const char *path, double *raw)
{
    double ours[ROUNDS], engines[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        engines[i] = raw_ms(path);
        ours[i] = purge_ms(path);
    }
    *raw = median(engines, ROUNDS);
    return median(ours, ROUNDS);
}

static double fill(const char *path, uint64_t total)
{
    struct mig_assets *a = open_store(path);
    double took = insert(a, 0, total, CONCERNED);
    /* Otherwise every copy would begin by paying the engine's debts. */
    need(mig_assets_reclaim(a) == MIG_OK, "reclaiming failed");
    mig_assets_close(&a);
    return took;
}

static void standard(const char *path)
{
    enum { TOTAL = 1000000 };
    double took = fill(path, TOTAL), raw;
    printf("insert_per_s %.0f /s\n", TOTAL / took * 1e3);
    printf("insert_peak_rss %.1f MiB\n", (double)peak_kib() / 1024);
    printf("bytes_full %.1f MiB\n", (double)disk_bytes(path) / 1048576);
    double ours = purges(path, &raw);
    printf("purge_ms %.2f ms\n", ours);
    printf("raw_ms %.2f ms\n", raw);
    printf("purge_vs_raw %.2f ratio\n", ours / raw);
    char kept[400];
    (void)snprintf(kept, sizeof kept, "%s-kept", path);
    need(rename(copy_of(path), kept) == 0, "a rename failed");
    struct mig_assets *a = open_store(path);
    takes(a);
    space(path, a, TOTAL);
    printf("peak_rss %.1f MiB\n", (double)peak_kib() / 1024);
    mig_assets_close(&a);
    double scan = scan_ms(kept); /* last: its batch is large */
    printf("scan_ms %.1f ms\n", scan);
    printf("purge_vs_scan %.4f ratio\n", ours / scan);
}

static void large(const char *path)
{
    char big[400];
    double raw, few, many;
    (void)snprintf(big, sizeof big, "%s-big", path);
    (void)fill(path, 1000000);
    few = purges(path, &raw);
    double took = fill(big, 10000000);
    printf("insert_10m_per_s %.0f /s\n", 10000000 / took * 1e3);
    printf("insert_10m_peak_rss %.1f MiB\n", (double)peak_kib() / 1024);
    many = purges(big, &raw);
    printf("purge_1m_ms %.2f ms\n", few);
    printf("purge_10m_ms %.2f ms\n", many);
    printf("purge_10m_vs_1m %.2f ratio\n", many / few);
}

int main(int argc, char **argv)
{
    char path[350], command[400];
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(base, sizeof base, "%s/mig-bench-XXXXXX", tmp != NULL ? tmp : "/var/tmp");
    need(mig_crypto_init() == MIG_OK && mkdtemp(base) != NULL, "cannot start");
    (void)snprintf(path, sizeof path, "%s/assets", base);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    make_sets();
    if (argc > 1 && strcmp(argv[1], "large") == 0)
        large(path);
    else
        standard(path);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", base);
    return system(command) == 0 ? 0 : 1;
}
