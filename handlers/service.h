/* SPDX-License-Identifier: MIT */
#ifndef MIG_HANDLERS_SERVICE_H
#define MIG_HANDLERS_SERVICE_H
/*
 * What the handlers stand on: time, keys, the view, the host and the state
 * machine, handed in as values and functions. handlers/ sees no clock, socket,
 * file or library of HTTP.
 */
#include "auth/bucket.h"
#include "auth/replay.h"
#include "chain/cache.h"
#include "handlers/counters.h"
#include "migration/admit.h"

/* Functions of whoever owns the state machine; any thread. */
struct mig_keeper {
    void *ctx;
    /* Unix nanoseconds, and a clock that never goes back. */
    uint64_t (*now_ns)(void *ctx);
    uint64_t (*monotonic_ns)(void *ctx);
    /* The key that authenticates under this view; false: none. */
    bool (*honoured_key)(void *ctx, const struct mig_view *view, uint8_t key[MIG_KEY_LEN]);
    enum mig_job (*job)(void *ctx);
    uint64_t (*seat_lost_at)(void *ctx);
    /* Takes and gives back the one import at a time, of the keyset it was
     * admitted for; MIG_ERR_STATE: another runs, or the machine sees another
     * keyset already or still (409 busy). */
    enum mig_err (*import_begin)(void *ctx, const uint8_t keyset[MIG_DIGEST_LEN]);
    /* `receipt` NULL: it failed or was abandoned. */
    void (*import_end)(void *ctx, const struct mig_receipt *receipt);
    /* Proves that the store takes a durable write now (503 store_unavailable). */
    enum mig_err (*store_writable)(void *ctx);
    void (*backup_served)(void *ctx, const struct mig_keyset *keyset);
    /* Makes the receipt of a backup durable. `known`: this process served it. */
    enum mig_err (*backup_acknowledged)(void *ctx, uint64_t epoch, const uint8_t keyset[MIG_DIGEST_LEN],
                                        const uint8_t context_hash[MIG_DIGEST_LEN], uint64_t now, bool known);
    /* announce=contract: moves the secret of the published key `public_key` into
     * pair->secret (32 locked bytes) and forgets it, for it serves one exchange.
     * False: no such key. NULL: this node publishes none. */
    bool (*take_published)(void *ctx, const uint8_t public_key[MIG_KEY_LEN], struct mig_ephemeral *pair);
};

struct mig_service_config {
    struct mig_self self; /* strings borrowed for the life of the service */
    const struct mig_identity *identity;    /* the node's TLS identity; signs answers */
    const struct mig_secret *operator_key;  /* NULL: none configured */
    struct mig_host host;                   /* load, import, receipt are set */
    struct mig_keeper keeper;
    struct mig_cache *cache;
    struct mig_replay *replay;
    struct mig_budget *budget;
    struct mig_counters *counters;
    uint32_t skew;
    uint32_t offer_lifetime_s; /* 600 */
};

struct mig_service;
enum mig_err mig_service_new(const struct mig_service_config *config, struct mig_service **out) MIG_MUST_USE;
void mig_service_free(struct mig_service **service);
/* Drops the offer and its ephemeral key when the new view no longer carries
 * it (key, keyset, state or record changed) or its time is over. Called on
 * every view, also for a mere refresh, so that a lapsed key is wiped soon. */
void mig_service_view_changed(struct mig_service *service, const struct mig_view *view);

#endif
