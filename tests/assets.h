/* SPDX-License-Identifier: MIT */
#ifndef MIG_TESTS_ASSETS_H
#define MIG_TESTS_ASSETS_H
/* What the tests of the asset store share: small assets made of a number. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/mpc_assets.h"
#include "tests/harness.h"

static const uint8_t store_key[MIG_KEY_LEN] = {7, 7, 7};
enum { ASSET_LEN = 100 };

/* A fresh path below the test's folder; not created. */
static inline const char *fresh_path(void)
{
    static char path[512];
    static int n;
    (void)snprintf(path, sizeof path, "%s/assets-%d", test_dir(), n++);
    return path;
}

static inline struct mig_assets *open_assets(const char *path)
{
    struct mig_assets *a = NULL;
    const char *why = "";
    enum mig_err err = mig_assets_open(path, store_key, &a, &why);
    CU_ASSERT_EQUAL(err, MIG_OK);
    if (err != MIG_OK)
        printf("open: %s: %s\n", mig_err_text(err), why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    return a;
}

static inline struct mig_asset_key key_of(enum mig_asset_kind kind, uint64_t scope, uint32_t n)
{
    struct mig_asset_key key = {kind, scope, {0}};
    for (size_t i = 0; i < 4; i++)
        key.id[12 + i] = (uint8_t)(n >> 8 * (3 - i));
    return key;
}

static inline void value_of(const struct mig_asset_key *key, uint8_t value[ASSET_LEN])
{
    for (size_t i = 0; i < ASSET_LEN; i++)
        value[i] = (uint8_t)(key->id[12 + i % 4] + i + (size_t)key->kind * 31 + (size_t)key->scope);
}

static inline enum mig_err put(struct mig_assets *a, const struct mig_asset_key *key, const uint32_t *ids, size_t count)
{
    uint8_t value[ASSET_LEN];
    value_of(key, value);
    struct mig_asset asset = {*key, ids, count, value, sizeof value};
    return mig_assets_put(a, &asset, 1);
}

/* Checks the value too. */
static inline enum mig_err take(struct mig_assets *a, const struct mig_asset_key *key)
{
    uint8_t value[MIG_ASSET_VALUE_MAX], expected[ASSET_LEN];
    size_t len;
    enum mig_err err = mig_assets_take(a, key, value, sizeof value, &len, NULL);
    value_of(key, expected);
    bool right = err == MIG_OK ? len == sizeof expected && memcmp(value, expected, len) == 0 : len == 0;
    CU_ASSERT(right);
    return err;
}

static inline uint64_t held(struct mig_assets *a)
{
    struct mig_assets_stats stats;
    mig_assets_stats(a, &stats);
    return stats.triples + stats.presignatures;
}

#endif
