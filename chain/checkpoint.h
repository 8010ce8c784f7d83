/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_CHECKPOINT_H
#define MIG_CHAIN_CHECKPOINT_H
/*
 * How far a block stream was taken in: the newest blocks by hash, so that after
 * a restart a fork that happened meanwhile is recognised and undone. Pure.
 */
#include "include/mpc_migration.h"

enum {
    MIG_MARKS_MAX = 256, /* blocks that can be undone */
    /* magic, contract, count, marks, SHA-256 */
    MIG_CHECKPOINT_MAX = 8 + 1 + MIG_ACCOUNT_MAX + 2 + MIG_MARKS_MAX * 40 + MIG_DIGEST_LEN,
};

struct mig_mark {
    uint64_t height; /* behind a gap: the highest it can have */
    uint8_t hash[MIG_DIGEST_LEN];
};

/* Oldest first. */
struct mig_marks {
    size_t count;
    struct mig_mark list[MIG_MARKS_MAX];
};

/* Appends; forgets the oldest when there are too many. */
void mig_marks_push(struct mig_marks *marks, uint64_t height, const uint8_t hash[MIG_DIGEST_LEN]);
/* The oldest one of this hash; false when there is none. */
bool mig_marks_find(const struct mig_marks *marks, const uint8_t hash[MIG_DIGEST_LEN], size_t *at);
/* Forgets that block and all after it; nothing when it is not known. */
void mig_marks_undo(struct mig_marks *marks, const uint8_t hash[MIG_DIGEST_LEN]);
/* Forgets what is older than this block: it is final. */
void mig_marks_settle(struct mig_marks *marks, const uint8_t hash[MIG_DIGEST_LEN]);

/* MIG_ERR_BUG when the contract's name is too long. */
enum mig_err mig_checkpoint_encode(const struct mig_marks *marks, const char *contract,
                                   uint8_t out[MIG_CHECKPOINT_MAX], size_t *len) MIG_MUST_USE;
/* MIG_ERR_MALFORMED for anything but what encode gave, MIG_ERR_CONFLICT for one
 * of another contract. */
enum mig_err mig_checkpoint_decode(const uint8_t *in, size_t len, const char *contract,
                                   struct mig_marks *out) MIG_MUST_USE;

#endif
