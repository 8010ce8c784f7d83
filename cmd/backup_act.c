/* SPDX-License-Identifier: MIT */
/* backup, restore and run: what talks to nodes. */
#include "cmd/backup_app.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backup/service.h"
#include "chain/watch.h"
#include "cmd/log.h"
#include "cmd/process.h"

#define NS_PER_S UINT64_C(1000000000)

/* ---- what backup and restore share ------------------------------------- */

struct act {
    struct mig_app *app;
    struct mig_look look;
    struct mig_transport *transport;
    struct mig_client client;
    struct mig_app_publisher publisher;
    struct mig_announcer announcer;
};

static int open_act(struct mig_app *app, struct act *act)
{
    *act = (struct act){.app = app};
    int status = mig_app_open_identity(app);
    if (status == MIG_EXIT_OK)
        status = mig_app_open_vault(app, MIG_VAULT_OWNER);
    if (status == MIG_EXIT_OK)
        status = mig_look_open(app, &act->look);
    if (status == MIG_EXIT_OK && mig_transport_new(&act->transport) != MIG_OK)
        status = mig_app_fail(MIG_EXIT_SOFTWARE, "out of memory");
    if (status == MIG_EXIT_OK)
        status = mig_app_publisher_open(app, &act->publisher);
    if (status != MIG_EXIT_OK)
        return status;
    act->publisher.look = &act->look;
    act->announcer = (struct mig_announcer){.publish = mig_app_publish, .ctx = &act->publisher};
    act->client = (struct mig_client){.transport = act->transport,
                                      .vault = &app->vault,
                                      .peer = {.contract = app->contract,
                                               .account = app->account,
                                               .service = app->identity,
                                               .announce = mig_app_announce(app),
                                               .operator_key = app->operator_secret}};
    return MIG_EXIT_OK;
}

static void close_act(struct act *act)
{
    mig_announcer_spend(&act->announcer);
    mig_app_publisher_close(&act->publisher);
    mig_transport_free(&act->transport);
    mig_look_close(&act->look);
}

static int aim(struct act *act, const struct mig_target *target, unsigned unanswered,
               char why[MIG_APP_WHY_MAX])
{
    const struct mig_config_file *c = act->app->config;
    const char *wrong = "";
    const char *url = mig_plan_url(target, unanswered, mig_config_text(c, "node", "node_url"),
                                   mig_config_text(c, "node", "recover_url"));
    bool plain = mig_config_number(c, "node", "plain_anywhere") != 0;
    enum mig_err err = mig_client_aim(&act->client, url, target->node, plain, &wrong);
    (void)snprintf(why, MIG_APP_WHY_MAX, "%s", wrong);
    return err == MIG_OK ? MIG_EXIT_OK : MIG_EXIT_CONFIG;
}

static uint64_t monotonic_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
    const struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* announce=contract: gives the client the pair if this view shows it. */
static bool give_pair(struct act *act, const struct mig_view *view, const char **why)
{
    act->client.shown_own = NULL;
    if (mig_app_announce(act->app) != MIG_ANNOUNCE_CONTRACT)
        return true;
    if (!mig_announcer_ready(&act->announcer, view, monotonic_ns(), why))
        return false;
    act->client.shown_own = &act->announcer.pair;
    act->client.shown_node = view->published.node;
    return true;
}

static int explain(const struct act *act, const struct mig_result *r, char why[MIG_APP_WHY_MAX])
{
    char skew[80] = "";
    if (mig_result_is_skewed(r))
        (void)snprintf(skew, sizeof skew, " (the node's clock and ours differ by %" PRId64 " s)",
                       r->clock_skew);
    (void)snprintf(why, MIG_APP_WHY_MAX, "%s: %s: %s%s%s%s", act->client.route.url,
                   mig_upshot_text(r->upshot), r->why, r->code[0] != '\0' ? ": " : "", r->code,
                   skew);
    return mig_app_status_of(r);
}

/* ---- backup ------------------------------------------------------------ */

static int print_backup(const struct mig_app *app, const struct mig_view *view,
                        const struct mig_note *note, bool fetched)
{
    bool acknowledged = note->state == MIG_NOTE_ACKNOWLEDGED;
    if (app->json)
        return mig_app_print_json(json_pack(
            "{s:s, s:o, s:I, s:b, s:b}", "keyset", mig_app_hex(view->keyset_digest), "epoch",
            json_sprintf("%" PRIu64, view->keyset.epoch), "shares", (json_int_t)view->keyset.count,
            "fetched", fetched, "acknowledged", acknowledged));
    (void)printf("%s keyset %s, epoch %" PRIu64 ", %zu shares%s\n",
                 fetched ? "backed up and read back:" : "in the vault already:",
                 mig_app_hex(view->keyset_digest), view->keyset.epoch, view->keyset.count,
                 acknowledged ? ", acknowledged by the node" : ", not acknowledged");
    return MIG_EXIT_OK;
}

/* The addresses where the node may be, in turn, while none of them answers. */
enum { ADDRESSES = 3 };
#define ANNOUNCE_S UINT64_C(60)

static int fetch(struct act *act, const struct mig_view *view, const struct mig_target *target,
                 struct mig_note *note, char why[MIG_APP_WHY_MAX])
{
    char first[sizeof act->client.route.url] = "";
    int status = MIG_EXIT_UNAVAILABLE;
    for (unsigned i = 0; i < ADDRESSES && status == MIG_EXIT_UNAVAILABLE; i++) {
        status = aim(act, target, i, why);
        if (status != MIG_EXIT_OK)
            break;
        if (i > 0 && strcmp(first, act->client.route.url) == 0)
            return MIG_EXIT_UNAVAILABLE; /* all of them have been tried */
        if (i == 0)
            memcpy(first, act->client.route.url, sizeof first);
        mig_app_progress("fetching from %s", act->client.route.url);
        struct mig_result r = mig_client_backup(&act->client, &view->keyset, note);
        status = explain(act, &r, why);
        if (status == MIG_EXIT_UNAVAILABLE)
            (void)mig_app_fail(status, "%s", why);
    }
    return status;
}

/* The backup stands whether or not the node takes the receipt. */
static void send_receipt(struct act *act, const struct mig_target *target, struct mig_note *note)
{
    char why[MIG_APP_WHY_MAX];
    struct mig_result r = {.upshot = MIG_UPSHOT_NO_ANSWER};
    mig_app_progress("sending the receipt");
    for (unsigned i = 0; i < ADDRESSES && r.upshot == MIG_UPSHOT_NO_ANSWER; i++)
        if (aim(act, target, i, why) == MIG_EXIT_OK) {
            r = mig_client_receipt(&act->client, note);
            (void)explain(act, &r, why);
        }
    if (r.upshot != MIG_UPSHOT_OK)
        (void)mig_app_fail(MIG_EXIT_OK, "the receipt is still due: %s", why);
}

static int back_up(struct act *act, const struct mig_view *view)
{
    struct mig_facts facts;
    struct mig_note note = {0};
    char why[MIG_APP_WHY_MAX] = "";
    struct mig_plan plan = mig_app_plan(act->app, view, &facts, &note);
    enum mig_task task = plan.target.task;
    int status = MIG_EXIT_OK;
    bool stands =
        facts.covered && (mig_reason_is_safe(plan.reason) || plan.reason == MIG_REASON_NOT_RUNNING);
    if (!stands && task != MIG_TASK_BACKUP)
        return mig_app_fail(mig_app_status_of_reason(plan.reason), "nothing done: %s",
                            mig_reason_text(plan.reason));
    if (task == MIG_TASK_BACKUP)
        status = fetch(act, view, &plan.target, &note, why);
    if (status == MIG_EXIT_UNAVAILABLE)
        return status; /* each address has been named */
    if (status != MIG_EXIT_OK)
        return mig_app_fail(status, "%s", why);
    if (task == MIG_TASK_BACKUP || task == MIG_TASK_RECEIPT)
        send_receipt(act, &plan.target, &note);
    return print_backup(act->app, view, &note, task == MIG_TASK_BACKUP);
}

/* The view that shows the keys of both sides; with announce=header any does. */
static int look_when_announced(struct act *act, const struct mig_view **view)
{
    const char *why = "";
    uint64_t until = monotonic_ns() + ANNOUNCE_S * NS_PER_S;
    for (;;) {
        int status = mig_look_now(&act->look, view);
        struct mig_facts facts;
        struct mig_note note;
        if (status != MIG_EXIT_OK ||
            mig_app_plan(act->app, *view, &facts, &note).target.task != MIG_TASK_BACKUP ||
            give_pair(act, *view, &why))
            return status;
        mig_view_release(view);
        /* Said already, and waiting does not help. */
        if (act->announcer.err == MIG_ERR_DENIED)
            return MIG_EXIT_PERMISSION;
        if (act->announcer.err == MIG_ERR_NOT_FOUND)
            return MIG_EXIT_CONFIG;
        if (monotonic_ns() > until)
            return mig_app_fail(MIG_EXIT_RETRY, "%s", why);
        sleep_until(monotonic_ns() + NS_PER_S / 3);
    }
}

int mig_verb_backup(struct mig_app *app)
{
    struct act act;
    const struct mig_view *view = NULL;
    int status = open_act(app, &act);
    if (status == MIG_EXIT_OK)
        status = look_when_announced(&act, &view);
    if (status == MIG_EXIT_OK)
        status = back_up(&act, view);
    mig_view_release(&view);
    close_act(&act);
    return status;
}

/* ---- restore ----------------------------------------------------------- */

struct restoring {
    struct mig_attempt attempt;
    struct mig_handover handover;
    uint8_t destination[MIG_KEY_LEN]; /* once one was seen */
    bool has_destination;
    char why[MIG_APP_WHY_MAX]; /* of the last look */
};

/* The destination has the seat: what the whole migration was for. */
static bool is_seated(const struct mig_app *app, const struct restoring *r,
                      const struct mig_view *view)
{
    return r->has_destination &&
           mig_view_current_seat(view, app->account, r->destination) == MIG_SEAT_HELD;
}

static int print_restored(const struct mig_app *app, const struct restoring *r,
                          const struct mig_view *view)
{
    if (app->json)
        return mig_app_print_json(json_pack(
            "{s:s, s:o, s:I, s:s, s:b}", "keyset", mig_app_hex(view->keyset_digest), "epoch",
            json_sprintf("%" PRIu64, view->keyset.epoch), "shares", (json_int_t)view->keyset.count,
            "node", mig_app_key(r->destination), "seated", 1));
    (void)printf("delivered: %s has the seat of %s\n", mig_app_key(r->destination), app->account);
    return MIG_EXIT_OK;
}

/* What a look came to. */
enum { GOES_ON = -1, NOT_STARTED = -2, REFUSED_SO_FAR = -3 };

static int deliver_once(struct act *act, struct restoring *r, const struct mig_plan *plan,
                        const struct mig_view *view)
{
    uint32_t random;
    int status = aim(act, &plan->target, r->attempt.unanswered, r->why);
    if (status != MIG_EXIT_OK)
        return status;
    memcpy(r->destination, plan->target.node, MIG_KEY_LEN);
    r->has_destination = true;
    const char *missing = "";
    if (act->announcer.pair.secret != NULL)
        (void)give_pair(act, view, &missing);
    struct mig_result result = mig_client_deliver(&act->client, &view->keyset, &r->handover);
    if (r->handover.wants_key)
        (void)mig_announcer_ready(&act->announcer, view, monotonic_ns(), &missing);
    if (r->handover.sealed && result.upshot != MIG_UPSHOT_RETRY)
        mig_announcer_spend(&act->announcer);
    mig_random(&random, sizeof random);
    mig_attempt_record(&r->attempt, &plan->target, view->generation, &result, false, monotonic_ns(),
                       random);
    if (result.upshot != MIG_UPSHOT_OK) {
        status = explain(act, &result, r->why);
        mig_app_progress("%s", r->why);
        /* The new node may not have seen the block yet that names it. */
        return result.upshot == MIG_UPSHOT_REFUSED ? REFUSED_SO_FAR : status;
    }
    if (r->handover.uploaded)
        mig_app_progress("%u shares are durable on the new node; it concludes",
                         r->handover.receipt.shares);
    (void)snprintf(r->why, sizeof r->why, "delivered, but the new node has no seat yet");
    return GOES_ON;
}

/* No task to deliver: because it has not started, or because it must not. */
static int explain_idle(const struct mig_plan *plan, struct restoring *r)
{
    bool idle = plan->reason == MIG_REASON_SAFE || plan->reason == MIG_REASON_RECEIPT_DUE ||
                plan->reason == MIG_REASON_UNCONFIRMED;
    (void)snprintf(r->why, sizeof r->why, "nothing to deliver: %s",
                   idle ? "no migration of the account runs" : mig_reason_text(plan->reason));
    return idle ? NOT_STARTED : mig_app_status_of_reason(plan->reason);
}

static int look_and_deliver(struct act *act, struct restoring *r, int last)
{
    struct mig_facts facts;
    struct mig_note note;
    const struct mig_view *view = NULL;
    int status = mig_look_try(&act->look, &view, r->why);
    if (status != MIG_EXIT_OK)
        return status;
    struct mig_plan plan = mig_app_plan(act->app, view, &facts, &note);
    if (is_seated(act->app, r, view))
        status = print_restored(act->app, r, view);
    else if (plan.target.task != MIG_TASK_DELIVER)
        status = explain_idle(&plan, r);
    else if (mig_attempt_due(&r->attempt, &plan.target, view->generation) <= monotonic_ns())
        status = deliver_once(act, r, &plan, view);
    else
        status = last;
    mig_view_release(&view);
    return status;
}

static bool is_worth_retrying(int status)
{
    return status < 0 || status == MIG_EXIT_UNAVAILABLE || status == MIG_EXIT_RETRY;
}

static int restore(struct act *act, uint64_t seconds)
{
    struct restoring r = {0};
    uint64_t until = monotonic_ns() + seconds * NS_PER_S;
    int status = look_and_deliver(act, &r, GOES_ON);
    if (status == NOT_STARTED)
        mig_app_progress("waiting for a migration of %s to start", act->app->account);
    while (is_worth_retrying(status) && monotonic_ns() < until) {
        sleep_until(monotonic_ns() + NS_PER_S / 2);
        status = look_and_deliver(act, &r, status);
    }
    if (status == MIG_EXIT_OK)
        return status;
    if (status == GOES_ON)
        status = MIG_EXIT_RETRY;
    return mig_app_fail(status < 0 ? MIG_EXIT_NO : status, "%s", r.why);
}

int mig_verb_restore(struct mig_app *app)
{
    struct act act;
    uint64_t seconds = 0;
    int status = mig_app_seconds(app->wait, 60, &seconds);
    if (status != MIG_EXIT_OK)
        return status;
    status = open_act(app, &act);
    if (status == MIG_EXIT_OK)
        status = restore(&act, seconds);
    close_act(&act);
    return status;
}

/* ---- run --------------------------------------------------------------- */

/* Also at a mere refresh: a view that was stale counts again. */
static void on_view(void *ctx, const struct mig_view *view)
{
    (void)view;
    mig_backup_service_wake(ctx);
}

static int watch_and_serve(struct mig_app *app, struct mig_log *log, struct mig_cache *cache,
                           struct mig_app_publisher *publisher, struct mig_backup_service *service,
                           int stop_fd)
{
    const struct mig_watch_options options = {
        .rpc_url = mig_config_text(app->config, "contract", "rpc"),
        .quorum = (uint32_t)mig_config_number(app->config, "contract", "quorum"),
        .contract = app->contract,
        .account = app->account,
        .dialect = mig_app_dialect(app),
        .poll_ms = (unsigned)mig_config_number(app->config, "contract", "poll_interval"),
        .cache = cache,
        .log = mig_log_line,
        .log_ctx = log};
    struct mig_watch *watch = NULL;
    mig_cache_on_view(cache, on_view, service);
    enum mig_err err = mig_watch_start(&options, &watch);
    if (err != MIG_OK)
        return mig_app_fail(mig_exit_of(err), "the contract cannot be watched: %s",
                            mig_err_text(err));
    publisher->watch = watch;
    publisher->log = log;
    mig_log_line(log, MIG_LOG_NOTICE, "started", mig_app_key(app->identity->public_key));
    mig_backup_service_run(service, stop_fd);
    mig_log_line(log, MIG_LOG_NOTICE, "stopped", "by a signal");
    mig_watch_stop(&watch);
    return MIG_EXIT_OK;
}

static int serve(struct mig_app *app, struct mig_log *log, int stop_fd)
{
    const struct mig_config_file *c = app->config;
    struct mig_cache *cache = NULL;
    struct mig_backup_service *service = NULL;
    struct mig_app_publisher publisher;
    int status = mig_app_publisher_open(app, &publisher);
    if (status != MIG_EXIT_OK)
        return status;
    enum mig_err err = mig_cache_new(app->contract, app->account, mig_app_dialect(app), &cache);
    const struct mig_backup_config config = {
        .contract = app->contract,
        .account = app->account,
        .service = app->identity,
        .operator_key = app->operator_secret,
        .announce = mig_app_announce(app),
        .publish = mig_app_publish,
        .publish_ctx = &publisher,
        .node_url = mig_config_text(c, "node", "node_url"),
        .recover_url = mig_config_text(c, "node", "recover_url"),
        .plain_anywhere = mig_config_number(c, "node", "plain_anywhere") != 0,
        .max_staleness_ns = mig_app_max_staleness_ns(app),
        .cache = cache,
        .vault = &app->vault,
        .log = mig_log_line,
        .log_ctx = log};
    if (err == MIG_OK)
        err = mig_backup_service_new(&config, &service);
    status = err == MIG_OK ? watch_and_serve(app, log, cache, &publisher, service, stop_fd)
                           : mig_app_fail(mig_exit_of(err), "%s", mig_err_text(err));
    mig_backup_service_free(&service);
    mig_app_publisher_close(&publisher);
    mig_cache_free(&cache);
    return status;
}

int mig_verb_run(struct mig_app *app)
{
    int status = mig_app_open_identity(app);
    if (status == MIG_EXIT_OK)
        status = mig_app_open_vault(app, MIG_VAULT_OWNER);
    if (status != MIG_EXIT_OK)
        return status;
    struct mig_log log = {.most = (enum mig_log_level)(
                              MIG_LOG_ERROR + mig_config_number(app->config, "log", "level")),
                          .to_journal = getenv("JOURNAL_STREAM") != NULL};
    int stop_fd = mig_app_stop_fd();
    if (stop_fd < 0)
        return mig_app_fail(MIG_EXIT_SOFTWARE, "no signal descriptor");
    status = serve(app, &log, stop_fd);
    (void)close(stop_fd);
    return status;
}
