/* SPDX-License-Identifier: MIT */
/*
 * mpc-backup: the backup service of an MPC node. Verbs and their help here;
 * what they do in cmd/backup_*.c.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "cmd/backup_app.h"
#include "cmd/nearest.h"
#include "cmd/process.h"

static struct mig_app app = {.home = "."};
static bool show_version;

#define HOME_OPTION                                                                                \
    {                                                                                              \
        .name = "home", .argument = "DIR",                                                         \
        .help = "folder of keys, vault and configuration\n(default: the current one)",             \
        .value = &app.home                                                                         \
    }
#define CONFIG_OPTION                                                                              \
    {                                                                                              \
        .name = "config", .argument = "FILE",                                                      \
        .help = "configuration (default: HOME/mpc-backup.conf)", .value = &app.config_path         \
    }
#define JSON_OPTION                                                                                \
    {                                                                                              \
        .name = "json", .help = "print JSON", .flag = &app.json                                    \
    }
#define HELP_OPTION                                                                                \
    {                                                                                              \
        .name = "help", .help = "print this", .flag = &app.help                                    \
    }
#define WAIT_OPTION                                                                                \
    {                                                                                              \
        .name = "wait", .argument = "SECONDS",                                                     \
        .help = "how long to wait for the contract (default: 60)", .value = &app.wait              \
    }

static const struct mig_option keygen_options[] = {HOME_OPTION, JSON_OPTION, HELP_OPTION};
static const struct mig_option common_options[] = {HOME_OPTION, CONFIG_OPTION, JSON_OPTION,
                                                   HELP_OPTION};
static const struct mig_option run_options[] = {HOME_OPTION, CONFIG_OPTION, HELP_OPTION};
static const struct mig_option restore_options[] = {HOME_OPTION, CONFIG_OPTION, JSON_OPTION,
                                                    WAIT_OPTION, HELP_OPTION};
static const struct mig_option register_options[] = {
    HOME_OPTION,
    CONFIG_OPTION,
    JSON_OPTION,
    {.name = "network",
     .argument = "NAME",
     .help = "near-cli network in the command (default: mainnet)",
     .value = &app.network},
    {.name = "send", .help = "send the transaction and wait for it", .flag = &app.send},
    {.name = "operator-key",
     .argument = "FILE",
     .help = "with --send: full-access key of the account,\nas a near-credentials file or a key "
             "string",
     .value = &app.operator_key},
    WAIT_OPTION,
    HELP_OPTION};
static const struct mig_option access_options[] = {
    HOME_OPTION,
    CONFIG_OPTION,
    JSON_OPTION,
    {.name = "role",
     .argument = "ROLE",
     .help = "node or service: whose key it is (required)",
     .value = &app.role},
    {.name = "key",
     .argument = "KEY",
     .help = "its public half, ed25519:... (required)",
     .value = &app.key},
    {.name = "network",
     .argument = "NAME",
     .help = "near-cli network in the command (default: mainnet)",
     .value = &app.network},
    {.name = "send", .help = "send the transaction and wait for it", .flag = &app.send},
    {.name = "operator-key",
     .argument = "FILE",
     .help = "with --send: full-access key of the account,\nas a near-credentials file or a key "
             "string",
     .value = &app.operator_key},
    WAIT_OPTION,
    HELP_OPTION};
/* All of them, for the words before the verb. */
static const struct mig_option global_options[] = {
    HOME_OPTION,
    CONFIG_OPTION,
    JSON_OPTION,
    {.name = "version", .help = "print the version", .flag = &show_version},
    HELP_OPTION};

#define OPTIONS(table) .options = (table), .option_count = sizeof(table) / sizeof *(table)
static const struct verb {
    const char *name, *help, *details;
    int (*run)(struct mig_app *app);
    const struct mig_option *options;
    size_t option_count;
} verbs[] = {
    {"keygen", "make the service's identity and the vault's key",
     "Creates HOME (0700), identity.key and vault.key (0600) and prints the public key.\n"
     "Refuses to replace either file.",
     mig_verb_keygen, OPTIONS(keygen_options)},
    {"register", "name this service in the contract",
     "Prints the near-cli command for the operator's account, or sends it.", mig_verb_register,
     OPTIONS(register_options)},
    {"access-key", "give a key the methods it needs, no more",
     "Prints the near-cli command for the operator's account, or sends it: adds a function-call\n"
     "key that may call only what the node must (conclude a migration, and with\n"
     "announce = contract publish its ephemeral keys), or the backup service (publish its own).",
     mig_verb_access_key, OPTIONS(access_options)},
    {"backup", "fetch the node's shares now",
     "Fetches the shares of the contract's current keyset, keeps them, reads them back and\n"
     "tells the node. Does nothing when that keyset is in the vault and acknowledged.",
     mig_verb_backup, OPTIONS(common_options)},
    {"restore", "deliver to the destination of a running migration",
     "Uploads the vault's shares to the new node and waits until it has the seat.",
     mig_verb_restore, OPTIONS(restore_options)},
    {"run", "do all of it, unattended",
     "Watches the contract: backs up what is not covered, acknowledges, delivers when a\n"
     "migration of the account starts, gives up what the contract no longer calls for.\n"
     "Logs to standard error; ends on SIGTERM or SIGINT.",
     mig_verb_run, OPTIONS(run_options)},
    {"watch", "show the contract, live",
     "State, epoch, height and its age, the account's node, backup service and migration, and\n"
     "what each endpoint says. With --json a line of JSON at every block; into a pipe a\n"
     "paragraph at every change. Ends on SIGTERM or SIGINT.",
     mig_verb_watch, OPTIONS(common_options)},
    {"verify", "read the whole vault back, offline",
     "Opens and decrypts every keyset and checks its digest. Needs no network.", mig_verb_verify,
     OPTIONS(common_options)},
    {"status", "would the shares survive the loss of the node now?",
     "Asks the contract and looks into the vault. Exit status 0: safe, 1: not safe.",
     mig_verb_status, OPTIONS(common_options)},
    {"list", "what the vault holds", "One line per keyset, newest epoch first. Needs no network.",
     mig_verb_list, OPTIONS(common_options)},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static const char statuses[] =
    "\nExit status: 0 done; 1 the answer is no: not safe, nothing done, refused; 64 wrong\n"
    "command line; 65 damaged or wrong data; 69 node or chain cannot be reached; 70 bug or\n"
    "no memory; 74 the disk refused; 75 temporary, try again; 77 a key or its file is not\n"
    "accepted; 78 wrong configuration.\n";

static int print_help(void)
{
    (void)printf("Usage: mpc-backup [--home DIR] [--config FILE] VERB [options]\n"
                 "The backup service of an MPC node's key shares.\n\nVerbs:\n");
    for (size_t i = 0; i < VERBS; i++)
        (void)printf("  %-12s%s\n", verbs[i].name, verbs[i].help);
    (void)printf("\nOptions:\n");
    mig_options_print(stdout, global_options, sizeof global_options / sizeof *global_options);
    (void)printf("\n`mpc-backup VERB --help` says more.\n%s", statuses);
    return MIG_EXIT_OK;
}

static int print_verb_help(const struct verb *verb)
{
    (void)printf("Usage: mpc-backup %s [options]\n%s\n\nOptions:\n", verb->name, verb->details);
    mig_options_print(stdout, verb->options, verb->option_count);
    (void)printf("%s", statuses);
    return MIG_EXIT_OK;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int fail_verb(const char *name)
{
    const struct verb *nearest = NULL;
    for (size_t i = 0; i < VERBS; i++)
        if (mig_word_is_near(name, verbs[i].name) &&
            (nearest == NULL ||
             mig_word_distance(name, verbs[i].name) < mig_word_distance(name, nearest->name)))
            nearest = &verbs[i];
    return nearest != NULL
               ? mig_app_fail(MIG_EXIT_USAGE, "no such verb; did you mean %s?", nearest->name)
               : mig_app_fail(MIG_EXIT_USAGE, "no such verb; see mpc-backup --help");
}

static bool takes_value(const char *word)
{
    for (size_t v = 0; v < VERBS; v++)
        for (size_t i = 0; i < verbs[v].option_count; i++) {
            const struct mig_option *o = &verbs[v].options[i];
            if (o->argument != NULL && strncmp(word, "--", 2) == 0 &&
                strcmp(word + 2, o->name) == 0)
                return true;
        }
    return false;
}

/* Options before the verb are those of every verb: the first word that is
 * neither an option nor its value. */
static int verb_index(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-')
            return i;
        if (takes_value(argv[i]))
            i++;
    }
    return argc;
}

/* What nobody could read was not done. */
static int flush(int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    return status != MIG_EXIT_OK ? status
                                 : mig_app_fail(MIG_EXIT_IO, "cannot write to standard output");
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    char why[MIG_OPTIONS_WHY_MAX];
    int operands = 0;
    if (!mig_options_parse(argc, argv, verb->options, verb->option_count, &operands, why))
        return mig_app_fail(MIG_EXIT_USAGE, "%s: %s", verb->name, why);
    if (app.help)
        return print_verb_help(verb);
    if (operands != 1)
        return mig_app_fail(MIG_EXIT_USAGE, "%s takes no operands", verb->name);
    if (mig_crypto_init() != MIG_OK || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return mig_app_fail(MIG_EXIT_SOFTWARE, "no locked memory; raise RLIMIT_MEMLOCK");
    int status = verb->run(&app);
    mig_app_close(&app);
    curl_global_cleanup();
    return flush(status);
}

int main(int argc, char **argv)
{
    char why[MIG_OPTIONS_WHY_MAX];
    int operands = 0;
    mig_process_harden();
    int at = verb_index(argc, argv);
    if (at < argc) {
        const struct verb *verb = find_verb(argv[at]);
        return verb != NULL ? run_verb(verb, argc, argv) : fail_verb(argv[at]);
    }
    if (!mig_options_parse(argc, argv, global_options,
                           sizeof global_options / sizeof *global_options, &operands, why))
        return mig_app_fail(MIG_EXIT_USAGE, "%s", why);
    if (show_version) {
        (void)printf("mpc-backup %s\n", MIG_VERSION);
        return MIG_EXIT_OK;
    }
    if (app.help)
        return print_help();
    return mig_app_fail(MIG_EXIT_USAGE, "a verb is missing; see --help");
}
