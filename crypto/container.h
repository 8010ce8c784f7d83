/* SPDX-License-Identifier: MIT */
#ifndef MIG_CRYPTO_CONTAINER_H
#define MIG_CRYPTO_CONTAINER_H
/*
 * The sealed keyshare container, application/vnd.mpc.sealed-keyshares:
 * "MPCSEAL1" || secretstream header (24) || frames of u32 big-endian length ||
 * XChaCha20-Poly1305 message. Every frame but the last holds exactly 65 536
 * plaintext bytes with tag MESSAGE; the last 0..65 536 (0 only if alone) with
 * tag FINAL; nothing follows. Truncation, reordering, duplication and
 * extension all fail to open.
 */
#include "crypto/secret.h"

enum {
    MIG_SEALED_MAX = 256 * 1024, /* bytes of a container */
    MIG_SEALED_CHUNK = 65536,    /* plaintext bytes of a full frame */
};
#define MIG_SEALED_TYPE "application/vnd.mpc.sealed-keyshares"

/* Length of the container that holds `plain_len` bytes; 0 when it would be
 * longer than MIG_SEALED_MAX. */
size_t mig_sealed_len(size_t plain_len);
/* Longest plaintext a container of `sealed_len` bytes can hold. */
size_t mig_sealed_capacity(size_t sealed_len);

/* `key`: 32 bytes, used for this container only. `out` has `cap` >=
 * mig_sealed_len(plain_len) bytes. */
enum mig_err mig_container_seal(const struct mig_secret *key, const uint8_t *plain,
                                size_t plain_len, uint8_t *out, size_t cap,
                                size_t *out_len) MIG_MUST_USE;
/* Opens into `plain` (locked, large enough for mig_sealed_capacity). Yields
 * nothing, and wipes `plain`, unless every frame and FINAL verified:
 * MIG_ERR_MALFORMED otherwise. */
enum mig_err mig_container_open(const struct mig_secret *key, const uint8_t *in, size_t in_len,
                                struct mig_secret *plain, size_t *plain_len) MIG_MUST_USE;

#endif
