/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_VIEW_BOX_H
#define MIG_CHAIN_VIEW_BOX_H
/* What stands behind a struct mig_view; for chain/view.c and chain/cache.c. */
#include <stdatomic.h>

#include "chain/state.h"

/* A parsed `state`, shared by every view that was made while it held. */
struct mig_snapshot {
    atomic_size_t refs;
    struct mig_state state;
    uint8_t digest[MIG_DIGEST_LEN];
    char *json; /* the answer, to know a repeated one without reading it */
    size_t len;
};
/* Takes over `state` (cleared) and copies `json`; one reference. */
struct mig_snapshot *mig_snapshot_new(struct mig_state *state, const char *json, size_t len);
struct mig_snapshot *mig_snapshot_ref(struct mig_snapshot *snapshot);
void mig_snapshot_release(struct mig_snapshot **snapshot);

/* The view's pointers lead into `snapshot`. */
struct mig_view_box {
    struct mig_view view; /* first: a view's address is its box's */
    atomic_size_t refs;
    struct mig_snapshot *snapshot;
    struct mig_view_box *retired; /* the cache's list of replaced views */
    unsigned unseen;              /* reader counters not yet seen at zero since */
};
/* A view of the snapshot, everything else zero; one reference. */
struct mig_view_box *mig_view_box_new(struct mig_snapshot *snapshot);

#endif
