/* SPDX-License-Identifier: MIT */
/*
 * Target: the state machine, driven by any sequence of views, imports, task
 * results and crashes. A lying endpoint chooses the views; everything else may
 * happen in any order. Beside it runs a host that makes assets with whomever it
 * was last told of. Whenever the machine says that nothing is pending:
 *   - no asset involves a participant who is not there under the same key, and
 *     none is of another epoch;
 * and always:
 *   - it concludes only when this keyset's shares are in the store (or it has
 *     none), while Running, for the destination that is this node;
 *   - no hook runs before the journal that names its change is durable;
 *   - a change of state, key, keyset or record leaves no import in progress;
 *   - no impossible cell is ever reached.
 */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration/journal.h"
#include "migration/machine.h"
#include "tests/views.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IDS = 4, ASSETS = 24, TASKS = 3, KEYSETS = 8 };

struct who {
    char key[IDS]; /* 0: absent */
    uint64_t epoch;
};

static struct {
    struct mig_machine *m;
    const struct mig_view *view;
    uint64_t generation, height, now;
    uint8_t *saved;
    size_t saved_len;
    struct mig_task task[TASKS]; /* in flight */
    bool importing;
    uint64_t ticket;
    uint8_t import_keyset[MIG_DIGEST_LEN];
    uint8_t stored[KEYSETS][MIG_DIGEST_LEN];
    size_t stored_count;
    struct who told, assets[ASSETS];
    bool has_told;
    size_t asset_count;
} w;

static const uint8_t *in;
static size_t left;
static uint8_t take(void)
{
    if (left == 0)
        return 0;
    left--;
    return *in++;
}

static void boot(void)
{
    uint8_t key[MIG_KEY_LEN];
    letter_key('M', key);
    mig_machine_free(&w.m);
    for (int i = 0; i < TASKS; i++)
        mig_task_clear(&w.task[i]);
    w.importing = false;
    w.generation = 0;
    assert(mig_machine_new("a.near", key, w.saved, w.saved_len, &w.m) == MIG_OK);
}

/* ---- views ------------------------------------------------------------- */

/* Two bits each: absent, or one of three keys; participant 0 with M is this node. */
static void set_text(uint8_t byte, char out[64])
{
    size_t len = 0;
    out[0] = '\0';
    for (int id = 0; id < IDS; id++) {
        unsigned two = byte >> 2 * id & 3;
        if (two != 0)
            len += (size_t)snprintf(out + len, 64 - len, "%d%c%c ", id, 'a' + id,
                                    id == 0 && two == 1 ? 'M' : (int)('A' + two));
    }
    if (len > 0)
        out[len - 1] = '\0';
}

static bool same_terms(const struct mig_view *a, const struct mig_view *b)
{
    return a->protocol == b->protocol && a->has_service_key == b->has_service_key &&
           memcmp(a->service_key, b->service_key, MIG_KEY_LEN) == 0 &&
           memcmp(a->keyset_digest, b->keyset_digest, MIG_DIGEST_LEN) == 0 &&
           a->has_destination == b->has_destination &&
           memcmp(&a->destination, &b->destination, sizeof a->destination) == 0;
}

static void do_view(void)
{
    char set[64], next[64];
    uint8_t flags = take(), more = take();
    set_text(take(), set);
    set_text(take(), next);
    struct view_spec spec = {
        .generation = ++w.generation,
        .height = ++w.height,
        .protocol = (enum mig_protocol)(flags & 3),
        .epoch = 5 + (flags >> 2 & 1),
        .attempt = flags >> 3 & 1,
        .domains = (flags >> 4 & 3) == 3 ? 0 : 2,
        .service = (flags >> 6 & 1) != 0 ? 's' : 't',
        .destination = (more & 3) == 0   ? 0
                       : (more & 3) == 1 ? 'N'
                                         : 'M',
        .inactive = (more >> 2 & 3) == 3,
        .since = 1 + (more >> 4 & 1),
        .set = set,
        .next = (flags & 3) == MIG_PROTOCOL_RESHARING ? next : NULL,
    };
    const struct mig_view *view = view_of(&spec);
    unsigned notes;
    enum mig_job before = mig_machine_job(w.m);
    assert(mig_machine_view(w.m, view, &notes) == MIG_OK);
    enum mig_job after = mig_machine_job(w.m);
    assert(((notes & MIG_NOTE_JOB) != 0) == (before != after));
    if (w.view != NULL && !same_terms(w.view, view)) {
        assert(after != MIG_JOB_IMPORTING);
        assert(before != MIG_JOB_IMPORTING || (notes & MIG_NOTE_CANCEL_RECOVER) != 0);
    }
    mig_view_release(&w.view);
    w.view = view;
}

/* ---- imports ----------------------------------------------------------- */

static bool is_stored(const uint8_t *digest)
{
    for (size_t i = 0; i < w.stored_count; i++)
        if (memcmp(w.stored[i], digest, MIG_DIGEST_LEN) == 0)
            return true;
    return false;
}

static void store(const uint8_t *digest)
{
    if (!is_stored(digest))
        memcpy(w.stored[w.stored_count++ % KEYSETS], digest, MIG_DIGEST_LEN);
    if (w.stored_count > KEYSETS)
        w.stored_count = KEYSETS;
}

static void do_import_begin(void)
{
    unsigned notes;
    uint64_t ticket;
    if (w.view == NULL)
        return;
    enum mig_job job = mig_machine_job(w.m);
    enum mig_err err = mig_machine_import_begin(w.m, w.view->keyset_digest, &ticket, &notes);
    bool wanted = job == MIG_JOB_WAITING || job == MIG_JOB_IMPORTED || job == MIG_JOB_IMPORTING;
    assert(err == (!wanted ? MIG_ERR_STATE : w.importing ? MIG_ERR_RETRY : MIG_OK));
    if (err != MIG_OK)
        return;
    w.importing = true;
    w.ticket = ticket;
    memcpy(w.import_keyset, w.view->keyset_digest, MIG_DIGEST_LEN);
}

static void do_import_end(bool stored)
{
    if (!w.importing)
        return;
    w.importing = false;
    if (stored)
        store(w.import_keyset);
    (void)mig_machine_import_end(w.m, w.ticket, stored ? MIG_OK : MIG_ERR_CANCELLED);
    assert(mig_machine_job(w.m) != MIG_JOB_IMPORTING);
}

/* ---- the host ---------------------------------------------------------- */

static struct who who_of(const struct mig_participants *set, uint64_t epoch)
{
    struct who who = {.epoch = epoch};
    for (size_t i = 0; i < set->count; i++)
        who.key[set->list[i].id] = (char)set->list[i].tls_key[0];
    return who;
}

static void make_asset(void)
{
    struct who asset = w.told;
    uint8_t mask = take();
    if (!w.has_told || w.asset_count == ASSETS)
        return;
    for (int id = 0; id < IDS; id++)
        if ((mask >> id & 1) == 0)
            asset.key[id] = 0;
    w.assets[w.asset_count++] = asset;
}

static void purge(const struct mig_change *change)
{
    size_t kept = 0;
    for (size_t i = 0; i < w.asset_count; i++) {
        bool goes = change->purge_all;
        for (size_t k = 0; k < change->gone_count; k++)
            goes = goes || w.assets[i].key[change->gone[k]] != 0;
        if (!goes)
            w.assets[kept++] = w.assets[i];
    }
    w.asset_count = kept;
}

static void check_settled(void)
{
    if (mig_machine_is_pending(w.m) || !w.has_told)
        return;
    struct mig_journal j;
    assert(mig_journal_decode(w.saved, w.saved_len, &j) == MIG_OK && j.done.known);
    struct who now = who_of(&j.done.set, j.done.epoch);
    for (size_t i = 0; i < w.asset_count; i++) {
        assert(w.assets[i].epoch == now.epoch);
        for (int id = 0; id < IDS; id++)
            assert(w.assets[i].key[id] == 0 || w.assets[i].key[id] == now.key[id]);
    }
    mig_journal_clear(&j);
}

/* ---- tasks ------------------------------------------------------------- */

static void check_hook(const struct mig_task *task)
{
    struct mig_journal j;
    assert(w.saved != NULL && mig_journal_decode(w.saved, w.saved_len, &j) == MIG_OK);
    assert(j.target.known && j.target.epoch == task->change.epoch_after);
    assert(!task->change.purge_all || j.purge_all);
    for (size_t i = 0; i < task->change.gone_count; i++)
        assert(j.purge_all || mig_ids_has(&j.touched, task->change.gone[i]));
    mig_journal_clear(&j);
    for (int i = 0; i < TASKS; i++)
        assert(&w.task[i] == task ||
               (w.task[i].kind != MIG_TASK_CHANGED && w.task[i].kind != MIG_TASK_PURGE));
}

static void check_conclude(const struct mig_task *task)
{
    const struct mig_view *v = task->view;
    assert(mig_machine_job(w.m) == MIG_JOB_IMPORTED && v->protocol == MIG_PROTOCOL_RUNNING);
    assert(v->keyset.count == 0 || is_stored(v->keyset_digest));
    assert(v->has_destination && v->destination.active && v->destination.tls_key[0] == 'M');
}

static void do_next(void)
{
    int slot = 0;
    while (slot < TASKS && w.task[slot].kind != MIG_TASK_NONE)
        slot++;
    if (slot == TASKS)
        return;
    struct mig_task *task = &w.task[slot];
    assert(mig_machine_next(w.m, w.now, task) == MIG_OK);
    for (int i = 0; i < TASKS; i++)
        assert(i == slot || task->kind == MIG_TASK_NONE || w.task[i].kind != task->kind);
    if (task->kind == MIG_TASK_NONE)
        assert(task->wake_ms > w.now);
    if (task->kind == MIG_TASK_CHANGED || task->kind == MIG_TASK_PURGE)
        check_hook(task);
    if (task->kind == MIG_TASK_CONCLUDE)
        check_conclude(task);
}

static void carry_out(struct mig_task *task, bool works, enum mig_err *result)
{
    *result = works ? MIG_OK : MIG_ERR_IO;
    switch (task->kind) {
    case MIG_TASK_SAVE:
        if (!works)
            break;
        free(w.saved);
        w.saved = task->bytes;
        w.saved_len = task->len;
        task->bytes = NULL;
        break;
    case MIG_TASK_CHANGED: /* one that fails may have done it all the same */
        if (works || (take() & 1) != 0) {
            w.told = who_of(task->change.after, task->change.epoch_after);
            w.has_told = true;
        }
        break;
    case MIG_TASK_PURGE:
        if (works || (take() & 1) != 0)
            purge(&task->change);
        break;
    case MIG_TASK_LOOK_UP:
        if (works && !is_stored(task->view->keyset_digest))
            *result = MIG_ERR_NOT_FOUND;
        break;
    case MIG_TASK_CONCLUDE:
    case MIG_TASK_NONE:
        break;
    }
}

static void do_finish(uint8_t byte)
{
    struct mig_task *task = &w.task[(byte >> 4) % TASKS];
    enum mig_err result;
    if (task->kind == MIG_TASK_NONE)
        return;
    carry_out(task, (byte & 8) == 0, &result);
    (void)mig_machine_finish(w.m, task, result, w.now, byte * 0x1010101u);
}

static void one_step(void)
{
    uint8_t byte = take();
    switch (byte & 7) {
    case 0:
        do_view();
        break;
    case 1:
    case 2:
        do_next();
        break;
    case 3:
    case 4:
        do_finish(byte);
        break;
    case 5:
        if ((byte & 8) != 0)
            do_import_begin();
        else
            do_import_end((byte & 16) != 0);
        break;
    case 6:
        make_asset();
        break;
    case 7:
        w.now += (uint64_t)byte * 400;
        if (byte == 0xff)
            boot();
        break;
    }
    struct mig_machine_counts counts;
    mig_machine_count(w.m, &counts);
    assert(counts.bugs == 0);
    if ((byte & 7) == 0 || (byte & 7) == 3)
        check_settled();
}

/* Whatever happened: with a contract that runs and a host that works it comes
 * to rest. */
static void settle(void)
{
    static const uint8_t running[] = {0x42, 0, 0x2a, 0};
    in = running;
    left = sizeof running;
    do_view();
    for (int i = 0; i < TASKS; i++)
        do_finish((uint8_t)(i << 4));
    do_import_end(false);
    for (int i = 0; i < 64; i++) {
        do_next();
        do_finish(0);
        w.now += 100000;
    }
    assert(!mig_machine_is_pending(w.m));
    check_settled();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&w, 0, sizeof w);
    in = data;
    left = size < 400 ? size : 400; /* enough for any history that matters, and quick */
    boot();
    while (left > 0)
        one_step();
    settle();
    mig_machine_free(&w.m);
    mig_view_release(&w.view);
    free(w.saved);
    return 0;
}
