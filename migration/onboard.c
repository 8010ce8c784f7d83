/* SPDX-License-Identifier: MIT */
#include "migration/onboard.h"

#include <string.h>

#include "migration/machine.h"

uint64_t mig_pause_ms(unsigned n, uint64_t first, uint64_t last, uint32_t random)
{
    uint64_t pause = first;
    for (unsigned i = 1; i < n && pause < last; i++)
        pause *= 2;
    pause += pause / 4 * (random >> 16) / 65536;
    return pause < last ? pause : last;
}

/* ---- the cells --------------------------------------------------------- */

static enum mig_err keep(struct mig_onboard *o)
{
    (void)o;
    return MIG_OK;
}

static enum mig_err never(struct mig_onboard *o)
{
    o->bugs++;
    return MIG_ERR_BUG;
}

static enum mig_err refuse(struct mig_onboard *o)
{
    (void)o;
    return MIG_ERR_STATE;
}

static void abandon(struct mig_onboard *o)
{
    o->import_run = 0;
    o->looks = false;
    o->found = false;
    o->look_failures = 0;
    o->attempts = 0;
    o->look_at_ms = o->conclude_at_ms = 0;
}

static enum mig_err leave(struct mig_onboard *o)
{
    abandon(o);
    o->job = MIG_JOB_NONE;
    return MIG_OK;
}

static enum mig_err sit(struct mig_onboard *o)
{
    abandon(o);
    o->job = MIG_JOB_DONE;
    return MIG_OK;
}

/* The shares may be here: this node had the seat before, or restarted after an
 * import. The store knows, so it is asked first; memory is not trusted with it. */
static enum mig_err start(struct mig_onboard *o)
{
    abandon(o);
    o->run++;
    o->looks = !o->nothing_to_import;
    o->job = o->nothing_to_import ? MIG_JOB_IMPORTED : MIG_JOB_WAITING;
    return MIG_OK;
}

static enum mig_err enter(struct mig_onboard *o)
{
    o->job = MIG_JOB_IMPORTING;
    return MIG_OK;
}

static enum mig_err imported(struct mig_onboard *o)
{
    o->looks = false;
    o->job = MIG_JOB_IMPORTED;
    return MIG_OK;
}

/* The upload came under a key that is not the registered one any more. */
static enum mig_err disown(struct mig_onboard *o)
{
    o->import_run = 0;
    o->job = o->found ? MIG_JOB_IMPORTED : MIG_JOB_WAITING;
    return MIG_OK;
}

static enum mig_err found_meanwhile(struct mig_onboard *o)
{
    o->looks = false;
    o->found = true;
    return MIG_OK;
}

static enum mig_err absent(struct mig_onboard *o)
{
    o->looks = false;
    return MIG_OK;
}

typedef enum mig_err cell(struct mig_onboard *);

/* Results of an older run, or of an abandoned import, never get here. */
static cell *const table[MIG_JOBS][MIG_ON_EVENTS] = {
    [MIG_JOB_NONE] = {[MIG_ON_IDLE] = keep,
                      [MIG_ON_SEATED] = sit,
                      [MIG_ON_START] = start,
                      [MIG_ON_STAY] = never,
                      [MIG_ON_KEY] = never,
                      [MIG_ON_IMPORT_BEGIN] = refuse,
                      [MIG_ON_IMPORT_STORED] = never,
                      [MIG_ON_IMPORT_FAILED] = never,
                      [MIG_ON_SHARES_FOUND] = never,
                      [MIG_ON_SHARES_ABSENT] = never,
                      [MIG_ON_CONCLUDED] = never},
    [MIG_JOB_WAITING] = {[MIG_ON_IDLE] = leave,
                         [MIG_ON_SEATED] = sit,
                         [MIG_ON_START] = start,
                         [MIG_ON_STAY] = keep,
                         [MIG_ON_KEY] = keep,
                         [MIG_ON_IMPORT_BEGIN] = enter,
                         [MIG_ON_IMPORT_STORED] =
                             imported, /* by an import that was abandoned too late */
                         [MIG_ON_IMPORT_FAILED] = never,
                         [MIG_ON_SHARES_FOUND] = imported,
                         [MIG_ON_SHARES_ABSENT] = absent,
                         [MIG_ON_CONCLUDED] = never},
    [MIG_JOB_IMPORTING] = {[MIG_ON_IDLE] = leave,
                           [MIG_ON_SEATED] = sit,
                           [MIG_ON_START] = start,
                           [MIG_ON_STAY] = keep,
                           [MIG_ON_KEY] = disown,
                           [MIG_ON_IMPORT_BEGIN] = never, /* one import at a time */
                           [MIG_ON_IMPORT_STORED] = imported,
                           [MIG_ON_IMPORT_FAILED] = disown,
                           [MIG_ON_SHARES_FOUND] = found_meanwhile,
                           [MIG_ON_SHARES_ABSENT] = absent,
                           [MIG_ON_CONCLUDED] = never},
    [MIG_JOB_IMPORTED] = {[MIG_ON_IDLE] = leave,
                          [MIG_ON_SEATED] = sit,
                          [MIG_ON_START] = start,
                          [MIG_ON_STAY] = keep,
                          [MIG_ON_KEY] = keep,
                          [MIG_ON_IMPORT_BEGIN] = keep, /* a repeat, to learn a lost answer */
                          [MIG_ON_IMPORT_STORED] = keep,
                          [MIG_ON_IMPORT_FAILED] = keep,
                          [MIG_ON_SHARES_FOUND] = keep,
                          [MIG_ON_SHARES_ABSENT] = keep, /* asked before the import ended */
                          [MIG_ON_CONCLUDED] = keep}, /* only the contract says when it is done */
    [MIG_JOB_DONE] = {[MIG_ON_IDLE] = leave,
                      [MIG_ON_SEATED] = keep,
                      [MIG_ON_START] = start, /* it lost the seat and shall come back */
                      [MIG_ON_STAY] = never,
                      [MIG_ON_KEY] = never,
                      [MIG_ON_IMPORT_BEGIN] = refuse,
                      [MIG_ON_IMPORT_STORED] = never,
                      [MIG_ON_IMPORT_FAILED] = never,
                      [MIG_ON_SHARES_FOUND] = never,
                      [MIG_ON_SHARES_ABSENT] = never,
                      [MIG_ON_CONCLUDED] = never},
};

enum mig_err mig_onboard_step(struct mig_onboard *o, enum mig_onboard_event event)
{
    if ((unsigned)o->job >= MIG_JOBS || (unsigned)event >= MIG_ON_EVENTS)
        return never(o);
    return table[o->job][event](o);
}

/* A cell that cannot be has counted itself; a refusal changes nothing. */
static void step(struct mig_onboard *o, enum mig_onboard_event event)
{
    enum mig_err unused = mig_onboard_step(o, event);
    (void)unused;
}

/* ---- views ------------------------------------------------------------- */

static bool is_onboarding(const struct mig_onboard *o)
{
    return o->job == MIG_JOB_WAITING || o->job == MIG_JOB_IMPORTING || o->job == MIG_JOB_IMPORTED;
}

static bool same_record(const struct mig_destination *a, const struct mig_destination *b)
{
    return memcmp(a->tls_key, b->tls_key, MIG_KEY_LEN) == 0 &&
           memcmp(a->signer_key, b->signer_key, MIG_KEY_LEN) == 0 && strcmp(a->url, b->url) == 0 &&
           a->since == b->since;
}

static bool same_key(const struct mig_onboard *o, const struct mig_view *view)
{
    return o->has_service_key == view->has_service_key &&
           (!o->has_service_key || memcmp(o->service_key, view->service_key, MIG_KEY_LEN) == 0);
}

static bool is_destination(const struct mig_view *view, enum mig_seat seat,
                           const uint8_t tls_key[MIG_KEY_LEN])
{
    return view->protocol == MIG_PROTOCOL_RUNNING && seat == MIG_SEAT_STANDBY &&
           view->has_destination && view->destination.active &&
           memcmp(view->destination.tls_key, tls_key, MIG_KEY_LEN) == 0;
}

static enum mig_onboard_event classify(const struct mig_onboard *o, const struct mig_view *view,
                                       enum mig_seat seat, const uint8_t tls_key[MIG_KEY_LEN])
{
    if (seat == MIG_SEAT_HELD)
        return MIG_ON_SEATED;
    if (!is_destination(view, seat, tls_key))
        return MIG_ON_IDLE;
    if (!is_onboarding(o) || memcmp(o->keyset, view->keyset_digest, MIG_DIGEST_LEN) != 0 ||
        !same_record(&o->record, &view->destination))
        return MIG_ON_START;
    return same_key(o, view) ? MIG_ON_STAY : MIG_ON_KEY;
}

void mig_onboard_view(struct mig_onboard *o, const struct mig_view *view, enum mig_seat seat,
                      const uint8_t tls_key[MIG_KEY_LEN])
{
    enum mig_onboard_event event = classify(o, view, seat, tls_key);
    memcpy(o->keyset, view->keyset_digest, MIG_DIGEST_LEN);
    o->nothing_to_import = view->keyset.count == 0;
    o->record = view->destination;
    o->has_service_key = view->has_service_key;
    memcpy(o->service_key, view->service_key, MIG_KEY_LEN);
    step(o, event);
}

/* ---- imports ----------------------------------------------------------- */

enum mig_err mig_onboard_import_begin(struct mig_onboard *o, const uint8_t keyset[MIG_DIGEST_LEN],
                                      uint64_t *ticket)
{
    *ticket = 0;
    if (!is_onboarding(o) || memcmp(o->keyset, keyset, MIG_DIGEST_LEN) != 0)
        return MIG_ERR_STATE;
    if (o->importing)
        return MIG_ERR_RETRY;
    enum mig_err err = mig_onboard_step(o, MIG_ON_IMPORT_BEGIN);
    if (err != MIG_OK)
        return err;
    o->importing = true;
    o->import_run = o->run;
    memcpy(o->import_keyset, keyset, MIG_DIGEST_LEN);
    *ticket = ++o->ticket;
    return MIG_OK;
}

void mig_onboard_import_end(struct mig_onboard *o, uint64_t ticket, bool stored)
{
    if (!o->importing || ticket != o->ticket) {
        o->bugs++;
        return;
    }
    bool current = is_onboarding(o) && memcmp(o->keyset, o->import_keyset, MIG_DIGEST_LEN) == 0;
    bool abandoned = o->import_run != o->run;
    o->importing = false;
    o->import_run = 0;
    /* Durable is durable, also when the run was left and begun anew meanwhile. */
    if (stored && current)
        step(o, MIG_ON_IMPORT_STORED);
    else if (!abandoned)
        step(o, MIG_ON_IMPORT_FAILED);
}

/* ---- work -------------------------------------------------------------- */

static bool is_due(bool wanted, uint64_t due_ms, uint64_t now_ms, uint64_t *at_ms)
{
    if (!wanted)
        return false;
    if (due_ms > now_ms && due_ms < *at_ms)
        *at_ms = due_ms;
    return due_ms <= now_ms;
}

bool mig_onboard_wants_look(const struct mig_onboard *o, uint64_t now_ms, uint64_t *at_ms)
{
    return is_due(o->looks, o->look_at_ms, now_ms, at_ms);
}

bool mig_onboard_wants_conclude(const struct mig_onboard *o, uint64_t now_ms, uint64_t *at_ms)
{
    return is_due(o->job == MIG_JOB_IMPORTED, o->conclude_at_ms, now_ms, at_ms);
}

void mig_onboard_looked(struct mig_onboard *o, uint64_t run, enum mig_err result, uint64_t now_ms,
                        uint32_t random)
{
    if (run != o->run || !is_onboarding(o))
        return;
    if (result == MIG_OK)
        step(o, MIG_ON_SHARES_FOUND);
    else if (result == MIG_ERR_NOT_FOUND)
        step(o, MIG_ON_SHARES_ABSENT);
    else
        o->look_at_ms =
            now_ms + mig_pause_ms(++o->look_failures, MIG_HOOK_FIRST_MS, MIG_HOOK_LAST_MS, random);
}

void mig_onboard_concluded(struct mig_onboard *o, uint64_t run, enum mig_err result,
                           uint64_t now_ms, uint32_t random)
{
    if (run != o->run || !is_onboarding(o))
        return;
    o->attempts++;
    o->conclude_at_ms =
        now_ms + mig_pause_ms(o->attempts, MIG_CONCLUDE_FIRST_MS, MIG_CONCLUDE_LAST_MS, random);
    if (result == MIG_OK)
        o->conclude_at_ms += MIG_CONCLUDE_OBSERVE_MS;
    step(o, MIG_ON_CONCLUDED);
}
