/* SPDX-License-Identifier: MIT */
/* access-key: a key that can do what node or service must, and nothing else. */
#include "cmd/backup_app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain/sender.h"
#include "cmd/process.h"
#include "crypto/exchange.h"
#include "crypto/key.h"

static int read_words(const struct mig_app *app, enum mig_role *role, struct mig_grant *grant)
{
    if (app->send != (app->operator_key != NULL))
        return mig_app_fail(MIG_EXIT_USAGE, "--send and --operator-key FILE go together");
    if (app->role == NULL || (strcmp(app->role, "node") != 0 && strcmp(app->role, "service") != 0))
        return mig_app_fail(MIG_EXIT_USAGE, "--role: expected node or service");
    *role = strcmp(app->role, "node") == 0 ? MIG_ROLE_NODE : MIG_ROLE_SERVICE;
    if (app->key == NULL || mig_key_parse(app->key, strlen(app->key), grant->key) != MIG_OK)
        return mig_app_fail(MIG_EXIT_USAGE, "--key: expected a public key, ed25519:...");
    return MIG_EXIT_OK;
}

static json_t *methods_json(const struct mig_grant *grant)
{
    json_t *list = json_array();
    for (size_t i = 0; i < grant->count; i++)
        (void)json_array_append_new(list, json_string(grant->methods[i]));
    return list;
}

static int print_command(const struct mig_app *app, const struct mig_grant *grant)
{
    char *command =
        mig_key_near_cli(grant->key, grant->methods, grant->count, app->account, app->contract,
                         app->network != NULL ? app->network : "mainnet");
    if (command == NULL)
        return mig_app_fail(MIG_EXIT_USAGE, "--network: not a name");
    int status = MIG_EXIT_OK;
    if (app->json)
        status = mig_app_print_json(json_pack("{s:s, s:s, s:s, s:o, s:s}", "public_key",
                                              mig_app_key(grant->key), "account", app->account,
                                              "contract", app->contract, "methods",
                                              methods_json(grant), "command", command));
    else
        (void)printf("%s\n", command);
    free(command);
    return status;
}

static int print_granted(const struct mig_app *app, const struct mig_grant *grant)
{
    if (app->json)
        return mig_app_print_json(
            json_pack("{s:s, s:s, s:s, s:o}", "public_key", mig_app_key(grant->key), "account",
                      app->account, "contract", app->contract, "methods", methods_json(grant)));
    (void)printf("%s of %s may call", mig_app_key(grant->key), app->account);
    for (size_t i = 0; i < grant->count; i++)
        (void)printf("%s %s", i == 0 ? "" : " and", grant->methods[i]);
    (void)printf(" of %s\n", app->contract);
    return MIG_EXIT_OK;
}

/* The account shows the key, which is what counts. */
static int await_key(const struct mig_app *app, struct mig_look *look,
                     const struct mig_grant *grant, uint64_t seconds)
{
    const struct timespec pause = {.tv_nsec = 300000000};
    uint64_t until = mig_app_now_ns() + seconds * 1000000000;
    struct mig_access_key found;
    while (mig_rpc_access_key(look->rpc, app->account, grant->key, &found) != MIG_OK) {
        if (mig_app_now_ns() > until)
            return mig_app_fail(MIG_EXIT_RETRY, "sent, but the account does not show the key yet");
        (void)nanosleep(&pause, NULL);
    }
    if (found.full_access)
        return mig_app_fail(MIG_EXIT_NO, "the account has this key already, with full access");
    return MIG_EXIT_OK;
}

static int send_with(const struct mig_app *app, struct mig_look *look,
                     const struct mig_identity *full, const struct mig_grant *grant)
{
    const struct mig_sender_options options = {
        .rpc = look->rpc, .key = full, .account = app->account, .contract = app->contract};
    struct mig_sender *sender = NULL;
    struct mig_delivery sent = {0};
    enum mig_err err = mig_sender_new(&options, &sender);
    mig_app_progress("sending AddKey as %s", app->account);
    if (err == MIG_OK)
        err = mig_sender_add_key(sender, grant, &sent);
    mig_sender_free(&sender);
    if (err == MIG_OK)
        return MIG_EXIT_OK;
    const char *why = sent.refusal != MIG_REFUSAL_NONE ? mig_refusal_text(sent.refusal)
                      : sent.reason[0] != '\0'         ? sent.reason
                                                       : mig_err_text(err);
    return mig_app_fail(err == MIG_ERR_DENIED ? MIG_EXIT_PERMISSION : MIG_EXIT_RETRY,
                        "the key was not added: %s", why);
}

static int send_grant(const struct mig_app *app, struct mig_look *look,
                      const struct mig_grant *grant)
{
    struct mig_identity *full = NULL;
    const char *why = "";
    uint64_t seconds;
    int status = mig_app_seconds(app->wait, 60, &seconds);
    if (status != MIG_EXIT_OK)
        return status;
    enum mig_err err = mig_identity_load(app->operator_key, &full, &why);
    if (err != MIG_OK)
        return mig_app_fail(mig_exit_of(err), "%s: %s", app->operator_key, why);
    status = send_with(app, look, full, grant);
    mig_identity_free(&full);
    if (status == MIG_EXIT_OK)
        status = await_key(app, look, grant, seconds);
    return status == MIG_EXIT_OK ? print_granted(app, grant) : status;
}

static int say_or_send(const struct mig_app *app, struct mig_look *look, enum mig_role role,
                       struct mig_grant *grant)
{
    const char *methods[MIG_ROLE_METHODS_MAX];
    const struct mig_view *view = NULL;
    struct mig_speech speech;
    int status = mig_look_speech(app, look, &speech, &view);
    mig_view_release(&view);
    if (status != MIG_EXIT_OK)
        return status;
    bool publishes = mig_app_announce(app) == MIG_ANNOUNCE_CONTRACT;
    grant->methods = methods;
    grant->count = mig_role_methods(speech.dialect, role, publishes, methods);
    if (grant->count == 0)
        return mig_app_fail(MIG_EXIT_NO,
                            "no key is needed: to this contract the backup service sends nothing");
    return app->send ? send_grant(app, look, grant) : print_command(app, grant);
}

int mig_verb_access_key(struct mig_app *app)
{
    struct mig_look look;
    struct mig_grant grant = {0};
    enum mig_role role = MIG_ROLE_NODE;
    int status = read_words(app, &role, &grant);
    if (status == MIG_EXIT_OK)
        status = mig_app_open_config(app);
    if (status != MIG_EXIT_OK)
        return status;
    status = mig_look_open(app, &look);
    if (status == MIG_EXIT_OK)
        status = say_or_send(app, &look, role, &grant);
    mig_look_close(&look);
    return status;
}
