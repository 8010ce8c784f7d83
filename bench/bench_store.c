/* SPDX-License-Identifier: MIT */
/*
 * The keyshare store against the disk it lies on: an import against two syncs
 * of as many bytes, in turns, so that both see the same disk; and a load, which
 * is on the way of every backup. Lines of `name value unit`.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/keystore.h"
#include "tests/views.h"

enum { ROUNDS = 400, LOADS = 20000, DOMAINS = 3, FILE_LEN = 600 };

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static double median_us(uint64_t *sample)
{
    qsort(sample, ROUNDS, sizeof *sample, by_value);
    return (double)sample[ROUNDS / 2] / 1000.0;
}

static void need(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench_store: %s\n", what);
    exit(1);
}

/* Appends `len` bytes and syncs, twice. */
static uint64_t two_syncs(int fd, const uint8_t *bytes, size_t len)
{
    uint64_t start = now_ns();
    for (int i = 0; i < 2; i++)
        need(write(fd, bytes, len) == (ssize_t)len && fsync(fd) == 0, "the disk fails");
    return now_ns() - start;
}

static uint64_t one_import(struct mig_keystore *store, uint64_t epoch)
{
    uint8_t shares[DOMAINS][MIG_SHARE_LEN];
    struct mig_receipt receipt;
    struct mig_keyset keyset = keyset_of(epoch, 0, DOMAINS);
    memset(shares, (int)epoch, sizeof shares);
    uint64_t start = now_ns();
    enum mig_err err =
        mig_keystore_import(store, &keyset, (const void *)shares, epoch, NULL, &receipt);
    uint64_t took = now_ns() - start;
    need(err == MIG_OK && !receipt.repeated, "an import failed");
    mig_keyset_clear(&keyset);
    return took;
}

static double load_us(struct mig_keystore *store, uint64_t epoch)
{
    uint8_t shares[DOMAINS][MIG_SHARE_LEN];
    struct mig_keyset keyset = keyset_of(epoch, 0, DOMAINS);
    uint64_t start = now_ns();
    for (int i = 0; i < LOADS; i++)
        need(mig_keystore_load(store, &keyset, shares) == MIG_OK, "a load failed");
    double took = (double)(now_ns() - start) / LOADS / 1000.0;
    mig_keyset_clear(&keyset);
    return took;
}

int main(void)
{
    static uint64_t imports[ROUNDS], syncs[ROUNDS];
    static uint8_t bytes[FILE_LEN];
    const char *why = "", *base = getenv("TMPDIR");
    char folder[256], file[300], command[320];
    struct mig_keystore *store;
    (void)snprintf(folder, sizeof folder, "%s/mig-bench-XXXXXX", base != NULL ? base : "/var/tmp");
    need(mig_crypto_init() == MIG_OK && mkdtemp(folder) != NULL, "cannot start");
    struct mig_secret *key = mig_secret_new(32);
    need(key != NULL &&
             mig_keystore_open(folder, MIG_KEYSTORE_NODE, key, "v1.signer", &store, &why) == MIG_OK,
         why);
    (void)snprintf(file, sizeof file, "%s/floor", folder);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    need(fd >= 0, "cannot create a file");

    for (uint64_t i = 0; i < ROUNDS; i++) {
        syncs[i] = two_syncs(fd, bytes, sizeof bytes);
        imports[i] = one_import(store, i + 1);
    }
    double import = median_us(imports), sync = median_us(syncs);
    printf("store_import_us_p50 %.1f us\n", import);
    printf("store_fsync2_us_p50 %.1f us\n", sync);
    printf("store_import_vs_fsync %.2f ratio\n", import / sync);
    printf("load_us %.2f us\n", load_us(store, ROUNDS));

    (void)close(fd);
    mig_keystore_close(&store);
    mig_secret_free(&key);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
