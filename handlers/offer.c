/* SPDX-License-Identifier: MIT */
#include "handlers/offer.h"

#include <string.h>

enum { NS_PER_S = 1000000000 };

bool mig_offer_terms_of(const struct mig_view *view, const uint8_t service_key[MIG_KEY_LEN],
                        struct mig_offer_terms *terms)
{
    memset(terms, 0, sizeof *terms);
    if (view->protocol != MIG_PROTOCOL_RUNNING || !view->has_destination ||
        !view->destination.active)
        return false;
    memcpy(terms->service_key, service_key, MIG_KEY_LEN);
    memcpy(terms->keyset, view->keyset_digest, MIG_DIGEST_LEN);
    memcpy(terms->tls_key, view->destination.tls_key, MIG_KEY_LEN);
    terms->since = view->destination.since;
    return true;
}

enum mig_err mig_offer_init(struct mig_offer *offer)
{
    memset(offer, 0, sizeof *offer);
    offer->pair.secret = mig_secret_new(MIG_KEY_LEN);
    if (offer->pair.secret == NULL)
        return MIG_ERR_NOMEM;
    (void)pthread_mutex_init(&offer->lock, NULL);
    return MIG_OK;
}

/* Wipes, keeps the memory. */
static void drop(struct mig_offer *offer)
{
    mig_secret_wipe(offer->pair.secret);
    offer->live = false;
}

void mig_offer_clear(struct mig_offer *offer)
{
    if (offer->pair.secret == NULL)
        return;
    mig_ephemeral_clear(&offer->pair);
    (void)pthread_mutex_destroy(&offer->lock);
}

static bool same_terms(const struct mig_offer_terms *a, const struct mig_offer_terms *b)
{
    return a->since == b->since && memcmp(a->service_key, b->service_key, MIG_KEY_LEN) == 0 &&
           memcmp(a->keyset, b->keyset, MIG_DIGEST_LEN) == 0 &&
           memcmp(a->tls_key, b->tls_key, MIG_KEY_LEN) == 0;
}

/* Live, for these terms, and with this key when one is given; wiped on the way
 * when it has lapsed. */
static bool stands(struct mig_offer *offer, const struct mig_offer_terms *terms, uint64_t now_ns,
                   const uint8_t *node_key)
{
    if (offer->live && now_ns >= offer->expires_ns)
        drop(offer);
    return offer->live && same_terms(&offer->terms, terms) &&
           (node_key == NULL || memcmp(offer->pair.public_key, node_key, MIG_KEY_LEN) == 0);
}

enum mig_err mig_offer_get(struct mig_offer *offer, const struct mig_offer_terms *terms,
                           uint64_t now_ns, uint64_t lifetime_ns, uint8_t node_key[MIG_KEY_LEN],
                           uint32_t *expires_in)
{
    enum mig_err err = MIG_OK;
    (void)pthread_mutex_lock(&offer->lock);
    if (!stands(offer, terms, now_ns, NULL)) {
        drop(offer);
        err = mig_ephemeral_generate(&offer->pair);
        offer->live = err == MIG_OK;
        offer->terms = *terms;
        offer->expires_ns = now_ns + lifetime_ns;
    }
    memcpy(node_key, offer->pair.public_key, MIG_KEY_LEN);
    *expires_in = (uint32_t)((offer->expires_ns - now_ns + NS_PER_S - 1) / NS_PER_S);
    (void)pthread_mutex_unlock(&offer->lock);
    return err;
}

bool mig_offer_is(struct mig_offer *offer, const struct mig_offer_terms *terms, uint64_t now_ns,
                  const uint8_t node_key[MIG_KEY_LEN])
{
    (void)pthread_mutex_lock(&offer->lock);
    bool is = stands(offer, terms, now_ns, node_key);
    (void)pthread_mutex_unlock(&offer->lock);
    return is;
}

bool mig_offer_take(struct mig_offer *offer, const struct mig_offer_terms *terms, uint64_t now_ns,
                    const uint8_t node_key[MIG_KEY_LEN], struct mig_ephemeral *out)
{
    (void)pthread_mutex_lock(&offer->lock);
    bool is = stands(offer, terms, now_ns, node_key);
    if (is) {
        memcpy(out->public_key, offer->pair.public_key, MIG_KEY_LEN);
        memcpy(out->secret->bytes, offer->pair.secret->bytes, MIG_KEY_LEN);
        drop(offer);
    }
    (void)pthread_mutex_unlock(&offer->lock);
    return is;
}

void mig_offer_drop_unless(struct mig_offer *offer, const struct mig_offer_terms *terms,
                           uint64_t now_ns)
{
    (void)pthread_mutex_lock(&offer->lock);
    if (terms == NULL || !stands(offer, terms, now_ns, NULL))
        drop(offer);
    (void)pthread_mutex_unlock(&offer->lock);
}
