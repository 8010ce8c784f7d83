/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_BLOCK_H
#define MIG_CHAIN_BLOCK_H
/*
 * A block with what it did to the MPC contract, from the message that NEAR's
 * indexers exchange (StreamerMessage: block, shards, tracked_shards). Pure.
 *
 * A request is an executed receipt with exactly one action, a call of `sign`,
 * `request_app_private_key` or `verify_foreign_transaction`, run by the
 * contract, whose outcome is SuccessReceiptId: that receipt's id is the
 * request's. A completion is the receipt of that id: a call of the contract's
 * `return_..._and_clean_state_on_success`.
 */
#include "chain/json.h"

enum {
    MIG_BLOCK_MAX = 32 * 1024 * 1024,      /* bytes of a message: a node's own limit */
    MIG_BLOCK_SHARDS_MAX = 256,
    MIG_REQUEST_ARGS_MAX = 4 * 1024 * 1024, /* decoded: the network's own limit */
};

/* Where a block stands. A height of 0 is no block's. */
struct mig_block_context {
    uint8_t hash[MIG_DIGEST_LEN];
    uint64_t height;
    uint8_t prev_hash[MIG_DIGEST_LEN];
    uint64_t prev_height; /* 0: the header does not say */
    uint8_t last_final[MIG_DIGEST_LEN]; /* the newest final block as of this one */
    uint8_t entropy[MIG_DIGEST_LEN];    /* random_value */
    uint64_t time_ns;
};

enum mig_request_kind {
    MIG_REQUEST_SIGNATURE = 0,
    MIG_REQUEST_CKD = 1,
    MIG_REQUEST_FOREIGN = 2, /* verify_foreign_transaction */
};
enum { MIG_REQUEST_KINDS = 3 };

/* A request (`completed` false) or the end of one. */
struct mig_block_event {
    enum mig_request_kind kind;
    bool completed;
    uint8_t id[MIG_DIGEST_LEN];      /* the request's; a completion's is the same */
    uint8_t receipt[MIG_DIGEST_LEN]; /* the executed receipt: a completion's is its id */
    char predecessor[MIG_ACCOUNT_MAX + 1];
    bool succeeded;   /* completions: the receipt did not fail */
    uint8_t *args;    /* requests: the call's raw arguments, NUL-terminated for convenience */
    size_t args_len;
};

/* Clear with mig_block_update_clear. */
struct mig_block_update {
    struct mig_block_context context;
    size_t count;
    struct mig_block_event *events; /* in the order of execution, shard by shard */
};
void mig_block_update_clear(struct mig_block_update *update);

/* How many of its events are of one kind. */
size_t mig_block_count(const struct mig_block_update *update, enum mig_request_kind kind,
                       bool completed);

/* A whole message, or nothing: MIG_ERR_MALFORMED also when the shards of block
 * and message are not the same set, when a chunk of the block is missing, and
 * when a receipt occurs twice. `tracked`: tracked_shards must be there (it must
 * agree whenever it is). */
enum mig_err mig_block_parse(const char *json, size_t len, const char *contract, bool tracked,
                             struct mig_block_update *out) MIG_MUST_USE;
/* The same from a reader, for messages inside an envelope: the caller ends it
 * and clears `out` also when it failed. */
void mig_block_read(struct mig_json *j, const char *contract, bool tracked,
                    struct mig_block_update *out);
/* {"header": ...}, what `block` answers: only the context is filled. */
void mig_block_read_header(struct mig_json *j, struct mig_block_context *out);

#endif
