/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_TX_H
#define MIG_CHAIN_TX_H
/*
 * NEAR transactions: borsh bytes, hash and ed25519 signature. Version 0 of the
 * format, function calls and function-call access keys: all that migration
 * needs. Pure.
 */
#include "crypto/key.h"

enum {
    MIG_HASH_TEXT_MAX = 45,            /* base58 of 32 bytes, with the NUL */
    MIG_TX_ARGS_MAX = 4 * 1024 * 1024, /* bytes of a call's arguments */
    MIG_TX_ACTIONS_MAX = 100,
};

struct mig_u128 {
    uint64_t high, low;
};

enum mig_action_kind {
    MIG_ACTION_CALL = 2,   /* FunctionCall; the numbers are borsh's */
    MIG_ACTION_ADD_KEY = 5, /* AddKey, of a function-call key */
};

/* All pointers are borrowed. */
struct mig_action {
    enum mig_action_kind kind;
    union {
        struct {
            const char *method;
            const void *args;
            size_t args_len;
            uint64_t gas;
            struct mig_u128 deposit; /* yocto */
        } call;
        struct {
            uint8_t key[MIG_KEY_LEN];
            uint64_t nonce;
            bool has_allowance;
            struct mig_u128 allowance; /* yocto */
            const char *receiver;
            const char *const *methods; /* none: any method of the receiver */
            size_t method_count;
        } add_key;
    };
};

struct mig_tx {
    const char *signer;
    uint8_t key[MIG_KEY_LEN]; /* the access key that signs */
    uint64_t nonce;
    const char *receiver;
    uint8_t block_hash[32]; /* of a final block; the transaction lives 86 400 blocks from it */
    const struct mig_action *actions;
    size_t action_count;
};

/* borsh of the unsigned transaction, and its SHA-256: what is signed, and the
 * transaction's name. The caller frees *out. MIG_ERR_MALFORMED for accounts
 * that are none or sizes over the limits, MIG_ERR_NOMEM. */
enum mig_err mig_tx_encode(const struct mig_tx *tx, uint8_t **out, size_t *out_len,
                           uint8_t hash[MIG_DIGEST_LEN]) MIG_MUST_USE;
/* Likewise with the signature behind it: the bytes that are sent. Takes
 * tx->key from `id`. */
enum mig_err mig_tx_sign(const struct mig_tx *tx, const struct mig_identity *id, uint8_t **out,
                         size_t *out_len, uint8_t hash[MIG_DIGEST_LEN]) MIG_MUST_USE;

/* Base58 of a 32-byte hash, and back. */
void mig_hash_format(const uint8_t hash[MIG_DIGEST_LEN], char out[MIG_HASH_TEXT_MAX]);
enum mig_err mig_hash_parse(const char *text, uint8_t hash[MIG_DIGEST_LEN]) MIG_MUST_USE;

#endif
