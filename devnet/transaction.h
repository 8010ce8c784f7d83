/* SPDX-License-Identifier: MIT */
#ifndef MIG_DEVNET_TRANSACTION_H
#define MIG_DEVNET_TRANSACTION_H
/*
 * A signed transaction as clients send it: borsh, version 0, ed25519. Decodes
 * what a migration's clients use (create account, function call, transfer, add
 * and delete key) and refuses the rest by name.
 */
#include "contract/print.h"
#include "crypto/key.h"

enum {
    MIG_DEVNET_TX_MAX = 1536 * 1024, /* bytes of a signed transaction */
    MIG_DEVNET_ACTIONS_MAX = 100,
    MIG_DEVNET_METHOD_MAX = 256, /* characters of a method name */
    MIG_DEVNET_KEY_METHODS = 16, /* method names of a function-call key */
    MIG_DEVNET_KEY_METHOD_MAX = 64,
    MIG_DEVNET_WHY_MAX = 256,
};

/* Flat: copied with its list. */
struct mig_devnet_key {
    char account[MIG_ACCOUNT_MAX + 1];
    uint8_t public_key[MIG_KEY_LEN];
    uint64_t nonce;
    bool full_access; /* the rest: function-call keys only */
    bool has_allowance;
    unsigned __int128 allowance;
    char receiver[MIG_ACCOUNT_MAX + 1];
    size_t method_count; /* 0: any method */
    char methods[MIG_DEVNET_KEY_METHODS][MIG_DEVNET_KEY_METHOD_MAX + 1];
};

/* Numbers are borsh's. */
enum mig_devnet_action_kind {
    MIG_DEVNET_CREATE_ACCOUNT = 0,
    MIG_DEVNET_FUNCTION_CALL = 2,
    MIG_DEVNET_TRANSFER = 3,
    MIG_DEVNET_ADD_KEY = 5,
    MIG_DEVNET_DELETE_KEY = 6,
};

struct mig_devnet_action {
    enum mig_devnet_action_kind kind;
    char method[MIG_DEVNET_METHOD_MAX + 1];
    const uint8_t *args; /* inside the transaction's bytes */
    size_t args_len;
    uint64_t gas;
    unsigned __int128 amount;  /* deposit or transfer */
    struct mig_devnet_key key; /* `account` is left empty */
};

struct mig_devnet_tx {
    uint8_t *bytes; /* own copy of the whole input */
    char signer[MIG_ACCOUNT_MAX + 1];
    char receiver[MIG_ACCOUNT_MAX + 1];
    uint8_t public_key[MIG_KEY_LEN];
    uint64_t nonce;
    uint8_t block_hash[MIG_DIGEST_LEN];
    size_t action_count;
    struct mig_devnet_action *actions;
    uint8_t signature[MIG_SIG_LEN];
    uint8_t hash[MIG_DIGEST_LEN]; /* SHA-256 of the unsigned part */
};

/* Consumes all of `in` or fails with the reason in `why`; the signature is not
 * checked here. Release with mig_devnet_tx_clear. */
enum mig_err mig_devnet_tx_decode(const uint8_t *in, size_t len, struct mig_devnet_tx *tx,
                                  char why[MIG_DEVNET_WHY_MAX]) MIG_MUST_USE;
void mig_devnet_tx_clear(struct mig_devnet_tx *tx);

/* The JSON view of the transaction ("transaction" of an outcome). */
void mig_devnet_tx_format(struct mig_print *t, const struct mig_devnet_tx *tx);
/* Its actions alone, as a JSON array. */
void mig_devnet_actions_format(struct mig_print *t, const struct mig_devnet_tx *tx);
/* "FullAccess" or {"FunctionCall":{…}}. */
void mig_devnet_permission_format(struct mig_print *t, const struct mig_devnet_key *key);
void mig_devnet_amount_format(struct mig_print *t, unsigned __int128 amount);    /* quoted */
void mig_devnet_base58(struct mig_print *t, const uint8_t *bytes, size_t len);   /* quoted */
void mig_devnet_base64(struct mig_print *t, const uint8_t *bytes, size_t len);   /* quoted */
void mig_devnet_key_format(struct mig_print *t, const uint8_t key[MIG_KEY_LEN]); /* quoted */

#endif
