/* SPDX-License-Identifier: MIT */
/*
 * mpc-migrationd: the migration service as a sidecar, next to a node that does
 * not embed it. Configuration and signals here; everything else is the library.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/config.h"
#include "cmd/hooks.h"
#include "cmd/log.h"
#include "cmd/options.h"
#include "cmd/process.h"
#include "cmd/wipe.h"
#include "include/mpc_migration.h"

enum { DRAIN_MS = 5000 };

static const struct mig_config_key keys[] = {
    {.section = "node", .name = "account", .required = true},
    {.section = "node", .name = "identity_key", .kind = MIG_CONFIG_PATH, .required = true},
    {.section = "node", .name = "access_key", .kind = MIG_CONFIG_PATH},
    {.section = "node", .name = "operator_key", .kind = MIG_CONFIG_PATH},
    MIG_CONFIG_CONTRACT_KEYS,
    {.section = "listen", .name = "migration", .required = true},
    {.section = "listen", .name = "tls", .kind = MIG_CONFIG_FLAG, .fallback = "yes"},
    {.section = "listen", .name = "plain_anywhere", .kind = MIG_CONFIG_FLAG, .fallback = "no"},
    {.section = "listen", .name = "admin"},
    {.section = "store", .name = "path", .kind = MIG_CONFIG_PATH, .required = true},
    {.section = "store", .name = "key", .kind = MIG_CONFIG_PATH, .required = true},
    {.section = "protocol",
     .name = "announce",
     .kind = MIG_CONFIG_CHOICE,
     .choices = "header contract",
     .fallback = "header"},
    {.section = "protocol",
     .name = "key_delay",
     .kind = MIG_CONFIG_DURATION,
     .max = 86400000,
     .fallback = "0s"},
    {.section = "protocol",
     .name = "skew",
     .kind = MIG_CONFIG_DURATION,
     .min = 1000,
     .max = 300000,
     .fallback = "30s"},
    {.section = "hooks", .name = "participants_changed", .kind = MIG_CONFIG_PATH},
    {.section = "hooks", .name = "purge_assets", .kind = MIG_CONFIG_PATH},
    {.section = "hooks", .name = "job_changed", .kind = MIG_CONFIG_PATH},
    {.section = "hooks", .name = "backup_served", .kind = MIG_CONFIG_PATH},
    {.section = "hooks", .name = "recovered", .kind = MIG_CONFIG_PATH},
    {.section = "hooks",
     .name = "deadline",
     .kind = MIG_CONFIG_DURATION,
     .min = 100,
     .max = 3600000,
     .fallback = "30s"},
    {.section = "log",
     .name = "level",
     .kind = MIG_CONFIG_CHOICE,
     .choices = "error warning notice info debug",
     .fallback = "info"},
};

static const char *config_path;
static const char *wipe_digest;
static bool check_only, show_version, show_help, offline;
static const struct mig_option options[] = {
    {.name = "config",
     .argument = "FILE",
     .help = "configuration (required)",
     .value = &config_path},
    {.name = "check-config",
     .help = "read configuration and key files, say what is wrong, exit",
     .flag = &check_only},
    {.name = "version", .help = "print the version", .flag = &show_version},
    {.name = "help", .help = "print this", .flag = &show_help},
};

static const struct mig_option wipe_options[] = {
    {.name = "config",
     .argument = "FILE",
     .help = "configuration (required)",
     .value = &config_path},
    {.name = "yes-i-know",
     .argument = "DIGEST",
     .help = "do not ask; at least 8 digits of the newest keyset's digest",
     .value = &wipe_digest},
    {.name = "offline",
     .help = "do not ask the contract whether this node holds the seat",
     .flag = &offline},
    {.name = "help", .help = "print this", .flag = &show_help},
};

static void print_help(void)
{
    (void)printf("Usage: mpc-migrationd --config FILE [--check-config]\n"
                 "       mpc-migrationd wipe --config FILE [--yes-i-know=DIGEST] [--offline]\n"
                 "The migration service of an MPC node, as a sidecar. `wipe` destroys the\n"
                 "keyshares of a node that was replaced.\n\nOptions:\n");
    mig_options_print(stdout, options, sizeof options / sizeof *options);
    (void)printf("\nOptions of wipe:\n");
    mig_options_print(stdout, wipe_options, sizeof wipe_options / sizeof *wipe_options);
    (void)printf("\nWhen it listens it prints one line: listening migration=ADDRESS admin=ADDRESS\n"
                 "Exit status: 0 stopped by a signal, or wiped; 1 wipe refused; 64 wrong command\n"
                 "line; 69 wipe: the contract cannot be read; 70 bug or no memory,\n"
                 "74 the disk or an address refused, 75 in use by another process,\n"
                 "77 a key file is not acceptable, 78 wrong configuration.\n");
}

static int exit_status(enum mig_err err)
{
    switch (err) {
    case MIG_OK:
        return MIG_EXIT_OK;
    case MIG_ERR_DENIED:
        return MIG_EXIT_PERMISSION;
    case MIG_ERR_MALFORMED:
    case MIG_ERR_NOT_FOUND:
    case MIG_ERR_CONFLICT:
        return MIG_EXIT_CONFIG;
    case MIG_ERR_STATE:
    case MIG_ERR_RETRY:
    case MIG_ERR_CANCELLED:
        return MIG_EXIT_RETRY;
    case MIG_ERR_IO:
        return MIG_EXIT_IO;
    case MIG_ERR_NOMEM:
    case MIG_ERR_BUG:
        break;
    }
    return MIG_EXIT_SOFTWARE;
}

static void fill_config(const struct mig_config_file *file, struct mig_config *out)
{
    static const enum mig_config_dialect dialects[] = {
        MIG_CONFIG_DIALECT_AUTO, MIG_CONFIG_DIALECT_DRAFT, MIG_CONFIG_DIALECT_DEPLOYED};
    *out = (struct mig_config){
        .contract = mig_config_text(file, "contract", "account"),
        .account = mig_config_text(file, "node", "account"),
        .identity_key = mig_config_text(file, "node", "identity_key"),
        .access_key = mig_config_text(file, "node", "access_key"),
        .operator_key = mig_config_text(file, "node", "operator_key"),
        .state_dir = mig_config_text(file, "store", "path"),
        .store_key = mig_config_text(file, "store", "key"),
        .rpc = mig_config_text(file, "contract", "rpc"),
        .quorum = (uint32_t)mig_config_number(file, "contract", "quorum"),
        .dialect = dialects[mig_config_number(file, "contract", "dialect")],
        .poll_interval_ms = (uint32_t)mig_config_number(file, "contract", "poll_interval"),
        .max_staleness_s = (uint32_t)(mig_config_number(file, "contract", "max_staleness") / 1000),
        .listen = mig_config_text(file, "listen", "migration"),
        .listen_plain = mig_config_number(file, "listen", "tls") == 0,
        .listen_plain_anywhere = mig_config_number(file, "listen", "plain_anywhere") != 0,
        .admin = mig_config_text(file, "listen", "admin"),
        .announce = mig_config_number(file, "protocol", "announce") == 0
                        ? MIG_CONFIG_ANNOUNCE_HEADER
                        : MIG_CONFIG_ANNOUNCE_CONTRACT,
        .key_delay_s = (uint32_t)((mig_config_number(file, "protocol", "key_delay") + 999) / 1000),
        .skew_s = (uint32_t)(mig_config_number(file, "protocol", "skew") / 1000),
    };
}

static const struct mig_hooks_config *fill_hooks(const struct mig_config_file *file,
                                                 struct mig_hooks_config *out)
{
    static const char *const names[MIG_HOOK_COUNT] = {
        [MIG_HOOK_PARTICIPANTS_CHANGED] = "participants_changed",
        [MIG_HOOK_PURGE_ASSETS] = "purge_assets",
        [MIG_HOOK_JOB_CHANGED] = "job_changed",
        [MIG_HOOK_BACKUP_SERVED] = "backup_served",
        [MIG_HOOK_RECOVERED] = "recovered",
    };
    out->deadline_ms = (uint32_t)mig_config_number(file, "hooks", "deadline");
    for (size_t i = 0; i < MIG_HOOK_COUNT; i++)
        out->program[i] = mig_config_text(file, "hooks", names[i]);
    return out;
}

struct daemon {
    struct mig_log log;
    struct mig_hooks *hooks;
};

/* The host's one context, split between hooks and log. */
static enum mig_err participants_changed(void *ctx, const struct mig_change *change)
{
    return mig_hooks_participants_changed(((struct daemon *)ctx)->hooks, change);
}

static enum mig_err purge_assets(void *ctx, const struct mig_change *change)
{
    return mig_hooks_purge_assets(((struct daemon *)ctx)->hooks, change);
}

static void job_changed(void *ctx, enum mig_job job)
{
    struct daemon *daemon = ctx;
    mig_log_line(&daemon->log, MIG_LOG_NOTICE, "job", mig_job_text(job));
    mig_hooks_job_changed(daemon->hooks, job);
}

static void backup_served(void *ctx, uint64_t epoch, const uint8_t keyset[MIG_DIGEST_LEN])
{
    mig_hooks_backup_served(((struct daemon *)ctx)->hooks, epoch, keyset);
}

static void recovered(void *ctx, const struct mig_receipt *receipt)
{
    mig_hooks_recovered(((struct daemon *)ctx)->hooks, receipt);
}

static bool hook_stats(void *ctx, enum mig_hook hook, struct mig_hook_stats *out)
{
    return mig_hooks_stats(((struct daemon *)ctx)->hooks, hook, out);
}

static void log_line(void *ctx, enum mig_log_level level, const char *event, const char *text)
{
    mig_log_line(&((struct daemon *)ctx)->log, level, event, text);
}

static int complain(enum mig_err err, const char *why)
{
    (void)fprintf(stderr, "mpc-migrationd: %s\n", why);
    return exit_status(err);
}

/* SIGTERM and SIGINT, before the first thread: one that does not block them,
 * the hooks' too, would be the end of the process instead of an orderly one. */
static void block_ends(sigset_t *ends)
{
    (void)sigemptyset(ends);
    (void)sigaddset(ends, SIGTERM);
    (void)sigaddset(ends, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, ends, NULL);
}

static void await_end(const sigset_t *ends)
{
    int signal_number = 0;
    while (sigwait(ends, &signal_number) != 0)
        continue;
}

static int serve(const struct mig_config *config, const struct mig_host *host, const sigset_t *ends,
                 struct daemon *daemon)
{
    char why[MIG_WHY_MAX] = "";
    struct mig_plugin *plugin = NULL;
    enum mig_err err = mig_start(config, host, &plugin, why);
    if (err != MIG_OK)
        return complain(err, why);
    (void)printf("listening migration=%s admin=%s\n", mig_address(plugin, MIG_LISTENER_MIGRATION),
                 mig_address(plugin, MIG_LISTENER_ADMIN));
    (void)fflush(stdout);
    await_end(ends);
    mig_log_line(&daemon->log, MIG_LOG_NOTICE, "stopping", "");
    mig_stop(&plugin, DRAIN_MS);
    return MIG_EXIT_OK;
}

static int run(const struct mig_config_file *file, bool wipes)
{
    char why[MIG_WHY_MAX] = "";
    struct mig_config config;
    struct mig_hooks_config hooks_config;
    sigset_t ends;
    struct daemon daemon = {.log = {.most = (enum mig_log_level)(
                                        MIG_LOG_ERROR + mig_config_number(file, "log", "level")),
                                    .to_journal = getenv("JOURNAL_STREAM") != NULL}};
    struct mig_host host = {.ctx = &daemon,
                            .participants_changed = participants_changed,
                            .purge_assets = purge_assets,
                            .job_changed = job_changed,
                            .backup_served = backup_served,
                            .recovered = recovered,
                            .hook_stats = hook_stats,
                            .log = log_line};
    fill_config(file, &config);
    if (wipes)
        return mig_wipe_command(&config, wipe_digest, offline);
    if (check_only) {
        enum mig_err err = mig_check(&config, &host, why);
        if (err != MIG_OK)
            return complain(err, why);
        (void)printf("%s: no fault found\n", config_path);
        return MIG_EXIT_OK;
    }
    block_ends(&ends);
    if (mig_hooks_new(fill_hooks(file, &hooks_config), &daemon.hooks) != MIG_OK)
        return complain(MIG_ERR_NOMEM, "cannot start the hook thread");
    int status = serve(&config, &host, &ends, &daemon);
    mig_hooks_free(&daemon.hooks);
    return status;
}

/* Relative paths in the file start where the file is. */
static const char *folder_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (len >= PATH_MAX)
        len = 0;
    (void)snprintf(out, PATH_MAX, "%.*s", (int)len, path);
    return len > 0 ? out : slash == NULL ? "." : "/";
}

int main(int argc, char **argv)
{
    char why[MIG_CONFIG_WHY_MAX] = "";
    int operands = 0;
    bool wipes = argc > 1 && strcmp(argv[1], "wipe") == 0;
    mig_process_harden();
    bool parsed =
        wipes ? mig_options_parse(argc - 1, argv + 1, wipe_options,
                                  sizeof wipe_options / sizeof *wipe_options, &operands, why)
              : mig_options_parse(argc, argv, options, sizeof options / sizeof *options, &operands,
                                  why);
    if (!parsed) {
        (void)fprintf(stderr, "mpc-migrationd: %s\n", why);
        return MIG_EXIT_USAGE;
    }
    if (show_help || show_version) {
        if (show_help)
            print_help();
        else
            (void)printf("mpc-migrationd %s\n", mig_version());
        return MIG_EXIT_OK;
    }
    if (config_path == NULL || operands > 0) {
        (void)fprintf(stderr, "mpc-migrationd: %s; see --help\n",
                      operands > 0 ? "takes no operands" : "--config FILE is missing");
        return MIG_EXIT_USAGE;
    }
    struct mig_config_file *file = NULL;
    char folder[PATH_MAX];
    enum mig_err err = mig_config_load(config_path, folder_of(config_path, folder), keys,
                                       sizeof keys / sizeof *keys, &file, why);
    if (err != MIG_OK)
        return complain(err == MIG_ERR_NOMEM || err == MIG_ERR_DENIED ? err : MIG_ERR_MALFORMED,
                        why);
    int status = run(file, wipes);
    mig_config_free(&file);
    return status;
}
