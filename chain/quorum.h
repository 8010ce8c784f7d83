/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_QUORUM_H
#define MIG_CHAIN_QUORUM_H
/*
 * What to believe when several endpoints tell what the contract says. A pure
 * reducer: votes in, one belief out.
 *
 * Each endpoint reads at a final block of its own, so heights differ. A vote
 * is a meaning (a digest, chain/meaning.h) at a block; each endpoint's newest
 * counts. A meaning that at least `need` endpoints hold is attested at the
 * need-th largest of their heights and, on its own, the need-th newest of
 * their times: of the endpoints that reach either, one is honest if fewer than
 * `need` lie. The belief moves only to a greater height, and never back in time.
 *
 * With fewer than `need` liars therefore: what is believed is what an honest
 * endpoint holds at that height or above, and it never looks fresher than that
 * endpoint; and as long as `need` honest ones advance, so does the belief. With
 * a lying minority an honest endpoint that lags can hold the belief back, but
 * then its own old block's time shows (docs/chain.md).
 */
#include "chain/endpoints.h"
#include "chain/view.h"

enum { MIG_QUORUM_LAG_S = 30 }; /* an endpoint further behind than this does not count as present */

struct mig_vote {
    struct mig_block block;
    uint8_t meaning[MIG_DIGEST_LEN];
};

struct mig_voter {
    bool has_vote;
    struct mig_vote vote;
    uint32_t missed; /* moves of the belief since it last supported one */
    bool outvoted;
    uint32_t idle; /* its votes since the belief last moved */
};

struct mig_quorum {
    size_t count, need;
    struct mig_voter voters[MIG_ENDPOINTS_MAX];
    bool believes;
    struct mig_vote belief;
    bool is_split;
};

/* 1 <= need <= count <= MIG_ENDPOINTS_MAX. */
void mig_quorum_init(struct mig_quorum *quorum, size_t count, size_t need);

/* What a vote did. */
struct mig_tally {
    bool moved;      /* quorum->belief is new, and its meaning is this vote's */
    uint8_t fallen;  /* bit i: endpoint i is outvoted from now on: it tells something
                      * else, stands still, lags or is silent */
    uint8_t back;    /* bit i: it supports the belief again */
    bool differs;    /* this vote is another outvoted endpoint's word against the belief */
    bool split;      /* from now on enough endpoints talk, but do not agree */
};
struct mig_tally mig_quorum_vote(struct mig_quorum *quorum, size_t voter, const struct mig_vote *vote);

/* How many endpoints hold the belief's meaning now. */
size_t mig_quorum_support(const struct mig_quorum *quorum);

/* The index of a text that at least `need` of `texts` are equal to, or -1.
 * NULLs do not count. */
int mig_quorum_text(const char *const *texts, size_t count, size_t need);

#endif
