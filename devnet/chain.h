/* SPDX-License-Identifier: MIT */
#ifndef MIG_DEVNET_CHAIN_H
#define MIG_DEVNET_CHAIN_H
/*
 * Blocks, and transactions on their way into them. The newest blocks keep the
 * ledger as of their end, so that a view at one of them answers as it was; a
 * header is kept as long as a transaction may refer to it. No clock, no lock
 * and no socket: times come in, devnet.c holds the lock.
 */
#include "devnet/ledger.h"

enum {
    MIG_DEVNET_HISTORY = 512,      /* blocks whose ledger is kept */
    MIG_DEVNET_VALIDITY = 86400,   /* blocks a transaction may refer back */
    MIG_DEVNET_RECORDS = 4096,     /* outcomes that are remembered */
    MIG_DEVNET_PENDING_MAX = 1024, /* transactions that wait for a block */
    MIG_DEVNET_CHAIN_ID_MAX = 63,
    MIG_DEVNET_YIELDS_MAX = 4096, /* requests that wait for their completion */
};

struct mig_devnet_block {
    uint64_t height;
    uint64_t time_ns;
    uint64_t prev_height;
    uint8_t hash[MIG_DIGEST_LEN];
    uint8_t prev_hash[MIG_DIGEST_LEN];
    struct mig_devnet_ledger *ledger; /* NULL: too long ago */
    /* What it did, as JSON items; kept as long as the ledger. NULL: nothing. */
    char *transactions; /* {transaction, outcome} */
    char *executed;     /* {execution_outcome, receipt} */
    char *touched;      /* id of the receipt that changed the contract */
    bool is_archived;   /* its data is gone */
    bool is_hidden;     /* and its header too */
};

/* A request whose completion is still to come, or came. */
struct mig_devnet_yield {
    uint8_t id[MIG_DIGEST_LEN];
    int kind;
    uint64_t created;   /* height */
    uint64_t completed; /* 0: not yet */
};

/* What became of a transaction. */
struct mig_devnet_record {
    uint8_t hash[MIG_DIGEST_LEN];
    char signer[MIG_ACCOUNT_MAX + 1];
    bool is_pending;   /* accepted, no block yet; the rest is empty */
    uint64_t included; /* height */
    uint64_t executed; /* height of the last receipt */
    char *outcome;     /* members of the answer, from "status" on, without braces */
    char *receipts;    /* JSON array */
};

struct mig_devnet_chain {
    char chain_id[MIG_DEVNET_CHAIN_ID_MAX + 1];
    uint64_t genesis_height;
    uint8_t genesis_hash[MIG_DIGEST_LEN];
    unsigned final_lag; /* blocks that `final` lies behind the head */
    bool frozen;        /* no blocks: transactions wait */
    size_t cap;         /* ring of blocks */
    size_t first;
    size_t count;
    struct mig_devnet_block *blocks;
    struct mig_devnet_ledger *tip; /* as of the next block */
    size_t record_count;
    struct mig_devnet_record *records; /* oldest first */
    size_t pending_count;
    struct mig_devnet_tx *pending;
    size_t yield_count;
    struct mig_devnet_yield *yields; /* oldest first */
    uint64_t forks;                  /* so far: makes their blocks' hashes differ */
};

/* Takes over the reference to `tip`; there is no block yet. */
enum mig_err mig_devnet_chain_init(struct mig_devnet_chain *chain, const char *chain_id,
                                   unsigned final_lag, struct mig_devnet_ledger *tip) MIG_MUST_USE;
/* Appends a block of this height that holds the tip. */
void mig_devnet_block_make(struct mig_devnet_chain *chain, uint64_t height, uint64_t now_ns);
void mig_devnet_chain_clear(struct mig_devnet_chain *chain);

const struct mig_devnet_block *mig_devnet_head(const struct mig_devnet_chain *chain);
/* The block `back` blocks before the head, or the oldest one. */
const struct mig_devnet_block *mig_devnet_block_back(const struct mig_devnet_chain *chain,
                                                     uint64_t back);
const struct mig_devnet_block *mig_devnet_block_at(const struct mig_devnet_chain *chain,
                                                   uint64_t height);
const struct mig_devnet_block *mig_devnet_block_of(const struct mig_devnet_chain *chain,
                                                   const uint8_t hash[MIG_DIGEST_LEN]);
/* Appends a block that holds the tip; the pending transactions follow in
 * blocks of their own. Does nothing while frozen, unless `force`. */
enum mig_err mig_devnet_produce(struct mig_devnet_chain *chain, uint64_t now_ns,
                                bool force) MIG_MUST_USE;
/* Makes the tip private to the caller, who may then change it. */
enum mig_err mig_devnet_tip_edit(struct mig_devnet_chain *chain,
                                 struct mig_devnet_ledger **tip) MIG_MUST_USE;
/* The block `n` blocks before `b`, or the oldest one. */
const struct mig_devnet_block *mig_devnet_block_before(const struct mig_devnet_chain *chain,
                                                       const struct mig_devnet_block *b, size_t n);
/* What the block at this height did; takes the strings (NULL: leave). */
void mig_devnet_block_note(struct mig_devnet_chain *chain, uint64_t height, char *transactions,
                           char *executed, char *touched);
/* Its data is gone from now on, with `hide` its header too. MIG_ERR_NOT_FOUND. */
enum mig_err mig_devnet_block_archive(struct mig_devnet_chain *chain, uint64_t height,
                                      bool hide) MIG_MUST_USE;
/* Replaces the newest `blocks` blocks, none of them final, by one more that are
 * empty; what happened in them never happened. MIG_ERR_STATE when a transaction
 * would be cut in half. */
enum mig_err mig_devnet_fork(struct mig_devnet_chain *chain, uint64_t blocks,
                             uint64_t now_ns) MIG_MUST_USE;
/* Appends a header read from a file, without ledger. */
void mig_devnet_block_append(struct mig_devnet_chain *chain, const struct mig_devnet_block *block);

/* Why a transaction is not accepted: the JSON of a TxExecutionError, "" when it is fine. */
enum mig_err mig_devnet_validate(const struct mig_devnet_chain *chain,
                                 const struct mig_devnet_tx *tx,
                                 struct mig_print *error) MIG_MUST_USE;
/* Runs a validated transaction at once, or queues it while frozen. Takes what
 * `tx` holds, also on failure. */
enum mig_err mig_devnet_submit(struct mig_devnet_chain *chain, struct mig_devnet_tx *tx,
                               uint64_t now_ns) MIG_MUST_USE;
enum mig_err mig_devnet_execute(struct mig_devnet_chain *chain, const struct mig_devnet_tx *tx,
                                uint64_t now_ns) MIG_MUST_USE;

struct mig_devnet_record *mig_devnet_record_find(const struct mig_devnet_chain *chain,
                                                 const uint8_t hash[MIG_DIGEST_LEN]);
/* Finds or makes it; drops the oldest when there are too many. */
struct mig_devnet_record *mig_devnet_record_get(struct mig_devnet_chain *chain,
                                                const uint8_t hash[MIG_DIGEST_LEN]);

#endif
