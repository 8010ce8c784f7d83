/* SPDX-License-Identifier: MIT */
#include "tests/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

void wire_open(struct wire *wire, const char *address)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    in_port_t port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    v4.sin_port = v6.sin6_port = port;
    bool is_v6 = address[0] == '[';
    wire->len = 0;
    wire->closed = wire->reset = false;
    wire->text[0] = '\0';
    wire->fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const void *at = is_v6 ? (const void *)&v6 : (const void *)&v4;
    if (wire->fd < 0 || connect(wire->fd, at, is_v6 ? sizeof v6 : sizeof v4) != 0) {
        perror("wire_open");
        abort();
    }
}

void wire_close(struct wire *wire)
{
    (void)close(wire->fd);
    wire->fd = -1;
}

bool wire_send(struct wire *wire, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        struct pollfd p = {.fd = wire->fd, .events = POLLOUT};
        if (poll(&p, 1, PATIENCE_MS) != 1)
            return false;
        ssize_t n = send(wire->fd, (const char *)bytes + at, len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

bool wire_say(struct wire *wire, const char *text)
{
    return wire_send(wire, text, strlen(text));
}

/* False at the end, or when patience is. */
static bool read_some(struct wire *wire)
{
    struct pollfd p = {.fd = wire->fd, .events = POLLIN};
    if (wire->closed || wire->reset || wire->len == WIRE_MAX || poll(&p, 1, PATIENCE_MS) != 1)
        return false;
    ssize_t n = recv(wire->fd, wire->text + wire->len, WIRE_MAX - wire->len, 0);
    wire->closed = n == 0;
    wire->reset = n < 0;
    if (n > 0)
        wire->len += (size_t)n;
    wire->text[wire->len] = '\0';
    return n > 0;
}

static size_t whole(const struct wire *wire)
{
    const char *end = strstr(wire->text, "\r\n\r\n");
    const char *length = wire_field(wire, "content-length");
    if (end == NULL || length == NULL)
        return SIZE_MAX;
    return (size_t)(end + 4 - wire->text) + strtoul(length, NULL, 10);
}

bool wire_read_answer(struct wire *wire)
{
    wire->len = 0;
    wire->text[0] = '\0';
    while (whole(wire) > wire->len) {
        if (!read_some(wire))
            return false;
    }
    return true;
}

void wire_read_all(struct wire *wire)
{
    while (read_some(wire))
        ;
}

bool wire_is_over(struct wire *wire)
{
    wire_read_all(wire);
    return wire->closed || wire->reset;
}

unsigned wire_status(const struct wire *wire)
{
    unsigned status = 0;
    return sscanf(wire->text, "HTTP/1.1 %3u ", &status) == 1 ? status : 0;
}

unsigned wire_answers(const struct wire *wire)
{
    static struct wire rest;
    unsigned count = 0;
    rest = *wire;
    while (strncmp(rest.text, "HTTP/1.1 ", 9) == 0) {
        count++;
        size_t len = whole(&rest);
        if (len > rest.len)
            break;
        memmove(rest.text, rest.text + len, rest.len - len + 1);
        rest.len -= len;
    }
    return count;
}

const char *wire_body(const struct wire *wire)
{
    const char *end = strstr(wire->text, "\r\n\r\n");
    return end != NULL ? end + 4 : "";
}

const char *wire_field(const struct wire *wire, const char *name)
{
    static char value[2][2048];
    static unsigned turn;
    const char *end = strstr(wire->text, "\r\n\r\n");
    const char *at = strstr(wire->text, "\r\n");
    for (; at != NULL && end != NULL && at < end; at = strstr(at + 2, "\r\n")) {
        size_t len = strlen(name);
        if (strncasecmp(at + 2, name, len) != 0 || at[2 + len] != ':')
            continue;
        turn ^= 1;
        at += 2 + len + 1;
        at += strspn(at, " ");
        (void)snprintf(value[turn], sizeof value[turn], "%.*s", (int)strcspn(at, "\r"), at);
        return value[turn];
    }
    return NULL;
}

void wire_ask(struct wire *wire, const char *address, const char *text)
{
    wire_open(wire, address);
    (void)wire_say(wire, text);
    wire_read_all(wire);
    wire_close(wire);
}

size_t wire_format(const struct rig *rig, char *out, size_t cap)
{
    const struct mig_message *m = &rig->message;
    size_t n = (size_t)snprintf(out, cap, "%.*s %.*s HTTP/1.1\r\n", (int)m->method.len,
                                m->method.at, (int)m->target.len, m->target.at);
    for (size_t i = 0; i < rig->field_count && n < cap; i++) {
        const struct mig_field *f = &rig->fields[i];
        n += (size_t)snprintf(out + n, cap - n, "%.*s: %.*s\r\n", (int)f->name.len, f->name.at,
                              (int)f->value.len, f->value.at);
    }
    n += (size_t)snprintf(out + n, n < cap ? cap - n : 0, "\r\n");
    return n < cap ? n : 0;
}

bool wire_send_ask(struct wire *wire, struct rig *rig, bool head_only)
{
    char head[16 * 1024];
    rig_compose(rig);
    rig_sign(rig);
    size_t len = wire_format(rig, head, sizeof head);
    return wire_send(wire, head, len) &&
           (head_only || wire_send(wire, rig->body, rig->ask.body_len));
}
