/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_ASSET_LAYOUT_H
#define MIG_STORE_ASSET_LAYOUT_H
/*
 * The records of the asset store (docs/storage.md, "Assets") and the sealing of
 * values. Pure: bytes in, bytes out. Keys of values begin with the participant
 * set, so that a purge removes ranges.
 */
#include "crypto/secret.h"
#include "include/mpc_assets.h"
#include "store/engine.h"

enum {
    MIG_ASSET_SET_KEY_LEN = 32,
    MIG_ASSET_NONCE_LEN = 24,
    MIG_ASSET_TAG_LEN = 16,
    MIG_ASSET_SEALED_MAX = MIG_ASSET_NONCE_LEN + MIG_ASSET_VALUE_MAX + MIG_ASSET_TAG_LEN,
    MIG_ASSET_SET_RECORD_MAX = 8 + 4 * MIG_ASSET_PARTICIPANTS_MAX,
    MIG_ASSET_META_LEN = 16 + 4,
    MIG_ASSET_SETS_MAX = 16384,   /* at a time */
    MIG_ASSET_SET_LAST = 0xfffffff0, /* the last number a set may ever have */
};

/* A record's key. */
struct mig_asset_at {
    uint8_t bytes[MIG_ENGINE_KEY_MAX];
    size_t len;
};
static inline struct mig_bytes mig_asset_at(const struct mig_asset_at *at)
{
    return (struct mig_bytes){at->bytes, at->len};
}

struct mig_asset_at mig_asset_at_meta(void);
struct mig_asset_at mig_asset_at_set(uint32_t set);   /* set + 1: the end of the range */
struct mig_asset_at mig_asset_at_range(uint32_t set); /* where its values begin */
struct mig_asset_at mig_asset_at_scope(uint32_t set, enum mig_asset_kind kind, uint64_t scope);
struct mig_asset_at mig_asset_at_value(uint32_t set, const struct mig_asset_key *key);
struct mig_asset_at mig_asset_at_index(const struct mig_asset_key *key);
struct mig_asset_at mig_asset_at_count(uint32_t set, enum mig_asset_kind kind);

/* The key and set in a value's key. MIG_ERR_MALFORMED: it is none. */
enum mig_err mig_asset_at_parse(struct mig_bytes at, uint32_t *set, struct mig_asset_key *key) MIG_MUST_USE;
/* The set that a record belongs to; 0 when it belongs to none. */
uint32_t mig_asset_set_of(struct mig_bytes at, struct mig_bytes value);

struct mig_asset_meta {
    uint8_t store_id[16];
    uint32_t next_set;
};
void mig_asset_meta_format(const struct mig_asset_meta *meta, uint8_t out[MIG_ASSET_META_LEN]);
enum mig_err mig_asset_meta_parse(struct mig_bytes bytes, struct mig_asset_meta *out) MIG_MUST_USE;

/* Set record: slot of its key and participants. Formats at most
 * MIG_ASSET_SET_RECORD_MAX bytes, gives the length. */
size_t mig_asset_set_format(uint32_t slot, const uint32_t *ids, size_t count, uint8_t *out);
/* `ids` has room for MIG_ASSET_PARTICIPANTS_MAX. */
enum mig_err mig_asset_set_parse(struct mig_bytes bytes, uint32_t *slot, uint32_t *ids,
                                 size_t *count) MIG_MUST_USE;
/* Ascending, unique, at least one, not too many. */
bool mig_asset_ids_are_proper(const uint32_t *ids, size_t count);
bool mig_asset_key_is_proper(const struct mig_asset_key *key);

/* out: nonce || sealed || tag, len + MIG_ASSET_NONCE_LEN + MIG_ASSET_TAG_LEN
 * bytes. `at`, the whole key, is authenticated with it. */
void mig_asset_seal(const uint8_t key[MIG_ASSET_SET_KEY_LEN], struct mig_bytes at, const uint8_t *value,
                    size_t len, uint8_t *out);
/* `value` has room for sealed.len bytes less nonce and tag; zeroed on failure.
 * MIG_ERR_MALFORMED: it is not what was sealed there. */
enum mig_err mig_asset_open(const uint8_t key[MIG_ASSET_SET_KEY_LEN], struct mig_bytes at,
                            struct mig_bytes sealed, uint8_t *value, size_t *len) MIG_MUST_USE;

#endif
