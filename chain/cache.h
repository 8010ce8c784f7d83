/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_CACHE_H
#define MIG_CHAIN_CACHE_H
/*
 * The contract-state cache: answers of the contract go in, one current view
 * comes out. A reducer without I/O or clock; chain/watch.h feeds it over
 * JSON-RPC, an embedder may feed it by hand.
 *
 * Rules. Heights are monotone per part: an answer for an older block is
 * ignored. The same meaning at a newer block refreshes the block and keeps the
 * generation. A new meaning makes a new view with generation + 1. An answer
 * that does not parse changes nothing (the view grows stale). One writer at a
 * time; readers take a reference without blocking the writer.
 */
#include "chain/view.h"

struct mig_cache;

enum mig_part {
    MIG_PART_STATE = 0,     /* `state` */
    MIG_PART_MIGRATION = 1, /* deployed: `migration_info`; draft: `recovery_info` */
    MIG_PART_EPHEMERAL = 2, /* draft: `ephemeral_keys` */
};

enum mig_dialect {
    MIG_DIALECT_AUTO = 0,
    MIG_DIALECT_DRAFT = 1,
    MIG_DIALECT_DEPLOYED = 2,
};

/* `contract` (goes into the keyset digest) and `account` are copied.
 * MIG_ERR_MALFORMED when either is not a NEAR account id. */
enum mig_err mig_cache_new(const char *contract, const char *account, enum mig_dialect dialect,
                           struct mig_cache **out) MIG_MUST_USE;
void mig_cache_free(struct mig_cache **cache);

/* Takes one answer. MIG_OK when it was used or ignored as too old (a part's
 * second answer at the same height is); MIG_ERR_MALFORMED when it does not
 * parse (nothing changed). The first view exists once STATE and MIGRATION have
 * been fed. */
enum mig_err mig_cache_feed(struct mig_cache *cache, enum mig_part part, const struct mig_block *block,
                            const char *json, size_t len) MIG_MUST_USE;

/* Several answers read at one block become one view: nobody sees the new
 * participants next to the old record. One that does not parse spoils all. */
struct mig_answer {
    enum mig_part part;
    const char *json;
    size_t len;
};
enum mig_err mig_cache_feed_all(struct mig_cache *cache, const struct mig_block *block,
                                const struct mig_answer *answers, size_t count) MIG_MUST_USE;

/* The current view (the caller releases it), or NULL before the first. */
const struct mig_view *mig_cache_view(struct mig_cache *cache);
/* Generation of the current view without taking it; 0 before the first. Wait-free. */
uint64_t mig_cache_generation(const struct mig_cache *cache);

/* Called after each swap, on the feeding thread, with the new view (borrowed):
 * also for a mere refresh, then with the generation unchanged. One listener;
 * set it before the first feed. It must not feed the cache. */
void mig_cache_on_view(struct mig_cache *cache, void (*changed)(void *ctx, const struct mig_view *view),
                       void *ctx);

#endif
