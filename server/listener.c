/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd calls back on its own thread, in this order: connection opened
 * (before any TLS), raw target, first call with the head, calls with pieces of
 * the body, last call, request over, connection closed. A refusal is queued in
 * the first call, because the library takes no answer while a body is pending;
 * everything else in the last, because after an answer to the first call the
 * library closes the connection.
 *
 * MHD_quiesce_daemon is not used: in 0.9.75 it races with the epoll thread and
 * may end in the library's panic. While we drain, newcomers are cut instead.
 */
#include "server/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/address.h"
#include "server/answer.h"
#include "server/tls.h"

enum { POOL_BYTES = 32 * 1024, LOG_TEXT_MAX = 160, FIRST_ERROR = 400 };
static const uint64_t NS_PER_MS = 1000000;

const double mig_cancel_bounds[MIG_CANCEL_BUCKETS] = {0.0001, 0.0005, 0.001, 0.005,
                                                      0.01,   0.05,   0.5};

struct mig_listener {
    struct mig_listener_config config;
    struct mig_bound bound;
    struct mig_tls *tls; /* NULL: plain */
    struct mig_connections connections;
    struct MHD_Daemon *daemon;
    atomic_int reserve; /* a descriptor to give up when there are no others; -1: given up */
    _Atomic uint64_t refused[MIG_HYGIENE_COUNT];
    _Atomic uint64_t cancels, cancel_ns;
    _Atomic uint64_t cancel_buckets[MIG_CANCEL_BUCKETS];
};

static struct mig_listener *listener_of(const struct mig_connection *c)
{
    return (struct mig_listener *)(void *)((char *)c->home -
                                           offsetof(struct mig_listener, connections));
}

/* ---- descriptors ---- */

/* Without any, the library cannot accept; without any connection either, it
 * would try again and again at full speed. So there is always one more. */
static void take_reserve(struct mig_listener *listener)
{
    int none = -1;
    if (atomic_load(&listener->reserve) >= 0)
        return;
    int fd = fcntl(listener->bound.fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0 && !atomic_compare_exchange_strong(&listener->reserve, &none, fd))
        (void)close(fd);
}

static void give_up_reserve(struct mig_listener *listener)
{
    int fd = atomic_exchange(&listener->reserve, -1);
    if (fd >= 0)
        (void)close(fd);
}

static bool is_out_of_descriptors(const struct mig_listener *listener)
{
    int fd = fcntl(listener->bound.fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        (void)close(fd);
    return fd < 0;
}

/* ---- connections ---- */

/* What MHD_get_connection_info points to may be overwritten by its next call. */
static int socket_of(struct MHD_Connection *http)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info != NULL ? info->connect_fd : -1;
}

static struct mig_connection *open_connection(struct mig_listener *listener,
                                              struct MHD_Connection *http)
{
    int fd = socket_of(http);
    const union MHD_ConnectionInfo *from =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (fd < 0)
        return NULL;
    struct mig_address peer;
    mig_address_of(from != NULL ? from->client_addr : NULL, &peer);
    struct mig_connection *c = mig_connection_open(&listener->connections, fd, &peer);
    if (c == NULL) /* nobody would watch its deadline */
        (void)shutdown(fd, SHUT_RDWR);
    return c;
}

static void on_connection(void *cls, struct MHD_Connection *http, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = open_connection(cls, http);
    } else if (*context != NULL) {
        mig_connection_close(*context);
        *context = NULL;
        take_reserve(cls);
    }
}

static struct mig_connection *connection_of(struct MHD_Connection *http)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static int on_certificate(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                          gnutls_pcert_st **certs, unsigned int *count, gnutls_ocsp_data_st **ocsp,
                          unsigned int *ocsp_count, gnutls_privkey_t *key, unsigned int *flags)
{
    (void)info;
    struct mig_connection *c = connection_of(gnutls_session_get_ptr(session));
    if (c == NULL)
        return -1;
    struct mig_tls *tls = listener_of(c)->tls;
    *certs = &tls->certificate;
    *count = 1;
    *ocsp = NULL;
    *ocsp_count = 0;
    *key = tls->key;
    *flags = 0;
    return 0;
}

/* ---- one request ---- */

/* The library decodes in place; this is the only sight of the raw target. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *http)
{
    (void)cls;
    struct mig_connection *c = connection_of(http);
    if (c == NULL)
        return NULL;
    c->target_len = strlen(target);
    size_t kept = c->target_len < sizeof c->target ? c->target_len : sizeof c->target - 1;
    memcpy(c->target, target, kept);
    c->target[kept] = '\0';
    c->field_count = 0;
    return c;
}

static size_t leave_as_is(void *cls, struct MHD_Connection *http, char *text)
{
    (void)cls;
    (void)http;
    return strlen(text);
}

static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                size_t name_len, const char *value, size_t value_len)
{
    (void)kind;
    struct mig_connection *c = cls;
    if (c->field_count < sizeof c->fields / sizeof *c->fields)
        c->fields[c->field_count] = (struct mig_field){
            {name, name_len}, {value != NULL ? value : name + name_len, value_len}};
    c->field_count++;
    return MHD_YES;
}

static enum mig_hygiene check_head(struct mig_listener *listener, struct mig_connection *c,
                                   struct MHD_Connection *http, const char *method,
                                   const char *version, struct mig_head_facts *facts)
{
    (void)MHD_get_connection_values_n(http, MHD_HEADER_KIND, on_field, c);
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    struct mig_head head = {
        .method = {method, strlen(method)},
        .target = {c->target, c->target_len},
        .version = {version, strlen(version)},
        .fields = c->fields,
        .field_count = c->field_count,
        .size = size != NULL ? size->header_size : 0,
        .allow_query = listener->config.service == NULL,
    };
    if (c->target_len >= sizeof c->target)
        return MIG_HYGIENE_TARGET;
    if (c->field_count <= MIG_HEAD_FIELDS_MAX)
        head.adjacent = mig_head_is_adjacent(&head);
    enum mig_hygiene verdict = mig_hygiene_check(&head, facts);
    c->message = (struct mig_message){.method = head.method,
                                      .target = head.target,
                                      .authority = facts->host,
                                      .fields = c->fields,
                                      .field_count = c->field_count};
    return verdict;
}

static enum MHD_Result answer_problem(struct MHD_Connection *http, unsigned status,
                                      const char *code, const char *allow)
{
    struct mig_response problem;
    mig_response_problem(status, code, allow, 0, &problem);
    return mig_answer_queue(http, &problem) ? MHD_YES : MHD_NO;
}

static enum MHD_Result refuse(struct mig_listener *listener, struct mig_connection *c,
                              struct MHD_Connection *http, enum mig_hygiene verdict)
{
    unsigned status = mig_hygiene_status(verdict);
    mig_count(&listener->refused[verdict]);
    if (listener->config.counters != NULL)
        mig_count(
            &listener->config.counters->requests[MIG_ENDPOINT_OTHER][status - MIG_STATUS_MIN]);
    c->linger = true; /* whatever it sent may go on */
    return answer_problem(http, status, status == 431 ? "headers_too_large" : "malformed", NULL);
}

static enum MHD_Result begin_exchange(struct mig_listener *listener, struct mig_connection *c,
                                      struct MHD_Connection *http, int64_t content_length,
                                      uint64_t views)
{
    struct mig_exchange *exchange = NULL;
    enum mig_step step = mig_exchange_begin(listener->config.service, &c->message, content_length,
                                            &c->peer, &exchange);
    bool wants_body = step == MIG_STEP_BODY;
    mig_connection_publish(c, exchange, wants_body ? MIG_PHASE_BODY : MIG_PHASE_ANSWER, views);
    const struct mig_response *response = mig_exchange_response(exchange);
    if (wants_body || (response->status < FIRST_ERROR && content_length <= 0))
        return MHD_YES;
    c->linger = content_length > 0;
    return mig_answer_queue(http, response) ? MHD_YES : MHD_NO;
}

static enum MHD_Result begin_page(struct mig_connection *c, struct MHD_Connection *http)
{
    if (mig_text_is(c->message.method, "GET"))
        return MHD_YES;
    c->linger = true;
    return answer_problem(http, 405, "method_not_allowed", "GET");
}

static enum MHD_Result show_page(const struct mig_pages *pages, const struct mig_connection *c,
                                 struct MHD_Connection *http)
{
    struct mig_page page = {0};
    if (!pages->get(pages->ctx, c->message.target, &page))
        return answer_problem(http, 404, "not_found", NULL);
    return page.body != NULL && mig_answer_queue_owned(http, &page) ? MHD_YES : MHD_NO;
}

static enum MHD_Result begin(struct mig_listener *listener, struct mig_connection *c,
                             struct MHD_Connection *http, const char *method, const char *version)
{
    struct mig_head_facts facts;
    uint64_t views = mig_connection_begin(c);
    enum mig_hygiene verdict = check_head(listener, c, http, method, version, &facts);
    if (verdict != MIG_HYGIENE_CLEAN)
        return refuse(listener, c, http, verdict);
    if (listener->config.service == NULL)
        return begin_page(c, http);
    return begin_exchange(listener, c, http, facts.content_length, views);
}

static enum MHD_Result finish(const struct mig_listener *listener, struct mig_connection *c,
                              struct MHD_Connection *http)
{
    if (!mig_connection_enter(c, MIG_PHASE_ANSWER))
        return MHD_NO;
    if (listener->config.service == NULL)
        return show_page(&listener->config.pages, c, http);
    mig_exchange_finish(c->exchange);
    return mig_answer_queue(http, mig_exchange_response(c->exchange)) ? MHD_YES : MHD_NO;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *http, const char *url,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_len, void **context)
{
    (void)url;
    struct mig_connection *c = *context;
    if (c == NULL)
        return MHD_NO;
    if (!c->begun)
        return begin(cls, c, http, method, version);
    if (*body_len == 0)
        return finish(cls, c, http);
    mig_exchange_body(c->exchange, (const uint8_t *)body, *body_len);
    *body_len = 0;
    return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *http, void **context,
                         enum MHD_RequestTerminationCode why)
{
    (void)cls;
    (void)http;
    (void)why;
    if (*context == NULL)
        return;
    struct mig_exchange *exchange = mig_connection_rest(*context);
    mig_exchange_end(&exchange);
    *context = NULL;
}

/* ---- start and stop ---- */

static void say(const struct mig_listener *listener, enum mig_log_level level, const char *event,
                const char *text)
{
    if (listener->config.log != NULL)
        listener->config.log(listener->config.log_ctx, level, event, text);
}

/* The library's messages quote what clients sent; only the form is passed on.
 * One of them is all that tells of a failed accept. */
static void on_message(void *cls, const char *format, va_list args)
{
    (void)args;
    if (is_out_of_descriptors(cls))
        give_up_reserve(cls);
    char text[LOG_TEXT_MAX];
    (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(format, "\n"), format);
    say(cls, MIG_LOG_DEBUG, "http_library", text);
}

static unsigned daemon_flags(const struct mig_listener *listener)
{
    unsigned flags = MHD_USE_ERROR_LOG | MHD_USE_ITC;
    /* With epoll the library spins while a TLS handshake is pending. */
    return listener->tls != NULL ? flags | MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_TLS
                                 : flags | MHD_USE_EPOLL_INTERNAL_THREAD;
}

static struct MHD_Daemon *start_daemon(struct mig_listener *listener, int fd)
{
    struct mig_listener_config *config = &listener->config;
    struct MHD_OptionItem extra[5];
    size_t n = 0;
    if (listener->tls != NULL) {
        extra[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
                                             (void *)(uintptr_t)MIG_TLS_PRIORITIES};
        extra[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK2, 0,
                                             (void *)(uintptr_t)on_certificate};
    }
    if (config->threads > 1)
        extra[n++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, config->threads, NULL};
        /* Older versions are as strict as they can be by themselves; their option only
         * moves two refusals (no Host, a space in the target) from our gate to theirs,
         * which sends the header of such an answer twice. */
#if MHD_VERSION >= 0x00097701
    extra[n++] = (struct MHD_OptionItem){MHD_OPTION_CLIENT_DISCIPLINE_LVL, 2, NULL};
#endif
    extra[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    unsigned limit =
        mig_connections_capacity(&config->limits) * (config->threads > 1 ? config->threads : 1);
    return MHD_start_daemon(
        daemon_flags(listener), 0, NULL, NULL, on_request, listener, MHD_OPTION_EXTERNAL_LOGGER,
        on_message, listener, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)POOL_BYTES, MHD_OPTION_CONNECTION_LIMIT, limit, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, listener, MHD_OPTION_NOTIFY_COMPLETED, on_completed, listener,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, listener, MHD_OPTION_UNESCAPE_CALLBACK, leave_as_is,
        NULL, MHD_OPTION_ARRAY, extra, MHD_OPTION_END);
}

static void explain(char *why, const char *address, const char *what)
{
    if (why != NULL)
        (void)snprintf(why, MIG_WHY_MAX, "cannot listen on %s: %s", address, what);
}

static enum mig_err bind_address(struct mig_listener *listener, char *why)
{
    const struct mig_listener_config *config = &listener->config;
    bool loopback_only = config->identity == NULL && !config->plain_anywhere;
    enum mig_err err = mig_bind(config->address, loopback_only, &listener->bound);
    switch (err) {
    case MIG_OK:
        break;
    case MIG_ERR_MALFORMED:
        explain(why, config->address, "the address must be host:port, [v6]:port for IPv6");
        break;
    case MIG_ERR_NOT_FOUND:
        explain(why, config->address, "the host name does not resolve");
        break;
    case MIG_ERR_DENIED:
        explain(why, config->address,
                "plain HTTP is for loopback addresses; use TLS, or allow plain explicitly");
        break;
    default:
        explain(why, config->address, strerror(errno));
        break;
    }
    return err;
}

/* Threads that the library starts must not run the host's signal handlers. */
static enum mig_err start_serving(struct mig_listener *listener, char *why)
{
    sigset_t all, before;
    int fd = fcntl(listener->bound.fd, F_DUPFD_CLOEXEC,
                   0); /* the library closes its own, sometimes also when it fails */
    if (fd < 0)
        return MIG_ERR_IO;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    listener->daemon = start_daemon(listener, fd);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (listener->daemon != NULL)
        return MIG_OK;
    (void)shutdown(listener->bound.fd, SHUT_RDWR);
    explain(why, listener->bound.address, "libmicrohttpd does not start");
    return MIG_ERR_IO;
}

static void free_listener(struct mig_listener *listener)
{
    if (listener->daemon != NULL)
        MHD_stop_daemon(listener->daemon);
    mig_connections_clear(&listener->connections);
    mig_tls_free(&listener->tls);
    give_up_reserve(listener);
    if (listener->bound.fd >= 0)
        (void)close(listener->bound.fd);
    free(listener);
}

enum mig_err mig_listener_start(const struct mig_listener_config *config, struct mig_listener **out,
                                char *why)
{
    *out = NULL;
    struct mig_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return MIG_ERR_NOMEM;
    listener->config = *config;
    atomic_init(&listener->reserve, -1);
    enum mig_err err = bind_address(listener, why);
    if (err == MIG_OK && config->identity != NULL)
        err = mig_tls_new(config->identity, &listener->tls);
    if (err == MIG_OK)
        err = mig_connections_init(&listener->connections, &config->limits,
                                   config->identity == NULL, config->reaper);
    if (err == MIG_OK) {
        take_reserve(listener);
        err = start_serving(listener, why);
    }
    if (err != MIG_OK) {
        free_listener(listener);
        return err;
    }
    say(listener, MIG_LOG_NOTICE, "listening", listener->bound.address);
    *out = listener;
    return MIG_OK;
}

void mig_listener_stop(struct mig_listener **listener, uint32_t drain_ms)
{
    if (*listener == NULL)
        return;
    (void)mig_connections_drain(&(*listener)->connections,
                                mig_deadline_now() + drain_ms * NS_PER_MS);
    free_listener(*listener);
    *listener = NULL;
}

const char *mig_listener_address(const struct mig_listener *listener)
{
    return listener->bound.address;
}

enum mig_err mig_listener_adopt(struct mig_listener *listener, int fd)
{
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return MHD_add_connection(listener->daemon, fd, (const struct sockaddr *)&from, sizeof from) ==
                   MHD_YES
               ? MIG_OK
               : MIG_ERR_IO;
}

/* ---- cancellation and numbers ---- */

static void record_cancel(struct mig_listener *listener, uint64_t ns)
{
    mig_count(&listener->cancels);
    (void)atomic_fetch_add_explicit(&listener->cancel_ns, ns, memory_order_relaxed);
    for (size_t i = 0; i < MIG_CANCEL_BUCKETS; i++) {
        if ((double)ns <= mig_cancel_bounds[i] * 1e9) {
            mig_count(&listener->cancel_buckets[i]);
            return;
        }
    }
}

unsigned mig_listener_cancel(struct mig_listener *listener, const struct mig_view *view,
                             uint64_t changed_at)
{
    unsigned count = mig_connections_cancel(&listener->connections, view);
    uint64_t now = mig_deadline_now();
    if (count > 0)
        record_cancel(listener, now > changed_at ? now - changed_at : 0);
    return count;
}

void mig_listener_stats(struct mig_listener *listener, struct mig_listener_stats *out)
{
    mig_connections_stats(&listener->connections, &out->connections);
    for (size_t i = 0; i < MIG_HYGIENE_COUNT; i++)
        out->refused[i] = atomic_load(&listener->refused[i]);
    out->cancels = atomic_load(&listener->cancels);
    out->cancel_ns = atomic_load(&listener->cancel_ns);
    for (size_t i = 0; i < MIG_CANCEL_BUCKETS; i++)
        out->cancel_buckets[i] = atomic_load(&listener->cancel_buckets[i]);
}
