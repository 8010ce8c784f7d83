/* SPDX-License-Identifier: MIT */
#ifndef MIG_CRYPTO_EXCHANGE_H
#define MIG_CRYPTO_EXCHANGE_H
/*
 * One X25519 exchange per backup or recovery (docs/protocol.md, "Encryption").
 * crypto_kx with the node as server and the service as client; the directional
 * key is then bound to the final context and the operator key:
 * BLAKE2b-256(key = directional session key,
 *             message = "mpc-migration-v1" || SHA-256(final context) || operator key).
 */
#include "crypto/secret.h"

enum mig_direction { MIG_BACKUP = 1, MIG_RECOVER = 2 }; /* backup: node to service */
enum mig_role { MIG_ROLE_NODE = 1, MIG_ROLE_SERVICE = 2 };

enum { MIG_SEALING_KEY_LEN = 32, MIG_OPERATOR_KEY_LEN = 32, MIG_OPERATOR_TAG_LEN = 8 };

struct mig_ephemeral {
    uint8_t public_key[MIG_KEY_LEN];
    struct mig_secret *secret; /* 32 bytes; wiped by mig_ephemeral_clear */
};

/* `pair->secret` is allocated when NULL, reused otherwise. */
enum mig_err mig_ephemeral_generate(struct mig_ephemeral *pair) MIG_MUST_USE;
/* Wipes and releases the secret half; zeroes the struct. */
void mig_ephemeral_clear(struct mig_ephemeral *pair);

/* Derives the sealing key into `key` (at least 32 bytes). `operator_key` is
 * NULL or 32 bytes. MIG_ERR_MALFORMED when the peer's key gives an all-zero
 * shared secret. Wipes every intermediate value. */
enum mig_err mig_exchange(const struct mig_ephemeral *own, enum mig_role role,
                          const uint8_t peer[MIG_KEY_LEN], enum mig_direction direction,
                          const char *final_context, size_t context_len,
                          const struct mig_secret *operator_key,
                          struct mig_secret *key) MIG_MUST_USE;

/* First 8 bytes of SHA-256("mpc-operator-key" || key). */
void mig_operator_tag(const struct mig_secret *operator_key, uint8_t tag[MIG_OPERATOR_TAG_LEN]);

/* SHA-256 (OpenSSL's: three times faster than libsodium's). */
void mig_sha256(const void *bytes, size_t len, uint8_t out[MIG_DIGEST_LEN]);

#endif
