/* SPDX-License-Identifier: MIT */
#ifndef MIG_BACKUP_CLIENT_H
#define MIG_BACKUP_CLIENT_H
/*
 * The service's operations against one node, each a straight script: build,
 * send, judge, keep. Used by the unattended service and by the one-shot verbs.
 * On the caller's thread; a run takes at most a few transfers' time.
 */
#include "backup/judge.h"
#include "backup/transport.h"
#include "backup/vault.h"

struct mig_client {
    struct mig_transport *transport; /* borrowed */
    const struct mig_vault *vault;   /* borrowed */
    struct mig_route route;
    struct mig_peer peer; /* peer.authority is route.authority */
    /* Asked during transfers and right before anything becomes durable; NULL:
     * never given up. Borrowed. */
    const struct mig_fence *fence;
    /* announce=contract: the pair and the node's key that the contract shows;
     * NULL: it does not show them (yet). Borrowed. */
    const struct mig_ephemeral *shown_own;
    const uint8_t *shown_node;
};

/* Points the client at a node. Same errors as mig_route_init. */
enum mig_err mig_client_aim(struct mig_client *client, const char *url,
                            const uint8_t node[MIG_KEY_LEN], bool plain_anywhere,
                            const char **why) MIG_MUST_USE;

/* Fetches the node's shares of exactly this keyset, keeps them, reads them
 * back, saves the note (pending). */
struct mig_result mig_client_backup(const struct mig_client *client,
                                    const struct mig_keyset *keyset, struct mig_note *note);
/* Tells the node that the backup of this note is durable; saves the note
 * (acknowledged) when the node has signed for it. */
struct mig_result mig_client_receipt(const struct mig_client *client, struct mig_note *note);

struct mig_handover {
    enum mig_job job; /* where the node stands now */
    bool sealed;      /* shares were sealed under our ephemeral key, whatever came of it */
    bool uploaded;    /* this step handed the shares over */
    bool wants_key;   /* it could have, if the contract showed our ephemeral key */
    struct mig_receipt receipt;
};
/* One step of a delivery: asks where the node stands and uploads when it waits.
 * OK means that this step went well; the delivery is over when job is DONE. */
struct mig_result mig_client_deliver(const struct mig_client *client,
                                     const struct mig_keyset *keyset, struct mig_handover *out);

#endif
