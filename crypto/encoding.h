/* SPDX-License-Identifier: MIT */
#ifndef MIG_CRYPTO_ENCODING_H
#define MIG_CRYPTO_ENCODING_H
/*
 * base58 (Bitcoin alphabet), base64 (RFC 4648 §4, padded), base64url (§5,
 * unpadded) and lower-case hex. Decoders take a length, consume all of it or
 * fail with MIG_ERR_MALFORMED, accept only the canonical form and never write
 * past `cap`. Encoders NUL-terminate and fail with MIG_ERR_BUG when `cap` is
 * too small. Not constant-time, except hex and base64 encoding: do not use
 * base58 for secrets outside key files.
 */
#include "include/mpc_migration.h"

enum {
    MIG_BASE58_INPUT_MAX =
        256, /* longest text (and binary) the base58 functions accept: cost is quadratic */
};
#define MIG_BASE64_LEN(n) ((((n) + 2u) / 3u) * 4u + 1u) /* with the NUL */
#define MIG_HEX_LEN(n) ((n)*2u + 1u)                    /* with the NUL */

enum mig_err mig_base58_encode(const uint8_t *in, size_t len, char *out, size_t cap) MIG_MUST_USE;
enum mig_err mig_base58_decode(const char *in, size_t in_len, uint8_t *out, size_t cap,
                               size_t *len) MIG_MUST_USE;
enum mig_err mig_base64_encode(const uint8_t *in, size_t len, char *out, size_t cap) MIG_MUST_USE;
enum mig_err mig_base64_decode(const char *in, size_t in_len, uint8_t *out, size_t cap,
                               size_t *len) MIG_MUST_USE;
enum mig_err mig_base64url_encode(const uint8_t *in, size_t len, char *out,
                                  size_t cap) MIG_MUST_USE;
enum mig_err mig_hex_encode(const uint8_t *in, size_t len, char *out, size_t cap) MIG_MUST_USE;
/* Accepts both cases. */
enum mig_err mig_hex_decode(const char *in, size_t in_len, uint8_t *out, size_t cap,
                            size_t *len) MIG_MUST_USE;

#endif
