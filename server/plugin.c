/* SPDX-License-Identifier: MIT */
/*
 * The library's front door: builds the house from the ground up, lets views
 * flow through it, and takes it down in the opposite order. mig_stop() accepts
 * a house that is only half built, so that every failure of mig_start() has
 * one way out.
 */
#include "include/mpc_migration.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain/watch.h"
#include "server/admin.h"
#include "server/defaults.h"
#include "server/keeper.h"
#include "server/listener.h"
#include "server/settings.h"

enum {
    NONCE_CAPACITY = 65536,
    VERIFIES_PER_ADDRESS = 500,
    VERIFIES_TOTAL = 5000,
    ADDRESSES = 1024,
    OFFER_LIFETIME_S = 600,
};

struct mig_plugin {
    struct mig_settings settings;
    struct mig_host host; /* complete */
    struct mig_defaults *defaults;
    struct mig_counters counters;
    struct mig_cache *cache;
    struct mig_replay *replay;
    struct mig_budget *budget;
    struct mig_keep *keep;
    struct mig_service *service;
    struct mig_reaper *reaper;
    struct mig_listener *migration;
    struct mig_listener *admin;
    struct mig_admin pages;
    struct mig_watch *watch;
    uint64_t started_at;     /* Unix seconds */
    pthread_mutex_t feeding; /* one writer of the cache at a time; protects what follows */
    uint64_t seen_generation;
};

static uint64_t unix_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void say(const struct mig_plugin *p, enum mig_log_level level, const char *event,
                const char *text)
{
    p->host.log(p->host.ctx, level, event, text);
}

/* ---- a view comes in ------------------------------------------------------ */

static void report_view(struct mig_plugin *p, const struct mig_view *view)
{
    char text[160];
    (void)snprintf(
        text, sizeof text,
        "protocol=%s epoch=%llu domains=%zu participants=%zu height=%llu generation=%llu",
        mig_protocol_text(view->protocol), (unsigned long long)view->keyset.epoch,
        view->keyset.count, view->participants.count, (unsigned long long)view->state_block.height,
        (unsigned long long)view->generation);
    say(p, MIG_LOG_INFO, "view", text);
}

/* On the feeding thread, after the cache has swapped. The connections that are
 * no longer admitted go first, before anything touches the disk; a key that
 * was not observed yet counts as not honoured. A handler that raced past is
 * caught by its own re-check. */
static void on_view(void *ctx, const struct mig_view *view)
{
    struct mig_plugin *p = ctx;
    bool moved = view->generation != p->seen_generation;
    unsigned cut = moved ? mig_listener_cancel(p->migration, view, mig_deadline_now()) : 0;
    (void)mig_keep_view(p->keep, view);
    mig_service_view_changed(p->service, view);
    if (!moved)
        return;
    p->seen_generation = view->generation;
    report_view(p, view);
    if (cut > 0) {
        char text[64];
        (void)snprintf(text, sizeof text, "requests in progress: %u", cut);
        say(p, MIG_LOG_NOTICE, "cancelled", text);
    }
}

enum mig_err mig_feed(struct mig_plugin *plugin, enum mig_feed part, uint64_t block_height,
                      uint64_t block_time_ns, const char *json, size_t len)
{
    static const enum mig_part parts[] = {MIG_PART_STATE, MIG_PART_MIGRATION, MIG_PART_EPHEMERAL};
    struct mig_block block = {.height = block_height, .time_ns = block_time_ns};
    if ((unsigned)part >= sizeof parts / sizeof *parts)
        return MIG_ERR_MALFORMED;
    (void)pthread_mutex_lock(&plugin->feeding);
    enum mig_err err = mig_cache_feed(plugin->cache, parts[part], &block, json, len);
    (void)pthread_mutex_unlock(&plugin->feeding);
    return err;
}

/* ---- what it looks like from outside ------------------------------------------ */

static void fill_view(const struct mig_plugin *p, const struct mig_view *view,
                      struct mig_status *out)
{
    out->has_view = true;
    out->view_age_ns = mig_view_age_ns(view, unix_ns());
    out->is_fresh = out->view_age_ns <= p->settings.self.max_staleness_ns;
    out->generation = view->generation;
    out->state_block = view->state_block;
    out->info_block = view->info_block;
    out->protocol = view->protocol;
    out->has_keyset = view->keyset.count > 0;
    out->epoch = view->keyset.epoch;
    memcpy(out->keyset, view->keyset_digest, MIG_DIGEST_LEN);
    out->domains = view->keyset.count;
    out->participants = view->participants.count;
    out->has_service_key = view->has_service_key;
    memcpy(out->service_key, view->service_key, MIG_KEY_LEN);
    out->has_destination = view->has_destination;
    out->is_destination =
        view->has_destination &&
        memcmp(view->destination.tls_key, p->settings.self.tls_key, MIG_KEY_LEN) == 0;
    struct mig_receipt receipt;
    out->has_stored =
        out->has_keyset && p->host.load_receipt(p->host.ctx, &view->keyset, &receipt) == MIG_OK;
    out->stored_epoch = out->has_stored ? receipt.epoch : 0;
}

static void fill_rpc(const struct mig_plugin *p, struct mig_status *out)
{
    out->rpc_count = p->watch != NULL ? mig_watch_count(p->watch) : 0;
    out->rpc_quorum = p->watch != NULL ? mig_watch_quorum(p->watch) : 0;
    for (size_t i = 0; i < out->rpc_count; i++)
        mig_watch_stats(p->watch, i, &out->rpc[i]);
}

static void fill_status(void *ctx, struct mig_status *out)
{
    struct mig_plugin *p = ctx;
    memset(out, 0, sizeof *out);
    out->contract = p->settings.contract;
    out->account = p->settings.account;
    memcpy(out->identity, p->settings.self.tls_key, MIG_KEY_LEN);
    out->started_at = p->started_at;
    out->counters = &p->counters;
    for (unsigned i = 0; i < MIG_HOOK_COUNT; i++)
        out->has_hook[i] = p->host.hook_stats(p->host.ctx, (enum mig_hook)i, &out->hook[i]);
    mig_keep_status(p->keep, &out->keep);
    mig_listener_stats(p->migration, &out->listener);
    fill_rpc(p, out);
    const struct mig_view *view = mig_cache_view(p->cache);
    if (view != NULL)
        fill_view(p, view, out);
    mig_view_release(&view);
}

bool mig_is_ready(struct mig_plugin *plugin)
{
    struct mig_status status;
    const char *reasons[MIG_REASONS_MAX];
    fill_status(plugin, &status);
    return mig_status_reasons(&status, reasons) == 0;
}

/* ---- building --------------------------------------------------------------- */

/* A node that could not keep what it is given must not start. */
static enum mig_err prove_store(struct mig_plugin *p, char *why)
{
    enum mig_err err = mig_defaults_probe(p->defaults);
    if (err != MIG_OK)
        (void)snprintf(why, MIG_WHY_MAX,
                       "%s does not take a durable write (%s): check free space and mount options",
                       p->settings.state_dir, mig_err_text(err));
    return err;
}

static enum mig_err build_auth(struct mig_plugin *p, char *why)
{
    char journal[4096];
    int n = snprintf(journal, sizeof journal, "%s/nonces", p->settings.state_dir);
    if (n < 0 || (size_t)n >= sizeof journal)
        return MIG_ERR_MALFORMED;
    struct mig_replay_config replay = {.journal = journal,
                                       .capacity = NONCE_CAPACITY,
                                       .skew = p->settings.skew_s,
                                       .now = unix_ns() / 1000000000u};
    struct mig_budget_config budget = {
        .per_address = VERIFIES_PER_ADDRESS, .total = VERIFIES_TOTAL, .addresses = ADDRESSES};
    enum mig_err err = mig_replay_open(&replay, &p->replay);
    if (err != MIG_OK)
        (void)snprintf(why, MIG_WHY_MAX,
                       "the nonce journal in state_dir cannot be written (%s): check owner, mode "
                       "and free space",
                       mig_err_text(err));
    return err == MIG_OK ? mig_budget_new(&budget, &p->budget) : err;
}

static enum mig_err publish_key(void *ctx, const uint8_t key[MIG_KEY_LEN])
{
    return mig_defaults_publish(ctx, key);
}

static enum mig_err build_keep(struct mig_plugin *p, char *why)
{
    struct mig_keep_config config = {
        .account = p->settings.account,
        .contract = p->settings.contract,
        .state_dir = p->settings.state_dir,
        .key_delay_ns = (uint64_t)p->settings.key_delay_s * 1000000000u,
        .host = p->host,
        .counters = &p->counters,
        .publish = p->settings.self.announce == MIG_ANNOUNCE_CONTRACT ? publish_key : NULL,
        .publish_ctx = p->defaults,
    };
    memcpy(config.tls_key, p->settings.self.tls_key, MIG_KEY_LEN);
    return mig_keep_new(&config, &p->keep, why);
}

static enum mig_err build_service(struct mig_plugin *p)
{
    struct mig_service_config config = {
        .self = p->settings.self,
        .identity = p->settings.identity,
        .operator_key = p->settings.operator_key,
        .host = p->host,
        .cache = p->cache,
        .replay = p->replay,
        .budget = p->budget,
        .counters = &p->counters,
        .skew = p->settings.skew_s,
        .offer_lifetime_s = OFFER_LIFETIME_S,
    };
    mig_keep_table(p->keep, &config.keeper);
    return mig_service_new(&config, &p->service);
}

static enum mig_err open_migration(struct mig_plugin *p, char *why)
{
    struct mig_listener_config config = {
        .address = p->settings.listen,
        .identity = p->settings.plain ? NULL : p->settings.identity,
        .plain_anywhere = p->settings.plain_anywhere,
        .limits = MIG_LIMITS_DEFAULT,
        .reaper = p->reaper,
        .service = p->service,
        .counters = &p->counters,
        .log_ctx = p->host.ctx,
        .log = p->host.log,
    };
    return mig_listener_start(&config, &p->migration, why);
}

static enum mig_err open_admin(struct mig_plugin *p, char *why)
{
    p->pages = (struct mig_admin){.ctx = p, .status = fill_status};
    return p->settings.admin != NULL
               ? mig_admin_start(p->settings.admin, &p->pages, p->reaper, &p->host, &p->admin, why)
               : MIG_OK;
}

static enum mig_err start_watch(struct mig_plugin *p)
{
    if (p->settings.rpc == NULL)
        return MIG_OK;
    struct mig_watch_options options = {
        .rpc_url = p->settings.rpc,
        .quorum = p->settings.quorum,
        .contract = p->settings.contract,
        .account = p->settings.account,
        .dialect = p->settings.dialect,
        .poll_ms = p->settings.poll_interval_ms,
        .cache = p->cache,
        .max_staleness_ns = p->settings.self.max_staleness_ns,
        .log = p->host.log,
        .log_ctx = p->host.ctx,
    };
    return mig_watch_start(&options, &p->watch);
}

/* From the ground up; each step stands on those before. */
static enum mig_err build(struct mig_plugin *p, const struct mig_host *host, char *why)
{
    enum mig_err err =
        mig_cache_new(p->settings.contract, p->settings.account, p->settings.dialect, &p->cache);
    if (err == MIG_OK)
        err = mig_defaults_new(&p->settings, host, p->cache, &p->defaults, &p->host, why);
    if (err == MIG_OK)
        err = prove_store(p, why);
    if (err == MIG_OK)
        err = build_auth(p, why);
    if (err == MIG_OK)
        err = build_keep(p, why);
    if (err == MIG_OK)
        err = build_service(p);
    if (err == MIG_OK)
        err = mig_reaper_new(&p->reaper);
    if (err == MIG_OK)
        err = open_migration(p, why);
    if (err == MIG_OK)
        err = mig_keep_start(p->keep);
    if (err != MIG_OK)
        return err;
    mig_cache_on_view(p->cache, on_view, p);
    err = start_watch(p);
    /* Last, for it tells of all the others. */
    return err == MIG_OK ? open_admin(p, why) : err;
}

enum mig_err mig_start(const struct mig_config *config, const struct mig_host *host,
                       struct mig_plugin **out, char *why)
{
    char unread[MIG_WHY_MAX];
    why = why != NULL ? why : unread;
    *out = NULL;
    (void)snprintf(why, MIG_WHY_MAX, "out of memory");
    struct mig_plugin *p = calloc(1, sizeof *p);
    if (p == NULL)
        return MIG_ERR_NOMEM;
    (void)pthread_mutex_init(&p->feeding, NULL);
    p->started_at = unix_ns() / 1000000000u;
    enum mig_err err = mig_settings_load(config, host, &p->settings, why);
    if (err == MIG_OK) {
        (void)snprintf(why, MIG_WHY_MAX, "out of memory, or no more threads");
        err = build(p, host, why);
    }
    if (err != MIG_OK) {
        mig_stop(&p, 0);
        return err;
    }
    why[0] = '\0';
    *out = p;
    return MIG_OK;
}

enum mig_err mig_check(const struct mig_config *config, const struct mig_host *host, char *why)
{
    char unread[MIG_WHY_MAX];
    struct mig_settings settings;
    enum mig_err err = mig_settings_load(config, host, &settings, why != NULL ? why : unread);
    mig_settings_clear(&settings);
    return err;
}

/* Roof first: nobody looks at the house any more, no new views, no new
 * requests, then what they stood on. */
void mig_stop(struct mig_plugin **plugin, uint32_t drain_ms)
{
    struct mig_plugin *p = *plugin;
    if (p == NULL)
        return;
    mig_listener_stop(&p->admin, 0);
    mig_watch_stop(&p->watch);
    mig_listener_stop(&p->migration, drain_ms);
    if (p->defaults != NULL)
        mig_defaults_cancel(p->defaults);
    mig_keep_free(&p->keep);
    mig_service_free(&p->service);
    mig_reaper_free(&p->reaper);
    mig_budget_free(&p->budget);
    mig_replay_close(&p->replay);
    mig_cache_free(&p->cache);
    mig_defaults_free(&p->defaults);
    mig_settings_clear(&p->settings);
    (void)pthread_mutex_destroy(&p->feeding);
    free(p);
    *plugin = NULL;
}

const char *mig_address(const struct mig_plugin *plugin, enum mig_listener_name which)
{
    const struct mig_listener *listener =
        which == MIG_LISTENER_MIGRATION ? plugin->migration : plugin->admin;
    return listener != NULL ? mig_listener_address(listener) : "";
}

enum mig_job mig_current_job(struct mig_plugin *plugin)
{
    return mig_keep_job(plugin->keep);
}

const char *mig_version(void)
{
    return MIG_VERSION;
}
