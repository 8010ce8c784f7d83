/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_VIEW_H
#define MIG_CHAIN_VIEW_H
/*
 * The contract view: what the contract says, as one immutable, reference-counted
 * value (docs/architecture.md). chain/cache.h makes them; everybody else reads.
 * Sets are sorted, so that two views compare by meaning, never by bytes.
 */
#include "include/mpc_migration.h"

enum mig_protocol {
    MIG_PROTOCOL_NOT_INITIALIZED = 0,
    MIG_PROTOCOL_INITIALIZING = 1,
    MIG_PROTOCOL_RUNNING = 2,
    MIG_PROTOCOL_RESHARING = 3,
};
const char *mig_protocol_text(enum mig_protocol protocol); /* "running", ... static */

/* The block a part of the view was read at. */
struct mig_block {
    uint64_t height;
    uint64_t time_ns; /* the block's own timestamp, Unix nanoseconds */
};

/* The destination record of a running migration of one account. */
struct mig_destination {
    uint8_t tls_key[MIG_KEY_LEN];    /* identity of the new node */
    uint8_t signer_key[MIG_KEY_LEN]; /* its account key: signs the conclude */
    char url[MIG_URL_MAX + 1];       /* "" when mig_url_parse refuses what is written there */
    /* Height of the first block this very record was seen at. */
    uint64_t since;
    /* False when the record survived an end of Running: such a record is
     * ignored until it changes (docs/chain.md). */
    bool active;
};

/* Published ephemeral keys of the account (dialect draft, announce=contract). */
struct mig_published {
    bool has_node;
    bool has_service;
    uint8_t node[MIG_KEY_LEN];
    uint8_t service[MIG_KEY_LEN];
};

/* All of it is about one contract and one account: the operator's. */
struct mig_view {
    uint64_t generation; /* grows by one on every relevant change; starts at 1 */
    struct mig_block state_block; /* of the protocol state */
    struct mig_block info_block;  /* of the migration record */
    enum mig_protocol protocol;
    /* Running: the current keyset. Resharing: that of the previous running
     * state. Otherwise empty (count 0). */
    struct mig_keyset keyset;
    uint8_t keyset_digest[MIG_DIGEST_LEN]; /* zero without a keyset */
    /* The contract's own text of `keyset`: its order and every field, as the
     * deployed conclude must repeat them. NULL without a keyset. */
    const char *keyset_json;
    /* Running, Initializing: the participants. Resharing: those of the previous
     * running state, and `prospective` the new ones (else empty). */
    struct mig_participants participants;
    struct mig_participants prospective;
    bool has_service_key; /* a backup service is registered for the account */
    uint8_t service_key[MIG_KEY_LEN];
    bool has_destination;
    struct mig_destination destination;
    struct mig_published published;
};

/* Where the node with this account and TLS key stands; by account and key,
 * never by account alone. */
enum mig_seat {
    MIG_SEAT_NONE = 0,    /* the account is not a participant */
    MIG_SEAT_STANDBY = 1, /* the account is, under another TLS key */
    MIG_SEAT_HELD = 2,    /* this very node is the participant */
};
/* In the active set: the prospective one while resharing, else the current one. */
enum mig_seat mig_view_seat(const struct mig_view *view, const char *account,
                            const uint8_t tls_key[MIG_KEY_LEN]);
/* In the current (or previous running) set, whatever the protocol state. */
enum mig_seat mig_view_current_seat(const struct mig_view *view, const char *account,
                                    const uint8_t tls_key[MIG_KEY_LEN]);
const struct mig_participant *mig_participants_find(const struct mig_participants *set,
                                                    const char *account);

/* Age of the older of the two blocks at `now_ns`, in nanoseconds; 0 for blocks
 * from the future. */
uint64_t mig_view_age_ns(const struct mig_view *view, uint64_t now_ns);

/* One more reference, and one fewer (NULLs the pointer). Any thread. */
const struct mig_view *mig_view_ref(const struct mig_view *view);
void mig_view_release(const struct mig_view **view);

#endif
