/* SPDX-License-Identifier: MIT */
#ifndef MIG_BACKUP_ANNOUNCER_H
#define MIG_BACKUP_ANNOUNCER_H
/*
 * announce=contract: the service's ephemeral key, published in the contract
 * before it is used. A pair lives an hour at most, in locked memory only,
 * serves one exchange, and is followed by a new one. Sends through the
 * caller's function; judges by the view.
 */
#include "chain/view.h"
#include "crypto/exchange.h"

struct mig_announcer {
    /* Sends the transaction; success is what the view shows. */
    enum mig_err (*publish)(void *ctx, const uint8_t key[MIG_KEY_LEN]);
    void *ctx;
    /* private */
    struct mig_ephemeral pair;
    uint64_t born_ns, sent_ns, failed_ns;
    enum mig_err err; /* of the last sending; DENIED and NOT_FOUND need a person */
};

/* True when the view shows our live key and the node's: announcer->pair and
 * view->published.node are to be used. Otherwise makes and publishes what is
 * missing, and *why says what is waited for. `now_ns`: monotonic. */
bool mig_announcer_ready(struct mig_announcer *announcer, const struct mig_view *view,
                         uint64_t now_ns, const char **why);
/* The pair was used, whatever came of it: wipes it. */
void mig_announcer_spend(struct mig_announcer *announcer);

#endif
