/* SPDX-License-Identifier: MIT */
#ifndef MIG_MIGRATION_ADMIT_H
#define MIG_MIGRATION_ADMIT_H
/*
 * Whether an authenticated request may go on, judged against one view. Pure:
 * called when the headers are in, and again inside the commit, with the same
 * answer for the same facts.
 */
#include "chain/view.h"
#include "crypto/context.h"

/* Verdicts in the order they are checked (docs/protocol.md, "Order of checks").
 * Each has one status and one code on the wire; handlers/problem.h has the table. */
enum mig_verdict {
    MIG_ADMITTED = 0,
    MIG_REFUSED_NO_VIEW,         /* 503 stale_view: none yet */
    MIG_REFUSED_MISDIRECTED,     /* 421: contract, account or node */
    MIG_REFUSED_DIRECTION,       /* 400 malformed: context.direction does not fit the resource */
    MIG_REFUSED_STALE,           /* 503 stale_view */
    MIG_REFUSED_NOT_RUNNING,     /* 503 not_running */
    MIG_REFUSED_NOT_PARTICIPANT, /* 403, backup */
    MIG_REFUSED_DECOMMISSIONED,  /* 403, both */
    MIG_REFUSED_NOT_DESTINATION, /* 403, recover */
    MIG_REFUSED_NO_MIGRATION,    /* 409, recover */
    MIG_REFUSED_KEYSET,          /* 409 keyset_mismatch: epoch or digest; also an empty keyset */
    MIG_REFUSED_ANNOUNCE,        /* 409 announce_mismatch */
    MIG_REFUSED_OPERATOR_KEY,    /* 409 operator_key */
    MIG_REFUSED_EPHEMERAL,       /* 409 ephemeral_unpublished */
};

/* What this node is and is configured to do. */
struct mig_self {
    const char *contract;
    const char *account;
    uint8_t tls_key[MIG_KEY_LEN];
    enum mig_announce announce;
    bool has_operator_tag;
    uint8_t operator_tag[MIG_OPERATOR_TAG_LEN];
    uint64_t max_staleness_ns;
    /* Height at which this node was last seen in the participant set, when it
     * is not any more; 0 when it never lost a seat. From the machine. */
    uint64_t seat_lost_at;
};

enum mig_resource {
    MIG_RESOURCE_BACKUP = 1,  /* GET /shares_backup */
    MIG_RESOURCE_RECEIPT = 2, /* POST /shares_backup */
    MIG_RESOURCE_OFFER =
        3, /* GET /shares_recover: also admitted while this node is the participant */
    MIG_RESOURCE_UPLOAD = 4, /* PUT, POST /shares_recover */
};

/* `view` may be NULL. `context` is the request's, already authenticated. */
enum mig_verdict mig_admit(const struct mig_view *view, const struct mig_self *self,
                           enum mig_resource resource, const struct mig_context *context,
                           uint64_t now_ns);

#endif
