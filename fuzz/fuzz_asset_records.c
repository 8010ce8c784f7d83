/* SPDX-License-Identifier: MIT */
/*
 * Target: what store/asset_layout.h parses and opens. Whoever can write to the
 * disk chooses these records; all are read at every open or take. The first
 * byte chooses the sort, the rest is the record. What parses must format to
 * the same bytes; nothing that was not sealed here opens.
 */
#include <stdlib.h>
#include <string.h>

#include "store/asset_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_record(struct mig_bytes in)
{
    uint32_t slot, ids[MIG_ASSET_PARTICIPANTS_MAX];
    uint8_t again[MIG_ASSET_SET_RECORD_MAX];
    size_t count;
    if (mig_asset_set_parse(in, &slot, ids, &count) != MIG_OK)
        return;
    size_t len = mig_asset_set_format(slot, ids, count, again);
    if (len != in.len || memcmp(again, in.bytes, len) != 0 || !mig_asset_ids_are_proper(ids, count))
        abort();
}

static void meta_record(struct mig_bytes in)
{
    struct mig_asset_meta meta;
    uint8_t again[MIG_ASSET_META_LEN];
    if (mig_asset_meta_parse(in, &meta) != MIG_OK)
        return;
    mig_asset_meta_format(&meta, again);
    if (in.len != sizeof again || memcmp(again, in.bytes, sizeof again) != 0)
        abort();
}

static void record_key(struct mig_bytes in)
{
    uint32_t set;
    struct mig_asset_key key;
    struct mig_bytes value = {in.bytes, in.len < 4 ? in.len : 4};
    uint32_t owner = mig_asset_set_of(in, value);
    if (mig_asset_at_parse(in, &set, &key) != MIG_OK)
        return;
    struct mig_asset_at again = mig_asset_at_value(set, &key);
    if (owner != set || again.len != in.len || memcmp(again.bytes, in.bytes, in.len) != 0)
        abort();
}

static void sealed_value(struct mig_bytes in)
{
    static const uint8_t key[MIG_ASSET_SET_KEY_LEN] = {1, 2, 3};
    struct mig_asset_at at = mig_asset_at_range(1);
    size_t len;
    uint8_t *value = malloc(in.len + 1);
    if (value != NULL && mig_asset_open(key, mig_asset_at(&at), in, value, &len) == MIG_OK)
        abort();
    free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || mig_crypto_init() != MIG_OK)
        return 0;
    struct mig_bytes in = {data + 1, size - 1};
    switch (data[0] % 4) {
    case 0:
        set_record(in);
        break;
    case 1:
        meta_record(in);
        break;
    case 2:
        record_key(in);
        break;
    default:
        sealed_value(in);
    }
    return 0;
}
