/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "chain/rpc.h"
#include "tests/scripted.h"

#define HASH "HrjUQYM4NtwTPY5Q2ZYSzbVsF13VQbtHHWPtRX8f1Ztk"
#define OTHER_HASH "3Q9NrXKjPBzjYDqYnPdekNf66qrs9sxaqD5SMPSkf89V"
#define OK_VIEW                                                                                    \
    "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{\"result\":[123,125],\"logs\":[\"x\"],"         \
    "\"block_height\":1000,\"block_hash\":\"" HASH "\"}}"

struct canned {
    const char *status, *body;
};

static bool answer_canned(struct scripted *s, int fd, const char *body, unsigned n)
{
    const struct canned *c = s->ctx;
    (void)body;
    (void)n;
    scripted_reply(fd, c->status, c->body);
    return true;
}

static struct mig_rpc *client(const char *url, unsigned timeout_ms, size_t body_max)
{
    struct mig_rpc *rpc = NULL;
    const struct mig_rpc_options o = {.url = url, .timeout_ms = timeout_ms, .body_max = body_max};
    CU_ASSERT_EQUAL_FATAL(mig_rpc_new(&o, &rpc), MIG_OK);
    return rpc;
}

static enum mig_err view(struct mig_rpc *rpc)
{
    struct mig_returned r;
    enum mig_err err = mig_rpc_view(rpc, "v1.signer", "state", "{}", NULL, &r);
    if (err != MIG_OK)
        CU_ASSERT(r.bytes == NULL && r.len == 0 && mig_rpc_error(rpc)->err == err);
    mig_returned_clear(&r);
    return err;
}

/* The verdict on one answer to a view call. */
static struct mig_rpc_error verdict(const char *status, const char *body)
{
    const struct canned c = {status, body};
    struct scripted *s = scripted_start(answer_canned, &c);
    struct mig_rpc *rpc = client(s->url, 5000, 0);
    (void)view(rpc);
    struct mig_rpc_error e = *mig_rpc_error(rpc);
    mig_rpc_free(&rpc);
    scripted_stop(s);
    return e;
}

static void refuses_urls(void)
{
    static const char *const bad[] = {
        "",
        "localhost",
        "ftp://a/",
        "file:///etc/passwd",
        "http://",
        "http://u:p@a/",
        "http://a b/",
        "http://a/\r\nX: y",
        "http://a:0/",
        "http://a/#f",
        "http://a\\b",
        "gopher://a",
        "HTTP://a",
    };
    struct mig_rpc *rpc;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct mig_rpc_options o = {.url = bad[i]};
        CU_ASSERT_EQUAL(mig_rpc_new(&o, &rpc), MIG_ERR_MALFORMED);
        CU_ASSERT_PTR_NULL(rpc);
    }
}

static void shows_the_origin_only(void)
{
    struct mig_rpc *rpc = client("https://rpc.example/v1/secret-key?key=hush", 0, 0);
    CU_ASSERT_STRING_EQUAL(mig_rpc_origin(rpc), "https://rpc.example:443");
    mig_rpc_free(&rpc);
    rpc = client("http://[::1]:3030?key=hush", 0, 0);
    CU_ASSERT_STRING_EQUAL(mig_rpc_origin(rpc), "http://[::1]:3030");
    mig_rpc_free(&rpc);
    mig_rpc_free(&rpc);
}

static void no_reason_names_the_path(void)
{
    struct mig_rpc *rpc = client("http://127.0.0.1:1/hush?key=hush", 2000, 0);
    CU_ASSERT_EQUAL(view(rpc), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(mig_rpc_error(rpc)->fault, MIG_FAULT_TRANSPORT);
    CU_ASSERT(mig_rpc_error(rpc)->reason[0] != '\0');
    CU_ASSERT_PTR_NULL(strstr(mig_rpc_error(rpc)->reason, "hush"));
    mig_rpc_free(&rpc);
}

static bool check_request(struct scripted *s, int fd, const char *body, unsigned n)
{
    static const char *const wanted[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"query\",\"params\":{\"request_type\":"
        "\"call_function\","
        "\"account_id\":\"v1.signer\",\"method_name\":\"state\",\"args_base64\":\"e30=\","
        "\"finality\":\"final\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"query\",\"params\":{\"request_type\":"
        "\"call_function\","
        "\"account_id\":\"v1.signer\",\"method_name\":\"state\",\"args_base64\":\"\",\"block_id\":"
        "\"" HASH "\"}}",
    };
    atomic_uint *matches = (atomic_uint *)(uintptr_t)s->ctx;
    if (n < 2 && strcmp(body, wanted[n]) == 0)
        (void)atomic_fetch_add(matches, 1);
    scripted_reply(fd, "200 OK", OK_VIEW);
    return true;
}

static void asks_as_a_near_client_and_keeps_the_connection(void)
{
    atomic_uint matches = 0;
    struct scripted *s = scripted_start(check_request, &matches);
    struct mig_rpc *rpc = client(s->url, 5000, 0);
    struct mig_returned r;
    CU_ASSERT_EQUAL(mig_rpc_view(rpc, "v1.signer", "state", "{}", NULL, &r), MIG_OK);
    CU_ASSERT(r.len == 2 && strcmp(r.bytes, "{}") == 0 && r.height == 1000);
    CU_ASSERT_STRING_EQUAL(r.block_hash, HASH);
    CU_ASSERT_EQUAL(mig_rpc_error(rpc)->fault, MIG_FAULT_NONE);
    mig_returned_clear(&r);
    CU_ASSERT_EQUAL(mig_rpc_view(rpc, "v1.signer", "state", "", HASH, &r), MIG_OK);
    mig_returned_clear(&r);
    CU_ASSERT_EQUAL(atomic_load(&matches), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(s->last_head, "POST / HTTP/1.1"));
    CU_ASSERT_PTR_NOT_NULL(strstr(s->last_head, "Content-Type: application/json"));
    CU_ASSERT_PTR_NULL(strcasestr(s->last_head, "accept-encoding"));
    CU_ASSERT_PTR_NULL(strcasestr(s->last_head, "expect"));
    mig_rpc_free(&rpc);
    scripted_stop(s);
}

static void an_answer_about_another_block_is_refused(void)
{
    const struct canned c = {"200 OK", OK_VIEW};
    struct scripted *s = scripted_start(answer_canned, &c);
    struct mig_rpc *rpc = client(s->url, 5000, 0);
    struct mig_returned r;
    CU_ASSERT_EQUAL(mig_rpc_view(rpc, "v1.signer", "state", "", OTHER_HASH, &r), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NULL(r.bytes);
    mig_rpc_free(&rpc);
    scripted_stop(s);
}

static void never_sends_what_would_leave_its_quotes(void)
{
    struct mig_rpc *rpc = client("http://127.0.0.1:1", 1000, 0);
    struct mig_returned r;
    struct mig_outcome o;
    struct mig_tip h;
    CU_ASSERT_EQUAL(mig_rpc_view(rpc, "v1\",\"x\":\"", "state", "", NULL, &r), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_rpc_view(rpc, "v1", "st\\ate", "", NULL, &r), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_rpc_view(rpc, "v1", "state", "", "1\"", &r), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_rpc_tx(rpc, HASH, "a\"", &o), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_rpc_tx(rpc, "x", "a", &o), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_rpc_block(rpc, "\"", &h), MIG_ERR_MALFORMED);
    mig_rpc_free(&rpc);
}

/* ---- the three forms of failure ---- */

static void reads_every_form_of_failure(void)
{
    static const struct {
        const char *status, *body, *reason;
        enum mig_err err;
        enum mig_fault fault;
    } cases[] = {
        {"200 OK",
         "{\"result\":{\"error\":\"wasm execution failed with error: HostError(GuestPanic { "
         "panic_msg: \\\"Smart "
         "contract panicked: boom\\\" })\",\"logs\":[],\"block_height\":1,\"block_hash\":\"" HASH
         "\"},\"id\":\"1\"}",
         "boom", MIG_ERR_DENIED, MIG_FAULT_PANIC},
        {"200 OK",
         "{\"result\":{\"error\":\"wasm execution failed with error: "
         "MethodResolveError(MethodNotFound)\"}}",
         "MethodNotFound", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_METHOD},
        {"200 OK",
         "{\"result\":{\"error\":\"wasm execution failed with error: "
         "FunctionCallError(MethodResolveError("
         "MethodNotFound))\"}}",
         "MethodNotFound", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_METHOD},
        {"200 OK",
         "{\"result\":{\"error\":\"wasm execution failed with error: "
         "CompilationError(CodeDoesNotExist { "
         "account_id: \\\"x\\\" })\"}}",
         "CodeDoesNotExist", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_CONTRACT},
        {"200 OK",
         "{\"result\":{\"error\":\"wasm execution failed with error: HostError(GuestPanic { "
         "panic_msg: "
         "\\\"MethodNotFound, access key, says the contract\\\" })\"}}",
         "MethodNotFound", MIG_ERR_DENIED, MIG_FAULT_PANIC},
        {"200 OK",
         "{\"error\":{\"name\":\"HANDLER_ERROR\",\"cause\":{\"name\":\"UNKNOWN_ACCOUNT\",\"info\":{"
         "}},\"code\":-32000,"
         "\"message\":\"Server error\",\"data\":\"account a does not exist while viewing\"}}",
         "account a does not exist", MIG_ERR_NOT_FOUND, MIG_FAULT_UNKNOWN_ACCOUNT},
        {"422 Unprocessable Entity",
         "{\"error\":{\"name\":\"HANDLER_ERROR\",\"cause\":{\"name\":\"UNKNOWN_BLOCK\",\"info\":{}}"
         ",\"data\":\"DB Not "
         "Found Error: BLOCK HEIGHT: 1 \\n Cause: Unknown\"}}",
         "DB Not Found", MIG_ERR_RETRY, MIG_FAULT_UNKNOWN_BLOCK},
        {"200 OK", "{\"error\":{\"cause\":{\"name\":\"GARBAGE_COLLECTED_BLOCK\"}}}", "GARBAGE",
         MIG_ERR_RETRY, MIG_FAULT_UNKNOWN_BLOCK},
        {"200 OK", "{\"error\":{\"cause\":{\"name\":\"NO_CONTRACT_CODE\"}}}", "NO_CONTRACT_CODE",
         MIG_ERR_NOT_FOUND, MIG_FAULT_NO_CONTRACT},
        {"200 OK",
         "{\"error\":{\"name\":\"HANDLER_ERROR\",\"cause\":{\"name\":\"CONTRACT_EXECUTION_ERROR\","
         "\"info\":{\"vm_error\":"
         "{\"ExecutionError\":\"boom\"}}},\"message\":\"Server error\"}}",
         "Server error", MIG_ERR_DENIED, MIG_FAULT_PANIC},
        {"400 Bad Request",
         "{\"error\":{\"name\":\"REQUEST_VALIDATION_ERROR\",\"cause\":{\"name\":\"METHOD_NOT_"
         "FOUND\"},\"code\":-32601,"
         "\"message\":\"Method not found\",\"data\":\"x\"}}",
         "x", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_METHOD},
        {"408 Request Timeout", "{\"error\":{\"cause\":{\"name\":\"TIMEOUT_ERROR\"}}}", "TIMEOUT",
         MIG_ERR_RETRY, MIG_FAULT_TIMEOUT},
        {"408 Request Timeout", "slow", "HTTP 408", MIG_ERR_RETRY, MIG_FAULT_TIMEOUT},
        {"500 Internal Server Error", "{\"error\":{\"name\":\"INTERNAL_ERROR\"}}", "INTERNAL",
         MIG_ERR_RETRY, MIG_FAULT_OTHER},
        {"500 Internal Server Error", "<html>", "HTTP 500", MIG_ERR_RETRY, MIG_FAULT_ENDPOINT},
        {"500 Internal Server Error", OK_VIEW, "HTTP 500", MIG_ERR_RETRY, MIG_FAULT_ENDPOINT},
        {"429 Too Many Requests", "", "HTTP 429", MIG_ERR_RETRY, MIG_FAULT_ENDPOINT},
        {"503 Service Unavailable", OK_VIEW, "HTTP 503", MIG_ERR_RETRY, MIG_FAULT_ENDPOINT},
        {"401 Unauthorized", "", "HTTP 401", MIG_ERR_DENIED, MIG_FAULT_ENDPOINT},
        {"403 Forbidden", OK_VIEW, "HTTP 403", MIG_ERR_DENIED, MIG_FAULT_ENDPOINT},
        {"404 Not Found", OK_VIEW, "HTTP 404", MIG_ERR_MALFORMED, MIG_FAULT_NONSENSE},
        {"204 No Content", "", "HTTP 204", MIG_ERR_MALFORMED, MIG_FAULT_NONSENSE},
        {"200 OK", "{\"error\":{\"name\":\"SOMETHING_NEW\",\"message\":\"new\"}}", "new",
         MIG_ERR_RETRY, MIG_FAULT_OTHER},
        {"200 OK", "{\"error\":{},\"result\":{}}", "", MIG_ERR_RETRY, MIG_FAULT_OTHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mig_rpc_error e = verdict(cases[i].status, cases[i].body);
        CU_ASSERT_EQUAL(e.err, cases[i].err);
        CU_ASSERT_EQUAL(e.fault, cases[i].fault);
        CU_ASSERT_PTR_NOT_NULL(strstr(e.reason, cases[i].reason));
        if (e.err != cases[i].err || e.fault != cases[i].fault ||
            strstr(e.reason, cases[i].reason) == NULL)
            printf("%s %s: %d %d %s\n", cases[i].status, cases[i].body, e.err, e.fault, e.reason);
    }
}

static void garbage_is_nonsense(void)
{
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{}",
        "garbage",
        "{\"result\":null}",
        "{\"result\":[]}",
        "{\"result\":{}}",
        "{\"result\":{\"result\":[1],\"block_height\":1}}",
        "{\"result\":{\"result\":\"e30=\",\"block_height\":1,\"block_hash\":\"" HASH "\"}}",
        "{\"result\":{\"result\":[256],\"block_height\":1,\"block_hash\":\"" HASH "\"}}",
        "{\"result\":{\"result\":[1],\"block_height\":-1,\"block_hash\":\"" HASH "\"}}",
        "{\"result\":{\"result\":[1],\"block_height\":1.5,\"block_hash\":\"" HASH "\"}}",
        "{\"result\":{\"result\":[1],\"block_height\":1,\"block_hash\":\"x\"}}",
        "{\"result\":{\"result\":[1],\"result\":[1],\"block_height\":1,\"block_hash\":\"" HASH
        "\"}}",
        OK_VIEW "x",
        OK_VIEW OK_VIEW,
        "{\"result\":{\"error\":5}}",
        "{\"error\":5}",
        "{\"error\":\"text\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct mig_rpc_error e = verdict("200 OK", bodies[i]);
        CU_ASSERT_EQUAL(e.err, MIG_ERR_MALFORMED);
        CU_ASSERT_EQUAL(e.fault, MIG_FAULT_NONSENSE);
        if (e.err != MIG_ERR_MALFORMED)
            printf("%s: %d %s\n", bodies[i], e.err, e.reason);
    }
}

static void members_may_come_in_any_order(void)
{
    struct mig_rpc_error e =
        verdict("200 OK", "{\"new\":{\"a\":[]},\"result\":{\"block_hash\":\"" HASH
                          "\",\"logs\":[],\"block_height\":18446744073709551615,\"new\":1,"
                          "\"result\":[ 1 , 2 ]},\"error\":null,\"id\":null}");
    CU_ASSERT_EQUAL(e.err, MIG_OK);
}

static void a_reason_is_printable_and_short(void)
{
    char body[2048], text[1025];
    memset(text, 'a', 1024);
    memcpy(text, "\\u001b[31m\\n\\r\xc3\xa4", 16);
    text[1024] = '\0';
    (void)snprintf(body, sizeof body, "{\"error\":{\"data\":\"%s\"}}", text);
    struct mig_rpc_error e = verdict("200 OK", body);
    CU_ASSERT_EQUAL(strlen(e.reason), MIG_REASON_MAX - 1);
    for (const char *p = e.reason; *p != '\0'; p++)
        CU_ASSERT(*p >= ' ' && *p < 0x7f);
}

/* ---- hostile transports ---- */

static bool redirect(struct scripted *s, int fd, const char *body, unsigned n)
{
    static const char raw[] =
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n";
    (void)s, (void)body, (void)n;
    scripted_write(fd, raw, sizeof raw - 1);
    return true;
}

static void follows_no_redirect(void)
{
    struct scripted *s = scripted_start(redirect, NULL);
    struct mig_rpc *rpc = client(s->url, 5000, 0);
    CU_ASSERT_EQUAL(view(rpc), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(atomic_load(&s->requests), 1);
    mig_rpc_free(&rpc);
    scripted_stop(s);
}

static bool gzip(struct scripted *s, int fd, const char *body, unsigned n)
{
    static const char raw[] =
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00";
    (void)s, (void)body, (void)n;
    scripted_write(fd, raw, sizeof raw - 1);
    return false;
}

static void takes_no_compressed_answer(void)
{
    struct scripted *s = scripted_start(gzip, NULL);
    struct mig_rpc *rpc = client(s->url, 5000, 0);
    CU_ASSERT_EQUAL(view(rpc), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(mig_rpc_error(rpc)->reason, "compressed"));
    mig_rpc_free(&rpc);
    scripted_stop(s);
}

static bool endless_body(struct scripted *s, int fd, const char *body, unsigned n)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n\r\n{\"result\":{\"result\":[";
    char chunk[4096];
    (void)body, (void)n;
    memset(chunk, '1', sizeof chunk);
    for (size_t i = 1; i < sizeof chunk; i += 2)
        chunk[i] = ',';
    scripted_write(fd, head, sizeof head - 1);
    while (!atomic_load(&s->stop) && send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) > 0)
        ;
    return false;
}

static void stops_an_endless_body(void)
{
    struct scripted *s = scripted_start(endless_body, NULL);
    struct mig_rpc *rpc = client(s->url, 10000, 1 << 20);
    CU_ASSERT_EQUAL(view(rpc), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(mig_rpc_error(rpc)->reason, "too large"));
    mig_rpc_free(&rpc);
    scripted_stop(s);
}

static bool endless_header(struct scripted *s, int fd, const char *body, unsigned n)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n",
                      line[] = "X-Padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
    (void)body, (void)n;
    scripted_write(fd, head, sizeof head - 1);
    while (!atomic_load(&s->stop) && send(fd, line, sizeof line - 1, MSG_NOSIGNAL) > 0)
        ;
    return false;
}

static void stops_an_endless_header(void)
{
    struct scripted *s = scripted_start(endless_header, NULL);
    struct mig_rpc *rpc = client(s->url, 10000, 0);
    CU_ASSERT_NOT_EQUAL(view(rpc), MIG_OK);
    CU_ASSERT_NOT_EQUAL(mig_rpc_error(rpc)->fault, MIG_FAULT_TIMEOUT);
    mig_rpc_free(&rpc);
    scripted_stop(s);
}

static bool announce_much(struct scripted *s, int fd, const char *body, unsigned n)
{
    static const char raw[] = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{";
    (void)s, (void)body, (void)n;
    scripted_write(fd, raw, sizeof raw - 1);
    return true;
}

static void refuses_a_huge_announced_length(void)
{
    struct scripted *s = scripted_start(announce_much, NULL);
    struct mig_rpc *rpc = client(s->url, 10000, 0);
    CU_ASSERT_EQUAL(view(rpc), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_rpc_error(rpc)->fault, MIG_FAULT_NONSENSE);
    mig_rpc_free(&rpc);
    scripted_stop(s);
}

static bool drip(struct scripted *s, int fd, const char *body, unsigned n)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    (void)body, (void)n;
    scripted_write(fd, head, sizeof head - 1);
    while (!atomic_load(&s->stop) && send(fd, " ", 1, MSG_NOSIGNAL) > 0)
        (void)poll(NULL, 0, 5);
    return false;
}

static void a_slow_drip_meets_the_deadline(void)
{
    struct scripted *s = scripted_start(drip, NULL);
    struct mig_rpc *rpc = client(s->url, 200, 0);
    CU_ASSERT_EQUAL(view(rpc), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(mig_rpc_error(rpc)->fault, MIG_FAULT_TIMEOUT);
    mig_rpc_free(&rpc);
    scripted_stop(s);
}

static bool cut(struct scripted *s, int fd, const char *body, unsigned n)
{
    static const char raw[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"result\":{\"result\":[123,";
    (void)s, (void)body;
    if (n > 0)
        scripted_write(fd, raw, sizeof raw - 1);
    return false;
}

static void an_answer_cut_short_is_no_answer(void)
{
    struct scripted *s = scripted_start(cut, NULL);
    struct mig_rpc *rpc = client(s->url, 5000, 0);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(view(rpc), MIG_ERR_RETRY);
        CU_ASSERT_EQUAL(mig_rpc_error(rpc)->fault, MIG_FAULT_TRANSPORT);
    }
    mig_rpc_free(&rpc);
    scripted_stop(s);
}

static void reads_a_large_state(void)
{
    size_t n = 300000;
    char *body = malloc(n * 4 + 256), *p = body + sprintf(body, "{\"result\":{\"result\":[0");
    for (size_t i = 1; i < n; i++)
        p += sprintf(p, ",%zu", i % 256);
    (void)sprintf(p, "],\"logs\":[],\"block_height\":7,\"block_hash\":\"" HASH "\"}}");
    const struct canned c = {"200 OK", body};
    struct scripted *s = scripted_start(answer_canned, &c);
    struct mig_rpc *rpc = client(s->url, 5000, 0);
    struct mig_returned r;
    CU_ASSERT_EQUAL(mig_rpc_view(rpc, "v1.signer", "state", "", NULL, &r), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(r.len, n);
    for (size_t i = 0; i < n; i += 1009)
        CU_ASSERT_EQUAL((uint8_t)r.bytes[i], i % 256);
    mig_returned_clear(&r);
    mig_rpc_free(&rpc);
    scripted_stop(s);
    free(body);
}

/* ---- cancel ---- */

struct silence {
    atomic_bool asked;
    struct mig_rpc *rpc;
};

static bool stay_silent(struct scripted *s, int fd, const char *body, unsigned n)
{
    struct silence *q = (struct silence *)(uintptr_t)s->ctx;
    (void)fd, (void)body, (void)n;
    mig_rpc_cancel(q->rpc);
    while (!atomic_load(&s->stop))
        (void)poll(NULL, 0, 5);
    return false;
}

static void cancel_ends_a_call_at_once_and_for_good(void)
{
    struct silence q = {0};
    struct scripted *s = scripted_start(stay_silent, &q);
    q.rpc = client(s->url, 600000, 0);
    CU_ASSERT_EQUAL(view(q.rpc), MIG_ERR_CANCELLED);
    CU_ASSERT_EQUAL(view(q.rpc), MIG_ERR_CANCELLED);
    CU_ASSERT_EQUAL(mig_rpc_pause(q.rpc, 600000), MIG_ERR_CANCELLED);
    mig_rpc_free(&q.rpc);
    scripted_stop(s);
}

static void *cancel_soon(void *rpc)
{
    mig_rpc_cancel(rpc);
    return NULL;
}

static void cancel_ends_a_pause(void)
{
    struct mig_rpc *rpc = client("http://127.0.0.1:1", 1000, 0);
    pthread_t thread;
    CU_ASSERT_EQUAL(mig_rpc_pause(rpc, 1), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, cancel_soon, rpc), 0);
    CU_ASSERT_EQUAL(mig_rpc_pause(rpc, 600000), MIG_ERR_CANCELLED);
    (void)pthread_join(thread, NULL);
    mig_rpc_free(&rpc);
}

/* ---- the other calls ---- */

static void reads_blocks(void)
{
    struct mig_tip h;
    struct mig_rpc_error e;
    static const char good[] =
        "{\"result\":{\"author\":\"a\",\"chunks\":[{\"x\":1}],\"header\":{\"prev_hash\":\"x\","
        "\"height\":9007199254740993,"
        "\"hash\":\"" HASH "\",\"timestamp\":1795305600123456789,\"timestamp_nanosec\":\"1\"}}}";
    CU_ASSERT_EQUAL(mig_envelope_block(good, strlen(good), &h, &e), MIG_OK);
    CU_ASSERT(h.block.height == 9007199254740993 && h.block.time_ns == 1795305600123456789);
    CU_ASSERT_STRING_EQUAL(h.hash, HASH);
    static const char *const bad[] = {
        "{\"result\":{\"header\":{\"height\":1,\"hash\":\"" HASH "\"}}}",
        "{\"result\":{\"header\":{\"height\":1,\"hash\":\"abc\",\"timestamp\":1}}}",
        "{\"result\":{\"header\":{\"height\":\"1\",\"hash\":\"" HASH "\",\"timestamp\":1}}}",
        "{\"result\":{\"header\":{\"height\":18446744073709551616,\"hash\":\"" HASH
        "\",\"timestamp\":1}}}",
        "{\"result\":{\"header\":null}}",
        "{\"result\":{}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(mig_envelope_block(bad[i], strlen(bad[i]), &h, &e), MIG_ERR_MALFORMED);
        CU_ASSERT(h.block.height == 0 && h.hash[0] == '\0');
    }
}

static void reads_access_keys(void)
{
    struct mig_access_key k;
    struct mig_rpc_error e;
    static const char full[] = "{\"result\":{\"nonce\":18446744073709551615,\"permission\":"
                               "\"FullAccess\",\"block_height\":5,\"block_hash\":\"x\"}}";
    CU_ASSERT_EQUAL(mig_envelope_access_key(full, strlen(full), &k, &e), MIG_OK);
    CU_ASSERT(k.nonce == UINT64_MAX && k.full_access && k.height == 5);
    static const char call[] =
        "{\"result\":{\"nonce\":5,\"permission\":{\"FunctionCall\":{\"allowance\":null,\"receiver_"
        "id\":\"v1.signer\",\"method_names\":[]}},\"block_height\":5}}";
    CU_ASSERT_EQUAL(mig_envelope_access_key(call, strlen(call), &k, &e), MIG_OK);
    CU_ASSERT(k.nonce == 5 && !k.full_access);
    static const char none[] =
        "{\"result\":{\"error\":\"access key ed25519:abc does not exist while "
        "viewing\",\"logs\":[],\"block_height\":5,\"block_hash\":\"x\"}}";
    CU_ASSERT_EQUAL(mig_envelope_access_key(none, strlen(none), &k, &e), MIG_ERR_NOT_FOUND);
    CU_ASSERT(e.fault == MIG_FAULT_UNKNOWN_KEY && k.nonce == 0);
}

static void reads_outcomes(void)
{
    static const struct {
        const char *json;
        enum mig_tx_status status;
        bool receipt_failed;
        const char *reason;
    } cases[] = {
        {"{\"result\":{\"final_execution_status\":\"NONE\"}}", MIG_TX_PENDING, false, ""},
        {"{\"result\":{\"final_execution_status\":\"INCLUDED\",\"status\":\"Started\"}}",
         MIG_TX_PENDING, false, ""},
        {"{\"result\":{\"status\":{\"SuccessValue\":\"bnVsbA==\"},\"transaction_outcome\":{"
         "\"outcome\":{\"status\":{\"SuccessReceiptId\":\"R\"}}},"
         "\"receipts_outcome\":[{\"id\":\"R\",\"outcome\":{\"status\":{\"SuccessValue\":\"\"},"
         "\"logs\":[]}}]}}",
         MIG_TX_EXECUTED, false, ""},
        {"{\"result\":{\"status\":{\"SuccessValue\":\"\"},\"receipts_outcome\":[{\"outcome\":{"
         "\"status\":{\"Failure\":{\"ActionError\":{}}}}}]}}",
         MIG_TX_EXECUTED, true, ""},
        {"{\"result\":{\"status\":{\"Failure\":{\"ActionError\":{\"index\":0,\"kind\":{"
         "\"FunctionCallError\":{\"ExecutionError\":"
         "\"Smart contract panicked: Node does not have an ongoing recovery\"}}}}}}}",
         MIG_TX_FAILED, false, "Smart contract panicked: Node does not have an ongoing recovery"},
        {"{\"result\":{\"status\":{\"Failure\":{\"ActionError\":{\"kind\":{"
         "\"DelegateActionInvalidSignature\":{}}}}}}}",
         MIG_TX_FAILED, false, "DelegateActionInvalidSignature"},
        {"{\"result\":{\"status\":{\"Failure\":{}}}}", MIG_TX_FAILED, false, "unnamed failure"},
    };
    struct mig_outcome o;
    struct mig_rpc_error e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CU_ASSERT_EQUAL(mig_envelope_outcome(cases[i].json, strlen(cases[i].json), &o, &e), MIG_OK);
        CU_ASSERT(o.status == cases[i].status && o.receipt_failed == cases[i].receipt_failed);
        CU_ASSERT_STRING_EQUAL(o.reason, cases[i].reason);
    }
}

static void every_refusal_of_a_transaction_is_told_apart(void)
{
    static const struct {
        const char *detail;
        enum mig_refusal refusal;
    } cases[] = {
        {"{\"InvalidNonce\":{\"tx_nonce\":10,\"ak_nonce\":17}}", MIG_REFUSAL_NONCE_USED},
        {"{\"NonceTooLarge\":{\"tx_nonce\":10,\"upper_bound\":9}}", MIG_REFUSAL_NONCE_TOO_LARGE},
        {"\"Expired\"", MIG_REFUSAL_EXPIRED},
        {"\"InvalidChain\"", MIG_REFUSAL_EXPIRED},
        {"\"InvalidSignature\"", MIG_REFUSAL_SIGNATURE},
        {"{\"SignerDoesNotExist\":{\"signer_id\":\"a\"}}", MIG_REFUSAL_NO_SIGNER},
        {"{\"InvalidAccessKeyError\":{\"AccessKeyNotFound\":{\"account_id\":\"a\",\"public_key\":"
         "\"k\"}}}",
         MIG_REFUSAL_NO_ACCESS_KEY},
        {"{\"InvalidAccessKeyError\":{\"ReceiverMismatch\":{\"tx_receiver\":\"a\",\"ak_receiver\":"
         "\"b\"}}}",
         MIG_REFUSAL_RECEIVER},
        {"{\"InvalidAccessKeyError\":{\"MethodNameMismatch\":{\"method_name\":\"m\"}}}",
         MIG_REFUSAL_METHOD},
        {"{\"InvalidAccessKeyError\":\"RequiresFullAccess\"}", MIG_REFUSAL_FULL_ACCESS},
        {"{\"InvalidAccessKeyError\":\"DepositWithFunctionCall\"}", MIG_REFUSAL_DEPOSIT},
        {"{\"InvalidAccessKeyError\":{\"NotEnoughAllowance\":{\"cost\":\"1\"}}}",
         MIG_REFUSAL_ALLOWANCE},
        {"{\"NotEnoughBalance\":{\"signer_id\":\"a\",\"balance\":\"0\",\"cost\":\"1\"}}",
         MIG_REFUSAL_BALANCE},
        {"{\"SomethingNew\":{}}", MIG_REFUSAL_OTHER},
    };
    struct mig_outcome o;
    struct mig_rpc_error e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[512];
        (void)snprintf(body, sizeof body,
                       "{\"error\":{\"name\":\"HANDLER_ERROR\",\"cause\":{\"name\":\"INVALID_"
                       "TRANSACTION\",\"info\":{}},\"code\":-32000,"
                       "\"message\":\"Server "
                       "error\",\"data\":{\"TxExecutionError\":{\"InvalidTxError\":%s}}}}",
                       cases[i].detail);
        CU_ASSERT_EQUAL(mig_envelope_outcome(body, strlen(body), &o, &e), MIG_ERR_DENIED);
        CU_ASSERT_EQUAL(e.fault, MIG_FAULT_INVALID_TX);
        CU_ASSERT_EQUAL(e.refusal, cases[i].refusal);
        CU_ASSERT(e.reason[0] != '\0');
        CU_ASSERT_EQUAL(e.key_nonce, i == 0 ? 17 : 0);
        for (int r = 1; r < MIG_REFUSAL_OTHER; r++)
            CU_ASSERT((strcmp(e.reason, mig_refusal_text((enum mig_refusal)r)) == 0) ==
                      (r == (int)cases[i].refusal));
    }
    CU_ASSERT_STRING_EQUAL(e.reason, "SomethingNew");
}

static void reads_which_chain_it_is(void)
{
    static const struct {
        const char *body, *chain;
    } cases[] = {
        {"{\"result\":{\"version\":{},\"chain_id\":\"mainnet\",\"sync_info\":{}}}", "mainnet"},
        {"{\"result\":{\"chain_id\":\"\"}}", NULL},
        {"{\"result\":{}}", NULL},
        {"{\"result\":{\"chain_id\":\"a\\nb\"}}", NULL},
        {"{\"result\":{\"chain_id\":\"a\",\"chain_id\":\"b\"}}", NULL},
        {"{\"result\":{\"chain_id\":\"" HASH HASH "\"}}", NULL},
    };
    struct mig_node_status status;
    struct mig_rpc_error e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum mig_err err = mig_envelope_status(cases[i].body, strlen(cases[i].body), &status, &e);
        CU_ASSERT_EQUAL(err, cases[i].chain != NULL ? MIG_OK : MIG_ERR_MALFORMED);
        CU_ASSERT_STRING_EQUAL(status.chain_id, cases[i].chain != NULL ? cases[i].chain : "");
    }
}

static bool broken(struct scripted *s, int fd, const char *body, unsigned n)
{
    (void)s;
    (void)body;
    (void)n;
    scripted_reply(fd, "503 Service Unavailable", "");
    return true;
}

static bool names_a_chain(struct scripted *s, int fd, const char *body, unsigned n)
{
    (void)s;
    (void)body;
    (void)n;
    scripted_reply(fd, "200 OK", "{\"result\":{\"chain_id\":\"mainnet\"}}");
    return true;
}

static void another_endpoint_stands_in_from_the_next_call_on(void)
{
    struct scripted *a = scripted_start(broken, NULL), *b = scripted_start(names_a_chain, NULL);
    char list[160];
    struct mig_rpc *rpc;
    struct mig_node_status status;
    (void)snprintf(list, sizeof list, "%s, %s/path", a->url, b->url);
    const struct mig_rpc_options o = {.url = list, .timeout_ms = 5000};
    CU_ASSERT_EQUAL_FATAL(mig_rpc_new(&o, &rpc), MIG_OK);
    CU_ASSERT_EQUAL(mig_rpc_count(rpc), 2);
    CU_ASSERT_EQUAL(mig_rpc_status(rpc, &status), MIG_ERR_RETRY);
    CU_ASSERT_STRING_EQUAL(mig_rpc_origin(rpc), a->url);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(mig_rpc_status(rpc, &status), MIG_OK);
        CU_ASSERT_STRING_EQUAL(mig_rpc_origin(rpc), b->url);
    }
    mig_rpc_next(rpc);
    CU_ASSERT_STRING_EQUAL(mig_rpc_origin(rpc), a->url);
    CU_ASSERT_EQUAL(atomic_load(&a->requests), 1);
    mig_rpc_free(&rpc);
    scripted_stop(a);
    scripted_stop(b);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(refuses_urls),
        TEST(shows_the_origin_only),
        TEST(no_reason_names_the_path),
        TEST(asks_as_a_near_client_and_keeps_the_connection),
        TEST(an_answer_about_another_block_is_refused),
        TEST(never_sends_what_would_leave_its_quotes),
        TEST(reads_every_form_of_failure),
        TEST(garbage_is_nonsense),
        TEST(members_may_come_in_any_order),
        TEST(a_reason_is_printable_and_short),
        TEST(follows_no_redirect),
        TEST(takes_no_compressed_answer),
        TEST(stops_an_endless_body),
        TEST(stops_an_endless_header),
        TEST(refuses_a_huge_announced_length),
        TEST(a_slow_drip_meets_the_deadline),
        TEST(an_answer_cut_short_is_no_answer),
        TEST(reads_a_large_state),
        TEST(cancel_ends_a_call_at_once_and_for_good),
        TEST(cancel_ends_a_pause),
        TEST(reads_blocks),
        TEST(reads_access_keys),
        TEST(reads_outcomes),
        TEST(every_refusal_of_a_transaction_is_told_apart),
        TEST(reads_which_chain_it_is),
        TEST(another_endpoint_stands_in_from_the_next_call_on),
    };
    return run_tests("rpc", tests, sizeof tests / sizeof *tests);
}
