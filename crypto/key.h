/* SPDX-License-Identifier: MIT */
#ifndef MIG_CRYPTO_KEY_H
#define MIG_CRYPTO_KEY_H
/*
 * ed25519 identities in NEAR's form. Identity keys sign and never take part in
 * a key exchange (docs/protocol.md, "Keys").
 */
#include "crypto/secret.h"

enum {
    MIG_SIG_LEN = 64,
    MIG_SEED_LEN = 32,
    MIG_KEY_TEXT_MAX = 56,         /* "ed25519:" + base58 of 32 bytes + NUL */
    MIG_SECRET_KEY_TEXT_MAX = 100, /* "ed25519:" + base58 of 64 bytes + NUL */
    MIG_GROUP_KEY_TEXT_MAX = 150,  /* "bls12381g2:" + base58 of 96 bytes + NUL */
    MIG_KEY_FILE_MAX = 4096,
};

struct mig_identity {
    uint8_t public_key[MIG_KEY_LEN];
    struct mig_secret *secret;         /* 64 bytes: seed || public key */
    char account[MIG_ACCOUNT_MAX + 1]; /* account_id of a near-credentials file, else "" */
};

enum mig_err mig_identity_generate(struct mig_identity **out) MIG_MUST_USE;
enum mig_err mig_identity_from_seed(const uint8_t seed[MIG_SEED_LEN],
                                    struct mig_identity **out) MIG_MUST_USE;
/* Reads a key file: the NEAR secret key string "ed25519:<base58 of 64 bytes>"
 * (one trailing newline allowed), or a near-credentials JSON object with
 * account_id, public_key and private_key (or secret_key). The file must be a
 * regular file of this user (or root), not a link, with no access for group
 * and others (an access control list for this very user is well, as systemd
 * sets it on credentials), and seed and public key must belong together. In
 * the object every member is a string without escapes, none twice; members of
 * other names are ignored. `why`, when not
 * NULL, receives a static sentence that names the problem and the remedy.
 * MIG_ERR_NOT_FOUND, _DENIED (mode, owner, link), _MALFORMED, _IO, _NOMEM. */
enum mig_err mig_identity_load(const char *path, struct mig_identity **out,
                               const char **why) MIG_MUST_USE;
/* The parser behind it: `text` is the content of the file, in locked memory. */
enum mig_err mig_identity_parse(const uint8_t *text, size_t len, struct mig_identity **out,
                                const char **why) MIG_MUST_USE;
/* Creates the file (0600, fsync of file and directory) with the secret key
 * string; refuses to replace an existing one (MIG_ERR_CONFLICT). */
enum mig_err mig_identity_save(const char *path, const struct mig_identity *id) MIG_MUST_USE;
void mig_identity_free(struct mig_identity **id);

enum mig_err mig_identity_sign(const struct mig_identity *id, const void *msg, size_t len,
                               uint8_t sig[MIG_SIG_LEN]) MIG_MUST_USE;
/* True when `sig` is a valid, canonical ed25519 signature of `msg`. */
bool mig_signature_is_valid(const uint8_t key[MIG_KEY_LEN], const void *msg, size_t len,
                            const uint8_t sig[MIG_SIG_LEN]);

/* "ed25519:<base58>"; the prefix and the length must match exactly. */
enum mig_err mig_key_parse(const char *text, size_t len, uint8_t key[MIG_KEY_LEN]) MIG_MUST_USE;
void mig_key_format(const uint8_t key[MIG_KEY_LEN], char out[MIG_KEY_TEXT_MAX]);

/* Bytes of a group's public key: 64, 32 or 96; 0 for a number that is no curve. */
uint16_t mig_group_key_len(enum mig_curve curve);
/* "secp256k1:", "ed25519:" or "bls12381g2:" + base58. Sets curve, key_len and
 * key of `out` and nothing else. */
enum mig_err mig_group_key_parse(const char *text, size_t len,
                                 struct mig_domain_key *out) MIG_MUST_USE;
void mig_group_key_format(const struct mig_domain_key *key, char out[MIG_GROUP_KEY_TEXT_MAX]);

/* Reads a file of exactly 32 bytes written as 64 hex digits (one trailing
 * newline allowed) into locked memory; same rules for the file as above. */
enum mig_err mig_symmetric_key_load(const char *path, struct mig_secret **out,
                                    const char **why) MIG_MUST_USE;
enum mig_err mig_symmetric_key_save(const char *path, const struct mig_secret *key) MIG_MUST_USE;

#endif
