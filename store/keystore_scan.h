/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_KEYSTORE_SCAN_H
#define MIG_STORE_KEYSTORE_SCAN_H
/*
 * What lies in a keystore's folder: files judged one by one, and the index of
 * the good ones. Used by store/keystore.c, which does the locking.
 */
#include "store/keystore.h"
#include "store/share_file.h"

enum { MIG_SHARE_NAME_LEN = 2 * MIG_DIGEST_LEN + sizeof ".shares" };
/* Lower-case hex of the digest + ".shares". */
void mig_share_file_name(const uint8_t digest[MIG_DIGEST_LEN], char name[MIG_SHARE_NAME_LEN]);

struct mig_keystore_folder {
    int fd;
    const struct mig_secret *key; /* borrowed */
    uint8_t key_id[MIG_STORE_KEY_ID_LEN];
    char contract[MIG_ACCOUNT_MAX + 1];
    struct mig_secret *scratch; /* for the functions below: one call at a time */
    struct mig_secret *shares;  /* MIG_DOMAINS_MAX shares; what the last one opened: wipe it */
};

/* Reads, parses and opens one file. `folder->shares` holds its shares.
 * MIG_ERR_MALFORMED: damaged. MIG_ERR_DENIED: whole, but of another store key.
 * MIG_ERR_CONFLICT: whole, but of another contract. MIG_ERR_NOT_FOUND, _IO, _NOMEM.
 * *file and *bytes are the caller's on MIG_OK, empty otherwise. */
enum mig_err mig_keystore_examine(const struct mig_keystore_folder *folder, const char *name,
                                  struct mig_share_file *file, uint8_t **bytes,
                                  size_t *len) MIG_MUST_USE;
/* The same for the file of this digest, which the index has: anything wrong is MIG_ERR_IO. */
enum mig_err mig_keystore_read(const struct mig_keystore_folder *folder,
                               const uint8_t digest[MIG_DIGEST_LEN], struct mig_share_file *file,
                               uint8_t **bytes, size_t *len) MIG_MUST_USE;
/* Likewise, but leaves opening (and so authenticating) it to the caller, and
 * folder->scratch and folder->shares alone. */
enum mig_err mig_keystore_fetch(const struct mig_keystore_folder *folder,
                                const uint8_t digest[MIG_DIGEST_LEN], struct mig_share_file *file,
                                uint8_t **bytes, size_t *len) MIG_MUST_USE;

/* Moves the file into quarantine/, its bytes untouched. */
enum mig_err mig_keystore_set_aside(const struct mig_keystore_folder *folder,
                                    const char *name) MIG_MUST_USE;

struct mig_keystore_item {
    struct mig_receipt receipt;
    uint64_t sequence;
    bool readable;
};
struct mig_keystore_index {
    struct mig_keystore_item *items;
    size_t count, cap;
    size_t quarantined;
};
void mig_keystore_index_clear(struct mig_keystore_index *index);
/* Room for one more, so that adding it cannot fail. */
enum mig_err mig_keystore_index_reserve(struct mig_keystore_index *index) MIG_MUST_USE;
void mig_keystore_index_add(struct mig_keystore_index *index, const struct mig_keystore_item *item);
const struct mig_keystore_item *mig_keystore_index_find(const struct mig_keystore_index *index,
                                                        const uint8_t digest[MIG_DIGEST_LEN]);
void mig_keystore_index_remove(struct mig_keystore_index *index,
                               const uint8_t digest[MIG_DIGEST_LEN]);
/* The one imported last, or NULL. */
const struct mig_keystore_item *mig_keystore_index_current(const struct mig_keystore_index *index);
uint64_t
mig_keystore_index_epoch(const struct mig_keystore_index *index); /* the highest; 0 when empty */
uint64_t
mig_keystore_index_next(const struct mig_keystore_index *index); /* sequence of the next import */

/* Indexes every file named *.shares. An owner moves the damaged and misnamed
 * ones into quarantine/; a reader lists them as not readable. Other names are
 * left alone. A whole file of another key or contract ends the scan
 * (MIG_ERR_DENIED): that is a wrong configuration, not damage. */
enum mig_err mig_keystore_scan(struct mig_keystore_folder *folder, bool owner,
                               struct mig_keystore_index *index, const char **why) MIG_MUST_USE;

#endif
