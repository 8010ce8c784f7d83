/* SPDX-License-Identifier: MIT */
#include "server/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_MAX = 256, BACKLOG = 128, V4_PREFIX_LEN = 12, V6_SITE_LEN = 8 };

static const uint8_t v4_prefix[V4_PREFIX_LEN] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void mig_address_of(const struct sockaddr *from, struct mig_address *out)
{
    memset(out, 0, sizeof *out);
    if (from == NULL)
        return;
    if (from->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        memcpy(out->bytes, v4_prefix, V4_PREFIX_LEN);
        memcpy(out->bytes + V4_PREFIX_LEN, &v4.sin_addr, sizeof v4.sin_addr);
    } else if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        memcpy(out->bytes, &v6.sin6_addr, sizeof out->bytes);
    }
}

bool mig_address_is_near(const struct mig_address *a, const struct mig_address *b)
{
    bool is_v4 = memcmp(a->bytes, v4_prefix, V4_PREFIX_LEN) == 0;
    return memcmp(a->bytes, b->bytes, is_v4 ? sizeof a->bytes : V6_SITE_LEN) == 0;
}

static bool is_loopback(const struct sockaddr *at)
{
    struct mig_address address;
    mig_address_of(at, &address);
    if (at->sa_family == AF_INET)
        return address.bytes[V4_PREFIX_LEN] == 127;
    struct in6_addr v6;
    memcpy(&v6, address.bytes, sizeof v6);
    return at->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool is_port(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= 5 && strspn(text, "0123456789") == len && atol(text) <= 65535;
}

/* Splits into host and port; the brackets of an IPv6 literal go. */
static enum mig_err split(const char *address, char host[HOST_MAX], const char **port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || !is_port(colon + 1))
        return MIG_ERR_MALFORMED;
    size_t len = (size_t)(colon - address);
    bool bracketed = len > 2 && address[0] == '[' && address[len - 1] == ']';
    if (bracketed) {
        address++;
        len -= 2;
    }
    bool has_colon = memchr(address, ':', len) != NULL;
    bool has_bracket = memchr(address, '[', len) != NULL || memchr(address, ']', len) != NULL;
    if (len == 0 || len >= HOST_MAX || has_colon != bracketed || has_bracket)
        return MIG_ERR_MALFORMED;
    memcpy(host, address, len);
    host[len] = '\0';
    *port = colon + 1;
    return MIG_OK;
}

static int listen_at(const struct addrinfo *at)
{
    int one = 1;
    int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
    if (fd < 0)
        return -1;
    bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0;
    if (at->ai_family == AF_INET6)
        ok = ok && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0;
    if (ok && bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

static enum mig_err describe(struct mig_bound *bound)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    char host[INET6_ADDRSTRLEN], port[8];
    if (getsockname(bound->fd, (struct sockaddr *)&at, &len) != 0 ||
        getnameinfo((struct sockaddr *)&at, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return MIG_ERR_IO;
    (void)snprintf(bound->address, sizeof bound->address,
                   at.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return MIG_OK;
}

static enum mig_err bind_first(const struct addrinfo *list, bool loopback_only,
                               struct mig_bound *out)
{
    enum mig_err err = MIG_ERR_NOT_FOUND;
    for (const struct addrinfo *at = list; at != NULL && out->fd < 0; at = at->ai_next) {
        out->is_loopback = is_loopback(at->ai_addr);
        if (loopback_only && !out->is_loopback) {
            err = MIG_ERR_DENIED;
            continue;
        }
        out->fd = listen_at(at);
        err = MIG_ERR_IO;
    }
    return out->fd >= 0 ? MIG_OK : err;
}

enum mig_err mig_bind(const char *address, bool loopback_only, struct mig_bound *out)
{
    *out = (struct mig_bound){.fd = -1};
    char host[HOST_MAX];
    const char *port;
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    enum mig_err err = split(address, host, &port);
    if (err != MIG_OK)
        return err;
    if (getaddrinfo(host, port, &hints, &list) != 0)
        return MIG_ERR_NOT_FOUND;
    err = bind_first(list, loopback_only, out);
    freeaddrinfo(list);
    if (err == MIG_OK)
        err = describe(out);
    if (err != MIG_OK && out->fd >= 0) {
        (void)close(out->fd);
        out->fd = -1;
    }
    return err;
}
