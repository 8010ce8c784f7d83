/* SPDX-License-Identifier: MIT */
#include "cmd/backup_app.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "backup/service.h"
#include "chain/account.h"
#include "cmd/process.h"
#include "crypto/encoding.h"
#include "crypto/key.h"

enum { NS_PER_MS = 1000000 };

static const struct mig_config_key keys[] = {
    {.section = "node", .name = "account", .required = true},
    {.section = "node", .name = "node_url"},
    {.section = "node", .name = "recover_url"},
    {.section = "node", .name = "plain_anywhere", .kind = MIG_CONFIG_FLAG, .fallback = "no"},
    MIG_CONFIG_CONTRACT_KEYS,
    {.section = "service",
     .name = "identity_key",
     .kind = MIG_CONFIG_PATH,
     .fallback = "identity.key"},
    {.section = "service", .name = "operator_key", .kind = MIG_CONFIG_PATH},
    {.section = "service", .name = "access_key", .kind = MIG_CONFIG_PATH},
    {.section = "protocol",
     .name = "announce",
     .kind = MIG_CONFIG_CHOICE,
     .choices = "header contract",
     .fallback = "header"},
    {.section = "store", .name = "path", .kind = MIG_CONFIG_PATH, .fallback = "vault"},
    {.section = "store", .name = "key", .kind = MIG_CONFIG_PATH, .fallback = "vault.key"},
    {.section = "log",
     .name = "level",
     .kind = MIG_CONFIG_CHOICE,
     .choices = "error warning notice info debug",
     .fallback = "info"},
};

/* ---- saying things ----------------------------------------------------- */

int mig_app_fail(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "mpc-backup: ");
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    return status;
}

void mig_app_progress(const char *format, ...)
{
    va_list args;
    if (isatty(STDERR_FILENO) == 0)
        return;
    va_start(args, format);
    (void)fprintf(stderr, "... ");
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

int mig_app_print_json(json_t *root)
{
    if (root == NULL)
        return mig_app_fail(MIG_EXIT_SOFTWARE, "out of memory");
    int failed = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(root);
    (void)putchar('\n');
    return failed == 0 && fflush(stdout) == 0
               ? MIG_EXIT_OK
               : mig_app_fail(MIG_EXIT_IO, "cannot write to standard output");
}

const char *mig_app_time(uint64_t unix_seconds)
{
    static char text[32];
    time_t t = (time_t)unix_seconds;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return "?";
    return text;
}

const char *mig_app_hex(const uint8_t digest[MIG_DIGEST_LEN])
{
    static char text[MIG_HEX_LEN(MIG_DIGEST_LEN)];
    if (mig_hex_encode(digest, MIG_DIGEST_LEN, text, sizeof text) != MIG_OK)
        return "?";
    return text;
}

const char *mig_app_key(const uint8_t key[MIG_KEY_LEN])
{
    static char text[MIG_KEY_TEXT_MAX];
    mig_key_format(key, text);
    return text;
}

int mig_app_seconds(const char *text, uint64_t fallback, uint64_t *out)
{
    char *end = NULL;
    *out = fallback;
    if (text == NULL)
        return MIG_EXIT_OK;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value > 86400)
        return mig_app_fail(MIG_EXIT_USAGE, "--wait: expected seconds, at most 86400");
    *out = value;
    return MIG_EXIT_OK;
}

/* ---- home -------------------------------------------------------------- */

int mig_app_path(const struct mig_app *app, const char *name, char out[MIG_APP_PATH_MAX])
{
    if (snprintf(out, MIG_APP_PATH_MAX, "%s/%s", app->home, name) >= MIG_APP_PATH_MAX)
        return mig_app_fail(MIG_EXIT_USAGE, "--home: the path is too long");
    return MIG_EXIT_OK;
}

static int check_config(struct mig_app *app, const char *path)
{
    const struct mig_config_file *c = app->config;
    app->contract = mig_config_text(c, "contract", "account");
    app->account = mig_config_text(c, "node", "account");
    static const char *const urls[] = {"node_url", "recover_url"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        const char *url = mig_config_text(c, "node", urls[i]);
        struct mig_url parsed;
        if (url != NULL && mig_url_parse(url, strlen(url), &parsed) != MIG_OK)
            return mig_app_fail(MIG_EXIT_CONFIG, "%s:%d: [node] %s: expected http(s)://host[:port]",
                                path, mig_config_line(c, "node", urls[i]), urls[i]);
    }
    if (!mig_account_is_valid(app->contract, strlen(app->contract)))
        return mig_app_fail(MIG_EXIT_CONFIG, "%s:%d: [contract] account: not a NEAR account id",
                            path, mig_config_line(c, "contract", "account"));
    if (!mig_account_is_valid(app->account, strlen(app->account)))
        return mig_app_fail(MIG_EXIT_CONFIG, "%s:%d: [node] account: not a NEAR account id", path,
                            mig_config_line(c, "node", "account"));
    if (mig_app_announce(app) == MIG_ANNOUNCE_CONTRACT &&
        mig_config_text(c, "service", "access_key") == NULL)
        return mig_app_fail(MIG_EXIT_CONFIG, "%s: announce = contract needs [service] access_key",
                            path);
    return mig_app_check_endpoints(app, path);
}

/* Others who may write into the home can replace configuration and vault. */
static int check_home(const char *home)
{
    struct stat st;
    if (stat(home, &st) != 0 || (st.st_mode & 022) == 0)
        return MIG_EXIT_OK; /* what is missing is missed by name, later */
    return mig_app_fail(MIG_EXIT_PERMISSION, "%s: others may write into it: chmod go-w", home);
}

int mig_app_open_config(struct mig_app *app)
{
    char path[MIG_APP_PATH_MAX], why[MIG_CONFIG_WHY_MAX];
    int status = mig_app_path(app, "mpc-backup.conf", path);
    if (status != MIG_EXIT_OK || app->config != NULL)
        return status;
    status = check_home(app->home);
    if (status != MIG_EXIT_OK)
        return status;
    const char *file = app->config_path != NULL ? app->config_path : path;
    enum mig_err err =
        mig_config_load(file, app->home, keys, sizeof keys / sizeof *keys, &app->config, why);
    if (err == MIG_ERR_NOT_FOUND)
        return mig_app_fail(MIG_EXIT_CONFIG,
                            "%s; it must name account, contract and rpc, see "
                            "mpc-backup(1)",
                            why);
    if (err == MIG_ERR_DENIED)
        return mig_app_fail(MIG_EXIT_PERMISSION, "%s", why);
    if (err != MIG_OK)
        return mig_app_fail(err == MIG_ERR_NOMEM ? MIG_EXIT_SOFTWARE : MIG_EXIT_CONFIG, "%s", why);
    return check_config(app, file);
}

/* The file that the configuration names, or systemd's credential of that name,
 * or the default. */
static const char *key_path(const struct mig_app *app, const char *section, const char *name,
                            const char *credential, char buffer[MIG_APP_PATH_MAX])
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!mig_config_is_given(app->config, section, name) && folder != NULL &&
        snprintf(buffer, MIG_APP_PATH_MAX, "%s/%s", folder, credential) < MIG_APP_PATH_MAX &&
        access(buffer, F_OK) == 0)
        return buffer;
    return mig_config_text(app->config, section, name);
}

static int fail_key(enum mig_err err, const char *path, const char *why)
{
    if (err == MIG_ERR_NOT_FOUND)
        return mig_app_fail(MIG_EXIT_CONFIG, "%s: %s; `mpc-backup keygen` makes it", path, why);
    return mig_app_fail(mig_exit_of(err), "%s: %s", path, why);
}

static int open_symmetric(const char *path, struct mig_secret **out)
{
    const char *why = "";
    enum mig_err err = mig_symmetric_key_load(path, out, &why);
    return err == MIG_OK ? MIG_EXIT_OK : fail_key(err, path, why);
}

int mig_app_open_identity(struct mig_app *app)
{
    char buffer[MIG_APP_PATH_MAX];
    const char *why = "";
    int status = mig_app_open_config(app);
    if (status != MIG_EXIT_OK)
        return status;
    const char *path = key_path(app, "service", "identity_key", "identity.key", buffer);
    enum mig_err err = mig_identity_load(path, &app->identity, &why);
    if (err != MIG_OK)
        return fail_key(err, path, why);
    path = mig_config_text(app->config, "service", "access_key");
    if (path != NULL && (err = mig_identity_load(path, &app->access, &why)) != MIG_OK)
        return fail_key(err, path, why);
    path = key_path(app, "service", "operator_key", "operator.key", buffer);
    return path != NULL ? open_symmetric(path, &app->operator_secret) : MIG_EXIT_OK;
}

int mig_app_open_vault(struct mig_app *app, enum mig_vault_mode mode)
{
    char buffer[MIG_APP_PATH_MAX];
    const char *why = "";
    int status = mig_app_open_config(app);
    if (status != MIG_EXIT_OK)
        return status;
    status = open_symmetric(key_path(app, "store", "key", "vault.key", buffer), &app->vault_key);
    if (status != MIG_EXIT_OK)
        return status;
    const char *path = mig_config_text(app->config, "store", "path");
    enum mig_err err = mig_vault_open(path, mode, app->vault_key, app->contract, &app->vault, &why);
    if (err == MIG_OK) {
        size_t damaged = app->vault.set_aside(app->vault.ctx);
        if (damaged > 0)
            (void)mig_app_fail(MIG_EXIT_DATA,
                               "%s: %zu damaged files were moved to shares/quarantine; what they "
                               "held is not backed up any more",
                               path, damaged);
        return MIG_EXIT_OK;
    }
    if (err == MIG_ERR_NOT_FOUND && mode == MIG_VAULT_READER)
        return MIG_EXIT_OK;
    if (err == MIG_ERR_STATE)
        return mig_app_fail(MIG_EXIT_RETRY, "%s: another mpc-backup uses the vault", path);
    return mig_app_fail(mig_exit_of(err), "%s: %s", path, why);
}

void mig_app_close(struct mig_app *app)
{
    mig_vault_close(&app->vault);
    mig_secret_free(&app->vault_key);
    mig_secret_free(&app->operator_secret);
    mig_identity_free(&app->identity);
    mig_identity_free(&app->access);
    mig_config_free(&app->config);
}

int mig_app_stop_fd(void)
{
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    return signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- the contract ------------------------------------------------------ */

uint64_t mig_app_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 * NS_PER_MS + (uint64_t)t.tv_nsec;
}

uint64_t mig_app_max_staleness_ns(const struct mig_app *app)
{
    return mig_config_number(app->config, "contract", "max_staleness") * NS_PER_MS;
}

enum mig_dialect mig_app_dialect(const struct mig_app *app)
{
    static const enum mig_dialect dialects[] = {MIG_DIALECT_AUTO, MIG_DIALECT_DRAFT,
                                                MIG_DIALECT_DEPLOYED};
    return dialects[mig_config_number(app->config, "contract", "dialect")];
}

enum mig_announce mig_app_announce(const struct mig_app *app)
{
    return mig_config_number(app->config, "protocol", "announce") == 0 ? MIG_ANNOUNCE_HEADER
                                                                       : MIG_ANNOUNCE_CONTRACT;
}

struct mig_plan mig_app_plan(const struct mig_app *app, const struct mig_view *view,
                             struct mig_facts *facts, struct mig_note *note)
{
    *facts = (struct mig_facts){.view = view,
                                .account = app->account,
                                .service_key = app->identity->public_key,
                                .now_ns = mig_app_now_ns(),
                                .max_staleness_ns = mig_app_max_staleness_ns(app)};
    if (app->vault.ctx != NULL)
        mig_backup_facts(&app->vault, view, facts, note);
    return mig_plan_make(facts);
}

int mig_app_status_of(const struct mig_result *result)
{
    switch (result->upshot) {
    case MIG_UPSHOT_OK:
        return MIG_EXIT_OK;
    case MIG_UPSHOT_NO_ANSWER:
        return MIG_EXIT_UNAVAILABLE;
    case MIG_UPSHOT_RETRY:
    case MIG_UPSHOT_CANCELLED:
        return MIG_EXIT_RETRY;
    case MIG_UPSHOT_REFUSED:
        return MIG_EXIT_NO;
    case MIG_UPSHOT_BROKEN:
        return MIG_EXIT_DATA;
    case MIG_UPSHOT_FAILED:
        break;
    }
    return MIG_EXIT_IO;
}

int mig_app_status_of_reason(enum mig_reason reason)
{
    switch (reason) {
    case MIG_REASON_SAFE:
        return MIG_EXIT_OK;
    case MIG_REASON_NOT_REGISTERED:
    case MIG_REASON_OTHER_KEY:
        return MIG_EXIT_PERMISSION;
    case MIG_REASON_NO_VIEW:
    case MIG_REASON_STALE:
        return MIG_EXIT_UNAVAILABLE;
    case MIG_REASON_NOT_RUNNING:
        return MIG_EXIT_RETRY;
    case MIG_REASON_NO_KEYSET:
    case MIG_REASON_NOT_PARTICIPANT:
    case MIG_REASON_NOT_COVERED:
    case MIG_REASON_LOST_WITH_NODE:
    case MIG_REASON_UNCONFIRMED:
    case MIG_REASON_RECEIPT_DUE:
    case MIG_REASON_DELIVERY_DUE:
    case MIG_REASON_COUNT:
        break;
    }
    return MIG_EXIT_NO;
}
