/* SPDX-License-Identifier: MIT */
#include "server/keeper.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "crypto/key.h"
#include "crypto/keyset.h"
#include "migration/honour.h"
#include "server/publisher.h"
#include "server/receipts.h"
#include "store/record.h"

#define JOURNAL_RECORD "machine"
#define HONOUR_RECORD "honoured-key"

enum {
    STORE_RESERVE = 1024 * 1024, /* free bytes without which no import starts */
    LOOK_AGAIN_MS = 2000,        /* for shares that were missing, or could not be read */
};

struct mig_keep {
    struct mig_keep_config config;
    pthread_mutex_t telling; /* so that the job told last is the last one; taken before `lock` */
    /* Protects everything below. Never held over a host function or the disk,
     * except for the records handlers depend on: the honoured key and receipts. */
    pthread_mutex_t lock;
    pthread_cond_t work; /* on CLOCK_MONOTONIC */
    struct mig_machine *machine;
    const struct mig_view *view; /* the last one seen */
    struct mig_honour honour;
    bool honour_unsaved; /* then no key authenticates: fail closed */
    bool has_seen_key;
    uint8_t seen_key[MIG_KEY_LEN];
    uint64_t key_changes;
    uint64_t ticket; /* of the import in progress */
    bool importing;
    struct mig_receipts receipts;
    struct mig_publisher publisher;
    uint64_t checked_generation; /* of the view whose shares were looked up */
    bool shares_missing;
    uint64_t look_again_ms; /* while they are */
    bool store_failing;
    bool stopping;
    bool started;
    pthread_t worker;
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t unix_ns(void *ctx)
{
    (void)ctx;
    return clock_ns(CLOCK_REALTIME);
}

static uint64_t monotonic_ns(void *ctx)
{
    (void)ctx;
    return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t monotonic_ms(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000000u;
}

static void say(const struct mig_keep *keep, enum mig_log_level level, const char *event,
                const char *text)
{
    if (keep->config.host.log != NULL)
        keep->config.host.log(keep->config.host.ctx, level, event, text);
}

/* ---- records ------------------------------------------------------------ */

/* A damaged record is reported and treated as absent; one that could not be
 * read at all stops the start. */
static enum mig_err load_record(const struct mig_keep *keep, const char *name, uint8_t **bytes,
                                size_t *len)
{
    enum mig_err err = mig_record_load(keep->config.state_dir, name, bytes, len);
    if (err == MIG_ERR_MALFORMED)
        say(keep, MIG_LOG_ERROR, "record_damaged", name);
    return err == MIG_ERR_MALFORMED || err == MIG_ERR_NOT_FOUND ? MIG_OK : err;
}

static enum mig_err load_machine(struct mig_keep *keep)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum mig_err err = load_record(keep, JOURNAL_RECORD, &bytes, &len);
    if (err == MIG_OK)
        err =
            mig_machine_new(keep->config.account, keep->config.tls_key, bytes, len, &keep->machine);
    if (err == MIG_ERR_MALFORMED) {
        say(keep, MIG_LOG_ERROR, "record_damaged", JOURNAL_RECORD);
        err = mig_machine_new(keep->config.account, keep->config.tls_key, NULL, 0, &keep->machine);
    }
    free(bytes);
    return err;
}

static enum mig_err load_honour(struct mig_keep *keep)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum mig_err err = load_record(keep, HONOUR_RECORD, &bytes, &len);
    if (err == MIG_OK && bytes != NULL && mig_honour_decode(bytes, len, &keep->honour) != MIG_OK)
        say(keep, MIG_LOG_ERROR, "record_damaged", HONOUR_RECORD);
    free(bytes);
    return err;
}

static enum mig_err load_receipts(struct mig_keep *keep)
{
    enum mig_err err = mig_receipts_load(&keep->receipts, keep->config.state_dir);
    if (err == MIG_ERR_MALFORMED) {
        say(keep, MIG_LOG_ERROR, "record_damaged", "backup-receipts");
        err = MIG_OK;
    }
    const struct mig_backup_receipt *last = mig_receipts_last(&keep->receipts);
    if (err == MIG_OK && last != NULL) {
        keep->config.counters->last_backup_acknowledged_epoch = last->epoch;
        keep->config.counters->last_backup_acknowledged_at = last->recorded_at;
    }
    return err;
}

static enum mig_err init_lock(struct mig_keep *keep)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return MIG_ERR_NOMEM;
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&keep->lock, NULL);
    (void)pthread_mutex_init(&keep->telling, NULL);
    int failed = pthread_cond_init(&keep->work, &attr);
    (void)pthread_condattr_destroy(&attr);
    return failed == 0 ? MIG_OK : MIG_ERR_NOMEM;
}

enum mig_err mig_keep_new(const struct mig_keep_config *config, struct mig_keep **out, char *why)
{
    *out = NULL;
    struct mig_keep *keep = calloc(1, sizeof *keep);
    if (keep == NULL)
        return MIG_ERR_NOMEM;
    keep->config = *config;
    enum mig_err err = init_lock(keep);
    if (err == MIG_OK)
        err = load_machine(keep);
    if (err == MIG_OK)
        err = load_honour(keep);
    if (err == MIG_OK)
        err = load_receipts(keep);
    if (err != MIG_OK) {
        (void)snprintf(why, MIG_WHY_MAX,
                       "cannot read the records in state_dir (%s): check its owner and mode (0700)",
                       mig_err_text(err));
        mig_keep_free(&keep);
        return err;
    }
    *out = keep;
    return MIG_OK;
}

void mig_keep_free(struct mig_keep **keep)
{
    struct mig_keep *k = *keep;
    if (k == NULL)
        return;
    mig_keep_stop(k);
    mig_machine_free(&k->machine);
    mig_publisher_clear(&k->publisher);
    mig_view_release(&k->view);
    (void)pthread_cond_destroy(&k->work);
    (void)pthread_mutex_destroy(&k->lock);
    (void)pthread_mutex_destroy(&k->telling);
    free(k);
    *keep = NULL;
}

/* ---- views --------------------------------------------------------------- */

/* What is to be said about a view once the lock is dropped: the host's log may
 * ask us something. */
struct news {
    char key[MIG_KEY_TEXT_MAX]; /* "": the same as before */
    bool unsaved;
};

static void tell_news(const struct mig_keep *keep, const struct news *news)
{
    if (news->key[0] != '\0')
        say(keep, MIG_LOG_NOTICE, "backup_key", news->key);
    if (news->unsaved)
        say(keep, MIG_LOG_ERROR, "store_unwritable",
            "the honoured backup key cannot be recorded; no backup key is accepted until it can");
}

/* The first key after a start counts as a change when the record shows another. */
static void compare_key(struct mig_keep *keep, const struct mig_view *view, struct news *news)
{
    bool known = keep->has_seen_key || keep->honour.has_honoured;
    const uint8_t *last = keep->has_seen_key ? keep->seen_key : keep->honour.honoured;
    bool same = known && memcmp(last, view->service_key, MIG_KEY_LEN) == 0;
    if (!view->has_service_key || (same && keep->has_seen_key))
        return;
    mig_key_format(view->service_key, news->key);
    keep->key_changes += known && !same ? 1 : 0;
    keep->has_seen_key = true;
    memcpy(keep->seen_key, view->service_key, MIG_KEY_LEN);
}

static void observe_key(struct mig_keep *keep, const struct mig_view *view, struct news *news)
{
    bool unsaved_before = keep->honour_unsaved;
    compare_key(keep, view, news);
    if (!mig_honour_observe(&keep->honour, view, keep->config.key_delay_ns, unix_ns(NULL)) &&
        !keep->honour_unsaved)
        return;
    uint8_t bytes[MIG_HONOUR_RECORD_LEN];
    mig_honour_encode(&keep->honour, bytes);
    keep->honour_unsaved =
        mig_record_save(keep->config.state_dir, HONOUR_RECORD, bytes, sizeof bytes) != MIG_OK;
    news->unsaved = keep->honour_unsaved && !unsaved_before;
}

static void tell_job(struct mig_keep *keep, unsigned notes)
{
    if ((notes & MIG_NOTE_JOB) == 0 || keep->config.host.job_changed == NULL)
        return;
    (void)pthread_mutex_lock(&keep->telling);
    keep->config.host.job_changed(keep->config.host.ctx, mig_keep_job(keep));
    (void)pthread_mutex_unlock(&keep->telling);
}

unsigned mig_keep_view(struct mig_keep *keep, const struct mig_view *view)
{
    unsigned notes = 0;
    struct news news = {0};
    (void)pthread_mutex_lock(&keep->lock);
    observe_key(keep, view, &news);
    enum mig_err err = mig_machine_view(keep->machine, view, &notes);
    if (err == MIG_OK) {
        /* A new generation also has the shares of its keyset looked up. */
        if (keep->view == NULL || keep->view->generation != view->generation)
            notes |= MIG_NOTE_WORK;
        mig_view_release(&keep->view);
        keep->view = mig_view_ref(view);
        if (mig_publisher_view(&keep->publisher, view, monotonic_ms()))
            notes |= MIG_NOTE_WORK;
    }
    if ((notes & MIG_NOTE_WORK) != 0)
        (void)pthread_cond_signal(&keep->work);
    (void)pthread_mutex_unlock(&keep->lock);
    tell_news(keep, &news);
    if (err != MIG_OK)
        say(keep, MIG_LOG_ERROR, "view_lost", "out of memory; the next view is tried");
    tell_job(keep, notes);
    return notes;
}

/* ---- what handlers ask ---------------------------------------------------- */

static bool honoured_key(void *ctx, const struct mig_view *view, uint8_t key[MIG_KEY_LEN])
{
    struct mig_keep *keep = ctx;
    (void)pthread_mutex_lock(&keep->lock);
    const uint8_t *honoured = keep->honour_unsaved ? NULL : mig_honour_key(&keep->honour, view);
    if (honoured != NULL)
        memcpy(key, honoured, MIG_KEY_LEN);
    (void)pthread_mutex_unlock(&keep->lock);
    return honoured != NULL;
}

enum mig_job mig_keep_job(struct mig_keep *keep)
{
    (void)pthread_mutex_lock(&keep->lock);
    enum mig_job now = mig_machine_job(keep->machine);
    (void)pthread_mutex_unlock(&keep->lock);
    return now;
}

static enum mig_job job(void *ctx)
{
    return mig_keep_job(ctx);
}

static uint64_t seat_lost_at(void *ctx)
{
    struct mig_keep *keep = ctx;
    (void)pthread_mutex_lock(&keep->lock);
    uint64_t height = mig_machine_seat_lost_at(keep->machine);
    (void)pthread_mutex_unlock(&keep->lock);
    return height;
}

static enum mig_err import_begin(void *ctx, const uint8_t keyset[MIG_DIGEST_LEN])
{
    struct mig_keep *keep = ctx;
    unsigned notes = 0;
    enum mig_err err = MIG_ERR_STATE;
    (void)pthread_mutex_lock(&keep->lock);
    if (!keep->importing)
        err = mig_machine_import_begin(keep->machine, keyset, &keep->ticket, &notes);
    keep->importing = keep->importing || err == MIG_OK;
    (void)pthread_mutex_unlock(&keep->lock);
    tell_job(keep, notes);
    return err == MIG_OK ? MIG_OK : MIG_ERR_STATE;
}

static void import_end(void *ctx, const struct mig_receipt *receipt)
{
    struct mig_keep *keep = ctx;
    (void)pthread_mutex_lock(&keep->lock);
    unsigned notes = mig_machine_import_end(keep->machine, keep->ticket,
                                            receipt != NULL ? MIG_OK : MIG_ERR_CANCELLED);
    keep->importing = false;
    (void)pthread_cond_signal(&keep->work);
    (void)pthread_mutex_unlock(&keep->lock);
    if (receipt != NULL && keep->config.host.recovered != NULL)
        keep->config.host.recovered(keep->config.host.ctx, receipt);
    tell_job(keep, notes);
}

/* Cheap on purpose: the import itself proves the rest, this only spares the
 * caller an upload that cannot succeed. */
static enum mig_err store_writable(void *ctx)
{
    struct mig_keep *keep = ctx;
    struct statvfs fs;
    if (statvfs(keep->config.state_dir, &fs) != 0 || (fs.f_flag & ST_RDONLY) != 0)
        return MIG_ERR_IO;
    return (uint64_t)fs.f_bavail * fs.f_frsize >= STORE_RESERVE ? MIG_OK : MIG_ERR_IO;
}

static void backup_served(void *ctx, const struct mig_keyset *keyset)
{
    struct mig_keep *keep = ctx;
    struct mig_counters *counters = keep->config.counters;
    atomic_store_explicit(&counters->last_backup_served_epoch, keyset->epoch, memory_order_relaxed);
    atomic_store_explicit(&counters->last_backup_served_at, clock_ns(CLOCK_REALTIME) / 1000000000u,
                          memory_order_relaxed);
    if (keep->config.host.backup_served == NULL)
        return;
    uint8_t digest[MIG_DIGEST_LEN];
    mig_keyset_digest(keep->config.contract, keyset, digest);
    keep->config.host.backup_served(keep->config.host.ctx, keyset->epoch, digest);
}

static enum mig_err backup_acknowledged(void *ctx, uint64_t epoch,
                                        const uint8_t keyset[MIG_DIGEST_LEN],
                                        const uint8_t context_hash[MIG_DIGEST_LEN], uint64_t now,
                                        bool known)
{
    struct mig_keep *keep = ctx;
    struct mig_backup_receipt receipt = {.epoch = epoch, .recorded_at = now};
    memcpy(receipt.keyset, keyset, MIG_DIGEST_LEN);
    memcpy(receipt.context_hash, context_hash, MIG_DIGEST_LEN);
    (void)pthread_mutex_lock(&keep->lock);
    enum mig_err err = mig_receipts_add(&keep->receipts, &receipt, keep->config.state_dir);
    (void)pthread_mutex_unlock(&keep->lock);
    if (err != MIG_OK)
        return err;
    atomic_store_explicit(&keep->config.counters->last_backup_acknowledged_epoch, epoch,
                          memory_order_relaxed);
    atomic_store_explicit(&keep->config.counters->last_backup_acknowledged_at, now,
                          memory_order_relaxed);
    say(keep, MIG_LOG_NOTICE, "backup_acknowledged",
        known ? "the backup service stored the keyset and read it back"
              : "the backup service stored a keyset that was served before this start, and read it "
                "back");
    return MIG_OK;
}

static bool take_published(void *ctx, const uint8_t public_key[MIG_KEY_LEN],
                           struct mig_ephemeral *pair)
{
    struct mig_keep *keep = ctx;
    (void)pthread_mutex_lock(&keep->lock);
    bool taken = mig_publisher_take(&keep->publisher, public_key, monotonic_ms(), pair);
    (void)pthread_cond_signal(&keep->work); /* the next one is due */
    (void)pthread_mutex_unlock(&keep->lock);
    return taken;
}

void mig_keep_table(struct mig_keep *keep, struct mig_keeper *out)
{
    *out = (struct mig_keeper){
        .ctx = keep,
        .now_ns = unix_ns,
        .monotonic_ns = monotonic_ns,
        .honoured_key = honoured_key,
        .job = job,
        .seat_lost_at = seat_lost_at,
        .import_begin = import_begin,
        .import_end = import_end,
        .store_writable = store_writable,
        .backup_served = backup_served,
        .backup_acknowledged = backup_acknowledged,
        .take_published = keep->config.publish != NULL ? take_published : NULL,
    };
}

/* ---- the worker ------------------------------------------------------------ */

static enum mig_err look_up(const struct mig_keep *keep, const struct mig_keyset *keyset)
{
    if (keyset->count == 0)
        return MIG_ERR_NOT_FOUND;
    struct mig_secret *shares = mig_secret_new(keyset->count * MIG_SHARE_LEN);
    if (shares == NULL)
        return MIG_ERR_NOMEM;
    enum mig_err err = keep->config.host.load_keyshares(
        keep->config.host.ctx, keyset, (uint8_t(*)[MIG_SHARE_LEN])(void *)shares->bytes);
    mig_secret_free(&shares);
    return err;
}

static enum mig_err do_task(const struct mig_keep *keep, const struct mig_task *task)
{
    const struct mig_host *host = &keep->config.host;
    switch (task->kind) {
    case MIG_TASK_SAVE:
        return mig_record_save(keep->config.state_dir, JOURNAL_RECORD, task->bytes, task->len);
    case MIG_TASK_CHANGED:
        return host->participants_changed(host->ctx, &task->change);
    case MIG_TASK_PURGE:
        return host->purge_assets(host->ctx, &task->change);
    case MIG_TASK_LOOK_UP:
        return look_up(keep, &task->view->keyset);
    case MIG_TASK_CONCLUDE:
        return host->conclude(host->ctx, &task->view->keyset);
    case MIG_TASK_NONE:
        break;
    }
    return MIG_ERR_BUG;
}

/* Names of events; LOOK_UP and a saved journal are nobody's news. */
static void report_task(const struct mig_keep *keep, enum mig_task_kind kind, enum mig_err err)
{
    static const char *const done[MIG_TASK_KINDS] = {
        [MIG_TASK_CHANGED] = "participants_changed",
        [MIG_TASK_PURGE] = "assets_purged",
        [MIG_TASK_CONCLUDE] = "conclude_sent",
    };
    static const char *const failed[MIG_TASK_KINDS] = {
        [MIG_TASK_SAVE] = "journal_failed",      [MIG_TASK_CHANGED] = "participants_change_failed",
        [MIG_TASK_PURGE] = "purge_failed",       [MIG_TASK_LOOK_UP] = "look_up_failed",
        [MIG_TASK_CONCLUDE] = "conclude_failed",
    };
    if (err == MIG_OK && done[kind] != NULL)
        say(keep, MIG_LOG_INFO, done[kind], "");
    if (err != MIG_OK && failed[kind] != NULL &&
        !(kind == MIG_TASK_LOOK_UP && err == MIG_ERR_NOT_FOUND))
        say(keep, MIG_LOG_WARNING, failed[kind], mig_err_text(err));
}

static bool wants_look(const struct mig_keep *keep)
{
    return keep->view != NULL && (keep->view->generation != keep->checked_generation ||
                                  (keep->shares_missing && monotonic_ms() >= keep->look_again_ms));
}

/* A node that holds the seat and lacks a share must say so before anybody
 * asks. Once per generation, and again while they are missing: perhaps they
 * could not be read for a moment. Drops the lock while it looks. */
static void check_shares(struct mig_keep *keep)
{
    while (!keep->stopping && wants_look(keep)) {
        const struct mig_view *view = mig_view_ref(keep->view);
        bool before = keep->shares_missing;
        keep->checked_generation = view->generation;
        (void)pthread_mutex_unlock(&keep->lock);
        bool held = mig_view_current_seat(view, keep->config.account, keep->config.tls_key) ==
                    MIG_SEAT_HELD;
        bool missing = held && view->keyset.count > 0 && look_up(keep, &view->keyset) != MIG_OK;
        if (missing && !before)
            say(keep, MIG_LOG_ERROR, "shares_missing",
                "this node holds the seat but lacks a share of the contract's keyset; restore it "
                "before anything else");
        if (before && held && !missing)
            say(keep, MIG_LOG_NOTICE, "shares_found", "all shares of the keyset can be read");
        mig_view_release(&view);
        (void)pthread_mutex_lock(&keep->lock);
        keep->shares_missing = missing;
        keep->look_again_ms = monotonic_ms() + LOOK_AGAIN_MS;
    }
}

/* Somebody may want to exchange keys with the participant, and with the
 * destination of a running migration. */
static bool wants_published_key(const struct mig_keep *keep)
{
    const struct mig_view *view = keep->view;
    if (keep->config.publish == NULL || view == NULL || view->protocol != MIG_PROTOCOL_RUNNING)
        return false;
    if (mig_view_seat(view, keep->config.account, keep->config.tls_key) == MIG_SEAT_HELD)
        return true;
    return view->has_destination && view->destination.active &&
           memcmp(view->destination.tls_key, keep->config.tls_key, MIG_KEY_LEN) == 0;
}

/* Publishes an ephemeral key when one is due, with the lock dropped; returns
 * when to look again. */
static uint64_t publish(struct mig_keep *keep)
{
    uint8_t key[MIG_KEY_LEN];
    uint64_t wake_ms = UINT64_MAX;
    if (!mig_publisher_next(&keep->publisher, wants_published_key(keep), monotonic_ms(), key,
                            &wake_ms))
        return wake_ms;
    (void)pthread_mutex_unlock(&keep->lock);
    enum mig_err err = keep->config.publish(keep->config.publish_ctx, key);
    if (err != MIG_OK && err != MIG_ERR_CANCELLED)
        say(keep, MIG_LOG_WARNING, "publish_failed", mig_err_text(err));
    (void)pthread_mutex_lock(&keep->lock);
    mig_publisher_result(&keep->publisher, key, err, monotonic_ms());
    return monotonic_ms(); /* ask once more before sleeping */
}

static void sleep_until(struct mig_keep *keep, uint64_t wake_ms)
{
    if (wake_ms == UINT64_MAX) {
        (void)pthread_cond_wait(&keep->work, &keep->lock);
        return;
    }
    struct timespec until = {.tv_sec = (time_t)(wake_ms / 1000),
                             .tv_nsec = (long)(wake_ms % 1000) * 1000000};
    (void)pthread_cond_timedwait(&keep->work, &keep->lock, &until);
}

/* Carries out one task with the lock dropped. */
static void carry_out(struct mig_keep *keep, struct mig_task *task)
{
    enum mig_task_kind kind = task->kind;
    uint32_t random = 0;
    (void)pthread_mutex_unlock(&keep->lock);
    enum mig_err err = do_task(keep, task);
    report_task(keep, kind, err);
    mig_random(&random, sizeof random);
    (void)pthread_mutex_lock(&keep->lock);
    unsigned notes = mig_machine_finish(keep->machine, task, err, monotonic_ms(), random);
    if (kind == MIG_TASK_SAVE)
        keep->store_failing = err != MIG_OK;
    (void)pthread_mutex_unlock(&keep->lock);
    tell_job(keep, notes);
    (void)pthread_mutex_lock(&keep->lock);
}

static void *work(void *arg)
{
    struct mig_keep *keep = arg;
    (void)pthread_mutex_lock(&keep->lock);
    while (!keep->stopping) {
        struct mig_task task = {0};
        check_shares(keep);
        if (keep->stopping)
            break;
        enum mig_err err = mig_machine_next(keep->machine, monotonic_ms(), &task);
        if (err == MIG_OK && task.kind != MIG_TASK_NONE) {
            carry_out(keep, &task);
            continue;
        }
        /* Out of memory now; perhaps not in a second. */
        uint64_t wake_ms = err == MIG_OK ? task.wake_ms : monotonic_ms() + 1000;
        uint64_t due_ms = publish(keep);
        if (keep->shares_missing && keep->look_again_ms < due_ms)
            due_ms = keep->look_again_ms;
        if (!keep->stopping)
            sleep_until(keep, due_ms < wake_ms ? due_ms : wake_ms);
    }
    (void)pthread_mutex_unlock(&keep->lock);
    return NULL;
}

enum mig_err mig_keep_start(struct mig_keep *keep)
{
    keep->started = pthread_create(&keep->worker, NULL, work, keep) == 0;
    return keep->started ? MIG_OK : MIG_ERR_NOMEM;
}

void mig_keep_stop(struct mig_keep *keep)
{
    if (!keep->started)
        return;
    (void)pthread_mutex_lock(&keep->lock);
    keep->stopping = true;
    (void)pthread_cond_signal(&keep->work);
    (void)pthread_mutex_unlock(&keep->lock);
    (void)pthread_join(keep->worker, NULL);
    keep->started = false;
}

void mig_keep_status(struct mig_keep *keep, struct mig_keep_status *out)
{
    bool full = store_writable(keep) != MIG_OK;
    (void)pthread_mutex_lock(&keep->lock);
    *out = (struct mig_keep_status){
        .job = mig_machine_job(keep->machine),
        .seat = mig_machine_seat(keep->machine),
        .seat_lost_at = mig_machine_seat_lost_at(keep->machine),
        .consequences_pending = mig_machine_is_pending(keep->machine),
        .shares_missing = keep->shares_missing,
        .store_failing = full || keep->store_failing || keep->honour_unsaved,
        .key_delayed = keep->honour.has_pending,
        .key_changes = keep->key_changes,
    };
    mig_machine_count(keep->machine, &out->machine);
    (void)pthread_mutex_unlock(&keep->lock);
}
