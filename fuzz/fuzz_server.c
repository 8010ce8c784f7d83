/* SPDX-License-Identifier: MIT */
/*
 * Target: the whole listener, libmicrohttpd's parser included, on a socket pair.
 * Reached by: anyone who can open a connection to the migration port.
 * Holds: no answer of success without a request that we signed; every success is
 * signed; after an answer of 400 and up nothing more is served; the connection ends.
 *
 * Input: bytes as they are sent; 0x01 stands for a whole signed request (GET
 * /shares_backup), 0x02 for the same without its empty line, so that fields of
 * the input's follow.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "server/listener.h"
#include "tests/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 64 * 1024, SIGNED_MAX = 16, ROUNDS = 2000, PATIENCE_MS = 5000 };

static struct rig rig;
static struct mig_reaper *reaper;
static struct mig_listener *listener;
static unsigned rounds;

static void need(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

static void open_house(void)
{
    need(mig_crypto_init() == MIG_OK, "crypto starts");
    rig_open(&rig);
    need(mig_reaper_new(&reaper) == MIG_OK, "reaper starts");
    const struct mig_listener_config config = {
        .address = "127.0.0.1:0",
        .limits = {5, 50, 5, 64, 64},
        .reaper = reaper,
        .service = rig.service,
        .counters = &rig.counters,
    };
    need(mig_listener_start(&config, &listener, NULL) == MIG_OK, "listener starts");
}

/* The replay window fills up: begin anew from time to time. */
static void keep_house(void)
{
    if (rounds++ % ROUNDS != 0)
        return;
    if (listener != NULL) {
        mig_listener_stop(&listener, 0);
        mig_reaper_free(&reaper);
        rig_close(&rig);
    }
    open_house();
}

static size_t add_signed(char *out, size_t cap, bool with_end)
{
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_compose(&rig);
    rig_sign(&rig);
    size_t len = wire_format(&rig, out, cap);
    return with_end || len < 2 ? len : len - 2;
}

/* Returns how many signed requests are in it. */
static unsigned expand(const uint8_t *data, size_t size, char *out, size_t *len)
{
    unsigned count = 0;
    size_t n = 0;
    for (size_t i = 0; i < size && n + 4096 < INPUT_MAX; i++) {
        if ((data[i] == 1 || data[i] == 2) && count < SIGNED_MAX) {
            n += add_signed(out + n, INPUT_MAX - n, data[i] == 1);
            count++;
        } else {
            out[n++] = (char)data[i];
        }
    }
    *len = n;
    return count;
}

static size_t whole(const char *text, size_t len)
{
    const char *end = memmem(text, len, "\r\n\r\n", 4);
    const char *length = memmem(text, len, "\r\nContent-Length: ", 18);
    if (end == NULL || length == NULL || length > end)
        return SIZE_MAX;
    return (size_t)(end + 4 - text) + strtoul(length + 18, NULL, 10);
}

static void judge(const char *text, size_t len, unsigned signed_requests)
{
    unsigned successes = 0;
    bool failed = false;
    while (len > 25 && memcmp(text, "HTTP/1.1 ", 9) == 0) {
        unsigned status = (unsigned)atoi(text + 9);
        if (status == 100) {
            text += 25;
            len -= 25;
            continue;
        }
        need(!failed, "nothing follows an answer of 400 and up");
        size_t n = whole(text, len);
        if (n > len)
            return; /* cut while it was being sent */
        successes += status < 400;
        need(status >= 400 || memmem(text, n, "\r\nSignature: ", 13) != NULL, "success is signed");
        failed = status >= 400;
        text += n;
        len -= n;
    }
    need(successes <= signed_requests, "no success without a signed request");
}

/* Sends and reads at once: both directions may fill up. */
static size_t talk(int fd, const char *out, size_t len, char *in, size_t cap)
{
    size_t sent = 0, got = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = (short)(POLLIN | (sent < len ? POLLOUT : 0))};
        int rc = poll(&p, 1, PATIENCE_MS);
        if (rc < 0 && errno == EINTR)
            continue;
        need(rc == 1, "the connection ends");
        if ((p.revents & POLLIN) != 0 && got < cap) {
            ssize_t n = recv(fd, in + got, cap - got, MSG_DONTWAIT);
            if (n <= 0)
                return got;
            got += (size_t)n;
        } else if ((p.revents & (POLLHUP | POLLERR)) != 0 || got == cap) {
            return got;
        } else if (sent < len) {
            ssize_t n = send(fd, out + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent = n > 0 ? sent + (size_t)n : len;
            if (sent == len)
                (void)shutdown(fd, SHUT_WR);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char out[INPUT_MAX + 16 * 1024], in[512 * 1024];
    int pair[2];
    size_t len;
    if (size > INPUT_MAX / 2)
        return 0;
    keep_house();
    unsigned count = expand(data, size, out, &len);
    need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0,
         "a socket pair");
    need(mig_listener_adopt(listener, pair[1]) == MIG_OK, "the pair is adopted");
    if (len == 0)
        (void)shutdown(pair[0], SHUT_WR);
    size_t got = talk(pair[0], out, len, in, sizeof in);
    judge(in, got, count);
    (void)close(pair[0]);
    return 0;
}
