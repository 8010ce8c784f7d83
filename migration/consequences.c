/* SPDX-License-Identifier: MIT */
#include "migration/consequences.h"

#include <string.h>

#include "migration/machine.h"
#include "migration/onboard.h"

void mig_consequences_clear(struct mig_consequences *c)
{
    mig_journal_clear(&c->journal);
    *c = (struct mig_consequences){0};
}

void mig_consequences_init(struct mig_consequences *c, struct mig_journal *journal)
{
    *c = (struct mig_consequences){.journal = *journal};
    *journal = (struct mig_journal){0};
    c->phase = c->journal.target.known ? MIG_PHASE_CHANGE : MIG_PHASE_SETTLED;
}

void mig_consequences_touch(struct mig_consequences *c)
{
    c->version++;
    c->save_failures = 0;
    c->save_at_ms = 0;
}

/* ---- the cells --------------------------------------------------------- */

static enum mig_err never(struct mig_consequences *c)
{
    c->bugs++;
    return MIG_ERR_BUG;
}

/* From the first hook again, whatever had been done: it was done for a set that
 * is not the active one any more. */
static enum mig_err begin(struct mig_consequences *c)
{
    mig_consequences_touch(c);
    c->ahead = c->version;
    c->serial++;
    c->hook_failures = 0;
    c->hook_at_ms = 0;
    c->phase = MIG_PHASE_CHANGE;
    return MIG_OK;
}

static enum mig_err complete(struct mig_consequences *c)
{
    struct mig_journal *j = &c->journal;
    mig_epoch_set_clear(&j->done);
    j->done = j->target;
    j->target = (struct mig_epoch_set){0};
    j->purge_all = false;
    mig_ids_clear(&j->touched);
    mig_consequences_touch(c);
    c->hook_failures = 0;
    c->phase = MIG_PHASE_SETTLED;
    return MIG_OK;
}

static enum mig_err go_on(struct mig_consequences *c)
{
    c->hook_failures = 0;
    c->hook_at_ms = 0;
    if (!c->journal.purge_all && c->journal.touched.count == 0)
        return complete(c); /* only newcomers: nothing to purge */
    c->phase = MIG_PHASE_PURGE;
    return MIG_OK;
}

static enum mig_err fail(struct mig_consequences *c)
{
    c->hook_failures++;
    return MIG_OK;
}

typedef enum mig_err cell(struct mig_consequences *);

static cell *const table[MIG_PHASES][MIG_PHASE_EVENTS] = {
    [MIG_PHASE_SETTLED] = {[MIG_PHASE_ON_MOVED] = begin,
                           [MIG_PHASE_ON_CHANGED] = never,
                           [MIG_PHASE_ON_PURGED] = never,
                           [MIG_PHASE_ON_FAILED] = never},
    [MIG_PHASE_CHANGE] = {[MIG_PHASE_ON_MOVED] = begin,
                          [MIG_PHASE_ON_CHANGED] = go_on,
                          [MIG_PHASE_ON_PURGED] = never,
                          [MIG_PHASE_ON_FAILED] = fail},
    [MIG_PHASE_PURGE] = {[MIG_PHASE_ON_MOVED] = begin,
                         [MIG_PHASE_ON_CHANGED] = never,
                         [MIG_PHASE_ON_PURGED] = complete,
                         [MIG_PHASE_ON_FAILED] = fail},
};

enum mig_err mig_consequences_step(struct mig_consequences *c, enum mig_phase_event event)
{
    if ((unsigned)c->phase >= MIG_PHASES || (unsigned)event >= MIG_PHASE_EVENTS)
        return never(c);
    return table[c->phase][event](c);
}

/* ---- sets -------------------------------------------------------------- */

/* What the next set is compared with: the newest one the host was told of. */
static struct mig_epoch_set *base_of(struct mig_consequences *c)
{
    return c->journal.target.known ? &c->journal.target : &c->journal.done;
}

/* Adds what this change voids to what earlier unfinished ones did. */
static enum mig_err accumulate(struct mig_journal *j, const struct mig_delta *delta)
{
    if (mig_ids_merge(&j->touched, &delta->gone) != MIG_OK)
        return MIG_ERR_NOMEM;
    j->purge_all = j->purge_all || delta->epoch_changed;
    if (j->touched.count > MIG_JOURNAL_IDS_MAX) {
        j->purge_all = true;
        mig_ids_clear(&j->touched);
    }
    return MIG_OK;
}

static enum mig_err move_to(struct mig_consequences *c, const struct mig_participants *set,
                            uint64_t epoch, const struct mig_delta *delta)
{
    struct mig_epoch_set next = {.known = true, .epoch = epoch};
    enum mig_err err = mig_participants_copy(set, &next.set);
    if (err == MIG_OK)
        err = accumulate(&c->journal, delta);
    if (err != MIG_OK) {
        mig_epoch_set_clear(&next);
        return err;
    }
    mig_epoch_set_clear(&c->journal.target);
    c->journal.target = next;
    return mig_consequences_step(c, MIG_PHASE_ON_MOVED);
}

/* Another address or threshold: worth keeping, worth no hook. */
static enum mig_err refresh(struct mig_consequences *c, const struct mig_participants *set)
{
    struct mig_participants copy;
    enum mig_err err = mig_participants_copy(set, &copy);
    if (err != MIG_OK)
        return err;
    mig_participants_clear(&base_of(c)->set);
    base_of(c)->set = copy;
    mig_consequences_touch(c);
    return MIG_OK;
}

enum mig_err mig_consequences_observe(struct mig_consequences *c,
                                      const struct mig_participants *set, const uint64_t *epoch,
                                      const char *account, const uint8_t tls_key[MIG_KEY_LEN])
{
    const struct mig_epoch_set *base = base_of(c);
    uint64_t now = epoch != NULL ? *epoch : base->epoch;
    struct mig_delta delta;
    enum mig_err err = mig_delta_compute(base->known ? &base->set : NULL, base->epoch, set, now,
                                         account, tls_key, &delta);
    if (err == MIG_OK && mig_delta_reconnects(&delta))
        err = move_to(c, set, now, &delta);
    else if (err == MIG_OK && (delta.address_changed || delta.threshold_changed))
        err = refresh(c, set);
    if (err == MIG_OK)
        c->seen = true;
    mig_delta_clear(&delta);
    return err;
}

/* ---- work -------------------------------------------------------------- */

static bool is_due(uint64_t due_ms, uint64_t now_ms, uint64_t *at_ms)
{
    if (due_ms > now_ms && due_ms < *at_ms)
        *at_ms = due_ms;
    return due_ms <= now_ms;
}

bool mig_consequences_wants_save(const struct mig_consequences *c, uint64_t now_ms, uint64_t *at_ms)
{
    return c->saved != c->version && is_due(c->save_at_ms, now_ms, at_ms);
}

enum mig_phase mig_consequences_wants_hook(const struct mig_consequences *c, uint64_t now_ms,
                                           uint64_t *at_ms)
{
    if (c->phase == MIG_PHASE_SETTLED || !c->seen || c->saved < c->ahead)
        return MIG_PHASE_SETTLED;
    return is_due(c->hook_at_ms, now_ms, at_ms) ? c->phase : MIG_PHASE_SETTLED;
}

void mig_consequences_saved(struct mig_consequences *c, uint64_t version, enum mig_err result,
                            uint64_t now_ms, uint32_t random)
{
    if (result == MIG_OK) {
        c->saved = version;
        c->save_failures = 0;
        return;
    }
    c->save_at_ms =
        now_ms + mig_pause_ms(++c->save_failures, MIG_HOOK_FIRST_MS, MIG_HOOK_LAST_MS, random);
}

void mig_consequences_hooked(struct mig_consequences *c, enum mig_phase phase, uint64_t serial,
                             enum mig_err result, uint64_t now_ms, uint32_t random)
{
    if (serial != c->serial)
        return;
    enum mig_phase_event done =
        phase == MIG_PHASE_CHANGE ? MIG_PHASE_ON_CHANGED : MIG_PHASE_ON_PURGED;
    enum mig_err err = mig_consequences_step(c, result == MIG_OK ? done : MIG_PHASE_ON_FAILED);
    if (err == MIG_OK && result != MIG_OK)
        c->hook_at_ms =
            now_ms + mig_pause_ms(c->hook_failures, MIG_HOOK_FIRST_MS, MIG_HOOK_LAST_MS, random);
}

bool mig_consequences_is_pending(const struct mig_consequences *c)
{
    return c->phase != MIG_PHASE_SETTLED || c->saved != c->version;
}
