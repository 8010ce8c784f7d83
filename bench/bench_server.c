/* SPDX-License-Identifier: MIT */
/*
 * The listener on a real socket; what counts is processor time of its threads,
 * not of the client.
 *
 * reject_vs_bare: a request with a bad signature field on a new connection,
 * against a bare libmicrohttpd that answers 401 with the same bytes and closes.
 * backup_get_vs_floor: an authenticated backup over keep-alive, against a loop
 * of just its cryptography. cancel_ms: from the change of the contract's view to
 * the end of the connection as the client sees it.
 */
#include <dirent.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/floor.h"
#include "bench/quantile.h"
#include "server/listener.h"
#include "tests/wire.h"

enum {
    CLIENTS = 8,
    ROUNDS = 15,
    REJECTS = 400,
    GETS = 200,
    CANCELS = 200,
    DOMAINS = 32,
    TEXT_MAX = 4096
};

static struct rig rig;
static struct mig_reaper *reaper;
static struct mig_listener *listener;
static struct wire wire;

static void need(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench_server: %s\n", what);
    exit(1);
}

/* Microseconds on a processor of every thread but this one. */
static double others_us(void)
{
    char path[64], self[16];
    unsigned long long ns, sum = 0;
    struct dirent *e;
    DIR *tasks = opendir("/proc/self/task");
    (void)snprintf(self, sizeof self, "%ld", syscall(SYS_gettid));
    while (tasks != NULL && (e = readdir(tasks)) != NULL) {
        if (e->d_name[0] == '.' || strcmp(e->d_name, self) == 0)
            continue;
        (void)snprintf(path, sizeof path, "/proc/self/task/%.16s/schedstat", e->d_name);
        FILE *f = fopen(path, "r");
        if (f != NULL && fscanf(f, "%llu", &ns) == 1)
            sum += ns;
        if (f != NULL)
            (void)fclose(f);
    }
    if (tasks != NULL)
        (void)closedir(tasks);
    return (double)sum / 1e3;
}

static void start(const struct rig_options *options)
{
    rig_open_with(&rig, options);
    need(mig_reaper_new(&reaper) == MIG_OK, "no reaper");
    const struct mig_listener_config config = {
        .address = "127.0.0.1:0",
        .limits = MIG_LIMITS_DEFAULT,
        .reaper = reaper,
        .service = rig.service,
        .counters = &rig.counters,
    };
    need(mig_listener_start(&config, &listener, NULL) == MIG_OK, "no listener");
}

static void stop(void)
{
    mig_listener_stop(&listener, 100);
    mig_reaper_free(&reaper);
    rig_close(&rig);
}

/* ---- refusing ---- */

static struct MHD_Response *bare_response;

static enum MHD_Result answer_bare(void *cls, struct MHD_Connection *c, const char *url,
                                   const char *method, const char *version, const char *body,
                                   size_t *body_len, void **context)
{
    (void)cls;
    (void)url;
    (void)method;
    (void)version;
    (void)body;
    (void)body_len;
    (void)context;
    return MHD_queue_response(c, 401, bare_response);
}

/* The fields and body that our own 401 has. */
static struct MHD_Daemon *start_bare(const char *unauthorized)
{
    wire_ask(&wire, mig_listener_address(listener), unauthorized);
    need(wire_status(&wire) == 401, "no 401 to copy");
    static char body[1024];
    (void)snprintf(body, sizeof body, "%s", wire_body(&wire));
    bare_response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_PERSISTENT);
    static const char *const names[] = {"Cache-Control", "Content-Type", "WWW-Authenticate",
                                        "Accept-Signature", "Connection"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        need(MHD_add_response_header(bare_response, names[i], wire_field(&wire, names[i])) ==
                 MHD_YES,
             "header");
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer_bare, NULL,
                            MHD_OPTION_END);
}

static double refuse_us(const char *address, const char *text, unsigned status)
{
    double before = others_us();
    for (int i = 0; i < REJECTS; i++) {
        wire_ask(&wire, address, text);
        need(wire_status(&wire) == status, "not refused as expected");
    }
    return (others_us() - before) / REJECTS;
}

static void make_refused(char text[TEXT_MAX], const char *signature)
{
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_compose(&rig);
    rig_sign(&rig);
    rig_set_field(&rig, "Signature", signature);
    size_t len = wire_format(&rig, text, TEXT_MAX - 1);
    text[len] = '\0';
}

static void bench_refusals(void)
{
    char malformed[TEXT_MAX], address[64];
    double ours[ROUNDS], bare[ROUNDS], unsigned_us[ROUNDS], ratio[ROUNDS];
    static const char none[] = "GET /shares_backup HTTP/1.1\r\nHost: node.example\r\n\r\n";
    start(&(struct rig_options){.budget = 100000});
    make_refused(malformed, "sig=:AAAA:");
    struct MHD_Daemon *daemon = start_bare(none);
    need(daemon != NULL, "no bare daemon");
    (void)snprintf(address, sizeof address, "127.0.0.1:%u",
                   MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    for (size_t i = 0; i < ROUNDS; i++) {
        ours[i] = refuse_us(mig_listener_address(listener), malformed, 400);
        bare[i] = refuse_us(address, malformed, 401);
        unsigned_us[i] = refuse_us(mig_listener_address(listener), none, 401);
        ratio[i] = bare[i] / ours[i];
    }
    printf("reject_us %.1f us\n", quantile(ours, ROUNDS, 0.5));
    printf("reject_unsigned_us %.1f us\n", quantile(unsigned_us, ROUNDS, 0.5));
    printf("reject_bare_us %.1f us\n", quantile(bare, ROUNDS, 0.5));
    printf("reject_vs_bare %.3f ratio\n", quantile(ratio, ROUNDS, 0.5));
    MHD_stop_daemon(daemon);
    MHD_destroy_response(bare_response);
    stop();
}

/* ---- serving ---- */

/* As many connections as one address may have, each with a request under way. */
static double backup_us(void)
{
    static char asks[GETS][TEXT_MAX];
    static struct wire wires[CLIENTS];
    size_t lens[GETS];
    for (size_t i = 0; i < GETS; i++) {
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        rig_compose(&rig);
        rig_sign(&rig);
        lens[i] = wire_format(&rig, asks[i], TEXT_MAX);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        wire_open(&wires[i], mig_listener_address(listener));
    double before = others_us();
    for (size_t i = 0; i < GETS + CLIENTS; i++) {
        struct wire *w = &wires[i % CLIENTS];
        if (i >= CLIENTS)
            need(wire_read_answer(w) && wire_status(w) == 200, "no backup");
        if (i < GETS)
            need(wire_send(w, asks[i], lens[i]), "cannot send");
    }
    double us = (others_us() - before) / GETS;
    for (size_t i = 0; i < CLIENTS; i++)
        wire_close(&wires[i]);
    return us;
}

static void bench_backups(void)
{
    double ours[ROUNDS], crypto[ROUNDS], ratio[ROUNDS];
    start(&(struct rig_options){.domains = DOMAINS, .budget = 100000});
    for (size_t i = 0; i < ROUNDS; i++) {
        ours[i] = backup_us();
        crypto[i] = floor_of_crypto();
        ratio[i] = crypto[i] / ours[i];
    }
    printf("backup_get_us %.1f us\n", quantile(ours, ROUNDS, 0.5));
    printf("backup_get_floor_us %.1f us\n", quantile(crypto, ROUNDS, 0.5));
    printf("backup_get_vs_floor %.3f ratio\n", quantile(ratio, ROUNDS, 0.5));
    stop();
}

/* ---- cancelling ---- */

static double cancel_ms(enum mig_protocol to)
{
    rig.world.protocol = MIG_PROTOCOL_RUNNING;
    rig.world.record++; /* the last one did not survive */
    rig_tell(&rig);
    rig_get_offer(&rig);
    rig_end(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.ask.extra[rig.ask.extra_count++] =
        (struct mig_field){MIG_TEXT("Expect"), MIG_TEXT("100-continue")};
    wire_open(&wire, mig_listener_address(listener));
    need(wire_send_ask(&wire, &rig, true), "cannot send");
    struct pollfd p = {.fd = wire.fd, .events = POLLIN};
    need(poll(&p, 1, 10000) == 1 && recv(wire.fd, wire.text, 64, 0) > 0 &&
             strncmp(wire.text, "HTTP/1.1 100 ", 13) == 0,
         "not continued");
    rig.world.protocol = to;
    uint64_t before = mig_deadline_now();
    rig_tell(&rig);
    const struct mig_view *view = mig_cache_view(rig.cache);
    need(mig_listener_cancel(listener, view, before) == 1, "nothing cut");
    mig_view_release(&view);
    need(poll(&p, 1, 10000) == 1 && recv(wire.fd, wire.text, 64, 0) <= 0, "not cut");
    double ms = (double)(mig_deadline_now() - before) / 1e6;
    wire_close(&wire);
    while (*(volatile unsigned *)&rig.imports_ended != rig.imports_begun)
        (void)poll(NULL, 0, 1);
    return ms;
}

static void bench_cancels(void)
{
    double ms[CANCELS];
    start(&(struct rig_options){.is_destination = true, .budget = 100000});
    for (size_t i = 0; i < CANCELS; i++)
        ms[i] = cancel_ms(i % 2 == 0 ? MIG_PROTOCOL_INITIALIZING : MIG_PROTOCOL_RESHARING);
    printf("cancel_ms_p50 %.3f ms\n", quantile(ms, CANCELS, 0.5));
    printf("cancel_ms %.3f ms\n", quantile(ms, CANCELS, 0.99));
    stop();
}

int main(void)
{
    if (mig_crypto_init() != MIG_OK)
        return 1;
    bench_refusals();
    bench_backups();
    bench_cancels();
    return 0;
}
