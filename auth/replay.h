/* SPDX-License-Identifier: MIT */
#ifndef MIG_AUTH_REPLAY_H
#define MIG_AUTH_REPLAY_H
/*
 * The replay window: a nonce is used once, and a restart cannot be used to get
 * round it (docs/protocol.md, "Requests"). Nonces live until they expire and
 * are never evicted; each is appended to a journal before the answer. The
 * journal is trusted only when it is whole and from this boot; otherwise
 * requests created up to start + W are told to come again.
 */
#include "auth/signature.h"

struct mig_replay;

struct mig_replay_config {
    const char *journal; /* path; NULL: memory only (then every start distrusts) */
    const char *boot_id; /* text that changes with every boot; NULL: read the kernel's */
    size_t capacity;     /* nonces kept at once; full means refuse */
    uint32_t skew;       /* W */
    uint64_t now;        /* Unix seconds at start */
};
/* The journal is created (0600) when missing and locked while it is open:
 * MIG_ERR_CONFLICT when another process holds it. MIG_ERR_MALFORMED: no
 * capacity. A mark from a clock that was set far ahead shuts everyone out until
 * that time, or until the file is removed. */
enum mig_err mig_replay_open(const struct mig_replay_config *config, struct mig_replay **out) MIG_MUST_USE;
void mig_replay_close(struct mig_replay **replay);

/* One atomic test-and-set, any thread, of a request that passed check and
 * verify (auth/signature.h) at the same `now`. MIG_OK: this very call inserted it and
 * it is in the journal. MIG_ERR_DENIED: seen before. MIG_ERR_RETRY: answer 503
 * `restarting` (full, distrusted start, clock behind the high-water mark, or
 * the journal cannot be written). */
enum mig_err mig_replay_insert(struct mig_replay *replay, const uint8_t key[MIG_KEY_LEN],
                               struct mig_text nonce, uint64_t created, uint64_t expires,
                               uint64_t now) MIG_MUST_USE;
/* Seconds a refused caller should wait; at least 1. */
uint32_t mig_replay_retry_after(struct mig_replay *replay, uint64_t now);

#endif
