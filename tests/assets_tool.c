/* SPDX-License-Identifier: MIT */
/*
 * One act upon an asset store per process, for scripts that kill it:
 *   fill FOLDER FROM TO      puts triples of scope 2 with ids FROM..TO-1; those with an even id
 *                            involve participants 1 2 3, the others 1 2 4
 *   take FOLDER ID           prints "taken ID" once it has it, "none ID" when it is not there
 *   purge FOLDER [GONE...]   prints "purged"; without ids all
 *   list FOLDER FROM TO      takes all of them, prints the ids it got, one a line; fails when
 *                            anything is damaged or was set aside
 *   stats FOLDER             "triples N sets N damaged N quarantined N"
 * Ends without closing the store, as a killed process does. Status 0, or 1 and a reason.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/mpc_assets.h"

static const uint8_t store_key[MIG_KEY_LEN] = {7, 7, 7};
static struct mig_assets *assets;

static void need(enum mig_err err, const char *what)
{
    if (err == MIG_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, mig_err_text(err));
    exit(1);
}

/* Straight to the descriptor: what was printed was handed out. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[128];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0 || write(STDOUT_FILENO, line, (size_t)n) != n)
        exit(1);
}

static struct mig_asset_key key_of(uint32_t id)
{
    struct mig_asset_key key = {MIG_ASSET_TRIPLE, 2, {0}};
    for (size_t i = 0; i < 4; i++)
        key.id[12 + i] = (uint8_t)(id >> 8 * (3 - i));
    return key;
}

static void fill(uint32_t from, uint32_t to)
{
    static const uint32_t even[] = {1, 2, 3}, odd[] = {1, 2, 4};
    for (uint32_t id = from; id < to; id++) {
        uint8_t value[400];
        memset(value, (int)id, sizeof value);
        struct mig_asset asset = {key_of(id), id % 2 == 0 ? even : odd, 3, value, sizeof value};
        need(mig_assets_put(assets, &asset, 1), "put");
    }
}

static bool take(uint32_t id)
{
    static uint8_t value[MIG_ASSET_VALUE_MAX];
    size_t len;
    struct mig_asset_key key = key_of(id);
    enum mig_err err = mig_assets_take(assets, &key, value, sizeof value, &len, NULL);
    if (err == MIG_ERR_NOT_FOUND)
        return false;
    need(err, "take");
    if (len != 400 || value[0] != (uint8_t)id || value[399] != (uint8_t)id)
        need(MIG_ERR_BUG, "another value");
    return true;
}

static void purge(char **ids, int count)
{
    uint32_t gone[64];
    for (int i = 0; i < count && i < 64; i++)
        gone[i] = (uint32_t)strtoul(ids[i], NULL, 10);
    need(count == 0 ? mig_assets_purge_all(assets) : mig_assets_purge(assets, gone, (size_t)count), "purge");
    say("purged\n");
}

static void list(uint32_t from, uint32_t to)
{
    struct mig_assets_stats s;
    mig_assets_stats(assets, &s);
    if (s.damaged + s.quarantined > 0)
        need(MIG_ERR_MALFORMED, "damaged or set aside");
    for (uint32_t id = from; id < to; id++)
        if (take(id))
            say("%u\n", id);
}

static void print_stats(void)
{
    struct mig_assets_stats s;
    mig_assets_stats(assets, &s);
    say("triples %llu sets %llu damaged %llu quarantined %llu\n", (unsigned long long)s.triples, (unsigned long long)s.sets,
        (unsigned long long)s.damaged, (unsigned long long)s.quarantined);
}

int main(int argc, char **argv)
{
    const char *why = "";
    if (argc < 3)
        return 2;
    enum mig_err err = mig_assets_open(argv[2], store_key, &assets, &why);
    need(err, why);
    uint32_t a = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    uint32_t b = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0;
    if (strcmp(argv[1], "fill") == 0)
        fill(a, b);
    else if (strcmp(argv[1], "take") == 0)
        say(take(a) ? "taken %u\n" : "none %u\n", a);
    else if (strcmp(argv[1], "purge") == 0)
        purge(argv + 3, argc - 3);
    else if (strcmp(argv[1], "list") == 0)
        list(a, b);
    else
        print_stats();
    _exit(0);
}
