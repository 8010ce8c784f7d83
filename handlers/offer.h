/* SPDX-License-Identifier: MIT */
#ifndef MIG_HANDLERS_OFFER_H
#define MIG_HANDLERS_OFFER_H
/*
 * The node's half of a recovery's key exchange, offered ahead of the upload:
 * one per registered key, unchanged until it is used, lapses or what it hangs
 * on changes. Taken by the first key exchange made with it, whatever comes of
 * that. The secret half lies in locked memory and is wiped when it goes.
 * Every function is safe on any thread.
 */
#include <pthread.h>

#include "chain/view.h"
#include "crypto/exchange.h"

/* What an offer hangs on. Compared whole: a change of any drops the offer. */
struct mig_offer_terms {
    uint8_t service_key[MIG_KEY_LEN];
    uint8_t keyset[MIG_DIGEST_LEN];
    uint8_t tls_key[MIG_KEY_LEN];
    uint64_t since;
};

struct mig_offer {
    pthread_mutex_t lock; /* protects all below */
    bool live;
    struct mig_ephemeral pair;
    struct mig_offer_terms terms;
    uint64_t expires_ns; /* monotonic */
};

/* False when the view carries no offer: not Running, or no active record. */
bool mig_offer_terms_of(const struct mig_view *view, const uint8_t service_key[MIG_KEY_LEN],
                        struct mig_offer_terms *terms);

enum mig_err mig_offer_init(struct mig_offer *offer) MIG_MUST_USE;
void mig_offer_clear(struct mig_offer *offer);

/* The live offer for these terms, or a new one in its place. `expires_in` is in
 * seconds, rounded up. */
enum mig_err mig_offer_get(struct mig_offer *offer, const struct mig_offer_terms *terms,
                           uint64_t now_ns, uint64_t lifetime_ns, uint8_t node_key[MIG_KEY_LEN],
                           uint32_t *expires_in) MIG_MUST_USE;
/* Is this the live offer for these terms? */
bool mig_offer_is(struct mig_offer *offer, const struct mig_offer_terms *terms, uint64_t now_ns,
                  const uint8_t node_key[MIG_KEY_LEN]);
/* Takes it out: moves the secret into out->secret (32 locked bytes). False, and
 * nothing taken, when it is not the live offer. */
bool mig_offer_take(struct mig_offer *offer, const struct mig_offer_terms *terms, uint64_t now_ns,
                    const uint8_t node_key[MIG_KEY_LEN], struct mig_ephemeral *out);
/* Drops it when it has lapsed or hangs on other terms; NULL: on any. */
void mig_offer_drop_unless(struct mig_offer *offer, const struct mig_offer_terms *terms,
                           uint64_t now_ns);

#endif
