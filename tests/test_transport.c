/* SPDX-License-Identifier: MIT */
/* The transport against servers that say, byte by byte, what a test wants. */
#include "backup/transport.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness.h"

/* Takes one connection, reads a request head, says `answer`; then reads on
 * until the client is gone, or closes at once. */
struct server {
    int fd;
    const char *answer;
    size_t answer_len;
    bool holds_on;
    char url[64];
    char heard[8192];
    size_t heard_len;
    pthread_t thread;
};

static void hear(struct server *s, int c)
{
    while (s->heard_len < sizeof s->heard - 1 && strstr(s->heard, "\r\n\r\n") == NULL) {
        ssize_t n = read(c, s->heard + s->heard_len, sizeof s->heard - 1 - s->heard_len);
        if (n <= 0)
            return;
        s->heard_len += (size_t)n;
        s->heard[s->heard_len] = '\0';
    }
}

static void *serve(void *arg)
{
    struct server *s = arg;
    int c = accept(s->fd, NULL, NULL);
    if (c < 0)
        return NULL;
    hear(s, c);
    for (size_t sent = 0; sent < s->answer_len;) {
        ssize_t n = send(c, s->answer + sent, s->answer_len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    char byte;
    while (s->holds_on && read(c, &byte, 1) > 0)
        continue;
    (void)close(c);
    return NULL;
}

static void serve_start(struct server *s, const char *answer, size_t len, bool holds_on)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    *s = (struct server){.answer = answer, .answer_len = len, .holds_on = holds_on};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
    CU_ASSERT_EQUAL_FATAL(listen(s->fd, 4), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(s->fd, (struct sockaddr *)&a, &size), 0);
    (void)snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", ntohs(a.sin_port));
    CU_ASSERT_EQUAL_FATAL(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void serve_end(struct server *s)
{
    (void)shutdown(s->fd, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->fd);
}

struct scene {
    struct mig_transport *transport;
    struct mig_identity *service;
    struct mig_domain_key domain;
    struct mig_keyset keyset;
    struct mig_peer peer;
    struct mig_route route;
    struct mig_ask ask;
    struct mig_reply reply;
    const char *why;
};

static void start(struct scene *s, const char *url)
{
    *s = (struct scene){.domain = {.domain = 1, .curve = MIG_CURVE_ED25519, .key_len = 32}};
    CU_ASSERT_EQUAL_FATAL(mig_transport_new(&s->transport), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_identity_generate(&s->service), MIG_OK);
    s->keyset = (struct mig_keyset){.epoch = 5, .count = 1, .domains = &s->domain};
    s->peer = (struct mig_peer){.contract = "v1.signer",
                                .account = "alice.near",
                                .service = s->service,
                                .announce = MIG_ANNOUNCE_HEADER};
    CU_ASSERT_EQUAL_FATAL(mig_route_init(url, s->peer.node, false, &s->route, &s->why), MIG_OK);
    s->peer.authority = s->route.authority;
    CU_ASSERT_EQUAL_FATAL(mig_ask_offer(&s->peer, &s->keyset, 1795305600, &s->ask), MIG_OK);
}

static void end(struct scene *s)
{
    mig_reply_clear(&s->reply);
    mig_ask_clear(&s->ask);
    mig_identity_free(&s->service);
    mig_transport_free(&s->transport);
}

/* What comes of this answer, all of it sent. */
static enum mig_err answered(const char *answer, size_t len, struct scene *s, struct server *server)
{
    serve_start(server, answer, len, false);
    start(s, server->url);
    enum mig_err err =
        mig_transport_send(s->transport, &s->route, &s->ask, NULL, &s->reply, &s->why);
    serve_end(server);
    if (err != MIG_OK) {
        CU_ASSERT_EQUAL(s->reply.status, 0);
        CU_ASSERT_PTR_NULL(s->reply.body);
        CU_ASSERT_TRUE(strlen(s->why) > 5);
    }
    return err;
}

static enum mig_err simple(const char *answer)
{
    struct scene s;
    struct server server;
    enum mig_err err = answered(answer, strlen(answer), &s, &server);
    end(&s);
    return err;
}

static void sends_exactly_the_signed_fields(void)
{
    struct scene s;
    struct server server;
    const char *answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\nhi";
    CU_ASSERT_EQUAL(answered(answer, strlen(answer), &s, &server), MIG_OK);
    CU_ASSERT_EQUAL(s.reply.status, 200);
    CU_ASSERT_EQUAL(s.reply.body_len, 2);
    CU_ASSERT_EQUAL(s.reply.field_count, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(server.heard, "GET /shares_recover HTTP/1.1\r\n"));
    char host[sizeof s.route.authority + 16];
    (void)snprintf(host, sizeof host, "\r\nHost: %s\r\n", s.route.authority);
    CU_ASSERT_PTR_NOT_NULL(strstr(server.heard, host));
    size_t lines = 0;
    for (const char *p = server.heard; (p = strstr(p, "\r\n")) != NULL; p += 2)
        lines++;
    /* Request line, the call's fields, the empty line; nothing of libcurl's. */
    CU_ASSERT_EQUAL(lines, 2 + s.ask.message.field_count);
    end(&s);
}

static void uploads_with_length_and_without_coding(void)
{
    struct scene s;
    struct server server;
    struct mig_ephemeral own = {0};
    const char *answer = "HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    serve_start(&server, answer, strlen(answer), false);
    start(&s, server.url);
    mig_ask_clear(&s.ask);
    struct mig_secret *shares = mig_secret_new(MIG_SHARE_LEN);
    shares->bytes[0] = 1;
    CU_ASSERT_EQUAL_FATAL(mig_ephemeral_generate(&own), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(
        mig_ask_upload(&s.peer, &s.keyset, shares, &own, own.public_key, 1795305600, &s.ask),
        MIG_OK);
    /* The refusal comes before a byte of the body was asked for. */
    CU_ASSERT_EQUAL(mig_transport_send(s.transport, &s.route, &s.ask, NULL, &s.reply, &s.why),
                    MIG_OK);
    serve_end(&server);
    CU_ASSERT_EQUAL(s.reply.status, 401);
    char length[64];
    (void)snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", s.ask.body_len);
    CU_ASSERT_PTR_NOT_NULL(strstr(server.heard, length));
    CU_ASSERT_PTR_NOT_NULL(strstr(server.heard, "PUT /shares_recover HTTP/1.1\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(server.heard, "\r\nExpect: 100-continue\r\n"));
    CU_ASSERT_PTR_NULL(strstr(server.heard, "Transfer-Encoding"));
    CU_ASSERT_PTR_NULL(strstr(server.heard, "urlencoded"));
    mig_secret_free(&shares);
    mig_ephemeral_clear(&own);
    end(&s);
}

static void follows_no_redirect(void)
{
    struct scene s;
    struct server server;
    const char *answer = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n"
                         "Content-Length: 0\r\n\r\n";
    CU_ASSERT_EQUAL(answered(answer, strlen(answer), &s, &server), MIG_OK);
    CU_ASSERT_EQUAL(s.reply.status, 302);
    end(&s);
}

static void refuses_what_is_not_an_answer(void)
{
    CU_ASSERT_NOT_EQUAL(simple("rubbish\r\n\r\n"), MIG_OK);
    CU_ASSERT_NOT_EQUAL(simple("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), MIG_OK);
    CU_ASSERT_NOT_EQUAL(simple("HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n"), MIG_OK);
    CU_ASSERT_NOT_EQUAL(simple("HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
                        MIG_OK);
    CU_ASSERT_NOT_EQUAL(simple("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"), MIG_OK);
    CU_ASSERT_NOT_EQUAL(simple("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "2\r\nhi\r\n0\r\nTrailer: x\r\n\r\n"),
                        MIG_OK);
    CU_ASSERT_NOT_EQUAL(simple("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"), MIG_OK);
    CU_ASSERT_NOT_EQUAL(simple(""), MIG_OK);
}

static void refuses_a_body_without_end(void)
{
    struct scene s;
    struct server server;
    const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    size_t len = sizeof head - 1 + 2 * MIG_REPLY_BODY_MAX;
    char *answer = malloc(len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
    memset(answer, 'x', len);
    memcpy(answer, head, sizeof head - 1);
    CU_ASSERT_EQUAL(answered(answer, len, &s, &server), MIG_ERR_MALFORMED);
    end(&s);
    free(answer);
}

static void refuses_a_header_without_end(void)
{
    struct scene s;
    struct server server;
    enum { LINES = 4000 };
    char *answer = malloc(32 + (size_t)LINES * 8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
    size_t len = (size_t)sprintf(answer, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < LINES; i++)
        len += (size_t)sprintf(answer + len, "A: bc\r\n");
    CU_ASSERT_EQUAL(answered(answer, len, &s, &server), MIG_ERR_MALFORMED);
    end(&s);
    free(answer);
}

static void reports_a_closed_port(void)
{
    struct scene s;
    struct server server;
    serve_start(&server, "", 0, false);
    serve_end(&server);
    start(&s, server.url);
    CU_ASSERT_EQUAL(mig_transport_send(s.transport, &s.route, &s.ask, NULL, &s.reply, &s.why),
                    MIG_ERR_RETRY);
    end(&s);
}

static bool falls(void *ctx)
{
    unsigned *asked = ctx;
    return (*asked)++ < 2;
}

static void *wake_soon(void *arg)
{
    for (int i = 0; i < 50; i++) {
        const struct timespec t = {.tv_nsec = 10000000};
        mig_transport_wake(arg);
        (void)nanosleep(&t, NULL);
    }
    return NULL;
}

static void a_wake_makes_a_running_transfer_ask_its_fence(void)
{
    struct scene s;
    struct server server;
    pthread_t thread;
    unsigned asked = 0;
    const struct mig_fence fence = {falls, &asked};
    serve_start(&server, "", 0, true);
    start(&s, server.url);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, wake_soon, s.transport), 0);
    CU_ASSERT_EQUAL(mig_transport_send(s.transport, &s.route, &s.ask, &fence, &s.reply, &s.why),
                    MIG_ERR_CANCELLED);
    CU_ASSERT_EQUAL(asked, 3);
    (void)pthread_join(thread, NULL);
    end(&s);
    serve_end(&server);
}

static void plain_http_stays_on_this_machine(void)
{
    static const uint8_t node[MIG_KEY_LEN];
    static const struct {
        const char *url;
        bool anywhere;
        enum mig_err err;
        const char *authority;
    } rows[] = {
        {"http://127.0.0.1:8079", false, MIG_OK, "127.0.0.1:8079"},
        {"http://127.9.9.9", false, MIG_OK, "127.9.9.9"},
        {"http://localhost:80", false, MIG_OK, "localhost"},
        {"http://[::1]:8079/", false, MIG_OK, "[::1]:8079"},
        {"http://node.example", false, MIG_ERR_DENIED, NULL},
        {"http://128.0.0.1", false, MIG_ERR_DENIED, NULL},
        {"http://localhost.example", false, MIG_ERR_DENIED, NULL},
        {"http://node.example:8079", true, MIG_OK, "node.example:8079"},
        {"https://node.example", false, MIG_OK, "node.example"},
        {"https://node.example:443", false, MIG_OK, "node.example"},
        {"https://node.example:8079", false, MIG_OK, "node.example:8079"},
        {"ftp://node.example", true, MIG_ERR_MALFORMED, NULL},
        {"https://user@node.example", true, MIG_ERR_MALFORMED, NULL},
        {"https://node.example/path", true, MIG_ERR_MALFORMED, NULL},
        {"https://", true, MIG_ERR_MALFORMED, NULL},
        {"", true, MIG_ERR_MALFORMED, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mig_route route;
        const char *why;
        CU_ASSERT_EQUAL(mig_route_init(rows[i].url, node, rows[i].anywhere, &route, &why),
                        rows[i].err);
        if (rows[i].authority != NULL)
            CU_ASSERT_STRING_EQUAL(route.authority, rows[i].authority);
    }
}

static void waits_no_longer_than_told_or_woken(void)
{
    struct mig_transport *transport = NULL;
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(mig_transport_new(&transport), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    mig_transport_wait(transport, fds[0], 1); /* time */
    mig_transport_wake(transport);
    mig_transport_wait(transport, fds[0], UINT64_MAX); /* an earlier wake */
    CU_ASSERT_EQUAL(write(fds[1], "x", 1), 1);
    mig_transport_wait(transport, fds[0], UINT64_MAX); /* the descriptor */
    (void)close(fds[0]);
    (void)close(fds[1]);
    mig_transport_free(&transport);
    CU_ASSERT_PTR_NULL(transport);
    mig_transport_free(&transport);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(sends_exactly_the_signed_fields),
        TEST(uploads_with_length_and_without_coding),
        TEST(follows_no_redirect),
        TEST(refuses_what_is_not_an_answer),
        TEST(refuses_a_body_without_end),
        TEST(refuses_a_header_without_end),
        TEST(reports_a_closed_port),
        TEST(a_wake_makes_a_running_transfer_ask_its_fence),
        TEST(plain_http_stays_on_this_machine),
        TEST(waits_no_longer_than_told_or_woken),
    };
    return run_tests("transport", tests, sizeof tests / sizeof *tests);
}
