/* SPDX-License-Identifier: MIT */
#ifndef MIG_MIGRATION_CONSEQUENCES_H
#define MIG_MIGRATION_CONSEQUENCES_H
/*
 * What a changed participant set asks of the host, once each and across
 * crashes: first reconnect, then purge (docs/migration.md, "Consequences").
 *
 * Write-ahead: every id a change touches is in the journal, durably, before the
 * first hook of that change is called; it leaves the journal only after the
 * purge reported success. A newer change adds its ids to those and starts
 * again, so A -> B -> A before the end reconnects to A and purges what B
 * touched: the host may have talked to B's participants in between.
 * Part of migration/machine.h, which see for the rules.
 */
#include "migration/journal.h"

enum mig_phase {
    MIG_PHASE_SETTLED = 0,
    MIG_PHASE_CHANGE = 1, /* participants_changed has to succeed */
    MIG_PHASE_PURGE = 2,  /* then purge_assets */
};
enum mig_phase_event {
    MIG_PHASE_ON_MOVED = 0, /* another set or epoch */
    MIG_PHASE_ON_CHANGED,   /* participants_changed succeeded */
    MIG_PHASE_ON_PURGED,    /* purge_assets succeeded */
    MIG_PHASE_ON_FAILED,    /* a hook failed */
};
enum { MIG_PHASES = 3, MIG_PHASE_EVENTS = 4 };

struct mig_consequences {
    struct mig_journal journal;
    enum mig_phase phase;
    bool seen;        /* a set was seen since the start: the target is current */
    uint64_t serial;  /* of the change under way; a result with another one is late */
    uint64_t version; /* of the journal in memory */
    uint64_t saved;   /* of the durable one */
    uint64_t ahead;   /* that must be durable before a hook is called */
    unsigned hook_failures, save_failures;
    uint64_t hook_at_ms, save_at_ms;
    uint64_t bugs;
};

void mig_consequences_clear(struct mig_consequences *c);
/* Takes over `journal` (as it was loaded, so durable). */
void mig_consequences_init(struct mig_consequences *c, struct mig_journal *journal);

/* One cell of the table; MIG_ERR_BUG for one that cannot be. */
enum mig_err mig_consequences_step(struct mig_consequences *c,
                                   enum mig_phase_event event) MIG_MUST_USE;

/* The set that is active now. `epoch` NULL: not known in this protocol state,
 * so taken as unchanged. MIG_ERR_NOMEM: nothing changed. */
enum mig_err mig_consequences_observe(struct mig_consequences *c,
                                      const struct mig_participants *set, const uint64_t *epoch,
                                      const char *account,
                                      const uint8_t tls_key[MIG_KEY_LEN]) MIG_MUST_USE;
/* Something else in the journal changed. */
void mig_consequences_touch(struct mig_consequences *c);

bool mig_consequences_wants_save(const struct mig_consequences *c, uint64_t now_ms,
                                 uint64_t *at_ms);
/* The phase whose hook is to be called now, or SETTLED. */
enum mig_phase mig_consequences_wants_hook(const struct mig_consequences *c, uint64_t now_ms,
                                           uint64_t *at_ms);
void mig_consequences_saved(struct mig_consequences *c, uint64_t version, enum mig_err result,
                            uint64_t now_ms, uint32_t random);
void mig_consequences_hooked(struct mig_consequences *c, enum mig_phase phase, uint64_t serial,
                             enum mig_err result, uint64_t now_ms, uint32_t random);
bool mig_consequences_is_pending(const struct mig_consequences *c);

#endif
