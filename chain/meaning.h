/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_MEANING_H
#define MIG_CHAIN_MEANING_H
/*
 * What the answers of one block mean to one account, as a digest: two
 * endpoints tell the same when it is equal. Everything the cache takes from an
 * answer is in it, and nothing else: not votes, not unknown members, not the
 * order of sets.
 */
#include "chain/cache.h"
#include "chain/state.h"

/* The last `state` and its share of the digest: an unchanged one is not read
 * again. All zero at first. */
struct mig_meaning_memo {
    uint8_t bytes[MIG_DIGEST_LEN]; /* digest of the answer as it came */
    uint8_t state[MIG_DIGEST_LEN];
    bool has;
};

/* `dialect`: that of the answers, never AUTO. MIG_ERR_MALFORMED when one does
 * not parse or state and migration record are not both there; MIG_ERR_NOMEM. */
enum mig_err mig_meaning(enum mig_dialect dialect, const char *account,
                         const struct mig_answer *answers, size_t count,
                         struct mig_meaning_memo *memo, uint8_t out[MIG_DIGEST_LEN]) MIG_MUST_USE;

/* Whether two states mean the same to any account. */
bool mig_meaning_is_same_state(const struct mig_state *a, const struct mig_state *b);

#endif
