/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

#include "migration/machine.h"
#include "tests/views.h"

/* This node is "a.near" with the key M; its account's old node has the key A. */
static struct mig_machine *m;
static unsigned notes;
static uint64_t generation, now;
static uint8_t *journal; /* the last one saved */
static size_t journal_len;

static void boot(void)
{
    uint8_t key[MIG_KEY_LEN];
    letter_key('M', key);
    mig_machine_free(&m);
    generation = 0;
    CU_ASSERT_EQUAL_FATAL(mig_machine_new("a.near", key, journal, journal_len, &m), MIG_OK);
}

static void fresh(void)
{
    free(journal);
    journal = NULL;
    journal_len = 0;
    now = 1000;
    boot();
}

static void end(void)
{
    struct mig_machine_counts counts;
    mig_machine_count(m, &counts);
    CU_ASSERT_EQUAL(counts.bugs, 0);
    mig_machine_free(&m);
    free(journal);
    journal = NULL;
}

static const struct view_spec base = {.protocol = MIG_PROTOCOL_RUNNING,
                                      .height = 100,
                                      .epoch = 5,
                                      .domains = 3,
                                      .service = 's',
                                      .set = "0aA 1bB 2cC"};

static unsigned see(struct view_spec spec)
{
    if (spec.generation == 0)
        spec.generation = ++generation;
    const struct mig_view *view = view_of(&spec);
    CU_ASSERT_EQUAL_FATAL(mig_machine_view(m, view, &notes), MIG_OK);
    mig_view_release(&view);
    return notes;
}

static struct view_spec destined(void)
{
    struct view_spec spec = base;
    spec.destination = 'M';
    spec.since = 90;
    return spec;
}

static struct view_spec seated(void)
{
    struct view_spec spec = base;
    spec.set = "0aM 1bB 2cC";
    spec.height = 200;
    return spec;
}

/* What the hooks saw. */
static struct {
    int changed, purged, saved, looked, concluded;
    bool purge_all, active, first;
    size_t gone_count;
    uint32_t gone[8];
    uint64_t epoch_before, epoch_after;
} did;

static void note_change(const struct mig_change *change)
{
    did.purge_all = change->purge_all;
    did.active = change->active;
    did.first = change->before == NULL;
    did.epoch_before = change->epoch_before;
    did.epoch_after = change->epoch_after;
    did.gone_count = change->gone_count;
    for (size_t i = 0; i < change->gone_count && i < 8; i++)
        did.gone[i] = change->gone[i];
}

static struct mig_task task;
static enum mig_task_kind next(void)
{
    CU_ASSERT_EQUAL_FATAL(mig_machine_next(m, now, &task), MIG_OK);
    switch (task.kind) {
    case MIG_TASK_CHANGED:
        did.changed++;
        note_change(&task.change);
        break;
    case MIG_TASK_PURGE:
        did.purged++;
        note_change(&task.change);
        break;
    default:
        break;
    }
    return task.kind;
}

static unsigned finish(enum mig_err result)
{
    if (task.kind == MIG_TASK_SAVE && result == MIG_OK) {
        free(journal);
        journal = task.bytes;
        journal_len = task.len;
        task.bytes = NULL;
    }
    return mig_machine_finish(m, &task, result, now, 0);
}

/* Does everything there is to do now; the store has `shares`. */
static void work_off(bool shares)
{
    memset(&did, 0, sizeof did);
    while (next() != MIG_TASK_NONE) {
        enum mig_task_kind kind = task.kind;
        did.saved += kind == MIG_TASK_SAVE;
        did.looked += kind == MIG_TASK_LOOK_UP;
        did.concluded += kind == MIG_TASK_CONCLUDE;
        (void)finish(kind == MIG_TASK_LOOK_UP && !shares ? MIG_ERR_NOT_FOUND : MIG_OK);
    }
}

static uint8_t *digest_of(const struct view_spec *spec)
{
    static uint8_t digest[MIG_DIGEST_LEN];
    struct mig_keyset keyset = keyset_of(spec->epoch, spec->attempt, spec->domains);
    mig_keyset_digest("v1.signer", &keyset, digest);
    mig_keyset_clear(&keyset);
    return digest;
}

static uint64_t begin_import(const struct view_spec *spec)
{
    uint64_t ticket = 0;
    CU_ASSERT_EQUAL(mig_machine_import_begin(m, digest_of(spec), &ticket, &notes), MIG_OK);
    return ticket;
}

#define JOB(j) CU_ASSERT_EQUAL(mig_machine_job(m), MIG_JOB_##j)

/* ---- onboarding -------------------------------------------------------- */

static void a_destination_imports_concludes_and_is_done(void)
{
    fresh();
    CU_ASSERT((see(base) & (MIG_NOTE_JOB | MIG_NOTE_CANCEL_BACKUP | MIG_NOTE_CANCEL_RECOVER)) == 0);
    JOB(NONE);
    struct view_spec spec = destined();
    CU_ASSERT((see(spec) & MIG_NOTE_JOB) != 0);
    CU_ASSERT((notes & MIG_NOTE_CANCEL_RECOVER) != 0 && (notes & MIG_NOTE_CANCEL_BACKUP) == 0);
    JOB(WAITING);
    work_off(false);
    CU_ASSERT(did.looked == 1 && did.concluded == 0);
    JOB(WAITING);

    uint64_t ticket = begin_import(&spec);
    CU_ASSERT((notes & MIG_NOTE_JOB) != 0);
    JOB(IMPORTING);
    work_off(false);
    CU_ASSERT_EQUAL(did.concluded, 0);
    CU_ASSERT((mig_machine_import_end(m, ticket, MIG_OK) & (MIG_NOTE_JOB | MIG_NOTE_WORK)) ==
              (MIG_NOTE_JOB | MIG_NOTE_WORK));
    JOB(IMPORTED);
    work_off(false);
    CU_ASSERT_EQUAL(did.concluded, 1);
    JOB(IMPORTED);

    CU_ASSERT((see(seated()) & (MIG_NOTE_JOB | MIG_NOTE_SEAT)) == (MIG_NOTE_JOB | MIG_NOTE_SEAT));
    JOB(DONE);
    CU_ASSERT_EQUAL(mig_machine_seat(m), MIG_SEAT_HELD);
    now += 10 * 60 * 1000;
    work_off(false);
    CU_ASSERT_EQUAL(did.concluded, 0);
    end();
}

static void conclude_is_repeated_until_the_contract_shows_the_seat(void)
{
    static const uint64_t pause[] = {2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
    fresh();
    (void)see(destined());
    work_off(true); /* shares are here: imported at once, first attempt */
    CU_ASSERT(did.looked == 1 && did.concluded == 1);
    JOB(IMPORTED);
    for (size_t i = 0; i < sizeof pause / sizeof *pause; i++) {
        uint64_t wait = pause[i] + (i == 0 ? MIG_CONCLUDE_OBSERVE_MS : 0);
        CU_ASSERT_EQUAL(next(), MIG_TASK_NONE);
        CU_ASSERT_EQUAL(task.wake_ms, now + wait);
        now += wait - 1;
        (void)see(destined()); /* a refresh hastens nothing */
        CU_ASSERT_EQUAL(next(), MIG_TASK_NONE);
        now += 1;
        CU_ASSERT_EQUAL(next(), MIG_TASK_CONCLUDE);
        struct mig_task sending = task;
        CU_ASSERT_EQUAL(next(), MIG_TASK_NONE); /* never two at once */
        task = sending;
        (void)finish(MIG_ERR_RETRY);
    }
    struct mig_machine_counts counts;
    mig_machine_count(m, &counts);
    CU_ASSERT_EQUAL(counts.concludes, 1 + sizeof pause / sizeof *pause);
    (void)see(seated());
    now += 600000;
    CU_ASSERT_EQUAL(next(), MIG_TASK_SAVE);
    end();
    mig_task_clear(&task);
}

static void jitter_lengthens_a_pause_by_up_to_a_quarter(void)
{
    fresh();
    (void)see(destined());
    while (next() != MIG_TASK_CONCLUDE)
        (void)finish(MIG_OK);
    (void)mig_machine_finish(m, &task, MIG_ERR_IO, now, UINT32_MAX);
    CU_ASSERT_EQUAL(next(), MIG_TASK_NONE);
    CU_ASSERT(task.wake_ms > now + 2000 && task.wake_ms <= now + 2500);
    end();
}

/* Each change cuts off an import; what it leads to. */
static void any_change_cancels_an_import(void)
{
    struct view_spec change[9];
    for (size_t i = 0; i < 9; i++)
        change[i] = destined();
    static const enum mig_job after[] = {MIG_JOB_NONE,    MIG_JOB_NONE,    MIG_JOB_WAITING,
                                         MIG_JOB_WAITING, MIG_JOB_WAITING, MIG_JOB_NONE,
                                         MIG_JOB_NONE,    MIG_JOB_NONE,    MIG_JOB_WAITING};
    change[0].protocol = MIG_PROTOCOL_RESHARING, change[0].next = "0aA 1bB 2cC";
    change[1].protocol = MIG_PROTOCOL_INITIALIZING;
    change[2].service = 't';
    change[3].attempt = 1;
    change[4].url = "http://other.example";
    change[5].destination = 'N';
    change[6].destination = 0;
    change[7].inactive = true;
    change[8].service = 0;
    for (size_t i = 0; i < 9; i++) {
        fresh();
        struct view_spec spec = destined();
        (void)see(spec);
        work_off(false);
        uint64_t ticket = begin_import(&spec);
        JOB(IMPORTING);
        (void)see(change[i]);
        CU_ASSERT((notes & MIG_NOTE_CANCEL_RECOVER) != 0);
        CU_ASSERT_EQUAL(mig_machine_job(m), after[i]);
        /* The fence failed. The end of the abandoned import moves nothing. */
        CU_ASSERT((mig_machine_import_end(m, ticket, MIG_ERR_CANCELLED) & MIG_NOTE_JOB) == 0);
        CU_ASSERT_EQUAL(mig_machine_job(m), after[i]);
        work_off(false);
        CU_ASSERT_EQUAL(did.concluded, 0);
        end();
    }
}

static void a_backup_is_cancelled_by_state_key_keyset_and_seat_but_not_by_a_record(void)
{
    struct view_spec change[6];
    for (size_t i = 0; i < 6; i++)
        change[i] = seated();
    static const bool cancels[] = {true, true, true, true, false, false};
    change[0].protocol = MIG_PROTOCOL_RESHARING, change[0].next = change[0].set;
    change[1].service = 't';
    change[2].attempt = 4;
    change[3].set = "0aA 1bB 2cC";
    change[4].destination = 'N', change[4].since = 150;
    change[5].set = "0aM 1bX 2cC!"; /* others moved */
    for (size_t i = 0; i < 6; i++) {
        fresh();
        (void)see(seated());
        (void)see(change[i]);
        CU_ASSERT_EQUAL((notes & MIG_NOTE_CANCEL_BACKUP) != 0, cancels[i]);
        end();
    }
}

static void the_first_view_and_a_refresh_cancel_nothing(void)
{
    fresh();
    CU_ASSERT_EQUAL(see(destined()) & (MIG_NOTE_CANCEL_BACKUP | MIG_NOTE_CANCEL_RECOVER), 0);
    struct view_spec again = destined();
    again.generation = generation;
    again.height++;
    CU_ASSERT_EQUAL(see(again) & (MIG_NOTE_CANCEL_BACKUP | MIG_NOTE_CANCEL_RECOVER | MIG_NOTE_JOB),
                    0);
    end();
}

static void an_older_generation_is_ignored(void)
{
    fresh();
    generation = 5;
    (void)see(destined());
    struct view_spec old = seated();
    old.generation = 5;
    CU_ASSERT_EQUAL(see(old), 0);
    JOB(WAITING);
    end();
}

static void an_import_that_was_cut_off_by_resharing_starts_again_afterwards(void)
{
    fresh();
    struct view_spec spec = destined(), resharing = destined();
    resharing.protocol = MIG_PROTOCOL_RESHARING;
    resharing.next = "0aA 1bB 2cC";
    (void)see(spec);
    work_off(false);
    uint64_t ticket = begin_import(&spec);
    (void)see(resharing);
    JOB(NONE);
    uint64_t none;
    CU_ASSERT_EQUAL(mig_machine_import_begin(m, digest_of(&spec), &none, &notes), MIG_ERR_STATE);
    spec.inactive = true; /* the record survived: not followed */
    (void)see(spec);
    JOB(NONE);
    spec.inactive = false;
    spec.since = 110; /* called for again */
    (void)see(spec);
    JOB(WAITING);
    /* The old import still holds the disk. */
    CU_ASSERT_EQUAL(mig_machine_import_begin(m, digest_of(&spec), &none, &notes), MIG_ERR_RETRY);
    (void)mig_machine_import_end(m, ticket, MIG_ERR_CANCELLED);
    ticket = begin_import(&spec);
    (void)mig_machine_import_end(m, ticket, MIG_OK);
    JOB(IMPORTED);
    end();
}

static void shares_that_became_durable_just_before_the_change_count(void)
{
    fresh();
    struct view_spec spec = destined(), rotated = destined();
    rotated.service = 't';
    (void)see(spec);
    work_off(false);
    uint64_t ticket = begin_import(&spec);
    (void)see(rotated);
    JOB(WAITING);
    CU_ASSERT((mig_machine_import_end(m, ticket, MIG_OK) & MIG_NOTE_JOB) != 0);
    JOB(IMPORTED);
    end();
}

static void shares_of_another_keyset_do_not_count(void)
{
    fresh();
    struct view_spec spec = destined(), other = destined();
    other.epoch = 6;
    (void)see(spec);
    work_off(false);
    uint64_t ticket = begin_import(&spec);
    (void)see(other);
    JOB(WAITING);
    CU_ASSERT_EQUAL(mig_machine_import_end(m, ticket, MIG_OK) & MIG_NOTE_JOB, 0);
    JOB(WAITING);
    work_off(false);
    CU_ASSERT_EQUAL(did.concluded, 0);
    uint64_t none;
    CU_ASSERT_EQUAL(mig_machine_import_begin(m, digest_of(&spec), &none, &notes), MIG_ERR_STATE);
    end();
}

static void a_failed_import_waits_for_the_next(void)
{
    fresh();
    struct view_spec spec = destined();
    (void)see(spec);
    work_off(false);
    for (int i = 0; i < 3; i++) {
        (void)mig_machine_import_end(m, begin_import(&spec), MIG_ERR_IO);
        JOB(WAITING);
    }
    (void)mig_machine_import_end(m, begin_import(&spec), MIG_OK);
    JOB(IMPORTED);
    /* A repeat, to learn a lost answer: allowed, and changes nothing. */
    (void)mig_machine_import_end(m, begin_import(&spec), MIG_ERR_CONFLICT);
    JOB(IMPORTED);
    end();
}

static void one_import_at_a_time(void)
{
    fresh();
    struct view_spec spec = destined();
    (void)see(spec);
    uint64_t first = begin_import(&spec), second;
    CU_ASSERT_EQUAL(mig_machine_import_begin(m, digest_of(&spec), &second, &notes), MIG_ERR_RETRY);
    (void)mig_machine_import_end(m, first, MIG_ERR_IO);
    CU_ASSERT_EQUAL(mig_machine_import_begin(m, digest_of(&spec), &second, &notes), MIG_OK);
    CU_ASSERT_NOT_EQUAL(first, second);
    end();
}

static void only_a_destination_imports(void)
{
    fresh();
    uint64_t none;
    struct view_spec spec = base;
    CU_ASSERT_EQUAL(mig_machine_import_begin(m, digest_of(&spec), &none, &notes), MIG_ERR_STATE);
    (void)see(base);
    CU_ASSERT_EQUAL(mig_machine_import_begin(m, digest_of(&spec), &none, &notes), MIG_ERR_STATE);
    (void)see(seated());
    JOB(DONE);
    CU_ASSERT_EQUAL(mig_machine_import_begin(m, digest_of(&spec), &none, &notes), MIG_ERR_STATE);
    /* The account holds no seat at all: nothing to take over. */
    spec = destined();
    spec.set = "1bB 2cC";
    (void)see(spec);
    JOB(NONE);
    CU_ASSERT_EQUAL(mig_machine_import_begin(m, digest_of(&spec), &none, &notes), MIG_ERR_STATE);
    end();
}

static void a_look_that_fails_is_repeated_and_a_late_one_ignored(void)
{
    fresh();
    (void)see(destined());
    while (next() != MIG_TASK_LOOK_UP)
        (void)finish(MIG_OK);
    (void)finish(MIG_ERR_IO);
    CU_ASSERT_EQUAL(next(), MIG_TASK_NONE);
    CU_ASSERT_EQUAL(task.wake_ms, now + MIG_HOOK_FIRST_MS);
    now += MIG_HOOK_FIRST_MS;
    CU_ASSERT_EQUAL(next(), MIG_TASK_LOOK_UP);
    /* Meanwhile another attempt of the epoch begins: its shares are others. */
    struct view_spec other = destined();
    other.attempt = 1;
    (void)see(other);
    JOB(WAITING);
    (void)finish(MIG_OK);
    JOB(WAITING);
    work_off(true);
    CU_ASSERT_EQUAL(did.looked, 1);
    JOB(IMPORTED);
    end();
}

static void an_empty_keyset_needs_no_import(void)
{
    fresh();
    struct view_spec spec = destined();
    spec.domains = 0;
    (void)see(spec);
    JOB(IMPORTED);
    work_off(false);
    CU_ASSERT(did.looked == 0 && did.concluded == 1);
    /* The first domain appears: now there is something to import. */
    spec.domains = 1;
    (void)see(spec);
    JOB(WAITING);
    end();
}

static void a_late_conclude_does_not_delay_the_next_run(void)
{
    fresh();
    (void)see(destined());
    while (next() != MIG_TASK_CONCLUDE)
        (void)finish(MIG_OK);
    struct mig_task sending = task;
    struct view_spec again = destined();
    again.since = 95;
    (void)see(again);
    JOB(WAITING);
    work_off(true); /* one conclude at a time */
    JOB(IMPORTED);
    CU_ASSERT_EQUAL(did.concluded, 0);
    task = sending;
    (void)finish(MIG_ERR_RETRY);
    work_off(true);
    CU_ASSERT_EQUAL(did.concluded, 1);
    end();
}

static void back_and_forth_without_a_restart(void)
{
    fresh();
    struct view_spec spec = seated();
    (void)see(spec); /* this node is A, with the seat */
    work_off(true);
    JOB(DONE);
    CU_ASSERT_EQUAL(mig_machine_seat_lost_at(m), 0);
    spec.generation = generation; /* a mere refresh */
    spec.height = 240;
    (void)see(spec);

    spec = base; /* B took over */
    spec.height = 250;
    (void)see(spec);
    JOB(NONE);
    CU_ASSERT_EQUAL(mig_machine_seat_lost_at(m), 240);
    CU_ASSERT_EQUAL(mig_machine_seat(m), MIG_SEAT_STANDBY);
    work_off(true);

    spec.destination = 'M'; /* and shall give it back */
    spec.since = 260;
    spec.height = 260;
    (void)see(spec);
    JOB(WAITING);
    work_off(true); /* A has its shares still: no import */
    CU_ASSERT(did.looked == 1 && did.concluded == 1);
    JOB(IMPORTED);
    spec = seated();
    spec.height = 300;
    (void)see(spec);
    JOB(DONE);
    CU_ASSERT_EQUAL(mig_machine_seat_lost_at(m), 0);
    end();
}

static void a_lost_seat_survives_a_restart(void)
{
    fresh();
    (void)see(seated());
    work_off(true);
    (void)see(base);
    work_off(true);
    CU_ASSERT_EQUAL(mig_machine_seat_lost_at(m), 200);
    boot();
    CU_ASSERT_EQUAL(mig_machine_seat_lost_at(m), 200);
    (void)see(base);
    CU_ASSERT_EQUAL(mig_machine_seat_lost_at(m), 200);
    end();
}

static void a_seat_lost_while_down_is_noticed(void)
{
    fresh();
    (void)see(seated());
    work_off(true);
    boot();
    (void)see(base);
    CU_ASSERT_EQUAL(mig_machine_seat_lost_at(m), 200);
    end();
}

static void an_uninitialised_contract_takes_no_seat_away(void)
{
    fresh();
    struct view_spec none = {.protocol = MIG_PROTOCOL_NOT_INITIALIZED, .height = 5};
    (void)see(none);
    JOB(NONE);
    CU_ASSERT_FALSE(mig_machine_is_pending(m));
    (void)see(seated());
    work_off(true);
    (void)see(none);
    CU_ASSERT_EQUAL(mig_machine_seat_lost_at(m), 0);
    JOB(NONE);
    end();
}

static void a_seat_last_seen_at_height_zero_is_lost_all_the_same(void)
{
    fresh();
    struct view_spec spec = seated();
    spec.height = 0;
    (void)see(spec);
    (void)see(base);
    CU_ASSERT_EQUAL(mig_machine_seat_lost_at(m), 1);
    end();
}

static void settle_as_destination(void)
{
    fresh();
    (void)see(destined());
    work_off(true);
    JOB(IMPORTED);
}

/* Everything that makes a destination record another one, without an import. */
static void a_changed_record_begins_a_new_run(void)
{
    for (int i = 0; i < 3; i++) {
        fresh();
        (void)see(destined());
        work_off(true);
        JOB(IMPORTED);
        struct view_spec spec = destined();
        if (i == 0)
            spec.since++;
        else if (i == 1)
            spec.url = "http://other.example";
        else
            spec.attempt++;
        (void)see(spec);
        CU_ASSERT((notes & (MIG_NOTE_JOB | MIG_NOTE_CANCEL_RECOVER)) ==
                  (MIG_NOTE_JOB | MIG_NOTE_CANCEL_RECOVER));
        JOB(WAITING);
        work_off(true);
        CU_ASSERT(did.looked == 1 && did.concluded == 1);
        end();
    }
}

static void a_node_without_a_registered_key_still_follows_the_contract(void)
{
    fresh();
    struct view_spec spec = destined();
    spec.service = 0;
    (void)see(spec);
    JOB(WAITING);
    spec.service = 0;
    CU_ASSERT_EQUAL(see(spec) & (MIG_NOTE_CANCEL_BACKUP | MIG_NOTE_CANCEL_RECOVER | MIG_NOTE_JOB),
                    0);
    spec.service = 's';
    CU_ASSERT((see(spec) & MIG_NOTE_CANCEL_RECOVER) != 0);
    JOB(WAITING);
    end();
}

static void an_empty_and_a_missing_keyset_are_not_the_same(void)
{
    fresh();
    struct view_spec spec = seated();
    spec.domains = 0;
    (void)see(spec);
    spec.protocol = MIG_PROTOCOL_INITIALIZING;
    CU_ASSERT((see(spec) & MIG_NOTE_CANCEL_BACKUP) != 0);
    end();
}

/* Hooks and transactions can be carried out by different workers. */
static void a_slow_purge_does_not_hold_up_concluding(void)
{
    settle_as_destination();
    struct view_spec spec = destined();
    spec.set = "0aA 1bX 2cC";
    (void)see(spec);
    while (next() != MIG_TASK_PURGE)
        (void)finish(MIG_OK);
    struct mig_task purging = task;
    now += 100000;
    CU_ASSERT_EQUAL(next(), MIG_TASK_CONCLUDE);
    (void)finish(MIG_OK);
    CU_ASSERT_EQUAL(next(), MIG_TASK_NONE);
    task = purging;
    (void)finish(MIG_OK);
    CU_ASSERT_EQUAL(next(), MIG_TASK_SAVE);
    (void)finish(MIG_OK);
    end();
}

static void a_restart_after_the_import_goes_on_with_concluding(void)
{
    fresh();
    struct view_spec spec = destined();
    (void)see(spec);
    work_off(false);
    (void)mig_machine_import_end(m, begin_import(&spec), MIG_OK);
    boot();
    (void)see(spec);
    work_off(true);
    CU_ASSERT(did.looked == 1 && did.concluded == 1);
    JOB(IMPORTED);
    end();
}

/* ---- consequences ------------------------------------------------------ */

static void settle(struct view_spec spec)
{
    fresh();
    (void)see(spec);
    work_off(true);
    CU_ASSERT_FALSE(mig_machine_is_pending(m));
}

static void the_first_set_is_announced_and_everything_unknown_purged(void)
{
    fresh();
    (void)see(seated());
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 1 && did.saved == 2);
    CU_ASSERT(did.first && did.purge_all && did.active);
    CU_ASSERT_FALSE(mig_machine_is_pending(m));
    work_off(true);
    CU_ASSERT(did.changed == 0 && did.purged == 0 && did.saved == 0);
    boot(); /* and not again after a restart */
    (void)see(seated());
    work_off(true);
    CU_ASSERT(did.changed == 0 && did.purged == 0 && did.saved == 0);
    end();
}

static void a_swapped_node_is_reconnected_to_and_purged(void)
{
    settle(seated());
    struct view_spec spec = seated();
    spec.set = "0aM 1bX 2cC";
    (void)see(spec);
    CU_ASSERT((notes & MIG_NOTE_WORK) != 0);
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 1);
    CU_ASSERT(!did.purge_all && did.active && !did.first);
    CU_ASSERT(did.gone_count == 1 && did.gone[0] == 1);
    CU_ASSERT(did.epoch_before == 5 && did.epoch_after == 5);
    end();
}

static void a_newcomer_needs_no_purge(void)
{
    settle(seated());
    struct view_spec spec = seated();
    spec.set = "0aM 1bB 2cC 9dD";
    (void)see(spec);
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 0 && did.saved == 2);
    CU_ASSERT_FALSE(mig_machine_is_pending(m));
    end();
}

static void an_address_or_threshold_alone_calls_nothing(void)
{
    settle(seated());
    struct view_spec spec = seated();
    spec.set = "0aM 1bB! 2cC";
    (void)see(spec);
    work_off(true);
    CU_ASSERT(did.changed == 0 && did.purged == 0 && did.saved == 1);
    end();
}

static void a_new_epoch_purges_everything(void)
{
    settle(seated());
    struct view_spec spec = seated();
    spec.epoch = 6;
    (void)see(spec);
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 1 && did.purge_all);
    CU_ASSERT(did.epoch_before == 5 && did.epoch_after == 6);
    end();
}

static void a_replaced_node_is_told_to_stop(void)
{
    settle(seated());
    (void)see(base);
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 1 && !did.active);
    CU_ASSERT(did.gone_count == 1 && did.gone[0] == 0);
    end();
}

static void resharing_follows_the_prospective_set(void)
{
    settle(seated());
    struct view_spec spec = seated();
    spec.protocol = MIG_PROTOCOL_RESHARING;
    spec.next = "0aM 1bB 3dD";
    (void)see(spec);
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 1 && !did.purge_all && did.active);
    CU_ASSERT(did.gone_count == 1 && did.gone[0] == 2);
    spec.protocol = MIG_PROTOCOL_RUNNING;
    spec.set = spec.next;
    spec.epoch = 6;
    (void)see(spec);
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 1 && did.purge_all);
    end();
}

static void generating_keys_is_not_a_new_epoch(void)
{
    settle(seated());
    struct view_spec spec = seated();
    spec.protocol = MIG_PROTOCOL_INITIALIZING;
    (void)see(spec);
    work_off(true);
    CU_ASSERT(did.changed == 0 && did.purged == 0);
    (void)see(seated());
    work_off(true);
    CU_ASSERT(did.changed == 0 && did.purged == 0);
    end();
}

static void no_hook_runs_before_the_journal_names_the_change(void)
{
    settle(seated());
    (void)see(base);
    CU_ASSERT_EQUAL(next(), MIG_TASK_SAVE);
    struct mig_task saving = task;
    CU_ASSERT_EQUAL(next(), MIG_TASK_NONE);
    task = saving;
    (void)finish(MIG_ERR_IO);
    CU_ASSERT_EQUAL(next(), MIG_TASK_NONE);
    CU_ASSERT_EQUAL(task.wake_ms, now + MIG_HOOK_FIRST_MS);
    now += MIG_HOOK_FIRST_MS;
    CU_ASSERT_EQUAL(next(), MIG_TASK_SAVE);
    (void)finish(MIG_OK);
    CU_ASSERT_EQUAL(next(), MIG_TASK_CHANGED);
    (void)finish(MIG_OK);
    CU_ASSERT_EQUAL(next(), MIG_TASK_PURGE);
    (void)finish(MIG_OK);
    end();
}

static void hooks_run_in_order_and_are_repeated_until_they_succeed(void)
{
    settle(seated());
    (void)see(base);
    CU_ASSERT_EQUAL(next(), MIG_TASK_SAVE);
    (void)finish(MIG_OK);
    uint64_t pause = MIG_HOOK_FIRST_MS;
    for (int i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL(next(), MIG_TASK_CHANGED);
        (void)finish(i < 4 ? MIG_ERR_RETRY : MIG_ERR_IO);
        CU_ASSERT_EQUAL(next(), MIG_TASK_NONE);
        CU_ASSERT_EQUAL(task.wake_ms, now + pause);
        now += pause;
        pause = pause * 2 < MIG_HOOK_LAST_MS ? pause * 2 : MIG_HOOK_LAST_MS;
    }
    CU_ASSERT_EQUAL(next(), MIG_TASK_CHANGED);
    (void)finish(MIG_OK);
    CU_ASSERT_EQUAL(next(), MIG_TASK_PURGE);
    (void)finish(MIG_ERR_IO);
    CU_ASSERT_EQUAL(next(), MIG_TASK_NONE);
    now += MIG_HOOK_FIRST_MS;
    CU_ASSERT_EQUAL(next(), MIG_TASK_PURGE); /* not participants_changed again */
    (void)finish(MIG_OK);
    CU_ASSERT_EQUAL(next(), MIG_TASK_SAVE);
    (void)finish(MIG_OK);
    CU_ASSERT_FALSE(mig_machine_is_pending(m));
    end();
}

/* Runs `tasks` steps of a change, then loses everything but the journal. */
static void a_crash_at_any_step_resumes(void)
{
    for (int steps = 0; steps < 5; steps++) {
        settle(seated());
        struct view_spec spec = seated();
        spec.set = "0aM 1bX 2cC";
        (void)see(spec);
        bool purged = false;
        for (int i = 0; i < steps && next() != MIG_TASK_NONE; i++) {
            purged = purged || task.kind == MIG_TASK_PURGE;
            (void)finish(MIG_OK);
        }
        boot();
        (void)see(spec);
        work_off(true);
        if (steps < 4) /* the end of the purge was not recorded yet */
            CU_ASSERT(did.changed == 1 && did.purged == 1 && did.gone_count == 1 &&
                      did.gone[0] == 1);
        if (steps == 4)
            CU_ASSERT(purged && did.changed == 0 && did.purged == 0);
        CU_ASSERT_FALSE(mig_machine_is_pending(m));
        end();
    }
}

static void a_task_in_flight_at_the_crash_is_repeated(void)
{
    settle(seated());
    (void)see(base);
    CU_ASSERT_EQUAL(next(), MIG_TASK_SAVE);
    (void)finish(MIG_OK);
    CU_ASSERT_EQUAL(next(), MIG_TASK_CHANGED);
    mig_task_clear(&task);
    boot();
    CU_ASSERT_EQUAL(next(), MIG_TASK_NONE); /* not before the contract was seen */
    (void)see(base);
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 1);
    end();
}

static void a_change_reverted_before_it_was_told_still_purges_what_it_touched(void)
{
    settle(seated());
    struct view_spec b = seated();
    b.set = "0aM 1bX 2cC";
    (void)see(b);
    CU_ASSERT_EQUAL(next(), MIG_TASK_SAVE);
    (void)finish(MIG_OK);
    CU_ASSERT_EQUAL(next(), MIG_TASK_CHANGED);
    struct mig_task late = task;
    (void)see(seated()); /* back to A while the host reconnects to B */
    CU_ASSERT_EQUAL(next(), MIG_TASK_SAVE);
    (void)finish(MIG_OK);
    CU_ASSERT_EQUAL(next(), MIG_TASK_NONE); /* one hook at a time */
    task = late;
    (void)finish(MIG_OK); /* told of B: that does not count for A */
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 1 && did.gone_count == 1 && did.gone[0] == 1);
    CU_ASSERT_FALSE(mig_machine_is_pending(m));
    end();
}

static void a_newer_change_supersedes_and_keeps_what_the_older_touched(void)
{
    settle(seated());
    struct view_spec b = seated(), c = seated();
    b.set = "0aM 1bX 2cC";
    c.set = "0aM 1bX 2cY";
    (void)see(b);
    while (next() != MIG_TASK_PURGE)
        (void)finish(MIG_OK);
    struct mig_task late = task;
    (void)see(c);
    task = late;
    (void)finish(MIG_OK); /* purged for B only */
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 1);
    CU_ASSERT(did.gone_count == 2 && did.gone[0] == 1 && did.gone[1] == 2);
    end();
}

static void a_newcomer_that_left_before_the_end_is_purged(void)
{
    settle(seated());
    struct view_spec b = seated();
    b.set = "0aM 1bB 2cC 7zZ";
    (void)see(b);
    CU_ASSERT_EQUAL(next(), MIG_TASK_SAVE);
    (void)finish(MIG_OK);
    CU_ASSERT_EQUAL(next(), MIG_TASK_CHANGED); /* the host may make assets with 7 from here on */
    mig_task_clear(&task);
    boot();
    (void)see(seated());
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 1 && did.gone_count == 1 && did.gone[0] == 7);
    end();
}

static void an_epoch_missed_by_a_crash_is_purged(void)
{
    settle(seated());
    struct view_spec spec = seated();
    boot();
    spec.epoch = 7;
    (void)see(spec);
    work_off(true);
    CU_ASSERT(did.changed == 1 && did.purged == 1 && did.purge_all);
    end();
}

static void a_damaged_journal_is_refused(void)
{
    uint8_t key[MIG_KEY_LEN], junk[64] = {0};
    struct mig_machine *none;
    letter_key('M', key);
    CU_ASSERT_EQUAL(mig_machine_new("a.near", key, junk, sizeof junk, &none), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NULL(none);
    settle(seated());
    for (size_t len = 0; len < journal_len; len++)
        CU_ASSERT_EQUAL(mig_machine_new("a.near", key, journal, len, &none), MIG_ERR_MALFORMED);
    end();
    char too_long[MIG_ACCOUNT_MAX + 2];
    memset(too_long, 'a', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    CU_ASSERT_EQUAL(mig_machine_new(too_long, key, NULL, 0, &none), MIG_ERR_BUG);
}

static void free_twice_is_harmless(void)
{
    fresh();
    mig_machine_free(&m);
    CU_ASSERT_PTR_NULL(m);
    mig_machine_free(&m);
    mig_task_clear(&task);
    mig_task_clear(&task);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(a_destination_imports_concludes_and_is_done),
        TEST(conclude_is_repeated_until_the_contract_shows_the_seat),
        TEST(jitter_lengthens_a_pause_by_up_to_a_quarter),
        TEST(any_change_cancels_an_import),
        TEST(a_backup_is_cancelled_by_state_key_keyset_and_seat_but_not_by_a_record),
        TEST(the_first_view_and_a_refresh_cancel_nothing),
        TEST(an_older_generation_is_ignored),
        TEST(an_import_that_was_cut_off_by_resharing_starts_again_afterwards),
        TEST(shares_that_became_durable_just_before_the_change_count),
        TEST(shares_of_another_keyset_do_not_count),
        TEST(a_failed_import_waits_for_the_next),
        TEST(one_import_at_a_time),
        TEST(only_a_destination_imports),
        TEST(a_look_that_fails_is_repeated_and_a_late_one_ignored),
        TEST(an_empty_keyset_needs_no_import),
        TEST(a_late_conclude_does_not_delay_the_next_run),
        TEST(back_and_forth_without_a_restart),
        TEST(a_lost_seat_survives_a_restart),
        TEST(a_seat_lost_while_down_is_noticed),
        TEST(an_uninitialised_contract_takes_no_seat_away),
        TEST(a_seat_last_seen_at_height_zero_is_lost_all_the_same),
        TEST(a_changed_record_begins_a_new_run),
        TEST(a_node_without_a_registered_key_still_follows_the_contract),
        TEST(an_empty_and_a_missing_keyset_are_not_the_same),
        TEST(a_slow_purge_does_not_hold_up_concluding),
        TEST(a_restart_after_the_import_goes_on_with_concluding),
        TEST(the_first_set_is_announced_and_everything_unknown_purged),
        TEST(a_swapped_node_is_reconnected_to_and_purged),
        TEST(a_newcomer_needs_no_purge),
        TEST(an_address_or_threshold_alone_calls_nothing),
        TEST(a_new_epoch_purges_everything),
        TEST(a_replaced_node_is_told_to_stop),
        TEST(resharing_follows_the_prospective_set),
        TEST(generating_keys_is_not_a_new_epoch),
        TEST(no_hook_runs_before_the_journal_names_the_change),
        TEST(hooks_run_in_order_and_are_repeated_until_they_succeed),
        TEST(a_crash_at_any_step_resumes),
        TEST(a_task_in_flight_at_the_crash_is_repeated),
        TEST(a_change_reverted_before_it_was_told_still_purges_what_it_touched),
        TEST(a_newer_change_supersedes_and_keeps_what_the_older_touched),
        TEST(a_newcomer_that_left_before_the_end_is_purged),
        TEST(an_epoch_missed_by_a_crash_is_purged),
        TEST(a_damaged_journal_is_refused),
        TEST(free_twice_is_harmless),
    };
    return run_tests("machine", tests, sizeof tests / sizeof *tests);
}
