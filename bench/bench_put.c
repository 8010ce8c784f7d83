/* SPDX-License-Identifier: MIT */
/*
 * import_vs_fsync: a durable PUT /shares_recover of 4 KiB, from the first byte
 * sent to the signed 201, against two fsyncs of as many bytes on the same disk,
 * in turns, so that both see the same disk.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/quantile.h"
#include "server/listener.h"
#include "store/keystore.h"
#include "tests/wire.h"

enum { ROUNDS = 200, DOMAINS = 32, BYTES = 4096, HEAD_MAX = 4096 };

static struct rig rig;
static struct wire wire;
static struct mig_keystore *store;

static void need(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench_put: %s\n", what);
    exit(1);
}

/* The rig's host keeps shares in memory; here they go to the real store. */
static void import_durably(struct rig *r)
{
    struct mig_keyset keyset = {0};
    struct mig_receipt receipt;
    rig_keyset(r, &keyset);
    need(mig_keystore_import(store, &keyset, (const uint8_t(*)[MIG_SHARE_LEN])r->shares,
                             r->world.attempt, NULL, &receipt) == MIG_OK &&
             !receipt.repeated,
         "the store refuses");
    mig_keyset_clear(&keyset);
}

/* Another attempt of the keyset, so that every import is a new one. */
static double put_us(const char *address)
{
    char head[HEAD_MAX];
    rig.world.attempt++;
    rig.world.record++;
    rig.has_receipt = false;
    rig_tell(&rig);
    rig_get_offer(&rig);
    rig_end(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig_compose(&rig);
    rig_sign(&rig);
    size_t len = wire_format(&rig, head, sizeof head);
    wire_open(&wire, address);
    uint64_t start = mig_deadline_now();
    need(wire_send(&wire, head, len) && wire_send(&wire, rig.body, rig.ask.body_len) &&
             wire_read_answer(&wire),
         "no answer");
    double us = (double)(mig_deadline_now() - start) / 1e3;
    need(wire_status(&wire) == 201, "not imported");
    wire_close(&wire);
    return us;
}

static double fsync2_us(int fd, const uint8_t *bytes)
{
    uint64_t start = mig_deadline_now();
    for (int i = 0; i < 2; i++)
        need(write(fd, bytes, BYTES) == BYTES && fsync(fd) == 0, "the disk fails");
    return (double)(mig_deadline_now() - start) / 1e3;
}

static void measure(const char *address, int fd)
{
    static const uint8_t bytes[BYTES];
    double put[ROUNDS], sync[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        sync[i] = fsync2_us(fd, bytes);
        put[i] = put_us(address);
    }
    double p = quantile(put, ROUNDS, 0.5), s = quantile(sync, ROUNDS, 0.5);
    printf("import_put_us_p50 %.1f us\n", p);
    printf("import_fsync2_us_p50 %.1f us\n", s);
    printf("import_vs_fsync %.2f ratio\n", p / s);
}

int main(void)
{
    const char *why = "", *base = getenv("TMPDIR");
    char folder[256], file[300], command[320];
    struct mig_reaper *reaper = NULL;
    struct mig_listener *listener = NULL;
    (void)snprintf(folder, sizeof folder, "%s/mig-bench-XXXXXX", base != NULL ? base : "/var/tmp");
    need(mig_crypto_init() == MIG_OK && mkdtemp(folder) != NULL, "cannot start");
    struct mig_secret *key = mig_secret_new(32);
    need(key != NULL &&
             mig_keystore_open(folder, MIG_KEYSTORE_NODE, key, "v1.signer", &store, &why) == MIG_OK,
         why);
    (void)snprintf(file, sizeof file, "%s/floor", folder);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    need(fd >= 0, "cannot create a file");

    rig_open_with(
        &rig, &(struct rig_options){.is_destination = true, .domains = DOMAINS, .budget = 100000});
    rig.during_import = import_durably;
    struct mig_listener_config config = {.address = "127.0.0.1:0",
                                         .limits = MIG_LIMITS_DEFAULT,
                                         .service = rig.service,
                                         .counters = &rig.counters};
    need(mig_reaper_new(&reaper) == MIG_OK, "no reaper");
    config.reaper = reaper;
    need(mig_listener_start(&config, &listener, NULL) == MIG_OK, "no listener");
    measure(mig_listener_address(listener), fd);

    mig_listener_stop(&listener, 100);
    mig_reaper_free(&reaper);
    rig_close(&rig);
    (void)close(fd);
    mig_keystore_close(&store);
    mig_secret_free(&key);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
