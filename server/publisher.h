/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_PUBLISHER_H
#define MIG_SERVER_PUBLISHER_H
/*
 * announce=contract: keeps one published ephemeral key of this node ready. A
 * key is made, published by transaction, used by one exchange or worn out
 * after an hour, and followed by a new one. Its secret is never on disk. Pure:
 * the caller sends the transaction and holds a lock around every call.
 */
#include "chain/view.h"
#include "crypto/exchange.h"

enum {
    MIG_PUBLISHED_LIFE_MS = 3600 * 1000,
    MIG_PUBLISH_FIRST_MS = 2000, /* pause after a failure; doubles */
    MIG_PUBLISH_LAST_MS = 60000,
    MIG_PUBLISHED_UNSEEN_MS = 30000, /* a published key that no view shows by then is lost */
};

struct mig_publisher {
    struct mig_ephemeral pair; /* secret NULL: none alive */
    uint64_t born_ms;
    bool published; /* the transaction went through */
    bool seen;      /* and the view showed it */
    uint64_t again_ms;
    uint64_t pause_ms;
};

/* `wanted`: this node is one that somebody may want to exchange keys with. True
 * when `key` is to be published now. *wake_ms: when to ask again at the latest
 * (UINT64_MAX: never by itself). */
bool mig_publisher_next(struct mig_publisher *publisher, bool wanted, uint64_t now_ms,
                        uint8_t key[MIG_KEY_LEN], uint64_t *wake_ms);
/* How publishing `key` went. */
void mig_publisher_result(struct mig_publisher *publisher, const uint8_t key[MIG_KEY_LEN],
                          enum mig_err err, uint64_t now_ms);
/* What the contract shows counts, not what a transaction said: a key that was
 * shown and is not any more (concluding and leaving Running empty the list), or
 * never was, is forgotten, and a new one follows. True when that happened. */
bool mig_publisher_view(struct mig_publisher *publisher, const struct mig_view *view,
                        uint64_t now_ms);
/* Moves the secret of the live key `key` into pair->secret (32 locked bytes)
 * and forgets it; false when there is no such key. */
bool mig_publisher_take(struct mig_publisher *publisher, const uint8_t key[MIG_KEY_LEN],
                        uint64_t now_ms, struct mig_ephemeral *pair);
void mig_publisher_clear(struct mig_publisher *publisher);

#endif
