/* SPDX-License-Identifier: MIT */
#include "migration/machine.h"

#include <stdlib.h>
#include <string.h>

#include "migration/consequences.h"
#include "migration/onboard.h"

struct mig_machine {
    char account[MIG_ACCOUNT_MAX + 1];
    uint8_t tls_key[MIG_KEY_LEN];
    const struct mig_view *view; /* the last one, or NULL */
    enum mig_seat seat;
    struct mig_onboard onboard;
    struct mig_consequences consequences;
    bool running[MIG_TASK_KINDS];
    uint64_t concludes;
};

enum mig_err mig_machine_new(const char *account, const uint8_t tls_key[MIG_KEY_LEN],
                             const uint8_t *journal, size_t len, struct mig_machine **out)
{
    struct mig_journal loaded = {0};
    *out = NULL;
    if (strlen(account) > MIG_ACCOUNT_MAX)
        return MIG_ERR_BUG;
    enum mig_err err = journal != NULL ? mig_journal_decode(journal, len, &loaded) : MIG_OK;
    if (err != MIG_OK)
        return err;
    struct mig_machine *m = calloc(1, sizeof *m);
    if (m == NULL) {
        mig_journal_clear(&loaded);
        return MIG_ERR_NOMEM;
    }
    memcpy(m->account, account, strlen(account) + 1);
    memcpy(m->tls_key, tls_key, MIG_KEY_LEN);
    mig_consequences_init(&m->consequences, &loaded);
    *out = m;
    return MIG_OK;
}

void mig_machine_free(struct mig_machine **machine)
{
    struct mig_machine *m = *machine;
    if (m == NULL)
        return;
    *machine = NULL;
    mig_consequences_clear(&m->consequences);
    mig_view_release(&m->view);
    free(m);
}

/* ---- views ------------------------------------------------------------- */

/* The set whose members take part now. The epoch is not told while keys are
 * generated, and does not change by that. */
static enum mig_err observe_set(struct mig_machine *m, const struct mig_view *view)
{
    switch (view->protocol) {
    case MIG_PROTOCOL_NOT_INITIALIZED:
        return MIG_OK;
    case MIG_PROTOCOL_INITIALIZING:
        return mig_consequences_observe(&m->consequences, &view->participants, NULL, m->account,
                                        m->tls_key);
    case MIG_PROTOCOL_RUNNING:
        return mig_consequences_observe(&m->consequences, &view->participants, &view->keyset.epoch,
                                        m->account, m->tls_key);
    case MIG_PROTOCOL_RESHARING:
        return mig_consequences_observe(&m->consequences, &view->prospective, &view->keyset.epoch,
                                        m->account, m->tls_key);
    }
    return MIG_ERR_BUG;
}

/* Kept in memory at every view, made durable only when it turns: an older
 * height after a crash is on the safe side, it only makes a record of a later
 * block count. */
static void observe_seat(struct mig_machine *m, const struct mig_view *view)
{
    struct mig_journal *j = &m->consequences.journal;
    bool held = mig_view_current_seat(view, m->account, m->tls_key) == MIG_SEAT_HELD;
    bool turned = held != j->seat_held;
    if (view->protocol == MIG_PROTOCOL_NOT_INITIALIZED)
        return;
    if (held)
        j->seat_seen_at = view->state_block.height;
    if (!turned)
        return;
    j->seat_held = held;
    uint64_t last = j->seat_seen_at > 0 ? j->seat_seen_at : 1; /* 0 means never */
    j->seat_lost_at = held ? 0 : last;
    mig_consequences_touch(&m->consequences);
}

static bool same_service_key(const struct mig_view *a, const struct mig_view *b)
{
    return a->has_service_key == b->has_service_key &&
           (!a->has_service_key || memcmp(a->service_key, b->service_key, MIG_KEY_LEN) == 0);
}

static bool same_destination(const struct mig_view *a, const struct mig_view *b)
{
    const struct mig_destination *x = &a->destination, *y = &b->destination;
    if (a->has_destination != b->has_destination)
        return false;
    return !a->has_destination ||
           (memcmp(x->tls_key, y->tls_key, MIG_KEY_LEN) == 0 &&
            memcmp(x->signer_key, y->signer_key, MIG_KEY_LEN) == 0 && strcmp(x->url, y->url) == 0 &&
            x->since == y->since && x->active == y->active);
}

static unsigned what_to_cancel(const struct mig_machine *m, const struct mig_view *before,
                               const struct mig_view *after)
{
    if (before == NULL)
        return 0; /* nothing was admitted without a view */
    bool same = before->protocol == after->protocol && same_service_key(before, after) &&
                memcmp(before->keyset_digest, after->keyset_digest, MIG_DIGEST_LEN) == 0 &&
                before->keyset.count == after->keyset.count &&
                mig_view_current_seat(before, m->account, m->tls_key) ==
                    mig_view_current_seat(after, m->account, m->tls_key);
    if (!same)
        return MIG_NOTE_CANCEL_BACKUP | MIG_NOTE_CANCEL_RECOVER;
    return same_destination(before, after) ? 0 : MIG_NOTE_CANCEL_RECOVER;
}

/* Whether a worker would find something other than it found before: cheaper to
 * wake it once too often than to miss once. */
static bool has_work(const struct mig_machine *m)
{
    return m->onboard.looks || m->onboard.job == MIG_JOB_IMPORTED ||
           mig_consequences_is_pending(&m->consequences);
}

struct before {
    enum mig_job job;
    enum mig_seat seat;
    uint64_t lost_at;
};

static struct before remember(const struct mig_machine *m)
{
    return (struct before){m->onboard.job, m->seat, mig_machine_seat_lost_at(m)};
}

static unsigned what_changed(const struct mig_machine *m, const struct before *was)
{
    unsigned notes = has_work(m) ? MIG_NOTE_WORK : 0;
    if (m->onboard.job != was->job)
        notes |= MIG_NOTE_JOB;
    if (m->seat != was->seat || mig_machine_seat_lost_at(m) != was->lost_at)
        notes |= MIG_NOTE_SEAT;
    return notes;
}

enum mig_err mig_machine_view(struct mig_machine *m, const struct mig_view *view, unsigned *notes)
{
    *notes = 0;
    if (m->view != NULL && view->generation < m->view->generation)
        return MIG_OK;
    /* First what can fail, and changes nothing when it does. */
    enum mig_err err = observe_set(m, view);
    if (err != MIG_OK)
        return err;
    struct before was = remember(m);
    observe_seat(m, view);
    m->seat = mig_view_seat(view, m->account, m->tls_key);
    mig_onboard_view(&m->onboard, view, m->seat, m->tls_key);
    *notes = what_changed(m, &was) | what_to_cancel(m, m->view, view);
    const struct mig_view *old = m->view;
    m->view = mig_view_ref(view);
    mig_view_release(&old);
    return MIG_OK;
}

/* ---- imports ----------------------------------------------------------- */

enum mig_err mig_machine_import_begin(struct mig_machine *m, const uint8_t keyset[MIG_DIGEST_LEN],
                                      uint64_t *ticket, unsigned *notes)
{
    struct before was = remember(m);
    enum mig_err err = mig_onboard_import_begin(&m->onboard, keyset, ticket);
    *notes = err == MIG_OK ? what_changed(m, &was) : 0;
    return err;
}

unsigned mig_machine_import_end(struct mig_machine *m, uint64_t ticket, enum mig_err result)
{
    struct before was = remember(m);
    mig_onboard_import_end(&m->onboard, ticket, result == MIG_OK);
    return what_changed(m, &was);
}

/* ---- tasks ------------------------------------------------------------- */

void mig_task_clear(struct mig_task *task)
{
    mig_view_release(&task->view);
    mig_participants_clear(&task->before);
    mig_participants_clear(&task->after);
    mig_ids_clear(&task->gone);
    free(task->bytes);
    *task = (struct mig_task){0};
}

static enum mig_err fill_save(const struct mig_machine *m, struct mig_task *task)
{
    task->serial = m->consequences.version;
    return mig_journal_encode(&m->consequences.journal, &task->bytes, &task->len);
}

static enum mig_err fill_change(const struct mig_machine *m, struct mig_task *task)
{
    const struct mig_journal *j = &m->consequences.journal;
    enum mig_err err = mig_participants_copy(&j->done.set, &task->before);
    if (err == MIG_OK)
        err = mig_participants_copy(&j->target.set, &task->after);
    if (err == MIG_OK)
        err = mig_ids_merge(&task->gone, &j->touched);
    if (err != MIG_OK)
        return err;
    task->serial = m->consequences.serial;
    task->change = (struct mig_change){
        .before = j->done.known ? &task->before : NULL,
        .after = &task->after,
        .epoch_before = j->done.epoch,
        .epoch_after = j->target.epoch,
        .purge_all = j->purge_all,
        .gone = task->gone.list,
        .gone_count = task->gone.count,
        .active = mig_participants_has(&j->target.set, m->account, m->tls_key),
    };
    return MIG_OK;
}

static void fill_view(const struct mig_machine *m, struct mig_task *task)
{
    task->serial = m->onboard.run;
    task->view = mig_view_ref(m->view);
}

/* The hooks first: the network waits for them. */
static enum mig_task_kind choose(const struct mig_machine *m, uint64_t now_ms, uint64_t *wake_ms)
{
    const bool *running = m->running;
    bool hooked = running[MIG_TASK_CHANGED] || running[MIG_TASK_PURGE];
    if (!running[MIG_TASK_SAVE] && mig_consequences_wants_save(&m->consequences, now_ms, wake_ms))
        return MIG_TASK_SAVE;
    enum mig_phase phase =
        hooked ? MIG_PHASE_SETTLED : mig_consequences_wants_hook(&m->consequences, now_ms, wake_ms);
    if (phase != MIG_PHASE_SETTLED)
        return phase == MIG_PHASE_CHANGE ? MIG_TASK_CHANGED : MIG_TASK_PURGE;
    if (!running[MIG_TASK_LOOK_UP] && mig_onboard_wants_look(&m->onboard, now_ms, wake_ms))
        return MIG_TASK_LOOK_UP;
    if (!running[MIG_TASK_CONCLUDE] && mig_onboard_wants_conclude(&m->onboard, now_ms, wake_ms))
        return MIG_TASK_CONCLUDE;
    return MIG_TASK_NONE;
}

static enum mig_err fill(const struct mig_machine *m, struct mig_task *task)
{
    switch (task->kind) {
    case MIG_TASK_NONE:
        return MIG_OK;
    case MIG_TASK_SAVE:
        return fill_save(m, task);
    case MIG_TASK_CHANGED:
    case MIG_TASK_PURGE:
        return fill_change(m, task);
    case MIG_TASK_LOOK_UP:
    case MIG_TASK_CONCLUDE:
        fill_view(m, task);
        return MIG_OK;
    }
    return MIG_ERR_BUG;
}

enum mig_err mig_machine_next(struct mig_machine *m, uint64_t now_ms, struct mig_task *task)
{
    *task = (struct mig_task){.wake_ms = UINT64_MAX};
    task->kind = choose(m, now_ms, &task->wake_ms);
    enum mig_err err = fill(m, task);
    if (err != MIG_OK)
        mig_task_clear(task);
    else if (task->kind != MIG_TASK_NONE)
        m->running[task->kind] = true;
    return err;
}

unsigned mig_machine_finish(struct mig_machine *m, struct mig_task *task, enum mig_err result,
                            uint64_t now_ms, uint32_t random)
{
    struct before was = remember(m);
    struct mig_consequences *c = &m->consequences;
    switch (task->kind) {
    case MIG_TASK_NONE:
        break;
    case MIG_TASK_SAVE:
        mig_consequences_saved(c, task->serial, result, now_ms, random);
        break;
    case MIG_TASK_CHANGED:
        mig_consequences_hooked(c, MIG_PHASE_CHANGE, task->serial, result, now_ms, random);
        break;
    case MIG_TASK_PURGE:
        mig_consequences_hooked(c, MIG_PHASE_PURGE, task->serial, result, now_ms, random);
        break;
    case MIG_TASK_LOOK_UP:
        mig_onboard_looked(&m->onboard, task->serial, result, now_ms, random);
        break;
    case MIG_TASK_CONCLUDE:
        m->concludes++;
        mig_onboard_concluded(&m->onboard, task->serial, result, now_ms, random);
        break;
    }
    m->running[task->kind] = false;
    mig_task_clear(task);
    return what_changed(m, &was);
}

/* ---- what it knows ----------------------------------------------------- */

enum mig_job mig_machine_job(const struct mig_machine *m)
{
    return m->onboard.job;
}

enum mig_seat mig_machine_seat(const struct mig_machine *m)
{
    return m->seat;
}

uint64_t mig_machine_seat_lost_at(const struct mig_machine *m)
{
    return m->consequences.journal.seat_lost_at;
}

bool mig_machine_is_pending(const struct mig_machine *m)
{
    return mig_consequences_is_pending(&m->consequences);
}

void mig_machine_count(const struct mig_machine *m, struct mig_machine_counts *out)
{
    *out = (struct mig_machine_counts){
        .concludes = m->concludes,
        .hook_failures = m->consequences.hook_failures,
        .bugs = m->onboard.bugs + m->consequences.bugs,
    };
}
