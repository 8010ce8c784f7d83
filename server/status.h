/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_STATUS_H
#define MIG_SERVER_STATUS_H
/*
 * Everything the admin listener can tell, as one value: whoever owns the parts
 * fills it, the pages only format it. No secrets; keys in it are public and in
 * the contract.
 */
#include "chain/endpoints.h"
#include "chain/view.h"
#include "chain/watch.h"
#include "handlers/counters.h"
#include "server/keeper.h"
#include "server/listener.h"

struct mig_status {
    /* Who. Strings borrowed until the next call. */
    const char *contract;
    const char *account;
    uint8_t identity[MIG_KEY_LEN]; /* public key of the TLS identity */
    uint64_t started_at;           /* Unix seconds */

    /* What the contract says; meaningless without a view. */
    bool has_view;
    bool is_fresh;
    uint64_t view_age_ns;
    uint64_t generation;
    struct mig_block state_block;
    struct mig_block info_block;
    enum mig_protocol protocol;
    bool has_keyset; /* Running or Resharing */
    uint64_t epoch;
    uint8_t keyset[MIG_DIGEST_LEN];
    size_t domains;
    size_t participants;
    bool has_service_key;
    uint8_t service_key[MIG_KEY_LEN];
    bool has_destination;
    bool is_destination; /* the destination is this node */

    /* What this node does about it. */
    struct mig_keep_status keep;
    bool has_stored; /* the store holds a keyset imported here */
    uint64_t stored_epoch;
    bool has_hook[MIG_HOOK_COUNT]; /* what the host tells of its hooks */
    struct mig_hook_stats hook[MIG_HOOK_COUNT];

    /* The endpoints; none when the host feeds. */
    size_t rpc_count, rpc_quorum;
    struct mig_watch_stats rpc[MIG_ENDPOINTS_MAX];
    const struct mig_counters *counters;
    struct mig_listener_stats listener;
};

/* Why this node is not ready, most important first; 0 when it is. Sentences
 * without details, static. */
enum { MIG_REASONS_MAX = 4 };
size_t mig_status_reasons(const struct mig_status *status, const char *reasons[MIG_REASONS_MAX]);

/* "participants_changed", ...: as the host function is called. Static. */
const char *mig_hook_text(enum mig_hook hook);

/* malloc'd text, or NULL when there is no memory. */
char *mig_status_json(const struct mig_status *status, size_t *len);
/* Prometheus text format 0.0.4; docs/metrics.md lists the names. */
char *mig_status_metrics(const struct mig_status *status, size_t *len);

#endif
