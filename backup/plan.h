/* SPDX-License-Identifier: MIT */
#ifndef MIG_BACKUP_PLAN_H
#define MIG_BACKUP_PLAN_H
/*
 * What the unattended service does next. Pure: the view, the vault's facts,
 * the results so far and the time go in; one task, or a reason to wait, comes
 * out. A running task goes on only while the plan still names the same target.
 */
#include "backup/judge.h"
#include "backup/note.h"
#include "chain/view.h"

enum mig_task {
    MIG_TASK_NONE = 0,
    MIG_TASK_BACKUP = 1,  /* fetch, keep, read back, note */
    MIG_TASK_RECEIPT = 2, /* tell the node that its backup is durable */
    MIG_TASK_DELIVER = 3, /* hand the shares to the destination, see it through */
    MIG_TASK_COUNT,
};

enum mig_reason {
    MIG_REASON_NO_VIEW = 0,
    MIG_REASON_STALE,
    MIG_REASON_NOT_REGISTERED, /* no backup key of the account in the contract */
    MIG_REASON_OTHER_KEY,      /* another one than ours */
    MIG_REASON_NOT_RUNNING,
    MIG_REASON_NO_KEYSET, /* running, but no key was generated yet */
    MIG_REASON_NOT_PARTICIPANT,
    MIG_REASON_NOT_COVERED,    /* the vault lacks the contract's keyset */
    MIG_REASON_LOST_WITH_NODE, /* the same, while a migration is already under way */
    MIG_REASON_UNCONFIRMED,    /* covered, but never fetched from the node that is there now */
    MIG_REASON_RECEIPT_DUE,    /* covered, the node does not know */
    MIG_REASON_DELIVERY_DUE,   /* a migration of the account runs */
    MIG_REASON_SAFE,           /* covered and acknowledged */
    MIG_REASON_COUNT,
};
const char *mig_reason_word(enum mig_reason reason); /* "safe", "not_covered": stable */
const char *mig_reason_text(enum mig_reason reason); /* a sentence for the operator */
/* The shares of the current keyset are in the vault. */
bool mig_reason_is_safe(enum mig_reason reason);

struct mig_facts {
    const struct mig_view *view; /* NULL: none yet */
    const char *account;
    const uint8_t *service_key; /* ours */
    uint64_t now_ns;            /* Unix */
    uint64_t max_staleness_ns;
    bool covered;                /* the vault holds, readable, exactly view->keyset_digest */
    const struct mig_note *note; /* of that keyset; NULL: none */
};

/* One task with everything that makes it this one. */
struct mig_target {
    enum mig_task task;
    uint8_t node[MIG_KEY_LEN];
    uint8_t keyset[MIG_DIGEST_LEN];
    uint64_t since;            /* DELIVER: height of the destination record */
    char url[MIG_URL_MAX + 1]; /* as the contract has it */
};
bool mig_target_is_equal(const struct mig_target *a, const struct mig_target *b);

struct mig_plan {
    enum mig_reason reason;
    struct mig_target target; /* task NONE: wait */
};
struct mig_plan mig_plan_make(const struct mig_facts *facts);

/* The history of one kind of task. Zero-initialise. */
struct mig_attempt {
    struct mig_target target;
    uint64_t generation; /* of the view of the last try */
    unsigned failures;   /* in a row, and of a kind: unanswered or refused */
    bool refused;        /* the kind */
    unsigned unanswered; /* of all tries of this target: counts the addresses through */
    uint64_t not_before_ns;
    bool finished; /* nothing more to do for this target */
};

enum {
    MIG_BACKOFF_FIRST_MS = 1000,
    MIG_BACKOFF_MAX_MS = 60000,
    MIG_REFUSED_FIRST_MS = 30000, /* only a change helps: look again, rarely */
    MIG_REFUSED_MAX_MS = 600000,
    MIG_BEHIND_TRIES = 3, /* for its place in the contract: the node may be a look behind */
    MIG_DELIVERY_POLL_MS = 1000,
};

/* When `target` may be tried (monotonic ns; 0: now; UINT64_MAX: never). A new
 * target or a new generation makes it due at once. */
uint64_t mig_attempt_due(const struct mig_attempt *attempt, const struct mig_target *target,
                         uint64_t generation);
/* Takes the result of a try. `delivered`: DELIVER is over. `random` spreads the
 * waiting time by a quarter either way. */
void mig_attempt_record(struct mig_attempt *attempt, const struct mig_target *target,
                        uint64_t generation, const struct mig_result *result, bool finished,
                        uint64_t now_ns, uint32_t random);

/* Which address to try: the configured one of the task first, then the other
 * ones in turn, each until it does not answer; after a migration the current node is found
 * where it was delivered to. NULL entries are skipped; never NULL. */
const char *mig_plan_url(const struct mig_target *target, unsigned unanswered, const char *node_url,
                         const char *recover_url);

#endif
