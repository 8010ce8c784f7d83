/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_ENVELOPE_H
#define MIG_CHAIN_ENVELOPE_H
/*
 * NEAR JSON-RPC answers, from bytes to values. Failures come in three forms
 * and all end in a struct mig_rpc_error: an `error` member inside the result
 * (contract panics, unknown access key), a structured handler error with a
 * named cause, and request errors. Pure.
 */
#include "chain/tx.h"
#include "chain/view.h"

enum {
    MIG_REASON_MAX = 240, /* with the NUL; printable ASCII */
};

/* What went wrong, finer than enum mig_err. */
enum mig_fault {
    MIG_FAULT_NONE = 0,
    MIG_FAULT_CANCELLED,
    MIG_FAULT_TRANSPORT,       /* no connection, TLS, reset, ended early */
    MIG_FAULT_TIMEOUT,         /* ours, or the node's 408 */
    MIG_FAULT_ENDPOINT,        /* the endpoint refuses us or is overloaded: an HTTP status */
    MIG_FAULT_NONSENSE,        /* not JSON-RPC, too large, compressed, a redirect */
    MIG_FAULT_UNKNOWN_ACCOUNT,
    MIG_FAULT_NO_CONTRACT,     /* the account has no code */
    MIG_FAULT_NO_METHOD,       /* of the contract, or of the endpoint */
    MIG_FAULT_PANIC,           /* the contract refused: `reason` is its text */
    MIG_FAULT_UNKNOWN_KEY,     /* no such access key */
    MIG_FAULT_UNKNOWN_BLOCK,   /* not there yet, or no longer */
    MIG_FAULT_NO_DATA,         /* the block is known, but not all that it did */
    MIG_FAULT_UNKNOWN_TX,
    MIG_FAULT_INVALID_TX,      /* rejected before inclusion: see `refusal` */
    MIG_FAULT_OTHER,
};

/* Why a transaction cannot be included. */
enum mig_refusal {
    MIG_REFUSAL_NONE = 0,
    MIG_REFUSAL_NONCE_USED,       /* not above the key's */
    MIG_REFUSAL_NONCE_TOO_LARGE,
    MIG_REFUSAL_EXPIRED,          /* block hash too old, or of another chain */
    MIG_REFUSAL_SIGNATURE,
    MIG_REFUSAL_NO_SIGNER,        /* the account does not exist */
    MIG_REFUSAL_NO_ACCESS_KEY,
    MIG_REFUSAL_RECEIVER,         /* function-call key of another contract */
    MIG_REFUSAL_METHOD,           /* function-call key without this method */
    MIG_REFUSAL_FULL_ACCESS,      /* the action needs a full-access key */
    MIG_REFUSAL_DEPOSIT,          /* a function-call key cannot attach one */
    MIG_REFUSAL_ALLOWANCE,        /* the key's allowance is used up */
    MIG_REFUSAL_BALANCE,
    MIG_REFUSAL_OTHER,
};
/* A sentence that names the remedy. Static. */
const char *mig_refusal_text(enum mig_refusal refusal);

struct mig_rpc_error {
    enum mig_err err;
    enum mig_fault fault;
    enum mig_refusal refusal;
    uint64_t key_nonce; /* NONCE_USED: the key's, when the node says it */
    char reason[MIG_REASON_MAX];
};
/* Fills `e` and gives `err`. `text` may be anything; what is not printable
 * ASCII becomes '?', what is too long is cut. */
enum mig_err mig_rpc_error_set(struct mig_rpc_error *e, enum mig_err err, enum mig_fault fault,
                               const char *text);

/* call_function: what the contract returned. Free with mig_returned_clear. */
struct mig_returned {
    char *bytes; /* NUL-terminated for convenience */
    size_t len;
    uint64_t height;
    char block_hash[MIG_HASH_TEXT_MAX];
};
void mig_returned_clear(struct mig_returned *returned);

/* A block as `block` names it. */
struct mig_tip {
    struct mig_block block;
    char hash[MIG_HASH_TEXT_MAX];
};

/* `status`: which chain the endpoint is of; lower-case letters, digits, "-_.". */
enum { MIG_CHAIN_ID_MAX = 64 };
struct mig_node_status {
    char chain_id[MIG_CHAIN_ID_MAX + 1];
};

struct mig_access_key {
    uint64_t nonce;
    uint64_t height;
    bool full_access;
};

enum mig_tx_status {
    MIG_TX_PENDING = 0,  /* known, no outcome yet */
    MIG_TX_EXECUTED = 1,
    MIG_TX_FAILED = 2,   /* included, and refused: `reason` */
};
struct mig_outcome {
    enum mig_tx_status status;
    bool receipt_failed; /* executed, but one of its further receipts failed */
    char reason[MIG_REASON_MAX];
};

struct mig_json;
/* Any answer: `read` takes the value of `result` from the reader into `out`;
 * an error it finds inside goes to `e`, with *failed set. Consumes the whole
 * text. When it fails, `out` is as far as `read` came. */
enum mig_err mig_envelope_read(const char *json, size_t len,
                               void (*read)(struct mig_json *j, void *out,
                                            struct mig_rpc_error *e, bool *failed),
                               void *out, struct mig_rpc_error *e) MIG_MUST_USE;

/* Each consumes the whole text. On failure `e` says why, and the value is
 * empty. MIG_ERR_MALFORMED for what is no answer at all. */
enum mig_err mig_envelope_view(const char *json, size_t len, struct mig_returned *out,
                               struct mig_rpc_error *e) MIG_MUST_USE;
enum mig_err mig_envelope_block(const char *json, size_t len, struct mig_tip *out,
                                struct mig_rpc_error *e) MIG_MUST_USE;
enum mig_err mig_envelope_status(const char *json, size_t len, struct mig_node_status *out,
                                 struct mig_rpc_error *e) MIG_MUST_USE;
enum mig_err mig_envelope_access_key(const char *json, size_t len, struct mig_access_key *out,
                                     struct mig_rpc_error *e) MIG_MUST_USE;
enum mig_err mig_envelope_outcome(const char *json, size_t len, struct mig_outcome *out,
                                  struct mig_rpc_error *e) MIG_MUST_USE;

#endif
