/* SPDX-License-Identifier: MIT */
/* keygen and register: whom the contract will name, and telling it so. */
#include "cmd/backup_app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chain/sender.h"
#include "cmd/process.h"
#include "crypto/key.h"
#include "store/file.h"

/* ---- keygen ------------------------------------------------------------ */

static int make_home(const char *home)
{
    const char *why = "";
    int fd = -1;
    enum mig_err err = mig_folder_open(home, true, &fd, &why);
    if (err != MIG_OK)
        return mig_app_fail(mig_exit_of(err), "%s: %s", home, why);
    (void)close(fd);
    return MIG_EXIT_OK;
}

static int fail_save(enum mig_err err, const char *path)
{
    if (err == MIG_ERR_CONFLICT)
        return mig_app_fail(MIG_EXIT_NO, "%s: there already; nothing was changed", path);
    return mig_app_fail(mig_exit_of(err), "%s: cannot be written", path);
}

static int save_vault_key(const char *path)
{
    struct mig_secret *key = mig_secret_new(32);
    if (key == NULL)
        return mig_app_fail(MIG_EXIT_SOFTWARE, "no locked memory; raise RLIMIT_MEMLOCK");
    mig_random(key->bytes, key->len);
    enum mig_err err = mig_symmetric_key_save(path, key);
    mig_secret_free(&key);
    return err == MIG_OK ? MIG_EXIT_OK : fail_save(err, path);
}

static int print_key(const struct mig_app *app, const struct mig_identity *identity,
                     const char *path, const char *vault_path)
{
    if (app->json)
        return mig_app_print_json(json_pack("{s:s, s:s, s:s}", "public_key",
                                            mig_app_key(identity->public_key), "identity_key", path,
                                            "vault_key", vault_path));
    (void)printf("%s\n", mig_app_key(identity->public_key));
    (void)fprintf(stderr,
                  "identity %s\nvault key %s\n"
                  "Keep a copy of both files away from this machine: without the vault key no\n"
                  "backup opens. Next: mpc-backup register\n",
                  path, vault_path);
    return MIG_EXIT_OK;
}

int mig_verb_keygen(struct mig_app *app)
{
    char path[MIG_APP_PATH_MAX], vault_path[MIG_APP_PATH_MAX];
    struct mig_identity *identity = NULL;
    int status = mig_app_path(app, "identity.key", path);
    if (status == MIG_EXIT_OK)
        status = mig_app_path(app, "vault.key", vault_path);
    if (status == MIG_EXIT_OK)
        status = make_home(app->home);
    /* Both or none: a half-made home would be refused by the next try. */
    if (status == MIG_EXIT_OK && access(vault_path, F_OK) == 0)
        status = fail_save(MIG_ERR_CONFLICT, vault_path);
    if (status != MIG_EXIT_OK)
        return status;
    enum mig_err err = mig_identity_generate(&identity);
    if (err == MIG_OK)
        err = mig_identity_save(path, identity);
    status = err == MIG_OK ? save_vault_key(vault_path) : fail_save(err, path);
    /* It is our own, a moment old, and nobody has seen it. */
    if (err == MIG_OK && status != MIG_EXIT_OK)
        (void)unlink(path);
    if (status == MIG_EXIT_OK)
        status = print_key(app, identity, path, vault_path);
    mig_identity_free(&identity);
    return status;
}

/* ---- register ---------------------------------------------------------- */

static int print_command(const struct mig_app *app, const struct mig_call *call)
{
    char *command = mig_call_near_cli(call, app->account, app->contract,
                                      app->network != NULL ? app->network : "mainnet");
    if (command == NULL)
        return mig_app_fail(MIG_EXIT_USAGE, "--network: not a name");
    int status = MIG_EXIT_OK;
    if (app->json)
        status = mig_app_print_json(json_pack(
            "{s:s, s:s, s:s, s:s, s:s, s:s}", "public_key", mig_app_key(app->identity->public_key),
            "contract", app->contract, "signer", app->account, "method", call->method, "args",
            call->args, "command", command));
    else
        (void)printf("%s\n", command);
    free(command);
    return status;
}

static bool is_registered(const struct mig_app *app, const struct mig_view *view)
{
    return view->has_service_key &&
           memcmp(view->service_key, app->identity->public_key, MIG_KEY_LEN) == 0;
}

/* Success is what the contract shows, not what a transaction said. */
static int await_registration(const struct mig_app *app, struct mig_look *look, uint64_t seconds)
{
    const struct timespec pause = {.tv_nsec = 300000000};
    uint64_t until = mig_app_now_ns() + seconds * 1000000000;
    for (;;) {
        const struct mig_view *view = NULL;
        int status = mig_look_now(look, &view);
        bool done = status == MIG_EXIT_OK && is_registered(app, view);
        mig_view_release(&view);
        if (done)
            return MIG_EXIT_OK;
        if (mig_app_now_ns() > until)
            return mig_app_fail(MIG_EXIT_RETRY, "sent, but the contract does not show it yet");
        (void)nanosleep(&pause, NULL);
    }
}

static int send_call(const struct mig_app *app, struct mig_look *look,
                     const struct mig_identity *key, const struct mig_call *call)
{
    const struct mig_sender_options options = {
        .rpc = look->rpc, .key = key, .account = app->account, .contract = app->contract};
    struct mig_sender *sender = NULL;
    struct mig_delivery sent = {0};
    enum mig_err err = mig_sender_new(&options, &sender);
    mig_app_progress("sending %s as %s", call->method, app->account);
    if (err == MIG_OK)
        err = mig_sender_send(sender, call, &sent);
    mig_sender_free(&sender);
    if (err == MIG_OK)
        return MIG_EXIT_OK;
    const char *why = sent.refusal != MIG_REFUSAL_NONE ? mig_refusal_text(sent.refusal)
                      : sent.reason[0] != '\0'         ? sent.reason
                                                       : mig_err_text(err);
    return mig_app_fail(err == MIG_ERR_DENIED ? MIG_EXIT_PERMISSION : MIG_EXIT_RETRY,
                        "not registered: %s", why);
}

static int send_registration(const struct mig_app *app, struct mig_look *look,
                             const struct mig_call *call)
{
    struct mig_identity *key = NULL;
    const char *why = "";
    uint64_t seconds;
    int status = mig_app_seconds(app->wait, 60, &seconds);
    if (status != MIG_EXIT_OK)
        return status;
    enum mig_err err = mig_identity_load(app->operator_key, &key, &why);
    if (err != MIG_OK)
        return mig_app_fail(mig_exit_of(err), "%s: %s", app->operator_key, why);
    status = send_call(app, look, key, call);
    mig_identity_free(&key);
    if (status == MIG_EXIT_OK)
        status = await_registration(app, look, seconds);
    return status;
}

static int print_registered(const struct mig_app *app)
{
    if (app->json)
        return mig_app_print_json(json_pack("{s:s, s:s, s:b}", "public_key",
                                            mig_app_key(app->identity->public_key), "account",
                                            app->account, "registered", 1));
    (void)printf("%s is the backup service of %s\n", mig_app_key(app->identity->public_key),
                 app->account);
    return MIG_EXIT_OK;
}

static int say_or_send(const struct mig_app *app, struct mig_look *look)
{
    struct mig_call call = {0};
    struct mig_speech speech;
    const struct mig_view *view = NULL;
    int status = mig_look_speech(app, look, &speech, &view);
    bool done = view != NULL && is_registered(app, view);
    mig_view_release(&view);
    if (status != MIG_EXIT_OK)
        return status;
    if (app->send && done)
        return print_registered(app);
    if (mig_call_register(&speech, app->identity->public_key, &call) != MIG_OK)
        return mig_app_fail(MIG_EXIT_SOFTWARE, "out of memory");
    if (app->send) {
        status = send_registration(app, look, &call);
        if (status == MIG_EXIT_OK)
            status = print_registered(app);
    } else {
        status = print_command(app, &call);
    }
    mig_call_clear(&call);
    return status;
}

int mig_verb_register(struct mig_app *app)
{
    struct mig_look look;
    if (app->send != (app->operator_key != NULL))
        return mig_app_fail(MIG_EXIT_USAGE, "--send and --operator-key FILE go together");
    int status = mig_app_open_identity(app);
    if (status != MIG_EXIT_OK)
        return status;
    status = mig_look_open(app, &look);
    if (status == MIG_EXIT_OK)
        status = say_or_send(app, &look);
    mig_look_close(&look);
    return status;
}
