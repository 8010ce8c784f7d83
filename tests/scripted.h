/* SPDX-License-Identifier: MIT */
#ifndef MIG_TESTS_SCRIPTED_H
#define MIG_TESTS_SCRIPTED_H
/*
 * An HTTP endpoint on a loopback port that does what a test tells it, well or
 * badly. One thread; a function of the test sees each request and writes
 * whatever it wants to the connection.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness.h"

struct scripted {
    int listener;
    pthread_t thread;
    char url[64];
    /* Writes the answer; false ends the connection. `n` counts requests from 0. */
    bool (*answer)(struct scripted *s, int fd, const char *body, unsigned n);
    const void *ctx;
    atomic_uint requests;
    atomic_bool stop;
    char last_head[4096]; /* read after scripted_stop, or when nothing is under way */
};

static inline void scripted_write(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;
    for (ssize_t n; len > 0 && (n = send(fd, p, len, MSG_NOSIGNAL)) > 0; p += n)
        len -= (size_t)n;
}

/* An answer with this status line and body. */
static inline void scripted_reply(int fd, const char *status, const char *body)
{
    char head[256];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                     status, strlen(body));
    scripted_write(fd, head, (size_t)n);
    scripted_write(fd, body, strlen(body));
}

/* The request's body, NUL-terminated, or NULL at the end of the connection. */
static inline char *scripted_read(struct scripted *s, int fd)
{
    size_t cap = 1 << 16, len = 0, want = 0;
    char *bytes = malloc(cap), *end = NULL;
    while (!atomic_load(&s->stop)) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, 20) == 0)
            continue;
        ssize_t n = len + 1 < cap ? recv(fd, bytes + len, cap - len - 1, 0) : 0;
        if (n <= 0)
            break;
        len += (size_t)n;
        bytes[len] = '\0';
        if (end == NULL && (end = strstr(bytes, "\r\n\r\n")) != NULL) {
            const char *length = strcasestr(bytes, "content-length:");
            want =
                (size_t)(end + 4 - bytes) + (length != NULL ? strtoul(length + 15, NULL, 10) : 0);
            (void)snprintf(s->last_head, sizeof s->last_head, "%.*s", (int)(end - bytes), bytes);
        }
        if (end != NULL && len >= want) {
            memmove(bytes, end + 4, want - (size_t)(end + 4 - bytes) + 1);
            return bytes;
        }
    }
    free(bytes);
    return NULL;
}

static inline void *scripted_run(void *arg)
{
    struct scripted *s = arg;
    while (!atomic_load(&s->stop)) {
        int fd = accept(s->listener, NULL, NULL);
        int on = 1;
        if (fd < 0)
            break;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        for (char *body; (body = scripted_read(s, fd)) != NULL;) {
            bool more = s->answer(s, fd, body, atomic_fetch_add(&s->requests, 1));
            free(body);
            if (!more)
                break;
        }
        (void)close(fd);
    }
    return NULL;
}

static inline struct scripted *scripted_start(bool (*answer)(struct scripted *s, int fd,
                                                             const char *body, unsigned n),
                                              const void *ctx)
{
    struct scripted *s = calloc(1, sizeof *s);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    s->answer = answer;
    s->ctx = ctx;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(s->listener, 16) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&at, &len) != 0)
        abort();
    (void)snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", ntohs(at.sin_port));
    if (pthread_create(&s->thread, NULL, scripted_run, s) != 0)
        abort();
    return s;
}

static inline void scripted_stop(struct scripted *s)
{
    atomic_store(&s->stop, true);
    (void)shutdown(s->listener, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->listener);
    free(s);
}

#endif
