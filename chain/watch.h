/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_WATCH_H
#define MIG_CHAIN_WATCH_H
/*
 * The poller: one thread that keeps a cache as new as an endpoint allows.
 * Failures are retried for ever, with growing pauses; meanwhile the view grows
 * stale, which is what readers go by.
 */
#include "chain/poll.h"

struct mig_watch;

struct mig_watch_options {
    const char *rpc_url;      /* may hold an API key: only its origin is logged */
    const char *ca_file;      /* NULL: the system's */
    const char *contract;
    enum mig_dialect dialect; /* AUTO: by the contract's version */
    unsigned poll_ms;         /* 0: 1000 */
    unsigned timeout_ms;      /* of one request; 0: 10 000 */
    unsigned backoff_max_ms;  /* 0: 30 000 */
    struct mig_cache *cache;  /* borrowed; the watch is its only writer */
    uint64_t max_staleness_ns; /* 0: nothing is said about the view's age */
    /* Called on the watch's thread. May be NULL. */
    void (*log)(void *ctx, enum mig_log_level level, const char *event, const char *text);
    void *log_ctx;
};

/* Returns at once; the first view comes when it comes. */
enum mig_err mig_watch_start(const struct mig_watch_options *options, struct mig_watch **out) MIG_MUST_USE;
/* Ends the request under way, joins the thread. */
void mig_watch_stop(struct mig_watch **watch);

/* Asks for a look now, whatever the interval. Any thread. */
void mig_watch_poke(struct mig_watch *watch);

struct mig_watch_stats {
    uint64_t polls;      /* looks so far */
    uint64_t failures;   /* of them failed */
    uint32_t failing;    /* failures in a row; 0: the last one succeeded */
    uint64_t height;     /* newest block taken in */
    uint64_t ok_at;      /* Unix seconds of the last success; 0: none yet */
    char origin[MIG_RPC_ORIGIN_MAX]; /* the endpoint, without path and query */
    char reason[MIG_POLL_REASON_MAX]; /* of the last failure; "" when the last one succeeded */
};
/* Any thread. */
void mig_watch_stats(struct mig_watch *watch, struct mig_watch_stats *out);
/* How the contract wants to be spoken to, and its version ("" when it does not
 * tell; `version` may be NULL); false while that is unknown. Any thread. */
bool mig_watch_speech(struct mig_watch *watch, struct mig_speech *speech,
                      char version[MIG_VERSION_MAX + 1]);

#endif
