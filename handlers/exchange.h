/* SPDX-License-Identifier: MIT */
#ifndef MIG_HANDLERS_EXCHANGE_H
#define MIG_HANDLERS_EXCHANGE_H
/*
 * One request and its answer, without a socket. The server (or a fuzzer, or a
 * simulator) begins an exchange when the headers are in, feeds the body if it
 * is wanted, and sends the response that results. The order of checks is that
 * of docs/protocol.md; no body byte is taken before admission, and admission
 * is judged again at the commit.
 */
#include "auth/bucket.h"
#include "auth/message.h"
#include "handlers/service.h"

struct mig_exchange;

enum mig_step {
    MIG_STEP_RESPOND = 0, /* the response is ready */
    MIG_STEP_BODY = 1,    /* admitted: send 100 Continue if asked, then feed the body */
};

enum { MIG_RESPONSE_FIELDS_MAX = 16 };

/* Valid until mig_exchange_end. Field values and body are sealed or public
 * bytes, never secrets. Content-Length, Date and Connection are the server's. */
struct mig_response {
    unsigned status;
    size_t field_count;
    struct mig_field fields[MIG_RESPONSE_FIELDS_MAX];
    const uint8_t *body;
    size_t body_len;
    bool is_signed;
};

/* `request` is borrowed until mig_exchange_end. `content_length` is the parsed
 * Content-Length, or -1 when absent. One service serves one exchange at a time
 * per listener thread; several threads may hold one exchange each. Never
 * fails: when memory runs out the response is a static 503. */
enum mig_step mig_exchange_begin(struct mig_service *service, const struct mig_message *request,
                                 int64_t content_length, const struct mig_address *peer,
                                 struct mig_exchange **out);
/* Bytes of the body as they arrive. After an overrun the rest is ignored. */
void mig_exchange_body(struct mig_exchange *exchange, const uint8_t *bytes, size_t len);
/* The body is complete (or ended early): judges and commits. */
void mig_exchange_finish(struct mig_exchange *exchange);
const struct mig_response *mig_exchange_response(const struct mig_exchange *exchange);
/* True for a request whose signature verified and whose nonce was new. */
bool mig_exchange_is_authenticated(const struct mig_exchange *exchange);
/* Would `view` still admit it? For cutting connections on a change; any thread.
 * True for exchanges that were never admitted (they hold nothing). */
bool mig_exchange_is_admitted(const struct mig_exchange *exchange, const struct mig_view *view);
/* Wipes and releases; also abandons an unfinished one. */
void mig_exchange_end(struct mig_exchange **exchange);

/* An answer for what never became an exchange (hygiene, 404, 405, 408, 431):
 * unsigned problem, static bytes; `retry_after` 0 for none. */
void mig_response_problem(unsigned status, const char *code, const char *allow, uint32_t retry_after,
                          struct mig_response *out);

#endif
