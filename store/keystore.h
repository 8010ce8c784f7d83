/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_KEYSTORE_H
#define MIG_STORE_KEYSTORE_H
/*
 * Keyshares on disk: one immutable sealed file per keyset digest and a pointer
 * to the newest, swapped atomically. Import is all or nothing, never replaces
 * a different share, never deletes by itself and refuses an older epoch. The
 * node's default store, and the file vault of the backup service.
 */
#include "crypto/secret.h"

struct mig_keystore;

/* Rules that differ between the two uses. */
enum mig_keystore_kind {
    MIG_KEYSTORE_NODE = 0,  /* refuses an epoch older than the newest it holds */
    MIG_KEYSTORE_VAULT = 1, /* keeps every keyset, whatever its epoch */
    MIG_KEYSTORE_READER =
        2, /* opens what is there beside a running owner: no lock, no writing,
              nothing created, moved or removed; files are immutable, so this is safe */
};

/* Opens (creates, 0700) the folder; takes the lock on it (a second process
 * gets MIG_ERR_STATE); removes stale temporary files; damaged or foreign files
 * are quarantined, never deleted. `key`: 32 bytes, borrowed until close.
 * `contract` goes into the digests. *why: a static sentence for the operator. */
enum mig_err mig_keystore_open(const char *folder, enum mig_keystore_kind kind,
                               const struct mig_secret *key, const char *contract,
                               struct mig_keystore **out, const char **why) MIG_MUST_USE;
void mig_keystore_close(struct mig_keystore **store);
/* Files moved to quarantine/ since the open, that included: report them. */
size_t mig_keystore_quarantined(const struct mig_keystore *store);

/* These three have the contract of the host functions in mpc_migration.h.
 * `shares` is locked memory of the caller. Any thread. An import of a keyset
 * whose file no longer opens sets that file aside and is a first import. */
enum mig_err mig_keystore_load(struct mig_keystore *store, const struct mig_keyset *keyset,
                               uint8_t (*shares)[MIG_SHARE_LEN]) MIG_MUST_USE;
enum mig_err mig_keystore_import(struct mig_keystore *store, const struct mig_keyset *keyset,
                                 const uint8_t (*shares)[MIG_SHARE_LEN], uint64_t now,
                                 const struct mig_fence *fence,
                                 struct mig_receipt *receipt) MIG_MUST_USE;
enum mig_err mig_keystore_receipt(struct mig_keystore *store, const struct mig_keyset *keyset,
                                  struct mig_receipt *receipt) MIG_MUST_USE;

/* One file per entry, newest epoch first; *list is the caller's (free). */
struct mig_keystore_entry {
    struct mig_receipt receipt;
    bool current;  /* the pointer names it */
    bool readable; /* it opens under the key and its digest fits */
};
enum mig_err mig_keystore_list(struct mig_keystore *store, struct mig_keystore_entry **list,
                               size_t *count) MIG_MUST_USE;
/* The keyset (ids and public keys) of the entry with this digest; clear it
 * with mig_keyset_clear. Opens and checks the whole file. */
enum mig_err mig_keystore_keyset(struct mig_keystore *store, const uint8_t digest[MIG_DIGEST_LEN],
                                 struct mig_keyset *out) MIG_MUST_USE;
/* Proves that the folder takes a durable write now (create, fsync, remove). */
enum mig_err mig_keystore_probe(struct mig_keystore *store) MIG_MUST_USE;

#endif
