/* SPDX-License-Identifier: MIT */
/*
 * Big-endian, first byte the sort of record:
 *   'A' set u32, kind u8, scope u64, id 16   -> nonce 24 || sealed || tag 16
 *   'C' set u32, kind u8                     -> how many (the engine's counter)
 *   'I' kind u8, scope u64, id 16            -> set u32
 *   'M'                                      -> store id 16, next set u32
 *   'S' set u32                              -> slot u32, n u32, n * id u32
 */
#include "store/asset_layout.h"

#include <sodium.h>
#include <string.h>

enum { VALUE_KEY = 1 + 4 + 1 + 8 + MIG_ASSET_ID_LEN, INDEX_KEY = VALUE_KEY - 4 };
_Static_assert((int)VALUE_KEY <= (int)MIG_ENGINE_KEY_MAX, "a key fits");
_Static_assert(MIG_ASSET_NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES &&
                   MIG_ASSET_TAG_LEN == crypto_aead_xchacha20poly1305_ietf_ABYTES &&
                   MIG_ASSET_SET_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "the cipher's");

static uint64_t number(const uint8_t *bytes, size_t len)
{
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++)
        v = v << 8 | bytes[i];
    return v;
}

static void write_number(uint8_t *out, uint64_t v, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(v >> 8 * (len - 1 - i));
}

static void append(struct mig_asset_at *at, uint64_t v, size_t len)
{
    write_number(at->bytes + at->len, v, len);
    at->len += len;
}

static struct mig_asset_at begin(char sort)
{
    struct mig_asset_at at = {{0}, 0};
    append(&at, (uint8_t)sort, 1);
    return at;
}

static void append_key(struct mig_asset_at *at, const struct mig_asset_key *key)
{
    append(at, (uint64_t)key->kind, 1);
    append(at, key->scope, 8);
    memcpy(at->bytes + at->len, key->id, sizeof key->id);
    at->len += sizeof key->id;
}

struct mig_asset_at mig_asset_at_meta(void)
{
    return begin('M');
}

struct mig_asset_at mig_asset_at_set(uint32_t set)
{
    struct mig_asset_at at = begin('S');
    append(&at, set, 4);
    return at;
}

struct mig_asset_at mig_asset_at_range(uint32_t set)
{
    struct mig_asset_at at = begin('A');
    append(&at, set, 4);
    return at;
}

struct mig_asset_at mig_asset_at_scope(uint32_t set, enum mig_asset_kind kind, uint64_t scope)
{
    struct mig_asset_at at = mig_asset_at_range(set);
    append(&at, (uint64_t)kind, 1);
    append(&at, scope, 8);
    return at;
}

struct mig_asset_at mig_asset_at_value(uint32_t set, const struct mig_asset_key *key)
{
    struct mig_asset_at at = mig_asset_at_range(set);
    append_key(&at, key);
    return at;
}

struct mig_asset_at mig_asset_at_index(const struct mig_asset_key *key)
{
    struct mig_asset_at at = begin('I');
    append_key(&at, key);
    return at;
}

struct mig_asset_at mig_asset_at_count(uint32_t set, enum mig_asset_kind kind)
{
    struct mig_asset_at at = begin('C');
    append(&at, set, 4);
    append(&at, (uint64_t)kind, 1);
    return at;
}

bool mig_asset_key_is_proper(const struct mig_asset_key *key)
{
    return key->kind == MIG_ASSET_TRIPLE || key->kind == MIG_ASSET_PRESIGNATURE;
}

enum mig_err mig_asset_at_parse(struct mig_bytes at, uint32_t *set, struct mig_asset_key *key)
{
    const uint8_t *p = at.bytes;
    *set = 0;
    memset(key, 0, sizeof *key);
    if (at.len != VALUE_KEY || p[0] != 'A')
        return MIG_ERR_MALFORMED;
    *set = (uint32_t)number(p + 1, 4);
    key->kind = (enum mig_asset_kind)p[5];
    key->scope = number(p + 6, 8);
    memcpy(key->id, p + 14, sizeof key->id);
    return mig_asset_key_is_proper(key) ? MIG_OK : MIG_ERR_MALFORMED;
}

uint32_t mig_asset_set_of(struct mig_bytes at, struct mig_bytes value)
{
    const uint8_t *p = at.bytes;
    if (at.len == VALUE_KEY && p[0] == 'A')
        return (uint32_t)number(p + 1, 4);
    if (at.len == INDEX_KEY && p[0] == 'I' && value.len == 4)
        return (uint32_t)number(value.bytes, 4);
    return 0;
}

/* ---- meta and sets ----------------------------------------------------- */

void mig_asset_meta_format(const struct mig_asset_meta *meta, uint8_t out[MIG_ASSET_META_LEN])
{
    memcpy(out, meta->store_id, sizeof meta->store_id);
    write_number(out + sizeof meta->store_id, meta->next_set, 4);
}

enum mig_err mig_asset_meta_parse(struct mig_bytes bytes, struct mig_asset_meta *out)
{
    const uint8_t *p = bytes.bytes;
    memset(out, 0, sizeof *out);
    if (bytes.len != MIG_ASSET_META_LEN)
        return MIG_ERR_MALFORMED;
    memcpy(out->store_id, p, sizeof out->store_id);
    out->next_set = (uint32_t)number(p + sizeof out->store_id, 4);
    return out->next_set > 0 ? MIG_OK : MIG_ERR_MALFORMED;
}

bool mig_asset_ids_are_proper(const uint32_t *ids, size_t count)
{
    if (count == 0 || count > MIG_ASSET_PARTICIPANTS_MAX)
        return false;
    for (size_t i = 1; i < count; i++)
        if (ids[i - 1] >= ids[i])
            return false;
    return true;
}

size_t mig_asset_set_format(uint32_t slot, const uint32_t *ids, size_t count, uint8_t *out)
{
    write_number(out, slot, 4);
    write_number(out + 4, count, 4);
    for (size_t i = 0; i < count; i++)
        write_number(out + 8 + 4 * i, ids[i], 4);
    return 8 + 4 * count;
}

enum mig_err mig_asset_set_parse(struct mig_bytes bytes, uint32_t *slot, uint32_t *ids, size_t *count)
{
    const uint8_t *p = bytes.bytes;
    *slot = 0;
    *count = 0;
    if (bytes.len < 8 || bytes.len > MIG_ASSET_SET_RECORD_MAX)
        return MIG_ERR_MALFORMED;
    size_t n = (size_t)number(p + 4, 4);
    if (bytes.len != 8 + 4 * n)
        return MIG_ERR_MALFORMED;
    for (size_t i = 0; i < n; i++)
        ids[i] = (uint32_t)number(p + 8 + 4 * i, 4);
    if (!mig_asset_ids_are_proper(ids, n))
        return MIG_ERR_MALFORMED;
    *slot = (uint32_t)number(p, 4);
    *count = n;
    return MIG_OK;
}

/* ---- sealing ----------------------------------------------------------- */

void mig_asset_seal(const uint8_t key[MIG_ASSET_SET_KEY_LEN], struct mig_bytes at, const uint8_t *value,
                    size_t len, uint8_t *out)
{
    mig_random(out, MIG_ASSET_NONCE_LEN);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + MIG_ASSET_NONCE_LEN, NULL, value, len, at.bytes,
                                                     at.len, NULL, out, key);
}

enum mig_err mig_asset_open(const uint8_t key[MIG_ASSET_SET_KEY_LEN], struct mig_bytes at,
                            struct mig_bytes sealed, uint8_t *value, size_t *len)
{
    const uint8_t *p = sealed.bytes;
    *len = 0;
    if (sealed.len < MIG_ASSET_NONCE_LEN + MIG_ASSET_TAG_LEN)
        return MIG_ERR_MALFORMED;
    size_t plain = sealed.len - MIG_ASSET_NONCE_LEN - MIG_ASSET_TAG_LEN;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(value, NULL, NULL, p + MIG_ASSET_NONCE_LEN,
                                                   sealed.len - MIG_ASSET_NONCE_LEN, at.bytes, at.len, p,
                                                   key) != 0) {
        mig_wipe(value, plain);
        return MIG_ERR_MALFORMED;
    }
    *len = plain;
    return MIG_OK;
}
