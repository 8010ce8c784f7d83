/* SPDX-License-Identifier: MIT */
#include "backup/transport.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/account.h"
#include "crypto/encoding.h"

enum {
    LINE_MAX_LEN = 2048,
    URL_LEN = 700,
    ASK_EVERY_MS = 500, /* how often the fence is asked without a wake */
};

struct mig_transport {
    CURLM *multi;
    CURL *easy;
};

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static void write_route(const struct mig_url *url, const char *host, struct mig_route *out)
{
    bool literal = strchr(host, ':') != NULL;
    bool default_port = url->port == (url->tls ? 443 : 80);
    char port[8] = "";
    if (!default_port)
        (void)snprintf(port, sizeof port, ":%u", (unsigned)url->port);
    (void)snprintf(out->authority, sizeof out->authority, "%s%s%s%s", literal ? "[" : "", host,
                   literal ? "]" : "", port);
    (void)snprintf(out->url, sizeof out->url, "%s://%s", url->tls ? "https" : "http",
                   out->authority);
    out->tls = url->tls;
}

enum mig_err mig_route_init(const char *text, const uint8_t node[MIG_KEY_LEN], bool plain_anywhere,
                            struct mig_route *out, const char **why)
{
    struct mig_url url;
    char host[sizeof url.host];
    *out = (struct mig_route){0};
    *why = "the node's URL is not http(s)://host[:port]";
    if (mig_url_parse(text, strlen(text), &url) != MIG_OK)
        return MIG_ERR_MALFORMED;
    /* The bare literal, whether or not it came in brackets. */
    size_t skip = url.host[0] == '[';
    (void)snprintf(host, sizeof host, "%s", url.host + skip);
    if (skip != 0)
        host[strcspn(host, "]")] = '\0';
    *why = "the node's URL is plain http beyond this machine; use https, or allow it explicitly";
    if (!url.tls && !plain_anywhere && !is_loopback(host))
        return MIG_ERR_DENIED;
    write_route(&url, host, out);
    memcpy(out->pin, node, MIG_KEY_LEN);
    *why = "";
    return MIG_OK;
}

enum mig_err mig_transport_new(struct mig_transport **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return MIG_ERR_NOMEM;
    (*out)->multi = curl_multi_init();
    (*out)->easy = curl_easy_init();
    if ((*out)->multi != NULL && (*out)->easy != NULL)
        return MIG_OK;
    mig_transport_free(out);
    return MIG_ERR_NOMEM;
}

void mig_transport_free(struct mig_transport **transport)
{
    if (*transport == NULL)
        return;
    curl_easy_cleanup((*transport)->easy);
    (void)curl_multi_cleanup((*transport)->multi);
    free(*transport);
    *transport = NULL;
}

/* State of one transfer, for the callbacks. */
struct transfer {
    struct mig_reply *reply;
    enum mig_err err; /* why a callback refused */
};

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    t->err = mig_reply_line(t->reply, line, size * count);
    return t->err == MIG_OK ? size * count : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    t->err = mig_reply_body(t->reply, bytes, size * count);
    return t->err == MIG_OK ? size * count : CURL_WRITEFUNC_ERROR;
}

/* "sha256//" + base64 of SHA-256 over the SubjectPublicKeyInfo of the key. */
static enum mig_err format_pin(const uint8_t key[MIG_KEY_LEN], char *out, size_t cap)
{
    static const uint8_t prefix[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                     0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
    uint8_t spki[sizeof prefix + MIG_KEY_LEN];
    uint8_t digest[MIG_DIGEST_LEN];
    int used = snprintf(out, cap, "sha256//");
    memcpy(spki, prefix, sizeof prefix);
    memcpy(spki + sizeof prefix, key, MIG_KEY_LEN);
    mig_sha256(spki, sizeof spki, digest);
    return mig_base64_encode(digest, sizeof digest, out + used, cap - (size_t)used);
}

/* One more line; on failure the list is released and NULLed. */
static bool append(struct curl_slist **list, const char *line)
{
    struct curl_slist *grown = curl_slist_append(*list, line);
    if (grown == NULL)
        curl_slist_free_all(*list);
    *list = grown;
    return grown != NULL;
}

static bool append_field(struct curl_slist **list, const struct mig_field *field)
{
    char line[LINE_MAX_LEN];
    (void)snprintf(line, sizeof line, "%.*s: %.*s", (int)field->name.len, field->name.at,
                   (int)field->value.len, field->value.at);
    return append(list, line);
}
_Static_assert(MIG_SIG_FIELD_MAX + 100 < LINE_MAX_LEN, "a field fits a line");

/* Exactly the ask's fields; what libcurl would add by itself is taken out. */
static struct curl_slist *header_list(const struct mig_ask *ask)
{
    const char *const own[] = {
        "Accept:", "User-Agent:", ask->body != NULL ? "Expect: 100-continue" : "Content-Type:"};
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!append(&list, own[i]))
            return NULL;
    for (size_t i = 0; i < ask->message.field_count; i++)
        if (!append_field(&list, &ask->message.fields[i]))
            return NULL;
    return list;
}

static bool set_limits(CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           /* One connection per ask: no reuse under another pin, no silent second sending. */
           curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)MIG_TRANSPORT_TIMEOUT_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)MIG_TRANSPORT_CONNECT_MS) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXFILESIZE, (long)MIG_REPLY_BODY_MAX) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK;
}

static bool set_tls(CURL *easy, const struct mig_route *route, const char *pin)
{
    const char *protocol = route->tls ? "https" : "http";
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocol) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3) == CURLE_OK &&
           /* The pin is stronger than any authority: it is the very key the contract names. */
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, pin) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK;
}

static bool set_request(CURL *easy, const struct mig_ask *ask)
{
    char method[8];
    (void)snprintf(method, sizeof method, "%.*s", (int)ask->message.method.len,
                   ask->message.method.at);
    if (strcmp(method, "GET") == 0)
        return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    const char *body = ask->body != NULL ? (const char *)ask->body : "";
    return curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)ask->body_len) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK;
}

static bool set_callbacks(CURL *easy, struct transfer *t)
{
    return curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, t) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, t) == CURLE_OK;
}

static enum mig_err prepare(CURL *easy, const struct mig_route *route, const struct mig_ask *ask,
                            struct curl_slist *headers, struct transfer *t)
{
    char url[URL_LEN], pin[80];
    int used = snprintf(url, sizeof url, "%s%.*s", route->url, (int)ask->message.target.len,
                        ask->message.target.at);
    if (used < 0 || used >= URL_LEN || format_pin(route->pin, pin, sizeof pin) != MIG_OK)
        return MIG_ERR_BUG;
    curl_easy_reset(easy);
    bool set = curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK && set_limits(easy) &&
               set_tls(easy, route, pin) && set_request(easy, ask) && set_callbacks(easy, t) &&
               curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
    return set ? MIG_OK : MIG_ERR_NOMEM;
}

static bool is_done(CURLM *multi, CURLcode *code)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(multi, &left)) != NULL;)
        if (m->msg == CURLMSG_DONE) {
            *code = m->data.result;
            return true;
        }
    return false;
}

static enum mig_err drive(CURLM *multi, const struct mig_fence *fence, CURLcode *code)
{
    for (int running = 1;;) {
        if (fence != NULL && !fence->holds(fence->ctx))
            return MIG_ERR_CANCELLED;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return MIG_ERR_BUG;
        if (is_done(multi, code))
            return MIG_OK;
        if (running == 0 || curl_multi_poll(multi, NULL, 0, ASK_EVERY_MS, NULL) != CURLM_OK)
            return MIG_ERR_BUG;
    }
}

static enum mig_err judge_code(CURLcode code, const struct transfer *t, const char **why)
{
    if (t->err != MIG_OK) {
        *why = "what the node sent is not an answer of HTTP within the limits";
        return t->err;
    }
    switch (code) {
    case CURLE_OK:
        *why = "";
        return MIG_OK;
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        *why = "the server's TLS key is not the node's key in the contract";
        return MIG_ERR_DENIED;
    case CURLE_COULDNT_RESOLVE_HOST:
        *why = "the node's host name does not resolve";
        return MIG_ERR_RETRY;
    case CURLE_COULDNT_CONNECT:
        *why = "nothing accepts connections at the node's address";
        return MIG_ERR_RETRY;
    case CURLE_OPERATION_TIMEDOUT:
        *why = "the node did not answer in time";
        return MIG_ERR_RETRY;
    case CURLE_SSL_CONNECT_ERROR:
        *why = "no TLS 1.3 at the node's address";
        return MIG_ERR_RETRY;
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        *why = "what the node sent is not an answer of HTTP within the limits";
        return MIG_ERR_MALFORMED;
    case CURLE_OUT_OF_MEMORY:
        *why = "out of memory";
        return MIG_ERR_NOMEM;
    default:
        *why = "the connection to the node broke";
        return MIG_ERR_RETRY;
    }
}

enum mig_err mig_transport_send(struct mig_transport *transport, const struct mig_route *route,
                                const struct mig_ask *ask, const struct mig_fence *fence,
                                struct mig_reply *reply, const char **why)
{
    struct transfer t = {.reply = reply, .err = MIG_OK};
    CURLcode code = CURLE_OK;
    mig_reply_clear(reply);
    *why = "out of memory";
    struct curl_slist *headers = header_list(ask);
    if (headers == NULL)
        return MIG_ERR_NOMEM;
    enum mig_err err = prepare(transport->easy, route, ask, headers, &t);
    if (err == MIG_OK && curl_multi_add_handle(transport->multi, transport->easy) != CURLM_OK)
        err = MIG_ERR_NOMEM;
    if (err != MIG_OK)
        goto out;
    *why = "given up: what allowed it changed";
    err = drive(transport->multi, fence, &code);
    (void)curl_multi_remove_handle(transport->multi, transport->easy);
    if (err == MIG_OK)
        err = judge_code(code, &t, why);
    if (err == MIG_OK && !reply->head_done) {
        *why = "the answer has no whole head";
        err = MIG_ERR_MALFORMED;
    }
out:
    curl_slist_free_all(headers);
    if (err != MIG_OK)
        mig_reply_clear(reply);
    return err;
}

void mig_transport_wait(struct mig_transport *transport, int fd, uint64_t ms)
{
    struct curl_waitfd extra = {.fd = fd, .events = CURL_WAIT_POLLIN};
    int timeout = ms < INT_MAX ? (int)ms : INT_MAX;
    (void)curl_multi_poll(transport->multi, &extra, fd >= 0 ? 1 : 0, timeout, NULL);
}

void mig_transport_wake(struct mig_transport *transport)
{
    (void)curl_multi_wakeup(transport->multi);
}
