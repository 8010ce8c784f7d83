/* SPDX-License-Identifier: MIT */
#include "chain/rpc.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/encoding.h"

enum {
    TIMEOUT_MS = 10000,
    HEADERS_MAX = 64 * 1024, /* bytes of all header lines of an answer */
    STALL_S = 5,             /* below a byte per second for so long ends the call */
};

struct mig_rpc {
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    struct mig_endpoints endpoints;
    size_t at;                       /* the endpoint that is asked */
    char origin[MIG_RPC_ORIGIN_MAX]; /* its */
    struct mig_rpc_error error;
    atomic_bool cancelled;
    /* The answer under way. The buffer stays for the next one. */
    char *body;
    size_t len, cap, max;
    size_t header_bytes;
    const char *refused; /* why we ended it ourselves */
};

/* ---- receiving ---- */

static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct mig_rpc *rpc = arg;
    size_t n = size * count;
    if (n > rpc->max - rpc->len) {
        rpc->refused = "the answer is too large";
        return 0;
    }
    if (rpc->len + n > rpc->cap) {
        size_t cap = rpc->cap == 0 ? 16384 : rpc->cap;
        while (cap < rpc->len + n)
            cap *= 2;
        char *moved = realloc(rpc->body, cap);
        if (moved == NULL)
            return 0;
        rpc->body = moved;
        rpc->cap = cap;
    }
    memcpy(rpc->body + rpc->len, bytes, n);
    rpc->len += n;
    return n;
}

static bool starts_with(const char *line, size_t len, const char *name)
{
    return len >= strlen(name) && strncasecmp(line, name, strlen(name)) == 0;
}

static size_t take_header(char *line, size_t size, size_t count, void *arg)
{
    struct mig_rpc *rpc = arg;
    size_t n = size * count;
    rpc->header_bytes += n;
    if (rpc->header_bytes > HEADERS_MAX)
        rpc->refused = "the answer's header is too large";
    else if (starts_with(line, n, "content-encoding:"))
        rpc->refused = "the answer is compressed, which was not asked for";
    return rpc->refused == NULL ? n : 0;
}

/* ---- life ---- */

static bool append_header(struct mig_rpc *rpc, const char *line)
{
    struct curl_slist *longer = curl_slist_append(rpc->headers, line);
    if (longer != NULL)
        rpc->headers = longer;
    return longer != NULL;
}

/* libcurl's own defaults would follow the environment's proxies and more. */
static bool configure(struct mig_rpc *rpc, const struct mig_rpc_options *o)
{
    CURL *c = rpc->easy;
    long timeout = o->timeout_ms != 0 ? (long)o->timeout_ms : TIMEOUT_MS;
    CURLcode bad = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(c, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    bad |=
        curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L); /* a slow resolver must not hold up a stop */
    bad |= curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    bad |= curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    bad |= curl_easy_setopt(c, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    bad |= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, timeout);
    bad |= curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, timeout);
    bad |= curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    bad |= curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    bad |= curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)rpc->max);
    bad |= curl_easy_setopt(c, CURLOPT_HTTPHEADER, rpc->headers);
    bad |= curl_easy_setopt(c, CURLOPT_USERAGENT, "mpc-migration/" MIG_VERSION);
    bad |= curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    bad |= curl_easy_setopt(c, CURLOPT_WRITEDATA, rpc);
    bad |= curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
    bad |= curl_easy_setopt(c, CURLOPT_HEADERDATA, rpc);
    if (o->ca_file != NULL)
        bad |= curl_easy_setopt(c, CURLOPT_CAINFO, o->ca_file);
    return bad == CURLE_OK;
}

/* Libcurl copies the URL. */
static bool aim(struct mig_rpc *rpc, size_t at)
{
    rpc->at = at;
    return mig_endpoint_origin(rpc->endpoints.url[at], rpc->origin) &&
           curl_easy_setopt(rpc->easy, CURLOPT_URL, rpc->endpoints.url[at]) == CURLE_OK;
}

enum mig_err mig_rpc_new(const struct mig_rpc_options *options, struct mig_rpc **out)
{
    *out = NULL;
    /* Counted and thread-safe since libcurl 7.84. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return MIG_ERR_NOMEM;
    struct mig_rpc *rpc = calloc(1, sizeof *rpc);
    if (rpc == NULL) {
        curl_global_cleanup();
        return MIG_ERR_NOMEM;
    }
    enum mig_err err = mig_endpoints_parse(options->url, &rpc->endpoints);
    rpc->max = options->body_max != 0 ? options->body_max : MIG_RPC_BODY_MAX;
    rpc->easy = curl_easy_init();
    rpc->multi = curl_multi_init();
    if (err == MIG_OK &&
        (rpc->easy == NULL || rpc->multi == NULL ||
         !append_header(rpc, "Content-Type: application/json") ||
         !append_header(rpc, "Accept: application/json") || !append_header(rpc, "Expect:") ||
         !configure(rpc, options) || !aim(rpc, 0)))
        err = MIG_ERR_NOMEM;
    if (err != MIG_OK) {
        mig_rpc_free(&rpc);
        return err;
    }
    *out = rpc;
    return MIG_OK;
}

void mig_rpc_free(struct mig_rpc **rpc)
{
    struct mig_rpc *r = *rpc;
    *rpc = NULL;
    if (r == NULL)
        return;
    curl_easy_cleanup(r->easy);
    (void)curl_multi_cleanup(r->multi);
    curl_slist_free_all(r->headers);
    free(r->body);
    free(r);
    curl_global_cleanup();
}

void mig_rpc_cancel(struct mig_rpc *rpc)
{
    atomic_store(&rpc->cancelled, true);
    (void)curl_multi_wakeup(rpc->multi);
}

static uint64_t monotonic_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

enum mig_err mig_rpc_pause(struct mig_rpc *rpc, unsigned ms)
{
    uint64_t now = monotonic_ms(), until = now + ms;
    while (!atomic_load(&rpc->cancelled) && now < until) {
        (void)curl_multi_poll(rpc->multi, NULL, 0, (int)(until - now), NULL);
        now = monotonic_ms();
    }
    return atomic_load(&rpc->cancelled) ? MIG_ERR_CANCELLED : MIG_OK;
}

size_t mig_rpc_count(const struct mig_rpc *rpc)
{
    return rpc->endpoints.count;
}

void mig_rpc_next(struct mig_rpc *rpc)
{
    (void)aim(rpc, (rpc->at + 1) % rpc->endpoints.count);
    rpc->error.fault = MIG_FAULT_NONE; /* do not move on twice */
}

const char *mig_rpc_origin(const struct mig_rpc *rpc)
{
    return rpc->origin;
}

const struct mig_rpc_error *mig_rpc_error(const struct mig_rpc *rpc)
{
    return &rpc->error;
}

/* ---- one call ---- */

static enum mig_err give_up(struct mig_rpc *rpc, enum mig_err err, enum mig_fault fault,
                            const char *text)
{
    return mig_rpc_error_set(&rpc->error, err, fault, text);
}

/* What libcurl says, without what it says about the URL. */
static enum mig_err transport_error(struct mig_rpc *rpc, CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return give_up(rpc, MIG_ERR_RETRY, MIG_FAULT_TIMEOUT,
                       "the endpoint did not answer in time");
    case CURLE_FILESIZE_EXCEEDED:
        return give_up(rpc, MIG_ERR_MALFORMED, MIG_FAULT_NONSENSE, "the answer is too large");
    case CURLE_PEER_FAILED_VERIFICATION:
        return give_up(rpc, MIG_ERR_DENIED, MIG_FAULT_TRANSPORT,
                       "the endpoint's certificate is not trusted");
    case CURLE_WRITE_ERROR:
        if (rpc->refused != NULL)
            return give_up(rpc, MIG_ERR_MALFORMED, MIG_FAULT_NONSENSE, rpc->refused);
        return give_up(rpc, MIG_ERR_NOMEM, MIG_FAULT_OTHER, "out of memory");
    default:
        return give_up(rpc, MIG_ERR_RETRY, MIG_FAULT_TRANSPORT, curl_easy_strerror(code));
    }
}

/* Runs the transfer to its end or to a cancel. */
static enum mig_err perform(struct mig_rpc *rpc)
{
    int running = 1, left;
    CURLcode code = CURLE_FAILED_INIT;
    if (curl_multi_add_handle(rpc->multi, rpc->easy) != CURLM_OK)
        return give_up(rpc, MIG_ERR_NOMEM, MIG_FAULT_OTHER, "out of memory");
    while (running && !atomic_load(&rpc->cancelled)) {
        if (curl_multi_perform(rpc->multi, &running) != CURLM_OK)
            break;
        if (running)
            (void)curl_multi_poll(rpc->multi, NULL, 0, 1000, NULL);
    }
    for (CURLMsg *m; (m = curl_multi_info_read(rpc->multi, &left)) != NULL;)
        if (m->msg == CURLMSG_DONE)
            code = m->data.result;
    (void)curl_multi_remove_handle(rpc->multi, rpc->easy);
    if (atomic_load(&rpc->cancelled))
        return give_up(rpc, MIG_ERR_CANCELLED, MIG_FAULT_CANCELLED, "cancelled");
    return code == CURLE_OK ? MIG_OK : transport_error(rpc, code);
}

static enum mig_err status_error(struct mig_rpc *rpc, long status)
{
    char text[64];
    (void)snprintf(text, sizeof text, "the endpoint answers HTTP %ld", status);
    if (status == 408)
        return give_up(rpc, MIG_ERR_RETRY, MIG_FAULT_TIMEOUT, text);
    if (status == 401 || status == 403)
        return give_up(rpc, MIG_ERR_DENIED, MIG_FAULT_ENDPOINT, text);
    if (status == 429 || status >= 500)
        return give_up(rpc, MIG_ERR_RETRY, MIG_FAULT_ENDPOINT, text);
    return give_up(rpc, MIG_ERR_MALFORMED, MIG_FAULT_NONSENSE, text);
}

/* The fault of the endpoint, not of the question. */
static bool is_endpoints_fault(enum mig_fault fault)
{
    return fault == MIG_FAULT_TRANSPORT || fault == MIG_FAULT_TIMEOUT ||
           fault == MIG_FAULT_ENDPOINT || fault == MIG_FAULT_NONSENSE;
}

static void begin(struct mig_rpc *rpc)
{
    if (rpc->endpoints.count > 1 && is_endpoints_fault(rpc->error.fault))
        mig_rpc_next(rpc);
    rpc->len = rpc->header_bytes = 0;
    rpc->refused = NULL;
    memset(&rpc->error, 0, sizeof rpc->error);
}

/* Sends the request; the answer is in rpc->body. Nodes put an error object
 * into 400, 408, 422 and 500 too: those are for the caller to read. */
static enum mig_err post(struct mig_rpc *rpc, const char *request, long *status)
{
    begin(rpc);
    *status = 0;
    if (curl_easy_setopt(rpc->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(request)) !=
            CURLE_OK ||
        curl_easy_setopt(rpc->easy, CURLOPT_POSTFIELDS, request) != CURLE_OK)
        return give_up(rpc, MIG_ERR_NOMEM, MIG_FAULT_OTHER, "out of memory");
    enum mig_err err = perform(rpc);
    if (err != MIG_OK)
        return err;
    (void)curl_easy_getinfo(rpc->easy, CURLINFO_RESPONSE_CODE, status);
    bool readable =
        *status == 200 || *status == 400 || *status == 408 || *status == 422 || *status == 500;
    return readable ? MIG_OK : status_error(rpc, *status);
}

/* The reader's verdict on the body, against the HTTP status: only 200 may carry
 * a result, and where the body says nothing the status does. */
static enum mig_err judge(struct mig_rpc *rpc, long status, enum mig_err err)
{
    bool mute = err == MIG_OK || rpc->error.fault == MIG_FAULT_NONSENSE;
    if (status != 200 && mute)
        return status_error(rpc, status);
    return err;
}

/* "params" and method into a request; the caller frees it. */
__attribute__((format(printf, 2, 3))) static char *request(const char *method, const char *format,
                                                           ...)
{
    char *params = NULL, *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&params, format, args) < 0)
        params = NULL;
    va_end(args);
    if (params != NULL &&
        asprintf(&text, "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"%s\",\"params\":{%s}}",
                 method, params) < 0)
        text = NULL;
    free(params);
    return text;
}

/* Posts and frees `text`. */
static enum mig_err call(struct mig_rpc *rpc, char *text, long *status)
{
    enum mig_err err = text != NULL ? post(rpc, text, status)
                                    : give_up(rpc, MIG_ERR_NOMEM, MIG_FAULT_OTHER, "out of memory");
    free(text);
    return err;
}

/* What goes into a request between quotes as it is. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f || *text == '"' || *text == '\\')
            return false;
    return true;
}

/* ---- the calls ---- */

static enum mig_err get_block(struct mig_rpc *rpc, char *text, struct mig_tip *out)
{
    long status;
    memset(out, 0, sizeof *out);
    enum mig_err err = call(rpc, text, &status);
    if (err != MIG_OK)
        return err;
    err = judge(rpc, status, mig_envelope_block(rpc->body, rpc->len, out, &rpc->error));
    if (err != MIG_OK)
        memset(out, 0, sizeof *out);
    return err;
}

enum mig_err mig_rpc_final_block(struct mig_rpc *rpc, struct mig_tip *out)
{
    return get_block(rpc, request("block", "\"finality\":\"final\""), out);
}

enum mig_err mig_rpc_status(struct mig_rpc *rpc, struct mig_node_status *out)
{
    long status;
    memset(out, 0, sizeof *out);
    enum mig_err err =
        call(rpc, strdup("{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"status\",\"params\":[]}"),
             &status);
    if (err != MIG_OK)
        return err;
    err = judge(rpc, status, mig_envelope_status(rpc->body, rpc->len, out, &rpc->error));
    if (err != MIG_OK)
        memset(out, 0, sizeof *out);
    return err;
}

enum mig_err mig_rpc_block(struct mig_rpc *rpc, const char *hash, struct mig_tip *out)
{
    uint8_t bytes[MIG_DIGEST_LEN];
    memset(out, 0, sizeof *out);
    if (mig_hash_parse(hash, bytes) != MIG_OK)
        return give_up(rpc, MIG_ERR_MALFORMED, MIG_FAULT_OTHER, "not a block hash");
    enum mig_err err = get_block(rpc, request("block", "\"block_id\":\"%s\"", hash), out);
    if (err == MIG_OK && strcmp(out->hash, hash) != 0) {
        memset(out, 0, sizeof *out);
        err = give_up(rpc, MIG_ERR_MALFORMED, MIG_FAULT_NONSENSE,
                      "the answer is about another block");
    }
    return err;
}

static char *view_request(const char *contract, const char *method, const char *args,
                          const char *hash)
{
    char at[64], *text = NULL;
    size_t len = strlen(args);
    char *encoded = malloc(MIG_BASE64_LEN(len));
    (void)snprintf(at, sizeof at, hash != NULL ? "\"block_id\":\"%s\"" : "\"finality\":\"final\"",
                   hash);
    if (encoded != NULL &&
        mig_base64_encode((const uint8_t *)args, len, encoded, MIG_BASE64_LEN(len)) == MIG_OK)
        text = request(
            "query",
            "\"request_type\":\"call_function\",\"account_id\":\"%s\",\"method_name\":\"%s\","
            "\"args_base64\":\"%s\",%s",
            contract, method, encoded, at);
    free(encoded);
    return text;
}

enum mig_err mig_rpc_view(struct mig_rpc *rpc, const char *contract, const char *method,
                          const char *args, const char *hash, struct mig_returned *out)
{
    uint8_t bytes[MIG_DIGEST_LEN];
    long status;
    memset(out, 0, sizeof *out);
    if (!is_plain(contract) || !is_plain(method) ||
        (hash != NULL && mig_hash_parse(hash, bytes) != MIG_OK))
        return give_up(rpc, MIG_ERR_MALFORMED, MIG_FAULT_OTHER, "not a view call");
    enum mig_err err = call(rpc, view_request(contract, method, args, hash), &status);
    if (err != MIG_OK)
        return err;
    err = judge(rpc, status, mig_envelope_view(rpc->body, rpc->len, out, &rpc->error));
    if (err == MIG_OK && hash != NULL && strcmp(out->block_hash, hash) != 0)
        err = give_up(rpc, MIG_ERR_MALFORMED, MIG_FAULT_NONSENSE,
                      "the answer is about another block");
    if (err != MIG_OK)
        mig_returned_clear(out);
    return err;
}

enum mig_err mig_rpc_access_key(struct mig_rpc *rpc, const char *account,
                                const uint8_t key[MIG_KEY_LEN], struct mig_access_key *out)
{
    char key_text[MIG_KEY_TEXT_MAX];
    long status;
    memset(out, 0, sizeof *out);
    if (!is_plain(account))
        return give_up(rpc, MIG_ERR_MALFORMED, MIG_FAULT_OTHER, "not an account");
    mig_key_format(key, key_text);
    enum mig_err err =
        call(rpc,
             request("query",
                     "\"request_type\":\"view_access_key\",\"finality\":\"optimistic\","
                     "\"account_id\":\"%s\",\"public_key\":\"%s\"",
                     account, key_text),
             &status);
    if (err != MIG_OK)
        return err;
    err = judge(rpc, status, mig_envelope_access_key(rpc->body, rpc->len, out, &rpc->error));
    if (err != MIG_OK)
        memset(out, 0, sizeof *out);
    return err;
}

static const char *wait_text(enum mig_wait wait)
{
    switch (wait) {
    case MIG_WAIT_NONE:
        return "NONE";
    case MIG_WAIT_EXECUTED_OPTIMISTIC:
        return "EXECUTED_OPTIMISTIC";
    case MIG_WAIT_FINAL:
        return "FINAL";
    }
    return "NONE";
}

static enum mig_err read_outcome(struct mig_rpc *rpc, long status, struct mig_outcome *out)
{
    enum mig_err err =
        judge(rpc, status, mig_envelope_outcome(rpc->body, rpc->len, out, &rpc->error));
    if (err != MIG_OK)
        memset(out, 0, sizeof *out);
    return err;
}

enum mig_err mig_rpc_send_tx(struct mig_rpc *rpc, const uint8_t *bytes, size_t len,
                             enum mig_wait wait, struct mig_outcome *out)
{
    long status;
    memset(out, 0, sizeof *out);
    char *encoded = malloc(MIG_BASE64_LEN(len)), *text = NULL;
    if (encoded != NULL && mig_base64_encode(bytes, len, encoded, MIG_BASE64_LEN(len)) == MIG_OK)
        text = request("send_tx", "\"signed_tx_base64\":\"%s\",\"wait_until\":\"%s\"", encoded,
                       wait_text(wait));
    free(encoded);
    enum mig_err err = call(rpc, text, &status);
    if (err != MIG_OK)
        return err;
    return read_outcome(rpc, status, out);
}

enum mig_err mig_rpc_tx(struct mig_rpc *rpc, const char *hash, const char *sender,
                        struct mig_outcome *out)
{
    uint8_t bytes[MIG_DIGEST_LEN];
    long status;
    memset(out, 0, sizeof *out);
    if (!is_plain(sender) || mig_hash_parse(hash, bytes) != MIG_OK)
        return give_up(rpc, MIG_ERR_MALFORMED, MIG_FAULT_OTHER, "not a transaction");
    enum mig_err err = call(
        rpc,
        request("tx", "\"tx_hash\":\"%s\",\"sender_account_id\":\"%s\",\"wait_until\":\"NONE\"",
                hash, sender),
        &status);
    if (err != MIG_OK)
        return err;
    return read_outcome(rpc, status, out);
}

/* ---- anything else ---- */

enum mig_err mig_rpc_ask(struct mig_rpc *rpc, const char *method, const char *params,
                         void (*read)(struct mig_json *j, void *out, struct mig_rpc_error *e,
                                      bool *failed),
                         void *out)
{
    long status;
    char *text = NULL;
    if (asprintf(&text, "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"%s\",\"params\":%s}",
                 method, params) < 0)
        text = NULL;
    enum mig_err err = call(rpc, text, &status);
    if (err != MIG_OK)
        return err;
    return judge(rpc, status, mig_envelope_read(rpc->body, rpc->len, read, out, &rpc->error));
}

/* The URL with `path` between its own path and its query. */
static char *url_below(const struct mig_rpc *rpc, const char *path)
{
    const char *base = rpc->endpoints.url[rpc->at];
    size_t own = strcspn(base, "?");
    const char *query = base + own;
    char *url = NULL;
    while (own > 0 && base[own - 1] == '/')
        own--;
    return asprintf(&url, "%.*s%s%s", (int)own, base, path, query) >= 0 ? url : NULL;
}

enum mig_err mig_rpc_get(struct mig_rpc *rpc, const char *path, struct mig_http_answer *out)
{
    begin(rpc);
    char *url = url_below(rpc, path);
    memset(out, 0, sizeof *out);
    enum mig_err err = MIG_OK;
    if (url == NULL || curl_easy_setopt(rpc->easy, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(rpc->easy, CURLOPT_HTTPGET, 1L) != CURLE_OK)
        err = give_up(rpc, MIG_ERR_NOMEM, MIG_FAULT_OTHER, "out of memory");
    if (err == MIG_OK)
        err = perform(rpc);
    if (err == MIG_OK) {
        char *location = NULL;
        (void)curl_easy_getinfo(rpc->easy, CURLINFO_RESPONSE_CODE, &out->status);
        (void)curl_easy_getinfo(rpc->easy, CURLINFO_REDIRECT_URL, &location);
        out->location = location;
        if (out->status != 200 && out->status != 404 && location == NULL)
            err = status_error(rpc, out->status);
    }
    out->body = rpc->body != NULL ? rpc->body : "";
    out->len = rpc->len;
    /* POST is what every other call takes for granted. */
    if (!aim(rpc, rpc->at) && err == MIG_OK)
        err = give_up(rpc, MIG_ERR_NOMEM, MIG_FAULT_OTHER, "out of memory");
    free(url);
    return err;
}

enum mig_err mig_rpc_blame(struct mig_rpc *rpc, enum mig_err err, enum mig_fault fault,
                           const char *text)
{
    return give_up(rpc, err, fault, text);
}
