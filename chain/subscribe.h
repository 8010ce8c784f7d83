/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_SUBSCRIBE_H
#define MIG_CHAIN_SUBSCRIBE_H
/*
 * Subscriptions: streams of one view's values. A hub is one thread that looks
 * for all streams of its endpoints: those that are due together are read at
 * one final block, each view once.
 *
 * Heights of a stream grow strictly; an older answer is ignored. A value is
 * reported when its meaning changed; when it did not, only its height does.
 */
#include "chain/get.h"

struct mig_hub;
struct mig_values;

enum mig_on_failure {
    MIG_FAIL_FAST = 0,         /* the first failure ends the stream */
    MIG_RETRY_FIXED = 1,       /* after `initial_ms` */
    MIG_RETRY_EXPONENTIAL = 2, /* after initial_ms, then twice as long each time up to max_ms */
};
struct mig_strategy {
    uint32_t interval_ms; /* between looks that succeeded; at least 1 */
    enum mig_on_failure on_failure;
    uint32_t initial_ms, max_ms;
    bool jitter; /* between half of the pause and all of it, by chance */
};
struct mig_policy {
    struct mig_strategy bootstrap; /* until the first value; its interval is not used */
    struct mig_strategy update;    /* from then on */
};

struct mig_hub_options {
    const char *rpc_url;  /* a list: they stand in for each other (chain/rpc.h) */
    const char *contract;
    const char *account;  /* whose record counts, for the views that have one */
    unsigned timeout_ms;  /* of one request; 0: 10 000 */
};
enum mig_err mig_hub_start(const struct mig_hub_options *options, struct mig_hub **out) MIG_MUST_USE;
/* Ends the request under way and joins the thread, at any moment. Streams live
 * on, cancelled, until they are freed; they must not be used meanwhile. */
void mig_hub_stop(struct mig_hub **hub);

/* MIG_ERR_MALFORMED for a policy with a zero interval or pause. */
enum mig_err mig_subscribe(struct mig_hub *hub, enum mig_get_kind kind,
                           const struct mig_policy *policy, struct mig_values **out) MIG_MUST_USE;
/* Not while another thread is in mig_values_next of it: cancel first. */
void mig_values_free(struct mig_values **stream);
/* Ends a mig_values_next that waits, and all later ones. Any thread. */
void mig_values_cancel(struct mig_values *stream);

/* A value, shared and immutable. */
const struct mig_got *mig_value_ref(const struct mig_got *value);
void mig_value_release(const struct mig_got **value);

struct mig_fresh {
    uint64_t height;    /* of the newest answer, whether it changed the value or not */
    uint32_t failures;  /* in a row */
    enum mig_err err;   /* of the last look; with MIG_FAIL_FAST the end */
};
/* The newest value (the caller releases it), or NULL before the first; never
 * waits for the network. `fresh` may be NULL. */
const struct mig_got *mig_values_latest(struct mig_values *stream, struct mig_fresh *fresh);
/* The next value that this function has not given yet; those that were
 * replaced meanwhile are skipped. Waits up to `wait_ms`. MIG_ERR_RETRY: none by
 * then. MIG_ERR_CANCELLED: cancelled, or the hub stopped. Otherwise the error
 * that ended the stream. */
enum mig_err mig_values_next(struct mig_values *stream, uint32_t wait_ms,
                             const struct mig_got **out) MIG_MUST_USE;

#endif
