/* SPDX-License-Identifier: MIT */
/*
 * A wire that stops in the middle: forwards TCP connections, and of an HTTP request that begins
 * with PUT lets only the head and the first bytes of the body through. Says "holding" when it does,
 * and "cut" when the server then ends that connection; exits. For watching what happens to an
 * upload that is cut off.
 *
 *   hold PORT    forwards its own port, which it prints first, to 127.0.0.1:PORT
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_BYTES = 64, BUFFER = 65536 };

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

static struct sockaddr_in local(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int open_port(void)
{
    struct sockaddr_in a = local(0);
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 8) == 0, "listen");
    must(getsockname(fd, (struct sockaddr *)&a, &len) == 0, "getsockname");
    (void)printf("%d\n", ntohs(a.sin_port));
    (void)fflush(stdout);
    return fd;
}

static void say(const char *word)
{
    (void)printf("%s\n", word);
    (void)fflush(stdout);
}

static bool forward(int to, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(to, bytes, len);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* How much of what the client has sent so far may pass. */
static size_t allowed(const char *sent, size_t len, bool *hold)
{
    const char *end = memmem(sent, len, "\r\n\r\n", 4);
    bool is_put = len >= 4 && memcmp(sent, "PUT ", 4) == 0;
    size_t head = end != NULL ? (size_t)(end - sent) + 4 : len;
    *hold = is_put && end != NULL && len > head + BODY_BYTES;
    return *hold ? head + BODY_BYTES : len;
}

/* One connection to its end; true when an upload was held and then cut. */
static bool carry(int client, int server)
{
    static char sent[BUFFER], answer[BUFFER];
    size_t len = 0, passed = 0;
    bool hold = false;
    for (;;) {
        struct pollfd p[2] = {{.fd = server, .events = POLLIN},
                              {.fd = hold ? -1 : client, .events = POLLIN}};
        must(poll(p, 2, -1) > 0, "poll");
        if (p[0].revents != 0) {
            ssize_t n = read(server, answer, sizeof answer);
            if (n <= 0 || !forward(client, answer, (size_t)n))
                return hold;
            /* The next request of a kept connection is judged from its start. */
            if (n < 12 || memcmp(answer, "HTTP/1.1 100", 12) != 0)
                len = passed = 0;
        }
        if (p[1].revents != 0) {
            ssize_t n = read(client, sent + len, sizeof sent - len);
            if (n <= 0)
                return false;
            len += (size_t)n;
            size_t may = allowed(sent, len, &hold);
            if (!forward(server, sent + passed, may - passed))
                return false;
            passed = may;
            if (hold)
                say("holding");
        }
    }
}

int main(int argc, char **argv)
{
    must(argc == 2, "usage: hold PORT");
    struct sockaddr_in target = local((uint16_t)atoi(argv[1]));
    int listener = open_port();
    (void)signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        must(client >= 0, "accept");
        if (fork() == 0) {
            int server = socket(AF_INET, SOCK_STREAM, 0);
            must(connect(server, (struct sockaddr *)&target, sizeof target) == 0, "connect");
            if (carry(client, server))
                say("cut");
            _exit(0);
        }
        (void)close(client);
    }
}
