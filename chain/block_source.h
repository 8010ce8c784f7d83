/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_BLOCK_SOURCE_H
#define MIG_CHAIN_BLOCK_SOURCE_H
/*
 * Where blocks come from. A source answers single questions and remembers
 * nothing; following the chain is chain/blocks.h. One thread at a time, except
 * `cancel`.
 *
 * All answers: MIG_OK, MIG_ERR_NOT_FOUND (no such block, or its data is gone),
 * _RETRY (network, overload, not there yet), _MALFORMED (no sensible answer),
 * _DENIED, _CANCELLED, _NOMEM. On failure `out` is empty.
 */
#include "chain/block.h"

enum { MIG_SOURCE_REASON_MAX = 240 };

struct mig_block_source {
    void *self;
    /* `head`, `at` and `parent` give events too; otherwise only the context, and
     * `fill` adds the events. */
    bool gives_whole_blocks;
    /* The newest final, or optimistic, block. */
    enum mig_err (*head)(void *self, bool optimistic, struct mig_block_update *out);
    /* The block of the present chain at this height; NOT_FOUND when it was skipped. */
    enum mig_err (*at)(void *self, uint64_t height, struct mig_block_update *out);
    /* The block that `child` names as the one before it: hash and height are checked. */
    enum mig_err (*parent)(void *self, const struct mig_block_context *child,
                           struct mig_block_update *out);
    enum mig_err (*fill)(void *self, struct mig_block_update *block);
    /* Why the last answer was a failure; printable ASCII, valid until the next call. */
    const char *(*reason)(void *self);
    /* Ends the question under way and all later ones. Any thread. */
    void (*cancel)(void *self);
    void (*free)(void *self);
};

struct mig_block_source_options {
    const char *url; /* may hold an API key: only its origin is ever shown */
    const char *contract;
    const char *ca_file;  /* NULL: the system's */
    unsigned timeout_ms;  /* of one question; 0: 20 s */
    size_t body_max;      /* 0: MIG_BLOCK_MAX and an envelope */
};

/* JSON-RPC of a node with its indexer calls enabled: heads and headers by
 * `block`, the rest by `EXPERIMENTAL_indexer_block`. */
enum mig_err mig_block_source_rpc(const struct mig_block_source_options *options,
                                  struct mig_block_source *out) MIG_MUST_USE;
/* A server of ready messages: GET /v0/block/<height> (or block_opt), null for a
 * skipped height; /v0/last_block/final (or optimistic). What it says is only as
 * good as the server. */
enum mig_err mig_block_source_http(const struct mig_block_source_options *options,
                                   struct mig_block_source *out) MIG_MUST_USE;
/* NULLs everything; NULL members are fine. */
void mig_block_source_clear(struct mig_block_source *source);

#endif
