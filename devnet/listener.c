/* SPDX-License-Identifier: MIT */
/*
 * HTTP: JSON-RPC on one loopback port, the scenario on another. A thread per
 * connection, because send_tx waits for blocks.
 */
#include "devnet/node.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BODY_MAX = 4 * 1024 * 1024,
    CONNECTIONS_MAX = 256,
    IDLE_SECONDS = 60,
};

/* One request's body as it arrives. */
struct upload {
    char *bytes;
    size_t len;
    bool too_long;
    bool failed;
};

struct reply {
    unsigned status;
    char *body; /* heap */
    char location[64]; /* of a redirect */
};

static void store(struct upload *u, const char *data, size_t len)
{
    if (u->failed || len > BODY_MAX - u->len) {
        u->too_long = !u->failed;
        return;
    }
    char *bytes = realloc(u->bytes, u->len + len);
    if (bytes == NULL) {
        u->failed = true;
        return;
    }
    memcpy(bytes + u->len, data, len);
    u->bytes = bytes;
    u->len += len;
}

static void completed(void *cls, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)connection;
    (void)code;
    struct upload *u = *state;
    if (u != NULL)
        free(u->bytes);
    free(u);
    *state = NULL;
}

static void set_body(struct reply *r, unsigned status, const char *text)
{
    r->status = status;
    r->body = strdup(text);
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, const struct reply *r)
{
    if (r->body == NULL)
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(r->body), r->body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(r->body);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    if (r->location[0] != '\0')
        (void)MHD_add_response_header(response, "Location", r->location);
    enum MHD_Result queued = MHD_queue_response(connection, r->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* JSON-RPC */

static void pause_ms(uint64_t ms)
{
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

/* True when a fault already is the answer. */
static bool is_faulty(struct mig_devnet *d, struct reply *r)
{
    (void)pthread_mutex_lock(&d->lock);
    struct mig_devnet_faults f = d->faults;
    bool stopping = d->is_stopping;
    (void)pthread_mutex_unlock(&d->lock);
    if (f.slow_ms > 0 && !stopping)
        pause_ms(f.slow_ms);
    if (f.http_status != 0)
        set_body(r, f.http_status, "");
    else if (f.garbage)
        set_body(r, 200, "<html>no JSON here</html>");
    return f.http_status != 0 || f.garbage;
}

static void get_status(struct mig_devnet *d, struct reply *r)
{
    struct mig_devnet_call c = {.d = d, .status = 200};
    (void)pthread_mutex_lock(&d->lock);
    mig_devnet_status_rpc(&c);
    (void)pthread_mutex_unlock(&d->lock);
    r->status = 200;
    r->body = mig_print_take(&c.result);
}

static void rpc_reply(struct mig_devnet *d, const char *method, const char *path,
                      const struct upload *u, struct reply *r)
{
    bool get = strcmp(method, "GET") == 0;
    bool post = strcmp(method, "POST") == 0;
    if (is_faulty(d, r))
        return;
    if (get && strcmp(path, "/status") == 0)
        get_status(d, r);
    else if (get && strcmp(path, "/health") == 0)
        set_body(r, 200, "");
    else if (get && strncmp(path, "/v0/", 4) == 0) {
        if (mig_devnet_message_get(d, path, &r->status, &r->body, r->location) != MIG_OK)
            set_body(r, 500, "{\"error\":\"out of memory\"}");
    } else if (strcmp(path, "/") != 0)
        set_body(r, 404, "{\"error\":\"not found\"}");
    else if (!post)
        set_body(r, 405, "{\"error\":\"POST only\"}");
    else if (u->too_long)
        set_body(r, 413, "{\"error\":\"too long\"}");
    else if (mig_devnet_request(d, u->bytes != NULL ? u->bytes : "", u->len, &r->status,
                                &r->body) != MIG_OK)
        set_body(r, 500, "{\"error\":\"out of memory\"}");
}

/* Scenario */

static unsigned http_status(enum mig_err err)
{
    return err == MIG_OK                                          ? 200
           : err == MIG_ERR_STATE || err == MIG_ERR_CONFLICT      ? 409
           : err == MIG_ERR_MALFORMED || err == MIG_ERR_NOT_FOUND ? 400
                                                                  : 500;
}

static void scenario_post(struct mig_devnet *d, const struct upload *u, struct reply *r)
{
    char why[MIG_DEVNET_ERROR_MAX];
    struct mig_print t = {0};
    (void)pthread_mutex_lock(&d->lock);
    enum mig_err err = mig_devnet_operate(d, u->bytes != NULL ? u->bytes : "", u->len, why);
    unsigned long long head = mig_devnet_head(&d->chain)->height;
    unsigned long long final = mig_devnet_block_back(&d->chain, d->chain.final_lag)->height;
    (void)pthread_mutex_unlock(&d->lock);
    r->status = http_status(err);
    if (err == MIG_OK)
        mig_print_printf(&t, "{\"ok\":true,\"height\":%llu,\"final_height\":%llu}\n", head, final);
    else {
        mig_print_put(&t, "{\"ok\":false,\"error\":");
        mig_print_json(&t, why);
        mig_print_put(&t, "}\n");
    }
    r->body = mig_print_take(&t);
}

static void scenario_reply(struct mig_devnet *d, const char *method, const char *path,
                           const struct upload *u, struct reply *r)
{
    bool get = strcmp(method, "GET") == 0;
    bool post = strcmp(method, "POST") == 0;
    if (get && strcmp(path, "/state") == 0) {
        r->status = 200;
        if (mig_devnet_dump(d, &r->body) != MIG_OK)
            set_body(r, 500, "{\"error\":\"out of memory\"}");
    } else if (strcmp(path, "/scenario") != 0)
        set_body(r, 404, "{\"error\":\"not found\"}");
    else if (!post)
        set_body(r, 405, "{\"error\":\"POST only\"}");
    else if (u->too_long)
        set_body(r, 413, "{\"error\":\"too long\"}");
    else
        scenario_post(d, u, r);
}

/* Daemons */

/* Accumulates; true when the request is complete. */
static bool is_complete(struct upload **state, const char *data, size_t *size,
                        enum MHD_Result *result)
{
    *result = MHD_YES;
    if (*state == NULL) {
        *state = calloc(1, sizeof **state);
        *result = *state != NULL ? MHD_YES : MHD_NO;
        return false;
    }
    if (*size == 0)
        return true;
    store(*state, data, *size);
    *size = 0;
    return false;
}

static enum MHD_Result on_rpc(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
    (void)version;
    enum MHD_Result result;
    struct reply r = {0};
    struct upload *u = *state;
    bool complete = is_complete(&u, data, size, &result);
    *state = u;
    if (!complete)
        return result;
    rpc_reply(cls, method, url, u, &r);
    return send_reply(connection, &r);
}

static enum MHD_Result on_scenario(void *cls, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *size, void **state)
{
    (void)version;
    enum MHD_Result result;
    struct reply r = {0};
    struct upload *u = *state;
    bool complete = is_complete(&u, data, size, &result);
    *state = u;
    if (!complete)
        return result;
    scenario_reply(cls, method, url, u, &r);
    return send_reply(connection, &r);
}

static struct MHD_Daemon *listen_on(struct mig_devnet *d, const struct in_addr *ip, uint16_t port,
                                    MHD_AccessHandlerCallback handler)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = *ip};
    return MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, port, NULL,
        NULL, handler, d, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_SECONDS, MHD_OPTION_NOTIFY_COMPLETED, &completed, NULL, MHD_OPTION_END);
}

enum mig_err mig_devnet_listen(struct mig_devnet *d, char why[MIG_DEVNET_ERROR_MAX])
{
    struct in_addr ip;
    if (inet_pton(AF_INET, d->config.address, &ip) != 1 || ntohl(ip.s_addr) >> 24 != 127) {
        (void)snprintf(why, MIG_DEVNET_ERROR_MAX, "the address is not a loopback IPv4 address");
        return MIG_ERR_MALFORMED;
    }
    d->rpc = listen_on(d, &ip, d->config.rpc_port, on_rpc);
    if (d->rpc != NULL && d->config.has_scenario)
        d->scenario = listen_on(d, &ip, d->config.scenario_port, on_scenario);
    if (d->rpc != NULL && (d->scenario != NULL || !d->config.has_scenario))
        return MIG_OK;
    (void)snprintf(why, MIG_DEVNET_ERROR_MAX, "cannot listen on port %u",
                   d->rpc == NULL ? d->config.rpc_port : d->config.scenario_port);
    return MIG_ERR_IO;
}

void mig_devnet_unlisten(struct mig_devnet *d)
{
    if (d->scenario != NULL)
        MHD_stop_daemon(d->scenario);
    if (d->rpc != NULL)
        MHD_stop_daemon(d->rpc);
    d->scenario = d->rpc = NULL;
}

static uint16_t port_of(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info =
        daemon != NULL ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    return info != NULL ? info->port : 0;
}

uint16_t mig_devnet_rpc_port(const struct mig_devnet *devnet)
{
    return port_of(devnet->rpc);
}

uint16_t mig_devnet_scenario_port(const struct mig_devnet *devnet)
{
    return port_of(devnet->scenario);
}
