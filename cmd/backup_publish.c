/* SPDX-License-Identifier: MIT */
/* announce=contract: the transaction that publishes our ephemeral key. */
#include <stdio.h>

#include "chain/sender.h"
#include "chain/watch.h"
#include "cmd/backup_app.h"
#include "cmd/process.h"

int mig_app_publisher_open(const struct mig_app *app, struct mig_app_publisher *out)
{
    const struct mig_rpc_options endpoint = {.url =
                                                 mig_config_text(app->config, "contract", "rpc")};
    *out = (struct mig_app_publisher){.app = app};
    if (mig_app_announce(app) != MIG_ANNOUNCE_CONTRACT)
        return MIG_EXIT_OK;
    enum mig_err err = mig_rpc_new(&endpoint, &out->rpc);
    const struct mig_sender_options options = {
        .rpc = out->rpc, .key = app->access, .account = app->account, .contract = app->contract};
    if (err == MIG_OK)
        err = mig_sender_new(&options, &out->sender);
    return err == MIG_OK
               ? MIG_EXIT_OK
               : mig_app_fail(mig_exit_of(err), "cannot publish keys: %s", mig_err_text(err));
}

void mig_app_publisher_close(struct mig_app_publisher *publisher)
{
    mig_sender_free(&publisher->sender);
    mig_rpc_free(&publisher->rpc);
}

static bool learn_speech(const struct mig_app_publisher *p, struct mig_speech *speech)
{
    if (p->watch != NULL)
        return mig_watch_speech(p->watch, speech, NULL);
    *speech = p->look->speech;
    return p->look->known;
}

static void complain(const struct mig_app_publisher *p, enum mig_err err,
                     const struct mig_delivery *sent)
{
    char text[MIG_APP_WHY_MAX];
    const char *why = sent->reason[0] != '\0' ? sent->reason : mig_err_text(err);
    if (err == MIG_ERR_NOT_FOUND)
        why = "the contract has no such method; announce = contract needs the draft dialect";
    (void)snprintf(text, sizeof text, "publish_ephemeral_key with [service] access_key: %s", why);
    if (p->log != NULL)
        mig_log_line(p->log, MIG_LOG_ERROR, "publish_failed", text);
    else
        (void)mig_app_fail(MIG_EXIT_OK, "%s", text);
}

enum mig_err mig_app_publish(void *publisher, const uint8_t key[MIG_KEY_LEN])
{
    struct mig_app_publisher *p = publisher;
    struct mig_speech speech;
    struct mig_call call = {0};
    struct mig_delivery sent = {0};
    if (!learn_speech(p, &speech))
        return MIG_ERR_RETRY;
    /* Not found: the deployed dialect has no such method. */
    enum mig_err err = mig_call_publish(&speech, MIG_ROLE_SERVICE, key, &call);
    mig_app_progress("publishing our ephemeral key");
    if (err == MIG_OK)
        err = mig_sender_send(p->sender, &call, &sent);
    if (err != MIG_OK)
        complain(p, err, &sent);
    mig_call_clear(&call);
    return err;
}
