/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_keystore_open over a folder of hostile files. Input: records of
 * one byte name, two bytes length, contents. However they look, opening gives
 * an answer, no file is lost (it stays or is in quarantine) and the good
 * keyset that was there before is still served.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/exchange.h"
#include "store/keystore.h"
#include "tests/views.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[128];
static struct mig_secret *key;
static struct mig_keyset good;
static const uint8_t shares[2][MIG_SHARE_LEN] = {{1}, {2}};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void clear_folder(void)
{
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void start(void)
{
    if (key == NULL) {
        if (mig_crypto_init() != MIG_OK)
            abort();
        key = mig_secret_new(32);
        good = keyset_of(5, 0, 2);
        (void)snprintf(folder, sizeof folder, "%s/mig-fuzz-%d",
                       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
        (void)atexit(clear_folder);
    }
    clear_folder();
}

static struct mig_keystore *open_store(enum mig_err *err)
{
    struct mig_keystore *store;
    const char *why;
    *err = mig_keystore_open(folder, MIG_KEYSTORE_NODE, key, "v1.signer", &store, &why);
    return store;
}

static size_t count_files(const char *sub)
{
    char path[160];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, sub);
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name);
        n += *sub != '\0' ? e->d_name[0] != '.'
                          : len > 7 && strcmp(e->d_name + len - 7, ".shares") == 0;
    }
    if (d != NULL)
        (void)closedir(d);
    return n;
}

static void plant(uint8_t name, const uint8_t *bytes, size_t len)
{
    char path[256];
    uint8_t *copy = malloc(len + 1);
    memcpy(copy, bytes, len);
    if (len > MIG_DIGEST_LEN && (name & 1) != 0) /* get past the digest */
        mig_sha256(copy, len - MIG_DIGEST_LEN, copy + len - MIG_DIGEST_LEN);
    (void)snprintf(path, sizeof path, "%s/%064x.shares", folder, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (fd >= 0 && write(fd, copy, len) < 0)
        abort();
    if (fd >= 0)
        (void)close(fd);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum mig_err err;
    struct mig_receipt receipt;
    uint8_t out[2][MIG_SHARE_LEN];
    start();
    struct mig_keystore *store = open_store(&err);
    if (err != MIG_OK || mig_keystore_import(store, &good, shares, 1, NULL, &receipt) != MIG_OK)
        abort();
    mig_keystore_close(&store);
    while (size >= 3) {
        size_t len = (size_t)data[1] << 8 | data[2];
        len = len < size - 3 ? len : size - 3;
        plant(data[0], data + 3, len);
        data += 3 + len;
        size -= 3 + len;
    }
    size_t before = count_files("");
    store = open_store(&err);
    if (err != MIG_OK && err != MIG_ERR_DENIED) /* DENIED: whole, of another key or contract */
        abort();
    if (before != count_files("") + count_files("quarantine"))
        abort();
    if (err == MIG_OK &&
        (mig_keystore_load(store, &good, out) != MIG_OK || memcmp(out, shares, sizeof out) != 0))
        abort();
    mig_keystore_close(&store);
    return 0;
}
