/* SPDX-License-Identifier: MIT */
#ifndef MIG_AUTH_DIGEST_H
#define MIG_AUTH_DIGEST_H
/* Content-Digest (RFC 9530), sha-256, computed as the body streams. */
#include "auth/message.h"

struct mig_digest; /* one running digest; reusable */
enum mig_err mig_digest_new(struct mig_digest **out) MIG_MUST_USE;
enum mig_err mig_digest_reset(struct mig_digest *digest) MIG_MUST_USE;
enum mig_err mig_digest_add(struct mig_digest *digest, const void *bytes, size_t len) MIG_MUST_USE;
enum mig_err mig_digest_end(struct mig_digest *digest, uint8_t out[MIG_DIGEST_LEN]) MIG_MUST_USE;
void mig_digest_free(struct mig_digest **digest);

/* The sha-256 member of a Content-Digest value; other algorithms are ignored.
 * MIG_ERR_MALFORMED when it does not parse or there is no sha-256. */
enum mig_err mig_digest_field_parse(struct mig_text value, uint8_t out[MIG_DIGEST_LEN]) MIG_MUST_USE;
enum { MIG_DIGEST_FIELD_LEN = 56 }; /* "sha-256=:" + 44 + ":" + NUL, with room */
void mig_digest_field_format(const uint8_t digest[MIG_DIGEST_LEN], char out[MIG_DIGEST_FIELD_LEN]);

#endif
