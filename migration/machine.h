/* SPDX-License-Identifier: MIT */
#ifndef MIG_MIGRATION_MACHINE_H
#define MIG_MIGRATION_MACHINE_H
/*
 * What to do about what the contract says: this node's onboarding job, the
 * consequences of a changed participant set, and the journal that makes them
 * happen across restarts (docs/migration.md has the tables). Pure: no clock, no
 * disk, no thread, no lock; the caller holds one mutex around every call and
 * gives monotonic milliseconds and random numbers.
 *
 * Events (view, import) say at once what changed, as a set of mig_note bits.
 * Slow work is pulled: a worker asks for the next task, does it without the
 * mutex and reports how it went:
 *
 *     lock; mig_machine_next(machine, now, &task); unlock;
 *     if task.kind is MIG_TASK_NONE: sleep until task.wake_ms or MIG_NOTE_WORK
 *     else: err = do it
 *           lock; notes = mig_machine_finish(machine, &task, err, now, random); unlock;
 *
 * Several workers may hold tasks of different kinds at once; never two of the
 * same kind, never MIG_TASK_CHANGED and MIG_TASK_PURGE together.
 */
#include "chain/view.h"
#include "migration/participants.h"

struct mig_machine;

enum mig_note {
    MIG_NOTE_JOB = 1,           /* mig_machine_job moved: tell the host */
    MIG_NOTE_CANCEL_BACKUP = 2, /* abandon backups in flight: state, key, keyset or seat changed */
    MIG_NOTE_CANCEL_RECOVER =
        4,              /* abandon the import and drop the offer: those or the record changed */
    MIG_NOTE_WORK = 8,  /* wake the worker */
    MIG_NOTE_SEAT = 16, /* seat_lost_at or the node status changed */
};

enum mig_task_kind {
    MIG_TASK_NONE = 0,
    MIG_TASK_SAVE = 1,     /* mig_record_save task.bytes; durable before finish says MIG_OK */
    MIG_TASK_CHANGED = 2,  /* host.participants_changed(&task.change) */
    MIG_TASK_PURGE = 3,    /* host.purge_assets(&task.change) */
    MIG_TASK_LOOK_UP = 4,  /* host.load_keyshares of task.view->keyset: MIG_OK when all are there,
                              MIG_ERR_NOT_FOUND when not; other errors are retried */
    MIG_TASK_CONCLUDE = 5, /* host.conclude(&task.view->keyset) */
};
enum { MIG_TASK_KINDS = 6 };

/* Owns what it points to until mig_machine_finish (or mig_task_clear). */
struct mig_task {
    enum mig_task_kind kind;
    uint64_t serial;             /* tells a result that came too late */
    uint64_t wake_ms;            /* NONE: ask again then; UINT64_MAX: only after MIG_NOTE_WORK */
    const struct mig_view *view; /* LOOK_UP, CONCLUDE */
    struct mig_change change;    /* CHANGED, PURGE */
    uint8_t *bytes;              /* SAVE */
    size_t len;
    struct mig_participants before, after; /* behind change */
    struct mig_ids gone;
};
void mig_task_clear(struct mig_task *task);

/* Pauses between attempts. */
enum {
    MIG_CONCLUDE_FIRST_MS = 2000, /* doubles */
    MIG_CONCLUDE_LAST_MS = 60000, /* longest pause, jitter included */
    MIG_CONCLUDE_OBSERVE_MS =
        10000, /* after a transaction went out: time for the contract to show it */
    MIG_HOOK_FIRST_MS = 1000,
    MIG_HOOK_LAST_MS = 60000,
};

/* `account` and `tls_key` are copied: who this node is. `journal`: bytes of the
 * last saved journal, NULL when there is none (then every asset counts as of
 * unknown origin and is purged with the first set). MIG_ERR_MALFORMED when it
 * does not decode: the caller reports that and starts without one. */
enum mig_err mig_machine_new(const char *account, const uint8_t tls_key[MIG_KEY_LEN],
                             const uint8_t *journal, size_t len,
                             struct mig_machine **out) MIG_MUST_USE;
void mig_machine_free(struct mig_machine **machine);

/* ---- events; each returns mig_note bits ------------------------------- */

/* A new view, also a mere refresh. Takes its own reference. Views of an older
 * generation are ignored. MIG_ERR_NOMEM: nothing changed, feed it again. */
enum mig_err mig_machine_view(struct mig_machine *machine, const struct mig_view *view,
                              unsigned *notes) MIG_MUST_USE;

/* An upload for this keyset is about to be imported: one at a time, while the
 * job is waiting or (a repeat) imported. MIG_ERR_STATE: the job does not want
 * it. MIG_ERR_RETRY: another import has not ended. On MIG_OK the caller must
 * call mig_machine_import_end with the ticket, whatever happens. */
enum mig_err mig_machine_import_begin(struct mig_machine *machine,
                                      const uint8_t keyset[MIG_DIGEST_LEN], uint64_t *ticket,
                                      unsigned *notes) MIG_MUST_USE;
/* `result` of import_keyshares. A success counts even when the job has moved:
 * the shares are durable. */
unsigned mig_machine_import_end(struct mig_machine *machine, uint64_t ticket, enum mig_err result);

/* Gives the next thing to do at `now_ms`, or MIG_TASK_NONE with wake_ms. */
enum mig_err mig_machine_next(struct mig_machine *machine, uint64_t now_ms,
                              struct mig_task *task) MIG_MUST_USE;
/* Ends a task and clears it. `random`: 32 fresh random bits, for jitter. */
unsigned mig_machine_finish(struct mig_machine *machine, struct mig_task *task, enum mig_err result,
                            uint64_t now_ms, uint32_t random);

/* ---- what it knows ----------------------------------------------------- */

enum mig_job mig_machine_job(const struct mig_machine *machine);
/* Where this node stands in the active set; HELD means: take part. */
enum mig_seat mig_machine_seat(const struct mig_machine *machine);
/* Height at which this node was last seen in the participant set, when it is
 * not any more; 0 when it never lost a seat, or has one. Survives restarts. */
uint64_t mig_machine_seat_lost_at(const struct mig_machine *machine);
/* A change whose consequences are not done (or not recorded) yet. */
bool mig_machine_is_pending(const struct mig_machine *machine);
/* Conclude attempts of the current job, and failed hook calls in a row. For
 * /status and metrics. */
struct mig_machine_counts {
    uint64_t concludes;
    uint64_t hook_failures;
    uint64_t bugs; /* impossible cells reached: must stay 0 */
};
void mig_machine_count(const struct mig_machine *machine, struct mig_machine_counts *out);

#endif
