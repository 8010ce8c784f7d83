/* SPDX-License-Identifier: MIT */
#ifndef MIG_CRYPTO_KEYSET_H
#define MIG_CRYPTO_KEYSET_H
/*
 * A keyset's identity and its plaintext shares (docs/protocol.md, "Context"
 * and "Encryption"). Epoch alone never identifies anything.
 */
#include "crypto/secret.h"

/* Orders `keyset->domains` by id. MIG_ERR_MALFORMED for a duplicate domain, a
 * curve or key length that do not fit, or more than MIG_DOMAINS_MAX. */
enum mig_err mig_keyset_normalise(struct mig_keyset *keyset) MIG_MUST_USE;
/* Deep copy into *out, which the caller releases with mig_keyset_clear.
 * MIG_ERR_MALFORMED for more than MIG_DOMAINS_MAX. */
enum mig_err mig_keyset_copy(const struct mig_keyset *from, struct mig_keyset *out) MIG_MUST_USE;
void mig_keyset_clear(struct mig_keyset *keyset);
bool mig_keyset_is_equal(const struct mig_keyset *a, const struct mig_keyset *b);

/* SHA-256 over "mpc-keyset-v1" || u16 length || contract id || epoch u64 ||
 * n u32 || per domain: domain u64 || attempt u64 || curve u8 || u16 length ||
 * public key; all big-endian. `keyset` must be normalised. */
void mig_keyset_digest(const char *contract, const struct mig_keyset *keyset,
                       uint8_t digest[MIG_DIGEST_LEN]);

/* Plaintext of a container: u32 count, then per domain ascending: epoch u64 ||
 * domain u64 || attempt u64 || curve u8 || u16 length || public key || u32
 * length || share. */
size_t mig_shares_plain_len(const struct mig_keyset *keyset);
/* `shares`: keyset->count scalars in domain order. `out` must hold
 * mig_shares_plain_len bytes. MIG_ERR_MALFORMED for a share that no one could
 * restore (zero or not reduced), MIG_ERR_BUG for an empty keyset. */
enum mig_err mig_shares_encode(const struct mig_keyset *keyset,
                               const uint8_t (*shares)[MIG_SHARE_LEN], struct mig_secret *out,
                               size_t *out_len) MIG_MUST_USE;

enum mig_shares_verdict {
    MIG_SHARES_MATCH = 0,
    MIG_SHARES_WRONG_KEY,  /* all ids match, but a public key or curve differs */
    MIG_SHARES_INCOMPLETE, /* anything else: does not parse, other set, share zero or not reduced */
};
/* Parses `plain` fully against the normalised `keyset` (an empty one matches
 * nothing); allocates nothing. On MATCH, `shares` (locked, count *
 * 32 bytes) holds the scalars in domain order; otherwise it is wiped. */
enum mig_shares_verdict mig_shares_decode(const uint8_t *plain, size_t plain_len,
                                          const struct mig_keyset *keyset,
                                          struct mig_secret *shares);
/* True for a scalar that is non-zero and below the group order of the curve. */
bool mig_share_is_reduced(enum mig_curve curve, const uint8_t share[MIG_SHARE_LEN]);

#endif
