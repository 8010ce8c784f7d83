/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_KEEPER_H
#define MIG_SERVER_KEEPER_H
/*
 * The one owner of the state machine: its mutex, its journal, the records next
 * to the store (honoured backup key, backup receipts), and the worker thread
 * that does what the machine asks for. Handlers reach it through the function
 * table of handlers/service.h.
 */
#include "handlers/service.h"
#include "migration/machine.h"

struct mig_keep;

struct mig_keep_config {
    const char *account;   /* borrowed until mig_keep_free, like all below */
    const char *contract;
    const char *state_dir; /* where the records lie */
    uint8_t tls_key[MIG_KEY_LEN];
    uint64_t key_delay_ns;
    struct mig_host host; /* complete: no NULL function but the informing ones */
    struct mig_counters *counters;
    /* announce=contract: sends publish_ephemeral_key; NULL otherwise. Called on
     * the worker. */
    enum mig_err (*publish)(void *ctx, const uint8_t key[MIG_KEY_LEN]);
    void *publish_ctx;
};

/* Loads the records. A damaged one is reported through host.log, and then
 * counts as absent. `why`: MIG_WHY_MAX bytes. */
enum mig_err mig_keep_new(const struct mig_keep_config *config, struct mig_keep **out,
                          char *why) MIG_MUST_USE;
/* Starts the worker thread. */
enum mig_err mig_keep_start(struct mig_keep *keep) MIG_MUST_USE;
/* Ends the worker thread; no host function is called after it returned. */
void mig_keep_stop(struct mig_keep *keep);
void mig_keep_free(struct mig_keep **keep);

/* A new view, on the feeding thread: before it returns, the honoured key is
 * durable and the machine knows. Returns mig_note bits. */
unsigned mig_keep_view(struct mig_keep *keep, const struct mig_view *view);

/* The functions handlers call, with `keep` as their context. */
void mig_keep_table(struct mig_keep *keep, struct mig_keeper *out);

enum mig_job mig_keep_job(struct mig_keep *keep);

/* For /status, /readyz and metrics. */
struct mig_keep_status {
    enum mig_job job;
    enum mig_seat seat;
    uint64_t seat_lost_at;
    bool consequences_pending;
    bool shares_missing;  /* this node holds the seat and lacks a share of the keyset */
    bool store_failing;   /* full, gone, or a record could not be written */
    bool key_delayed;     /* a registered key waits for key_delay */
    uint64_t key_changes; /* times another backup key was seen */
    struct mig_machine_counts machine;
};
void mig_keep_status(struct mig_keep *keep, struct mig_keep_status *out);

#endif
