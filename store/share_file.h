/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_SHARE_FILE_H
#define MIG_STORE_SHARE_FILE_H
/*
 * The bytes of one stored keyset (docs/storage.md): a readable, authenticated
 * header and sealed shares. Pure: bytes in, struct out.
 *
 * The sealing key is derived from the store key and the whole header, which
 * holds a random value: every file has its own key, and shares moved under
 * another header do not open. The second half of the derivation is kept in the
 * file as a commitment, because the cipher alone does not commit to its key. An
 * unkeyed digest at the end tells damage from a wrong store key.
 */
#include "crypto/secret.h"

enum {
    MIG_SHARE_FILE_MAX = 256 * 1024, /* more than MIG_DOMAINS_MAX domains need */
    MIG_STORE_KEY_LEN = 32,
    MIG_STORE_KEY_ID_LEN = 16,
    MIG_SHARE_FILE_SCRATCH = 64, /* locked bytes that seal and open need */
};

struct mig_share_file {
    uint64_t sequence;                    /* grows with every import into a store */
    uint64_t imported_at;                 /* Unix seconds */
    uint8_t key_id[MIG_STORE_KEY_ID_LEN]; /* which store key sealed it */
    char contract[MIG_ACCOUNT_MAX + 1];
    uint8_t digest[MIG_DIGEST_LEN]; /* of the keyset, computed */
    struct mig_keyset keyset;       /* owned */
};
void mig_share_file_clear(struct mig_share_file *file);

/* Public name of a store key. */
void mig_store_key_id(const struct mig_secret *key, uint8_t id[MIG_STORE_KEY_ID_LEN]);

/* Structure and digest; authenticates nothing. Consumes all bytes or fails.
 * MIG_ERR_MALFORMED, MIG_ERR_NOMEM. */
enum mig_err mig_share_file_parse(const uint8_t *bytes, size_t len,
                                  struct mig_share_file *out) MIG_MUST_USE;

/* Seals into *bytes, which is the caller's (free). `contract`, `sequence`,
 * `imported_at` and `keyset` of `file` are used. MIG_ERR_MALFORMED for a keyset
 * that is empty, too large or not normalised. */
enum mig_err mig_share_file_seal(const struct mig_secret *key, const struct mig_share_file *file,
                                 const uint8_t (*shares)[MIG_SHARE_LEN], struct mig_secret *scratch,
                                 uint8_t **bytes, size_t *len) MIG_MUST_USE;

/* Authenticates the header and opens the shares of a file that parsed, with
 * `count` domains, in their order. MIG_ERR_DENIED, and zero shares, unless all of it verifies. */
enum mig_err mig_share_file_open(const struct mig_secret *key, const uint8_t *bytes, size_t len,
                                 struct mig_secret *scratch, uint8_t (*shares)[MIG_SHARE_LEN],
                                 size_t count) MIG_MUST_USE;

#endif
