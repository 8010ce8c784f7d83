/* SPDX-License-Identifier: MIT */
#ifndef MIG_MIGRATION_HONOUR_H
#define MIG_MIGRATION_HONOUR_H
/*
 * Which backup key authenticates now. A key that differs from the last
 * honoured one is honoured only after key_delay has passed since the first
 * final block that showed it; the delay starts again at every change and
 * meanwhile no key authenticates. Pure; the caller keeps the state durable.
 */
#include "chain/view.h"

struct mig_honour {
    bool has_honoured;
    uint8_t honoured[MIG_KEY_LEN]; /* durable */
    bool has_pending;
    uint8_t pending[MIG_KEY_LEN]; /* durable with its time, so that a restart does not shorten or
                                     restart the delay */
    uint64_t pending_since_ns; /* time of the first block that showed it, or our clock then if that
                                  was later */
};

enum { MIG_HONOUR_RECORD_LEN = 1 + 32 + 1 + 32 + 8 };
void mig_honour_encode(const struct mig_honour *honour, uint8_t out[MIG_HONOUR_RECORD_LEN]);
enum mig_err mig_honour_decode(const uint8_t *bytes, size_t len,
                               struct mig_honour *out) MIG_MUST_USE;

/* Takes what a view shows. `now_ns`: the caller's own Unix clock. The delay is
 * measured by the block's time and by the caller's clock, and counts only when
 * both have passed: whoever lies about blocks must not shorten it. True when
 * the durable part changed: save it before the next request is judged. */
bool mig_honour_observe(struct mig_honour *honour, const struct mig_view *view, uint64_t delay_ns,
                        uint64_t now_ns);
/* The key that authenticates, or NULL: none registered, delayed, or not observed yet. */
const uint8_t *mig_honour_key(const struct mig_honour *honour, const struct mig_view *view);

#endif
