/* SPDX-License-Identifier: MIT */
#include "server/defaults.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chain/sender.h"
#include "chain/state.h"
#include "crypto/keyset.h"
#include "store/file.h"
#include "store/keystore.h"

struct mig_defaults {
    const struct mig_settings *settings;
    struct mig_host host; /* as given; NULL functions are ours */
    struct mig_cache *cache;
    struct mig_keystore *store; /* NULL: the host stores */
    /* One storing call at a time, as the host is promised: listener, admin
     * listener and worker all come here. */
    pthread_mutex_t storing;
    struct mig_rpc *rpc; /* NULL: the host concludes */
    struct mig_sender *sender;
};

/* ---- storing ---------------------------------------------------------------- */

static enum mig_err load_keyshares(void *ctx, const struct mig_keyset *keyset,
                                   uint8_t (*shares)[MIG_SHARE_LEN])
{
    struct mig_defaults *d = ctx;
    (void)pthread_mutex_lock(&d->storing);
    enum mig_err err = d->host.load_keyshares != NULL
                           ? d->host.load_keyshares(d->host.ctx, keyset, shares)
                           : mig_keystore_load(d->store, keyset, shares);
    (void)pthread_mutex_unlock(&d->storing);
    return err;
}

static enum mig_err import_keyshares(void *ctx, const struct mig_keyset *keyset,
                                     const uint8_t (*shares)[MIG_SHARE_LEN], uint64_t now,
                                     const struct mig_fence *fence, struct mig_receipt *receipt)
{
    struct mig_defaults *d = ctx;
    (void)pthread_mutex_lock(&d->storing);
    enum mig_err err =
        d->host.import_keyshares != NULL
            ? d->host.import_keyshares(d->host.ctx, keyset, shares, now, fence, receipt)
            : mig_keystore_import(d->store, keyset, shares, now, fence, receipt);
    (void)pthread_mutex_unlock(&d->storing);
    return err;
}

static enum mig_err load_receipt(void *ctx, const struct mig_keyset *keyset,
                                 struct mig_receipt *receipt)
{
    struct mig_defaults *d = ctx;
    (void)pthread_mutex_lock(&d->storing);
    enum mig_err err = d->host.load_receipt != NULL
                           ? d->host.load_receipt(d->host.ctx, keyset, receipt)
                           : mig_keystore_receipt(d->store, keyset, receipt);
    (void)pthread_mutex_unlock(&d->storing);
    return err;
}

enum mig_err mig_defaults_probe(struct mig_defaults *defaults)
{
    return defaults->store != NULL ? mig_keystore_probe(defaults->store) : MIG_OK;
}

/* ---- transactions -------------------------------------------------------------- */

static void say(const struct mig_defaults *d, enum mig_log_level level, const char *event,
                const char *text)
{
    if (d->host.log != NULL)
        d->host.log(d->host.ctx, level, event, text);
}

/* Asked anew for every transaction: they are rare, and contracts are upgraded. */
static enum mig_err ask_speech(struct mig_defaults *d, struct mig_speech *out)
{
    struct mig_returned answer = {0};
    char version[MIG_VERSION_MAX + 1];
    enum mig_err err =
        mig_rpc_view(d->rpc, d->settings->contract, MIG_VERSION_METHOD, "", NULL, &answer);
    if (err == MIG_ERR_NOT_FOUND) {
        *out = mig_speech_pick(d->settings->dialect, NULL);
        return MIG_OK;
    }
    if (err == MIG_OK)
        err = mig_version_parse(answer.bytes, answer.len, version);
    if (err == MIG_OK)
        *out = mig_speech_pick(d->settings->dialect, version);
    mig_returned_clear(&answer);
    return err;
}

static enum mig_err send(struct mig_defaults *d, const struct mig_call *call)
{
    struct mig_delivery delivery;
    char text[MIG_REASON_MAX + 128];
    enum mig_err err = mig_sender_send(d->sender, call, &delivery);
    if (err == MIG_OK || err == MIG_ERR_CANCELLED)
        return err;
    const char *remedy =
        delivery.refusal != MIG_REFUSAL_NONE ? mig_refusal_text(delivery.refusal) : "";
    (void)snprintf(text, sizeof text, "%s: %s %s", call->method, delivery.reason, remedy);
    say(d, MIG_LOG_WARNING, "transaction_failed", text);
    return err;
}

static enum mig_err send_conclude(struct mig_defaults *d, const struct mig_view *view)
{
    struct mig_speech speech;
    struct mig_call call = {0};
    enum mig_err err = ask_speech(d, &speech);
    if (err == MIG_OK)
        err = mig_call_conclude(&speech, view, &call);
    if (err == MIG_OK)
        err = send(d, &call);
    mig_call_clear(&call);
    return err;
}

/* The contract compares with its own order of domains, which only the view
 * keeps; a view of another keyset means that this task is out of date. */
static enum mig_err conclude(void *ctx, const struct mig_keyset *keyset)
{
    struct mig_defaults *d = ctx;
    if (d->host.conclude != NULL)
        return d->host.conclude(d->host.ctx, keyset);
    const struct mig_view *view = mig_cache_view(d->cache);
    enum mig_err err = MIG_ERR_STATE;
    if (view != NULL && mig_keyset_is_equal(&view->keyset, keyset))
        err = send_conclude(d, view);
    mig_view_release(&view);
    return err;
}

enum mig_err mig_defaults_publish(struct mig_defaults *defaults, const uint8_t key[MIG_KEY_LEN])
{
    struct mig_speech speech;
    struct mig_call call = {0};
    enum mig_err err = defaults->sender != NULL ? ask_speech(defaults, &speech) : MIG_ERR_STATE;
    if (err == MIG_OK)
        err = mig_call_publish(&speech, MIG_ROLE_NODE, key, &call);
    if (err == MIG_OK)
        err = send(defaults, &call);
    mig_call_clear(&call);
    return err;
}

/* ---- the rest, passed on ---------------------------------------------------------- */

static enum mig_err participants_changed(void *ctx, const struct mig_change *change)
{
    struct mig_defaults *d = ctx;
    return d->host.participants_changed != NULL ? d->host.participants_changed(d->host.ctx, change)
                                                : MIG_OK;
}

static enum mig_err purge_assets(void *ctx, const struct mig_change *change)
{
    struct mig_defaults *d = ctx;
    return d->host.purge_assets != NULL ? d->host.purge_assets(d->host.ctx, change) : MIG_OK;
}

static void job_changed(void *ctx, enum mig_job job)
{
    struct mig_defaults *d = ctx;
    if (d->host.job_changed != NULL)
        d->host.job_changed(d->host.ctx, job);
}

static void backup_served(void *ctx, uint64_t epoch, const uint8_t keyset[MIG_DIGEST_LEN])
{
    struct mig_defaults *d = ctx;
    if (d->host.backup_served != NULL)
        d->host.backup_served(d->host.ctx, epoch, keyset);
}

static void recovered(void *ctx, const struct mig_receipt *receipt)
{
    struct mig_defaults *d = ctx;
    if (d->host.recovered != NULL)
        d->host.recovered(d->host.ctx, receipt);
}

static bool hook_stats(void *ctx, enum mig_hook hook, struct mig_hook_stats *out)
{
    struct mig_defaults *d = ctx;
    return d->host.hook_stats != NULL && d->host.hook_stats(d->host.ctx, hook, out);
}

static void log_line(void *ctx, enum mig_log_level level, const char *event, const char *text)
{
    say(ctx, level, event, text);
}

/* ---- building ---------------------------------------------------------------------- */

/* A share that is missing from today on must not be a riddle tomorrow. */
static void report_quarantine(const struct mig_defaults *d)
{
    char text[160];
    size_t count = d->store != NULL ? mig_keystore_quarantined(d->store) : 0;
    if (count == 0)
        return;
    (void)snprintf(text, sizeof text,
                   "%zu damaged keyshare files were moved to keyshares/quarantine in state_dir; "
                   "nothing was deleted",
                   count);
    say(d, MIG_LOG_ERROR, "keyshares_quarantined", text);
}

static enum mig_err open_store(struct mig_defaults *d, char *why)
{
    char folder[4096];
    const char *reason = "";
    int state = -1;
    int n = snprintf(folder, sizeof folder, "%s/keyshares", d->settings->state_dir);
    if (n < 0 || (size_t)n >= sizeof folder) {
        (void)snprintf(why, MIG_WHY_MAX, "state_dir is too long");
        return MIG_ERR_MALFORMED;
    }
    enum mig_err err = mig_folder_open(d->settings->state_dir, true, &state, &reason);
    if (state >= 0)
        (void)close(state);
    bool host_stores = d->host.load_keyshares != NULL && d->host.import_keyshares != NULL &&
                       d->host.load_receipt != NULL;
    if (err == MIG_OK && !host_stores)
        err = mig_keystore_open(folder, MIG_KEYSTORE_NODE, d->settings->store_key,
                                d->settings->contract, &d->store, &reason);
    if (err != MIG_OK)
        (void)snprintf(why, MIG_WHY_MAX, "%s: %s", d->settings->state_dir, reason);
    return err;
}

static enum mig_err open_sender(struct mig_defaults *d, char *why)
{
    if (d->settings->access == NULL || d->settings->rpc == NULL)
        return MIG_OK;
    struct mig_rpc_options rpc = {.url = d->settings->rpc};
    enum mig_err err = mig_rpc_new(&rpc, &d->rpc);
    if (err != MIG_OK) {
        (void)snprintf(why, MIG_WHY_MAX,
                       "rpc is not a URL of the form http(s)://host[:port][/path][?query]");
        return err;
    }
    struct mig_sender_options sender = {.rpc = d->rpc,
                                        .key = d->settings->access,
                                        .account = d->settings->account,
                                        .contract = d->settings->contract};
    return mig_sender_new(&sender, &d->sender);
}

enum mig_err mig_defaults_new(const struct mig_settings *settings, const struct mig_host *host,
                              struct mig_cache *cache, struct mig_defaults **out,
                              struct mig_host *table, char *why)
{
    *out = NULL;
    struct mig_defaults *d = calloc(1, sizeof *d);
    if (d == NULL)
        return MIG_ERR_NOMEM;
    (void)pthread_mutex_init(&d->storing, NULL);
    d->settings = settings;
    d->cache = cache;
    if (host != NULL)
        d->host = *host;
    enum mig_err err = open_store(d, why);
    report_quarantine(d);
    if (err == MIG_OK)
        err = open_sender(d, why);
    if (err != MIG_OK) {
        mig_defaults_free(&d);
        return err;
    }
    *table = (struct mig_host){
        .ctx = d,
        .load_keyshares = load_keyshares,
        .import_keyshares = import_keyshares,
        .load_receipt = load_receipt,
        .conclude = conclude,
        .participants_changed = participants_changed,
        .purge_assets = purge_assets,
        .job_changed = job_changed,
        .backup_served = backup_served,
        .recovered = recovered,
        .hook_stats = hook_stats,
        .log = log_line,
    };
    *out = d;
    return MIG_OK;
}

void mig_defaults_cancel(struct mig_defaults *defaults)
{
    if (defaults->rpc != NULL)
        mig_rpc_cancel(defaults->rpc);
}

void mig_defaults_free(struct mig_defaults **defaults)
{
    struct mig_defaults *d = *defaults;
    if (d == NULL)
        return;
    mig_sender_free(&d->sender);
    mig_rpc_free(&d->rpc);
    mig_keystore_close(&d->store);
    (void)pthread_mutex_destroy(&d->storing);
    free(d);
    *defaults = NULL;
}
