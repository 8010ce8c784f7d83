/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_ASSET_KEYS_H
#define MIG_STORE_ASSET_KEYS_H
/*
 * The file of the participant sets' sealing keys: outside the engine, because a
 * key that was destroyed must not live on in a log or an older table. Slots are
 * overwritten in place and never straddle a sector, so a slot holds its old or
 * its new content. Not safe for threads, except mig_asset_keys_mark.
 */
#include <pthread.h>

#include "store/asset_layout.h"

struct mig_asset_keys {
    int fd;
    uint8_t store_id[16];
    struct mig_secret *wrap; /* wraps the sets' keys */
    uint32_t slots;          /* in the file */
    uint8_t *used;           /* per slot, MIG_ASSET_SETS_MAX */
    pthread_mutex_t marking; /* mark */
    uint64_t mark;
};

/* Writes a new file with no slots, durably. MIG_ERR_CONFLICT: there is one. */
enum mig_err mig_asset_keys_create(int folder, const char *name, const struct mig_secret *key) MIG_MUST_USE;
/* MIG_ERR_NOT_FOUND. MIG_ERR_MALFORMED: damaged, truncated or not ours.
 * MIG_ERR_DENIED: whole, but of another store key. Close it in any case but those. */
enum mig_err mig_asset_keys_open(int folder, const char *name, const struct mig_secret *key,
                                 struct mig_asset_keys *out) MIG_MUST_USE;
void mig_asset_keys_close(struct mig_asset_keys *keys);

/* A set's identity, which its wrapped key is bound to. */
struct mig_asset_set_name {
    uint32_t set;
    const uint32_t *ids;
    size_t count;
};
/* A new random key for the set, wrapped into a free slot, durable when it returns.
 * MIG_ERR_STATE: no slot is free. */
enum mig_err mig_asset_keys_add(struct mig_asset_keys *keys, const struct mig_asset_set_name *name,
                                uint8_t key[MIG_ASSET_SET_KEY_LEN], uint32_t *slot) MIG_MUST_USE;
/* The set's key; counts the slot as used. MIG_ERR_NOT_FOUND: it was destroyed.
 * MIG_ERR_MALFORMED: it does not open. MIG_ERR_CONFLICT: no such slot, or used by another. */
enum mig_err mig_asset_keys_load(struct mig_asset_keys *keys, const struct mig_asset_set_name *name,
                                 uint32_t slot, uint8_t key[MIG_ASSET_SET_KEY_LEN]) MIG_MUST_USE;
/* Overwrites these slots and syncs. They stay used until mig_asset_keys_release. */
enum mig_err mig_asset_keys_destroy(struct mig_asset_keys *keys, const uint32_t *slots,
                                    size_t count) MIG_MUST_USE;
void mig_asset_keys_release(struct mig_asset_keys *keys, uint32_t slot);

/* Notes that the engine has got at least this far, durably. Best effort, and
 * no sync: it catches a log that was cut short, not every power cut. */
void mig_asset_keys_mark(struct mig_asset_keys *keys, uint64_t sequence);

#endif
