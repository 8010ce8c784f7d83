/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_FOLLOW_H
#define MIG_CHAIN_FOLLOW_H
/*
 * Following a chain by hashes, an event at a time: looks at the head, walks
 * back to a block that is known, and comes forward again. No thread, no clock;
 * chain/blocks.h runs it.
 */
#include "chain/blocks.h"

struct mig_follow {
    struct mig_block_source source; /* borrowed */
    bool optimistic;
    uint64_t start;         /* used while there are no marks */
    unsigned missing_tries;
    struct mig_marks marks; /* what was given out */
    uint64_t head;          /* height of the last head */
    /* The way from a known block to where we are going, the next block last. */
    struct mig_block_update *path;
    size_t path_count, path_cap;
    /* A block that is not to be had, and how often it was asked for. */
    uint8_t missing[MIG_DIGEST_LEN];
    unsigned tries;
    bool has_gap; /* in front of the path */
    uint64_t gap_from;
    struct mig_mark gap_end;
    const char *complaint; /* what the follower itself objects to; NULL: ask the source */
};

/* Releases the path; the marks stay. */
void mig_follow_clear(struct mig_follow *follow);

/* The next event, a heap object of the caller's. MIG_ERR_STATE: there is nothing
 * new. MIG_ERR_CONFLICT: the source's chain does not hold what was final.
 * Otherwise as the source says; the next call begins anew where it stopped. */
enum mig_err mig_follow_next(struct mig_follow *follow,
                             struct mig_stream_event **out) MIG_MUST_USE;

/* What an event changes in the marks of whoever takes it in. */
void mig_follow_apply(struct mig_marks *marks, const struct mig_stream_event *event);

#endif
