/* SPDX-License-Identifier: MIT */
/*
 * react_ms: from handing a changed view to the library until it has called
 * participants_changed, 99th percentile, each after the change before is
 * settled. In between lies one durable write, for the journal names the change
 * before any hook runs: react_floor_ms is that write alone, as fast as the disk
 * does it in the same minute, and react_ms_memory the same on a disk of memory:
 * what is ours.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "crypto/key.h"
#include "include/mpc_migration.h"
#include "store/record.h"

enum { CHANGES = 300, PARTICIPANTS = 10, SETTLE_MS = 30 };

static int called = -1;
static double called_at_ms;

static void need(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "bench_react: %s\n", what);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void pause_ms(long ms)
{
    const struct timespec t = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&t, NULL);
}

static enum mig_err participants_changed(void *ctx, const struct mig_change *change)
{
    (void)ctx;
    (void)change;
    called_at_ms = now_ms();
    (void)eventfd_write(called, 1);
    return MIG_OK;
}

static enum mig_err conclude(void *ctx, const struct mig_keyset *keyset)
{
    (void)ctx;
    (void)keyset;
    return MIG_OK;
}

/* Running; participant 1 has another key in every state. */
static size_t make_state(const struct mig_identity *node, unsigned round, char *out, size_t cap)
{
    size_t n = (size_t)snprintf(
        out, cap,
        "{\"Running\":{\"domains\":{\"domains\":[],\"next_domain_id\":0},\"keyset\":{\"epoch_id\":"
        "5,\"domains\":[]},\"parameters\":{\"participants\":{\"next_id\":%d,\"participants\":[",
        PARTICIPANTS);
    for (unsigned i = 0; i < PARTICIPANTS; i++) {
        uint8_t key[MIG_KEY_LEN] = {(uint8_t)i, 1};
        char text[MIG_KEY_TEXT_MAX];
        memcpy(key + 2, &round, i == 1 ? sizeof round : 0);
        mig_key_format(i == 0 ? node->public_key : key, text);
        n += (size_t)snprintf(out + n, cap - n,
                              "%s[\"n%u.near\",%u,{\"url\":\"http://n%u.example:80\","
                              "\"tls_public_key\":\"%s\"}]",
                              i > 0 ? "," : "", i, i, i, text);
    }
    n += (size_t)snprintf(out + n, cap - n,
                          "]},\"threshold\":6},\"parameters_votes\":{\"proposal_by_account\":{}},"
                          "\"add_domains_votes\":{\"proposal_by_account\":{}}}}");
    return n;
}

static uint64_t block_time(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double react(struct mig_plugin *plugin, const struct mig_identity *node, unsigned round)
{
    char state[8192];
    eventfd_t unused;
    size_t len = make_state(node, round, state, sizeof state);
    double began = now_ms();
    need(mig_feed(plugin, MIG_FEED_STATE, 100 + round, block_time(), state, len) == MIG_OK,
         "the state does not parse");
    if (round == 0)
        need(mig_feed(plugin, MIG_FEED_MIGRATION, 100, block_time(), "{}", 2) == MIG_OK, "feed");
    struct pollfd p = {.fd = called, .events = POLLIN};
    need(poll(&p, 1, 10000) == 1 && eventfd_read(called, &unused) == 0, "the hook is not called");
    return called_at_ms - began;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The durable write of a journal of this size, and nothing else. */
static double write_floor(const char *dir)
{
    static double took[CHANGES];
    static uint8_t journal[1024];
    for (unsigned i = 0; i < CHANGES; i++) {
        double began = now_ms();
        need(mig_record_save(dir, "floor", journal, sizeof journal) == MIG_OK, "cannot write");
        took[i] = now_ms() - began;
        pause_ms(SETTLE_MS);
    }
    qsort(took, CHANGES, sizeof *took, by_value);
    return took[CHANGES * 99 / 100];
}

static void measure(const char *below, const char *name, const char *floor_name)
{
    char dir[64], identity[96], store_key[96], state_dir[96];
    struct mig_identity *node = NULL;
    struct mig_plugin *plugin = NULL;
    char why[MIG_WHY_MAX] = "";
    (void)snprintf(dir, sizeof dir, "%s/bench-react-XXXXXX", below);
    need(mkdtemp(dir) != NULL, "cannot make a folder");
    struct mig_secret *key = mig_secret_new(MIG_KEY_LEN);
    need(key != NULL && mig_identity_generate(&node) == MIG_OK, "cannot begin");
    (void)snprintf(identity, sizeof identity, "%s/identity", dir);
    (void)snprintf(store_key, sizeof store_key, "%s/store.key", dir);
    (void)snprintf(state_dir, sizeof state_dir, "%s/state", dir);
    mig_random(key->bytes, key->len);
    need(mig_identity_save(identity, node) == MIG_OK &&
             mig_symmetric_key_save(store_key, key) == MIG_OK,
         "cannot write keys");
    struct mig_config config = {.contract = "v1.signer",
                                .account = "n0.near",
                                .identity_key = identity,
                                .store_key = store_key,
                                .state_dir = state_dir,
                                .listen = "127.0.0.1:0"};
    struct mig_host host = {.participants_changed = participants_changed, .conclude = conclude};
    need(mig_start(&config, &host, &plugin, why) == MIG_OK, why);
    static double took[CHANGES];
    (void)react(plugin, node, 0);
    for (unsigned i = 0; i < CHANGES; i++) {
        pause_ms(SETTLE_MS);
        took[i] = react(plugin, node, i + 1);
    }
    qsort(took, CHANGES, sizeof *took, by_value);
    (void)printf("%s %.3f ms\n", name, took[CHANGES * 99 / 100]);
    if (floor_name != NULL)
        (void)printf("%s %.3f ms\n", floor_name, write_floor(dir));
    mig_stop(&plugin, 0);
    mig_secret_free(&key);
    mig_identity_free(&node);
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    need(system(command) == 0, "cannot clean up");
}

int main(void)
{
    called = eventfd(0, EFD_CLOEXEC);
    need(mig_crypto_init() == MIG_OK && called >= 0, "cannot begin");
    measure("/tmp", "react_ms", "react_floor_ms");
    if (access("/dev/shm", W_OK) == 0)
        measure("/dev/shm", "react_ms_memory", NULL);
    return 0;
}
