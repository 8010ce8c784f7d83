/* SPDX-License-Identifier: MIT */
#include "backup/service.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/encoding.h"

enum {
    LEASE_S = 120,
    TEXT_MAX = 900,
};
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define LOOK_AGAIN_NS (60 * NS_PER_S) /* also without any change */
#define VERIFY_EVERY_NS (24 * 3600 * NS_PER_S)

struct mig_backup_service {
    struct mig_backup_config config;
    struct mig_transport *transport;
    struct mig_attempt attempts[MIG_TASK_COUNT];
    struct mig_announcer announcer;
    int stop_fd;
    enum mig_reason reported; /* the reason last logged */
    bool has_reported, lease_lost;
    uint64_t verify_at_ns;
    size_t set_aside; /* damaged files reported so far */
    /* What the vault said last, and about which keyset: asked again after each
     * task, at each change and once a minute, not at every block. */
    struct mig_facts known;
    uint8_t known_keyset[MIG_DIGEST_LEN];
    uint64_t known_generation, known_until_ns;
    struct mig_note note;
};

static uint64_t monotonic_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t wall_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

enum mig_err mig_backup_service_new(const struct mig_backup_config *config,
                                    struct mig_backup_service **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return MIG_ERR_NOMEM;
    (*out)->config = *config;
    (*out)->announcer.publish = config->publish;
    (*out)->announcer.ctx = config->publish_ctx;
    (*out)->stop_fd = -1;
    enum mig_err err = mig_transport_new(&(*out)->transport);
    if (err != MIG_OK)
        mig_backup_service_free(out);
    return err;
}

void mig_backup_service_free(struct mig_backup_service **service)
{
    if (*service == NULL)
        return;
    mig_announcer_spend(&(*service)->announcer);
    mig_transport_free(&(*service)->transport);
    free(*service);
    *service = NULL;
}

void mig_backup_service_wake(struct mig_backup_service *service)
{
    mig_transport_wake(service->transport);
}

/* ---- what is reported -------------------------------------------------- */

__attribute__((format(printf, 4, 5))) static void report(const struct mig_backup_service *s,
                                                         enum mig_log_level level,
                                                         const char *event, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    s->config.log(s->config.log_ctx, level, event, text);
}

/* "epoch 5 keyset 619aa27783f185cb": enough to tell keysets apart in a log. */
static void name_keyset(const struct mig_view *view, char out[64])
{
    char hex[MIG_HEX_LEN(8)] = "";
    if (mig_hex_encode(view->keyset_digest, 8, hex, sizeof hex) != MIG_OK)
        hex[0] = '\0';
    (void)snprintf(out, 64, "epoch %" PRIu64 " keyset %s", view->keyset.epoch, hex);
}

static void report_reason(struct mig_backup_service *s, enum mig_reason reason)
{
    if (s->has_reported && s->reported == reason)
        return;
    bool fine = mig_reason_is_safe(reason) || reason == MIG_REASON_NOT_COVERED ||
                (reason == MIG_REASON_NO_VIEW && !s->has_reported);
    report(s, fine ? MIG_LOG_NOTICE : MIG_LOG_WARNING, mig_reason_word(reason), "%s",
           mig_reason_text(reason));
    s->reported = reason;
    s->has_reported = true;
}

static const char *task_word(enum mig_task task)
{
    static const char *const words[MIG_TASK_COUNT] = {"none", "backup", "receipt", "delivery"};
    return words[task];
}

/* `failures`: in a row, before this one. A refusal that does not last is a node
 * that was a block behind. */
static void report_failure(const struct mig_backup_service *s, enum mig_task task,
                           const struct mig_client *client, unsigned failures,
                           const struct mig_result *r)
{
    bool bad = (r->upshot == MIG_UPSHOT_REFUSED && failures > 0) ||
               r->upshot == MIG_UPSHOT_BROKEN || r->upshot == MIG_UPSHOT_FAILED;
    enum mig_log_level level = bad ? MIG_LOG_ERROR : MIG_LOG_WARNING;
    if (r->upshot == MIG_UPSHOT_CANCELLED)
        level = MIG_LOG_NOTICE;
    /* Waiting for a published key, without having asked the node. */
    if (r->upshot == MIG_UPSHOT_RETRY && r->status == 0)
        level = MIG_LOG_INFO;
    report(s, level, task_word(task), "%s: %s%s%s (%s, status %u)", mig_upshot_text(r->upshot),
           r->why, r->code[0] != '\0' ? ": " : "", r->code, client->route.url, r->status);
}

static void report_skew(const struct mig_backup_service *s, const struct mig_result *r)
{
    if (mig_result_is_skewed(r))
        report(s, MIG_LOG_WARNING, "clock_skew",
               "the node's clock and ours differ by %" PRId64 " s; signatures may be refused",
               r->clock_skew);
}

/* ---- the facts --------------------------------------------------------- */

/* Opens and checks the whole file: what cannot be read covers nothing. */
static bool is_covered(const struct mig_vault *vault, const struct mig_view *view)
{
    struct mig_keyset kept = {0};
    bool covered = vault->keyset(vault->ctx, view->keyset_digest, &kept) == MIG_OK &&
                   mig_keyset_is_equal(&kept, &view->keyset);
    mig_keyset_clear(&kept);
    return covered;
}

void mig_backup_facts(const struct mig_vault *vault, const struct mig_view *view,
                      struct mig_facts *facts, struct mig_note *note)
{
    facts->view = view;
    facts->covered = false;
    facts->note = NULL;
    if (view == NULL || view->keyset.count == 0)
        return;
    facts->covered = is_covered(vault, view);
    if (vault->load_note(vault->ctx, view->keyset_digest, note) == MIG_OK)
        facts->note = note;
}

static void look(struct mig_backup_service *s, const struct mig_view *view, struct mig_facts *facts)
{
    bool same = view != NULL && monotonic_ns() < s->known_until_ns &&
                view->generation == s->known_generation &&
                memcmp(s->known_keyset, view->keyset_digest, MIG_DIGEST_LEN) == 0;
    if (!same)
        mig_backup_facts(s->config.vault, view, &s->known, &s->note);
    if (!same && view != NULL) {
        memcpy(s->known_keyset, view->keyset_digest, MIG_DIGEST_LEN);
        s->known_generation = view->generation;
        s->known_until_ns = monotonic_ns() + LOOK_AGAIN_NS;
    }
    *facts = (struct mig_facts){.view = view,
                                .account = s->config.account,
                                .service_key = s->config.service->public_key,
                                .now_ns = wall_ns(),
                                .max_staleness_ns = s->config.max_staleness_ns,
                                .covered = view != NULL && s->known.covered,
                                .note = view != NULL ? s->known.note : NULL};
}

/* ---- one task ---------------------------------------------------------- */

/* What a running task was admitted for, and under which view. */
struct admission {
    struct mig_backup_service *service;
    const struct mig_target *target;
    struct mig_facts facts;
    uint64_t generation;
};

static bool is_stopping(const struct mig_backup_service *s)
{
    struct pollfd p = {.fd = s->stop_fd, .events = POLLIN};
    return s->stop_fd >= 0 && poll(&p, 1, 0) > 0;
}

/* The same plan under the view of this moment? Asked during transfers and
 * right before shares become durable. */
static bool still_holds(void *ctx)
{
    struct admission *a = ctx;
    struct mig_backup_service *s = a->service;
    if (is_stopping(s))
        return false;
    const struct mig_view *view = mig_cache_view(s->config.cache);
    struct mig_facts facts = a->facts;
    facts.view = view;
    facts.now_ns = wall_ns();
    /* The vault's facts are those of the admission: exact for the same keyset,
     * and another keyset is another target anyway. */
    struct mig_plan plan = mig_plan_make(&facts);
    mig_view_release(&view);
    return mig_target_is_equal(&plan.target, a->target);
}

static struct mig_result do_backup(const struct mig_backup_service *s,
                                   const struct mig_client *client, const struct mig_view *view)
{
    struct mig_note note;
    char name[64];
    struct mig_result r = mig_client_backup(client, &view->keyset, &note);
    name_keyset(view, name);
    if (r.upshot == MIG_UPSHOT_OK)
        report(s, MIG_LOG_NOTICE, "backed_up", "%s: %zu shares from %s, read back", name,
               view->keyset.count, client->route.url);
    return r;
}

static struct mig_result do_receipt(struct mig_backup_service *s, const struct mig_client *client,
                                    const struct mig_view *view)
{
    char name[64];
    struct mig_result r = mig_client_receipt(client, &s->note);
    name_keyset(view, name);
    if (r.upshot == MIG_UPSHOT_OK)
        report(s, MIG_LOG_NOTICE, "acknowledged", "%s: the node knows that it is backed up", name);
    return r;
}

static struct mig_result do_delivery(struct mig_backup_service *s, const struct mig_client *client,
                                     const struct mig_view *view, bool *finished)
{
    struct mig_handover delivery;
    char name[64];
    struct mig_result r = mig_client_deliver(client, &view->keyset, &delivery);
    if (delivery.sealed && r.upshot != MIG_UPSHOT_RETRY)
        mig_announcer_spend(&s->announcer);
    if (delivery.wants_key)
        (void)mig_announcer_ready(&s->announcer, view, monotonic_ns(), &r.why);
    if (r.upshot != MIG_UPSHOT_OK)
        return r;
    name_keyset(view, name);
    *finished = delivery.job == MIG_JOB_DONE;
    if (delivery.uploaded)
        report(s, MIG_LOG_NOTICE, "delivered",
               "%s: %u shares are durable on the new node%s; it concludes", name,
               delivery.receipt.shares, delivery.receipt.repeated ? " (they were before)" : "");
    if (*finished)
        report(s, MIG_LOG_NOTICE, "migrated", "%s: the new node has the seat", name);
    return r;
}

static struct mig_result run_task(struct mig_backup_service *s, const struct mig_client *client,
                                  const struct mig_target *target, const struct mig_view *view,
                                  bool *finished)
{
    switch (target->task) {
    case MIG_TASK_BACKUP:
        return do_backup(s, client, view);
    case MIG_TASK_RECEIPT:
        return do_receipt(s, client, view);
    case MIG_TASK_DELIVER:
        return do_delivery(s, client, view, finished);
    case MIG_TASK_NONE:
    case MIG_TASK_COUNT:
        break;
    }
    return (struct mig_result){.upshot = MIG_UPSHOT_FAILED, .why = "no such task"};
}

/* Gives the client the published pair, when there is one. A backup always needs
 * it, so what is missing is published here; a delivery only if the node waits. */
static bool give_pair(struct mig_backup_service *s, enum mig_task task, const struct mig_view *view,
                      struct mig_client *client, const char **why)
{
    struct mig_announcer *a = &s->announcer;
    bool exchanges = task == MIG_TASK_BACKUP || task == MIG_TASK_DELIVER;
    if (s->config.announce != MIG_ANNOUNCE_CONTRACT || !exchanges)
        return true;
    if (task == MIG_TASK_DELIVER && a->pair.secret == NULL)
        return true;
    if (!mig_announcer_ready(a, view, monotonic_ns(), why))
        return false;
    client->shown_own = &a->pair;
    client->shown_node = view->published.node;
    return true;
}

/* A fetch that the node refused sealed nothing; after anything else the pair has
 * done its service. */
static void spend_pair(struct mig_backup_service *s, enum mig_task task,
                       const struct mig_client *client, const struct mig_result *r)
{
    bool untouched = r->upshot == MIG_UPSHOT_RETRY || r->upshot == MIG_UPSHOT_REFUSED;
    if (task == MIG_TASK_BACKUP && client->shown_own != NULL && !untouched)
        mig_announcer_spend(&s->announcer);
}

static void perform(struct mig_backup_service *s, const struct mig_target *target,
                    const struct mig_facts *facts)
{
    struct admission admission = {.service = s, .target = target, .facts = *facts};
    const struct mig_fence fence = {still_holds, &admission};
    struct mig_attempt *attempt = &s->attempts[target->task];
    struct mig_client client = {.transport = s->transport,
                                .vault = s->config.vault,
                                .peer = {.contract = s->config.contract,
                                         .account = s->config.account,
                                         .service = s->config.service,
                                         .announce = s->config.announce,
                                         .operator_key = s->config.operator_key},
                                .fence = &fence};
    bool same = mig_target_is_equal(&attempt->target, target);
    unsigned tried = same ? attempt->unanswered : 0;
    const char *url = mig_plan_url(target, tried, s->config.node_url, s->config.recover_url);
    struct mig_result r = {.upshot = MIG_UPSHOT_FAILED};
    bool finished = false;
    uint32_t random;
    if (mig_client_aim(&client, url, target->node, s->config.plain_anywhere, &r.why) == MIG_OK) {
        if (give_pair(s, target->task, facts->view, &client, &r.why))
            r = run_task(s, &client, target, facts->view, &finished);
        else
            r.upshot = MIG_UPSHOT_RETRY;
    }
    spend_pair(s, target->task, &client, &r);
    if (r.upshot != MIG_UPSHOT_OK)
        report_failure(s, target->task, &client, same ? attempt->failures : 0, &r);
    report_skew(s, &r);
    mig_random(&random, sizeof random);
    mig_attempt_record(attempt, target, facts->view->generation, &r, finished, monotonic_ns(),
                       random);
}

/* ---- the loop ---------------------------------------------------------- */

/* The vault heals by fetching again; the disk that damaged it stays an alarm. */
static void report_set_aside(struct mig_backup_service *s)
{
    const struct mig_vault *vault = s->config.vault;
    size_t now = vault->set_aside != NULL ? vault->set_aside(vault->ctx) : 0;
    if (now > s->set_aside)
        report(s, MIG_LOG_ERROR, "vault_damaged",
               "%zu damaged files were moved to quarantine; check the disk", now - s->set_aside);
    s->set_aside = now;
}

static void report_damage(const struct mig_backup_service *s, const struct mig_vault_report *found,
                          enum mig_err err)
{
    char hex[MIG_HEX_LEN(8)] = "";
    if (found->damaged == 0 || mig_hex_encode(found->named[0], 8, hex, sizeof hex) != MIG_OK) {
        report(s, MIG_LOG_ERROR, "vault_unreadable", "the vault cannot be read: %s",
               mig_err_text(err));
        return;
    }
    report(s, MIG_LOG_ERROR, "vault_damaged", "%zu of %zu keysets cannot be read, first %s",
           found->damaged, found->entries, hex);
}

static void verify_now_and_then(struct mig_backup_service *s)
{
    struct mig_vault_report found;
    if (monotonic_ns() < s->verify_at_ns)
        return;
    s->verify_at_ns = monotonic_ns() + VERIFY_EVERY_NS;
    enum mig_err err = mig_vault_verify(s->config.vault, &found);
    if (err == MIG_OK)
        report(s, MIG_LOG_NOTICE, "vault_verified", "%zu keysets, %zu shares, all readable",
               found.entries, found.shares);
    else
        report_damage(s, &found, err);
}

static bool has_lease(struct mig_backup_service *s)
{
    const struct mig_vault *vault = s->config.vault;
    bool has = vault->lease(vault->ctx, wall_ns() / NS_PER_S, LEASE_S) == MIG_OK;
    if (!has && !s->lease_lost)
        report(s, MIG_LOG_WARNING, "lease", "another service acts for this account; waiting");
    s->lease_lost = !has;
    return has;
}

/* How long the facts stay what they are unless something happens. */
static uint64_t idle_ns(const struct mig_facts *facts, uint64_t due_ns)
{
    uint64_t wait = LOOK_AGAIN_NS;
    uint64_t now = monotonic_ns();
    if (due_ns != UINT64_MAX) {
        uint64_t until_due = due_ns > now ? due_ns - now : 0;
        wait = until_due < wait ? until_due : wait;
    }
    if (facts->view != NULL) {
        uint64_t age = mig_view_age_ns(facts->view, facts->now_ns);
        uint64_t fresh = age <= facts->max_staleness_ns ? facts->max_staleness_ns - age : wait;
        wait = fresh < wait ? fresh : wait;
    }
    return wait + NS_PER_MS;
}

/* Looks once; does what is due; gives the time to wait otherwise. */
static uint64_t step(struct mig_backup_service *s)
{
    struct mig_facts facts;
    uint64_t wait = 0;
    const struct mig_view *view = mig_cache_view(s->config.cache);
    look(s, view, &facts);
    struct mig_plan plan = mig_plan_make(&facts);
    report_reason(s, plan.reason);
    uint64_t due = UINT64_MAX;
    if (plan.target.task != MIG_TASK_NONE)
        due = mig_attempt_due(&s->attempts[plan.target.task], &plan.target, view->generation);
    if (due <= monotonic_ns() && has_lease(s)) {
        perform(s, &plan.target, &facts);
        s->known_until_ns = 0;
        report_set_aside(s);
    } else {
        wait = idle_ns(&facts, s->lease_lost ? monotonic_ns() + 5 * NS_PER_S : due);
    }
    mig_view_release(&view);
    return wait;
}

void mig_backup_service_run(struct mig_backup_service *service, int stop_fd)
{
    service->stop_fd = stop_fd;
    report_set_aside(service);
    while (!is_stopping(service)) {
        verify_now_and_then(service);
        uint64_t wait = step(service);
        if (wait > 0)
            mig_transport_wait(service->transport, stop_fd, wait / NS_PER_MS + 1);
    }
}
