/* SPDX-License-Identifier: MIT */
#ifndef MIG_MIGRATION_ONBOARD_H
#define MIG_MIGRATION_ONBOARD_H
/*
 * This node's own onboarding: the job, and when to look for shares and to
 * conclude (docs/migration.md has the table). Every change of the keyset or the
 * destination record begins a new run; what belongs to an older run cannot move
 * the job any more. Part of migration/machine.h, which see for the rules.
 */
#include "chain/view.h"

enum mig_onboard_event {
    MIG_ON_IDLE = 0,      /* neither destination nor participant, or not Running */
    MIG_ON_SEATED,        /* this node is the participant */
    MIG_ON_START,         /* destination, by another record or for another keyset */
    MIG_ON_STAY,          /* destination, as before */
    MIG_ON_KEY,           /* destination as before, but another backup key is registered */
    MIG_ON_IMPORT_BEGIN,  /* an upload wants to be imported */
    MIG_ON_IMPORT_STORED, /* shares of this run's keyset became durable */
    MIG_ON_IMPORT_FAILED, /* this run's import came to nothing */
    MIG_ON_SHARES_FOUND,  /* the store has all shares of the keyset */
    MIG_ON_SHARES_ABSENT, /* it has not */
    MIG_ON_CONCLUDED,     /* an attempt to conclude ended, one way or the other */
};
enum { MIG_ON_EVENTS = 11, MIG_JOBS = 5 };

struct mig_onboard {
    enum mig_job job;
    uint64_t run;           /* number of the current run; results of others are late */
    bool nothing_to_import; /* the keyset is empty */
    bool found;             /* the store has this run's shares */
    uint8_t keyset[MIG_DIGEST_LEN];
    struct mig_destination record;
    bool has_service_key;
    uint8_t service_key[MIG_KEY_LEN];

    bool importing; /* an import has not ended yet, of whatever run */
    uint64_t ticket;
    uint64_t import_run; /* the run it counts for; 0: abandoned */
    uint8_t import_keyset[MIG_DIGEST_LEN];

    bool looks; /* has to ask the store */
    unsigned look_failures;
    uint64_t look_at_ms;
    unsigned attempts; /* to conclude, in this run */
    uint64_t conclude_at_ms;
    uint64_t bugs;
};

/* One cell of the table. MIG_ERR_STATE: refused (an import not wanted now).
 * MIG_ERR_BUG: a cell that cannot be. */
enum mig_err mig_onboard_step(struct mig_onboard *onboard,
                              enum mig_onboard_event event) MIG_MUST_USE;

/* What the view asks of this node, as an event; remembers what it is about. */
void mig_onboard_view(struct mig_onboard *onboard, const struct mig_view *view, enum mig_seat seat,
                      const uint8_t tls_key[MIG_KEY_LEN]);
/* See mig_machine_import_begin and _end. */
enum mig_err mig_onboard_import_begin(struct mig_onboard *onboard,
                                      const uint8_t keyset[MIG_DIGEST_LEN],
                                      uint64_t *ticket) MIG_MUST_USE;
void mig_onboard_import_end(struct mig_onboard *onboard, uint64_t ticket, bool stored);

/* Whether it wants this now; if only later, *at_ms is lowered to then. */
bool mig_onboard_wants_look(const struct mig_onboard *onboard, uint64_t now_ms, uint64_t *at_ms);
bool mig_onboard_wants_conclude(const struct mig_onboard *onboard, uint64_t now_ms,
                                uint64_t *at_ms);
/* How it went, for the run it was started in. */
void mig_onboard_looked(struct mig_onboard *onboard, uint64_t run, enum mig_err result,
                        uint64_t now_ms, uint32_t random);
void mig_onboard_concluded(struct mig_onboard *onboard, uint64_t run, enum mig_err result,
                           uint64_t now_ms, uint32_t random);

/* Pause before attempt n + 1 after n >= 1: doubles from `first`, up to a
 * quarter more by chance, at most `last`. */
uint64_t mig_pause_ms(unsigned n, uint64_t first, uint64_t last, uint32_t random);

#endif
