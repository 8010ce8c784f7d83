/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_CONNECTIONS_H
#define MIG_SERVER_CONNECTIONS_H
/*
 * The connections of one listener: who is there, since when, doing what, until
 * when. Three things end a connection early: its deadline, the limits, and a
 * change of the contract that no longer admits its request. All three do the
 * same: shutdown(2) of the socket, never close(2), which is libmicrohttpd's;
 * its thread then sees the end and lets us know.
 */
#include <pthread.h>

#include "handlers/exchange.h"
#include "server/hygiene.h"
#include "server/reaper.h"

/* Milliseconds and counts. */
struct mig_limits {
    uint32_t head_ms;     /* a whole head within this, from accept or the last answer (5 000) */
    uint32_t request_ms;  /* from the end of the head to the end of the answer (30 000) */
    uint32_t drain_ms;    /* what a refused client still sends is read and dropped (500) */
    uint32_t connections; /* at once (64) */
    uint32_t per_address; /* of one IPv4 address or IPv6 /64 (8) */
};
#define MIG_LIMITS_DEFAULT ((struct mig_limits){5000, 30000, 500, 64, 8})

enum mig_phase {
    MIG_PHASE_HEAD,   /* waiting for a request, or for the rest of its head */
    MIG_PHASE_BODY,   /* a body is wanted; nothing is being sent */
    MIG_PHASE_ANSWER, /* an answer is being made or sent */
};

enum mig_reaped {
    MIG_REAPED_HEAD,      /* no whole head in time (TLS handshake included) */
    MIG_REAPED_REQUEST,   /* the request did not end in time */
    MIG_REAPED_LIMIT,     /* the oldest without an authenticated request, over a limit */
    MIG_REAPED_CANCELLED, /* the contract no longer admits its request */
    MIG_REAPED_COUNT,
};

struct mig_connection {
    /* Under the lock. */
    struct mig_connection *older, *newer; /* `newer` also chains the free ones */
    struct mig_connections *home;
    int fd;
    enum mig_phase phase;
    bool authenticated; /* it has carried an authenticated request */
    bool cut;
    bool ended; /* nothing more will come, as the last look found */
    uint64_t deadline;
    struct mig_exchange *exchange; /* written by its own thread only */

    /* Of the listener's thread alone. */
    struct mig_address peer;
    bool begun;  /* the first call for this request has been made */
    bool linger; /* it was refused while it may still be sending */
    uint64_t began_at;
    struct mig_message message;
    size_t target_len; /* of the raw target; may be more than is kept */
    char target[MIG_HEAD_TARGET_MAX + 1];
    size_t field_count; /* counted on beyond what is kept */
    struct mig_field fields[MIG_HEAD_FIELDS_MAX + 1];
};

struct mig_connections {
    struct mig_limits limits; /* not changed while connections exist */
    bool plain;
    struct mig_reaper *reaper;
    struct mig_connections *next_watched; /* the reaper's */
    pthread_mutex_t lock;                 /* protects what follows and each first part */
    pthread_cond_t quieter;               /* a request ended */
    bool draining;
    size_t capacity;
    struct mig_connection *slots;
    struct mig_connection *unused;
    struct mig_connection *oldest, *newest;
    uint32_t live; /* open and not cut */
    uint64_t accepted;
    uint64_t reaped[MIG_REAPED_COUNT];
    uint64_t views;              /* how often the view changed */
    const struct mig_view *view; /* the last one, referenced */
};

/* How many slots a listener with these limits needs: those over the limit stay
 * until libmicrohttpd has seen that they were cut. */
uint32_t mig_connections_capacity(const struct mig_limits *limits);

enum mig_err mig_connections_init(struct mig_connections *set, const struct mig_limits *limits,
                                  bool plain, struct mig_reaper *reaper) MIG_MUST_USE;
/* No callback of the daemon may come any more. */
void mig_connections_clear(struct mig_connections *set);

/* ---- the listener's thread ---- */

/* NULL when there is no slot. May cut another connection, or this one. */
struct mig_connection *mig_connection_open(struct mig_connections *set, int fd,
                                           const struct mig_address *peer);
/* Before the socket is closed. */
void mig_connection_close(struct mig_connection *connection);
/* A whole head is in: the request's time runs. Returns how often the view has
 * changed, for mig_connection_publish. */
uint64_t mig_connection_begin(struct mig_connection *connection);
/* Makes an exchange known to cancellation. Cut at once when the view moved
 * since `views` and does not admit it any more. */
void mig_connection_publish(struct mig_connection *connection, struct mig_exchange *exchange,
                            enum mig_phase phase, uint64_t views);
/* False: it was cut meanwhile; give up. */
bool mig_connection_enter(struct mig_connection *connection, enum mig_phase phase);
/* The request is over: takes the exchange back (NULL: none) and waits for the next head. */
struct mig_exchange *mig_connection_rest(struct mig_connection *connection);

/* ---- other threads ---- */

/* Cuts what is due at `now`; the next deadline (UINT64_MAX: none). */
uint64_t mig_connections_reap(struct mig_connections *set, uint64_t now);
/* Cuts every connection whose exchange `view` does not admit; how many. */
unsigned mig_connections_cancel(struct mig_connections *set, const struct mig_view *view);
/* No request stays: cuts idle connections, waits for the others until
 * `deadline`. True when none is left in progress. */
bool mig_connections_drain(struct mig_connections *set, uint64_t deadline);

struct mig_connections_stats {
    uint32_t open;
    uint64_t accepted;
    uint64_t reaped[MIG_REAPED_COUNT];
};
void mig_connections_stats(struct mig_connections *set, struct mig_connections_stats *out);

#endif
