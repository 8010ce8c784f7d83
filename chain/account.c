/* SPDX-License-Identifier: MIT */
#include "chain/account.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_separator(char c)
{
    return c == '.' || c == '-' || c == '_';
}

bool mig_account_is_valid(const char *text, size_t len)
{
    if (len < 2 || len > MIG_ACCOUNT_MAX)
        return false;
    bool separator = true; /* what comes first must not be one, nor what follows one */
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!letter && (separator || !is_separator(c)))
            return false;
        separator = !letter;
    }
    return !separator;
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Resolvers read "0x7f.1" or "2130706433" as addresses too: a name whose last
 * part starts with a digit must be a plain dotted quad. */
static bool is_host_name(const char *host)
{
    size_t part = 0;
    const char *last = host;
    for (const char *p = host; *p != '\0'; p++) {
        if (*p == '.') {
            if (part == 0 || p[-1] == '-')
                return false;
            part = 0;
            last = p + 1;
            continue;
        }
        bool inside = is_alnum(*p) || *p == '_' || (*p == '-' && part > 0);
        if (!inside || ++part > 63)
            return false;
    }
    struct in_addr quad;
    bool numeric = *last >= '0' && *last <= '9';
    return part > 0 && host[strlen(host) - 1] != '-' &&
           (!numeric || inet_pton(AF_INET, host, &quad) == 1);
}

static bool is_host(const char *text, size_t len, bool literal, char *host, size_t cap)
{
    struct in6_addr six;
    if (len == 0 || len >= cap || memchr(text, '\0', len) != NULL)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    return literal ? inet_pton(AF_INET6, host, &six) == 1 : is_host_name(host);
}

/* 1..65535 in decimal, no leading zero. */
static bool is_port(const char *text, size_t len, uint16_t *port)
{
    uint32_t v = 0;
    if (len == 0 || len > 5 || text[0] == '0')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (uint32_t)(text[i] - '0');
    }
    *port = (uint16_t)v;
    return v <= UINT16_MAX;
}

static bool take_prefix(const char **text, size_t *len, const char *prefix)
{
    size_t n = strlen(prefix);
    if (*len < n || memcmp(*text, prefix, n) != 0)
        return false;
    *text += n;
    *len -= n;
    return true;
}

/* host [":" port], the host an IPv6 literal when in brackets. */
static bool parse_authority(const char *text, size_t len, struct mig_url *url)
{
    bool literal = len > 0 && text[0] == '[';
    const char *end = memchr(text, literal ? ']' : ':', len);
    if (literal && end == NULL)
        return false;
    size_t host_len = end != NULL ? (size_t)(end - text) : len;
    size_t rest = host_len + literal;
    if (rest < len && (text[rest] != ':' || !is_port(text + rest + 1, len - rest - 1, &url->port)))
        return false;
    return is_host(text + literal, host_len - literal, literal, url->host, sizeof url->host);
}

enum mig_err mig_url_parse(const char *text, size_t len, struct mig_url *out)
{
    struct mig_url url = {.port = 80};
    if (len <= MIG_URL_MAX && take_prefix(&text, &len, "https://")) {
        url.tls = true;
        url.port = 443;
    } else if (len > MIG_URL_MAX || !take_prefix(&text, &len, "http://")) {
        goto refused;
    }
    if (len > 0 && text[len - 1] == '/')
        len--;
    if (!parse_authority(text, len, &url))
        goto refused;
    *out = url;
    return MIG_OK;

refused:
    memset(out, 0, sizeof *out);
    return MIG_ERR_MALFORMED;
}
