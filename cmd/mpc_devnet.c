/* SPDX-License-Identifier: MIT */
/* mpc-devnet: the local chain as a program (docs/devnet.md). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/options.h"
#include "crypto/secret.h"
#include "devnet/devnet.h"

enum { GENESIS_MAX = 4 * 1024 * 1024, BLOCK_MS_MAX = 600000, LAG_MAX = 100 };

static const char *listen_on = "127.0.0.1:3030";
static const char *scenario_on = "127.0.0.1:3031";
static const char *genesis_path, *state_path, *dialect;
static const char *block_ms = "600", *final_lag = "2";
static bool show_help, show_version;
static const struct mig_option options[] = {
    {.name = "listen",
     .argument = "IP:PORT",
     .help = "JSON-RPC (default 127.0.0.1:3030; port 0: any)",
     .value = &listen_on},
    {.name = "scenario",
     .argument = "IP:PORT",
     .help = "scenario port (default 127.0.0.1:3031), or none",
     .value = &scenario_on},
    {.name = "genesis",
     .argument = "FILE",
     .help = "the first block, when there is no state yet",
     .value = &genesis_path},
    {.name = "state",
     .argument = "FILE",
     .help = "kept across restarts; without it nothing is",
     .value = &state_path},
    {.name = "block-ms",
     .argument = "N",
     .help = "time between blocks (default 600); 0: only when something happens",
     .value = &block_ms},
    {.name = "final-lag",
     .argument = "N",
     .help = "blocks that final lies behind (default 2)",
     .value = &final_lag},
    {.name = "dialect",
     .argument = "NAME",
     .help = "draft, 3.13.0 or 3.14.1; wins over the genesis",
     .value = &dialect},
    {.name = "version", .help = "print the version", .flag = &show_version},
    {.name = "help", .help = "print this", .flag = &show_help},
};
enum { OPTIONS = sizeof options / sizeof *options };

static void print_help(void)
{
    (void)printf("Usage: mpc-devnet --genesis FILE [--state FILE] [options]\n"
                 "A local chain with the migration contract, behind NEAR JSON-RPC. Loopback "
                 "only.\n\nOptions:\n");
    mig_options_print(stdout, options, OPTIONS);
    (void)printf(
        "\nWhen it listens it prints one line: listening rpc=ADDRESS scenario=ADDRESS\n"
        "Exit status: 0 stopped by a signal, 64 wrong command line, 65 a damaged or unfit\n"
        "genesis or state file, 70 bug or no memory, 74 a file or an address refused.\n");
}

static bool number(const char *text, unsigned max, unsigned *out)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *out = (unsigned)value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && value <= max;
}

/* Splits "IP:PORT"; `ip` has room for an IPv4 address. */
static bool address(const char *text, char ip[16], uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    unsigned value;
    if (colon == NULL || (size_t)(colon - text) > 15 || !number(colon + 1, 65535, &value))
        return false;
    memcpy(ip, text, (size_t)(colon - text));
    ip[colon - text] = '\0';
    *port = (uint16_t)value;
    return true;
}

/* NULL and errno when it cannot be read, or is unreasonably long. */
static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = f != NULL ? malloc(GENESIS_MAX + 1) : NULL;
    size_t len = text != NULL ? fread(text, 1, GENESIS_MAX + 1, f) : 0;
    bool ok = text != NULL && !ferror(f) && len <= GENESIS_MAX;
    if (text != NULL && len > GENESIS_MAX)
        errno = EFBIG;
    if (f != NULL)
        (void)fclose(f);
    if (ok) {
        text[len] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

static int usage(const char *why)
{
    (void)fprintf(stderr, "mpc-devnet: %s; --help lists the options\n", why);
    return MIG_EXIT_USAGE;
}

static int failed(enum mig_err err, const char *why)
{
    (void)fprintf(stderr, "mpc-devnet: %s\n", why);
    return err == MIG_ERR_MALFORMED || err == MIG_ERR_CONFLICT || err == MIG_ERR_NOT_FOUND
               ? MIG_EXIT_DATA
           : err == MIG_ERR_IO ? MIG_EXIT_IO
                               : MIG_EXIT_SOFTWARE;
}

/* Both signals wait here, in the only thread that does not block them for good. */
static int serve(const struct mig_devnet_config *config, const sigset_t *signals)
{
    char why[MIG_DEVNET_ERROR_MAX];
    struct mig_devnet *d;
    int signal_number;
    enum mig_err err = mig_devnet_start(config, &d, why);
    if (err != MIG_OK)
        return failed(err, why);
    if (config->has_scenario)
        (void)printf("listening rpc=%s:%u scenario=%s:%u\n", config->address,
                     mig_devnet_rpc_port(d), config->address, mig_devnet_scenario_port(d));
    else
        (void)printf("listening rpc=%s:%u\n", config->address, mig_devnet_rpc_port(d));
    (void)fflush(stdout);
    while (sigwait(signals, &signal_number) != 0)
        ;
    mig_devnet_stop(&d);
    return MIG_EXIT_OK;
}

static int run(void)
{
    char ip[16], scenario_ip[16];
    struct mig_devnet_config config = MIG_DEVNET_DEFAULTS;
    sigset_t signals;
    config.has_scenario = strcmp(scenario_on, "none") != 0;
    if (!address(listen_on, ip, &config.rpc_port))
        return usage("--listen is not IP:PORT");
    if (config.has_scenario &&
        (!address(scenario_on, scenario_ip, &config.scenario_port) || strcmp(ip, scenario_ip) != 0))
        return usage("--scenario is not IP:PORT with the address of --listen");
    if (!number(block_ms, BLOCK_MS_MAX, &config.block_ms))
        return usage("--block-ms is not a number up to 600000");
    if (!number(final_lag, LAG_MAX, &config.final_lag))
        return usage("--final-lag is not a number up to 100");
    config.has_version = dialect != NULL;
    if (dialect != NULL && mig_contract_version_parse(dialect, &config.version) != MIG_OK)
        return usage("--dialect is none of draft, 3.13.0, 3.14.1");
    if (genesis_path == NULL && state_path == NULL)
        return usage("--genesis or --state is needed");
    char *genesis = genesis_path != NULL ? read_file(genesis_path) : NULL;
    if (genesis_path != NULL && genesis == NULL) {
        (void)fprintf(stderr, "mpc-devnet: cannot read the genesis file: %s\n", strerror(errno));
        return MIG_EXIT_IO;
    }
    config.address = ip;
    config.genesis = genesis;
    config.state_path = state_path;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL); /* before any thread starts */
    (void)signal(SIGPIPE, SIG_IGN);
    int status = mig_crypto_init() == MIG_OK ? serve(&config, &signals) : MIG_EXIT_SOFTWARE;
    free(genesis);
    return status;
}

int main(int argc, char **argv)
{
    char why[MIG_OPTIONS_WHY_MAX];
    int operands;
    if (!mig_options_parse(argc, argv, options, OPTIONS, &operands, why))
        return usage(why);
    if (show_help || show_version) {
        if (show_help)
            print_help();
        else
            (void)printf("mpc-devnet " MIG_VERSION "\n");
        return fflush(stdout) == 0 ? MIG_EXIT_OK : MIG_EXIT_IO;
    }
    if (operands != 0)
        return usage("operands are not accepted");
    return run();
}
