/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_WATCH_H
#define MIG_CHAIN_WATCH_H
/*
 * Keeps a cache as new as its endpoints allow: one thread for each of them, so
 * that a slow one delays nobody. With one endpoint its answers go straight
 * into the cache; with several only what enough of them agree on
 * (chain/quorum.h). Failures are retried for ever, with growing pauses;
 * meanwhile the view grows stale, which is what readers go by.
 */
#include "chain/poll.h"

struct mig_watch;

struct mig_watch_options {
    const char *rpc_url;      /* a list, chain/endpoints.h; may hold API keys: only origins are logged */
    uint32_t quorum;          /* how many must agree; 0: more than half */
    const char *ca_file;      /* NULL: the system's */
    const char *contract;
    const char *account;      /* whose record counts; needed with more than one endpoint */
    enum mig_dialect dialect; /* AUTO: by the contract's version */
    unsigned poll_ms;         /* 0: 1000 */
    unsigned timeout_ms;      /* of one request; 0: 10 000 */
    unsigned backoff_max_ms;  /* 0: 30 000 */
    struct mig_cache *cache;  /* borrowed; the watch is its only writer, one thread at a time */
    uint64_t max_staleness_ns; /* 0: nothing is said about the view's age */
    /* Called on the watch's threads. May be NULL. */
    void (*log)(void *ctx, enum mig_log_level level, const char *event, const char *text);
    void *log_ctx;
};

/* Returns at once; the first view comes when it comes. MIG_ERR_MALFORMED for
 * accounts, URLs and quorums that are none. */
enum mig_err mig_watch_start(const struct mig_watch_options *options, struct mig_watch **out) MIG_MUST_USE;
/* Ends the requests under way, joins the threads. */
void mig_watch_stop(struct mig_watch **watch);

/* Asks for a look now, whatever the interval. Any thread. */
void mig_watch_poke(struct mig_watch *watch);

enum mig_agreement {
    MIG_AGREEMENT_UNKNOWN = 0, /* not heard yet, or nothing to compare with */
    MIG_AGREEMENT_AGREES = 1,
    MIG_AGREEMENT_DIFFERS = 2,  /* tells something else, for now */
    MIG_AGREEMENT_OUTVOTED = 3, /* differs, lags or is silent for long */
};
const char *mig_agreement_text(enum mig_agreement agreement); /* "agrees", ... static */
struct mig_watch_stats {
    uint64_t polls;         /* looks so far */
    uint64_t failures;      /* of them failed */
    uint64_t disagreements; /* times it was outvoted, and its contrary words while it was */
    uint32_t failing;       /* failures in a row; 0: the last one succeeded */
    uint64_t height;        /* newest block it told of */
    uint64_t time_ns;       /* and its time */
    uint64_t ok_at;         /* Unix seconds of the last success; 0: none yet */
    enum mig_agreement agreement;
    char chain_id[MIG_CHAIN_ID_MAX + 1]; /* "" when not asked for (one endpoint) or not told */
    char origin[MIG_RPC_ORIGIN_MAX];     /* the endpoint, without path and query */
    char reason[MIG_POLL_REASON_MAX];    /* of the last failure; "" when the last one succeeded */
};
/* Endpoints, and how many must agree. Any thread. */
size_t mig_watch_count(const struct mig_watch *watch);
size_t mig_watch_quorum(const struct mig_watch *watch);
/* Of endpoint `index`, from 0 as listed. Any thread. */
void mig_watch_stats(struct mig_watch *watch, size_t index, struct mig_watch_stats *out);
/* How the contract wants to be spoken to, and its version ("" when it does not
 * tell; `version` may be NULL), as enough endpoints say; false while that is
 * unknown. Any thread. */
bool mig_watch_speech(struct mig_watch *watch, struct mig_speech *speech,
                      char version[MIG_VERSION_MAX + 1]);

#endif
