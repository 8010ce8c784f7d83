/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_LISTENER_H
#define MIG_SERVER_LISTENER_H
/*
 * One listening address: a libmicrohttpd daemon with a thread of its own,
 * behind the hygiene gate, absolute deadlines and limits. It answers from the
 * exchange of handlers/, or, for the admin listener, from pages.
 */
#include "handlers/exchange.h"
#include "server/connections.h"
#include "server/page.h"

struct mig_listener_config {
    const char *address;                 /* "host:port", port 0: any */
    const struct mig_identity *identity; /* TLS with this key; NULL: plain */
    bool plain_anywhere;                 /* plain on other addresses than loopback */
    unsigned threads;                    /* 0 or 1: one */
    struct mig_limits limits;
    struct mig_reaper *reaper;
    /* One of the two. */
    struct mig_service *service;
    struct mig_pages pages;
    struct mig_counters *counters; /* refusals of the gate are counted here; may be NULL */
    /* As in struct mig_host; may be NULL. */
    void *log_ctx;
    void (*log)(void *ctx, enum mig_log_level level, const char *event, const char *text);
};

struct mig_listener;

/* Binds and serves. All that `config` points to is borrowed until
 * mig_listener_stop. `why`: NULL or MIG_WHY_MAX bytes for a sentence.
 * MIG_ERR_MALFORMED, _NOT_FOUND (the address), _DENIED (plain and not
 * loopback), _IO (cannot bind), _NOMEM. */
enum mig_err mig_listener_start(const struct mig_listener_config *config, struct mig_listener **out,
                                char *why) MIG_MUST_USE;
/* Stops accepting, lets requests in progress end for at most `drain_ms`, then
 * closes everything. No exchange is left when it returns. */
void mig_listener_stop(struct mig_listener **listener, uint32_t drain_ms);

/* The real "address:port". */
const char *mig_listener_address(const struct mig_listener *listener);

/* Serves a connected stream socket, which it takes in any case, as if it had
 * been accepted from a loopback address. For socket pairs. MIG_ERR_IO. */
enum mig_err mig_listener_adopt(struct mig_listener *listener, int fd) MIG_MUST_USE;

/* The contract changed: cuts every connection whose exchange `view` no longer
 * admits and returns how many. `changed_at` is when the new view became
 * current (mig_deadline_now), for the statistics. Any thread. */
unsigned mig_listener_cancel(struct mig_listener *listener, const struct mig_view *view,
                             uint64_t changed_at);

enum { MIG_CANCEL_BUCKETS = 7 };
extern const double mig_cancel_bounds[MIG_CANCEL_BUCKETS]; /* seconds, inclusive */

struct mig_listener_stats {
    struct mig_connections_stats connections;
    uint64_t refused[MIG_HYGIENE_COUNT]; /* by the gate */
    /* From a change of the view to the last cut; only changes that cut. */
    uint64_t cancels;
    uint64_t cancel_ns;
    uint64_t cancel_buckets[MIG_CANCEL_BUCKETS]; /* not cumulative */
};
void mig_listener_stats(struct mig_listener *listener, struct mig_listener_stats *out);

#endif
