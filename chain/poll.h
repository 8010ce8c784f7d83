/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_POLL_H
#define MIG_CHAIN_POLL_H
/*
 * One look at the contract: the newest final block, and every view at that
 * very block, into the cache as one. No thread, no clock; chain/watch.h runs
 * it, a one-shot command calls it.
 */
#include "chain/cache.h"
#include "chain/dialect.h"
#include "chain/rpc.h"
#include "chain/state.h"

enum {
    MIG_POLL_FUTURE_S = 60,      /* a block more than this ahead of our clock is not believed */
    MIG_POLL_VERSION_EVERY = 300, /* looks; contracts are upgraded in place */
    MIG_POLL_BACK_MAX = 600, /* blocks: an endpoint that fell back further than a
                              * node behind one address may be is read again */
    MIG_POLL_REASON_MAX = MIG_REASON_MAX + 64,
};

struct mig_poller {
    struct mig_rpc *rpc;     /* borrowed */
    struct mig_cache *cache; /* borrowed */
    char contract[MIG_ACCOUNT_MAX + 1];
    enum mig_dialect forced;
    bool known; /* `speech` was picked */
    struct mig_speech speech;
    char version[MIG_VERSION_MAX + 1]; /* "" when the contract does not tell */
    uint32_t until_version;            /* looks until it is asked for again */
    struct mig_block block;            /* the newest that was taken in */
    char reason[MIG_POLL_REASON_MAX];  /* why the last look failed; "" after success */
};

/* What a look found. */
struct mig_reading {
    bool newer; /* than poller->block; otherwise the rest is empty */
    struct mig_block block;
    struct mig_returned returned[MIG_PART_EPHEMERAL + 1]; /* owned */
    struct mig_answer answers[MIG_PART_EPHEMERAL + 1];    /* point into these */
    size_t count;
};
void mig_reading_clear(struct mig_reading *reading);

/* MIG_ERR_MALFORMED when `contract` is no account id. */
enum mig_err mig_poller_init(struct mig_poller *poller, struct mig_rpc *rpc, struct mig_cache *cache,
                             const char *contract, enum mig_dialect forced) MIG_MUST_USE;

/* MIG_OK: the cache is as new as the endpoint (also when there is no newer
 * block). Otherwise nothing changed and `reason` says why: errors of
 * chain/rpc.h, or MIG_ERR_MALFORMED for answers that do not parse. */
enum mig_err mig_poll(struct mig_poller *poller, uint64_t now_ns) MIG_MUST_USE;

/* mig_poll in two steps, for those that compare before they believe: the
 * question, and what it comes to. `block` is what the cache is told; `err` is
 * what became of the answers. */
enum mig_err mig_poll_read(struct mig_poller *poller, uint64_t now_ns,
                           struct mig_reading *out) MIG_MUST_USE;
enum mig_err mig_poll_taken(struct mig_poller *poller, const struct mig_reading *reading,
                            enum mig_err err) MIG_MUST_USE;

#endif
