/* SPDX-License-Identifier: MIT */
#include "chain/view.h"

#include <stdlib.h>
#include <string.h>

#include "chain/view_box.h"

const char *mig_protocol_text(enum mig_protocol protocol)
{
    switch (protocol) {
    case MIG_PROTOCOL_NOT_INITIALIZED:
        return "not_initialized";
    case MIG_PROTOCOL_INITIALIZING:
        return "initializing";
    case MIG_PROTOCOL_RUNNING:
        return "running";
    case MIG_PROTOCOL_RESHARING:
        return "resharing";
    }
    return "unknown";
}

const struct mig_participant *mig_participants_find(const struct mig_participants *set,
                                                    const char *account)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->list[i].account, account) == 0)
            return &set->list[i];
    return NULL;
}

static enum mig_seat seat(const struct mig_participants *set, const char *account,
                          const uint8_t tls_key[MIG_KEY_LEN])
{
    const struct mig_participant *p = mig_participants_find(set, account);
    if (p == NULL)
        return MIG_SEAT_NONE;
    return memcmp(p->tls_key, tls_key, MIG_KEY_LEN) == 0 ? MIG_SEAT_HELD : MIG_SEAT_STANDBY;
}

enum mig_seat mig_view_seat(const struct mig_view *view, const char *account,
                            const uint8_t tls_key[MIG_KEY_LEN])
{
    bool resharing = view->protocol == MIG_PROTOCOL_RESHARING;
    return seat(resharing ? &view->prospective : &view->participants, account, tls_key);
}

enum mig_seat mig_view_current_seat(const struct mig_view *view, const char *account,
                                    const uint8_t tls_key[MIG_KEY_LEN])
{
    return seat(&view->participants, account, tls_key);
}

uint64_t mig_view_age_ns(const struct mig_view *view, uint64_t now_ns)
{
    uint64_t state = view->state_block.time_ns, info = view->info_block.time_ns;
    uint64_t older = state < info ? state : info;
    return now_ns > older ? now_ns - older : 0;
}

struct mig_snapshot *mig_snapshot_new(struct mig_state *state, const char *json, size_t len)
{
    struct mig_snapshot *s = calloc(1, sizeof *s);
    char *copy = malloc(len + 1);
    if (s == NULL || copy == NULL) {
        free(s);
        free(copy);
        mig_state_clear(state);
        return NULL;
    }
    memcpy(copy, json, len);
    atomic_init(&s->refs, 1);
    s->json = copy;
    s->len = len;
    s->state = *state;
    memset(state, 0, sizeof *state);
    return s;
}

struct mig_snapshot *mig_snapshot_ref(struct mig_snapshot *snapshot)
{
    if (snapshot != NULL)
        (void)atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void mig_snapshot_release(struct mig_snapshot **snapshot)
{
    struct mig_snapshot *s = *snapshot;
    *snapshot = NULL;
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    mig_state_clear(&s->state);
    free(s->json);
    free(s);
}

struct mig_view_box *mig_view_box_new(struct mig_snapshot *snapshot)
{
    struct mig_view_box *box = calloc(1, sizeof *box);
    if (box == NULL)
        return NULL;
    atomic_init(&box->refs, 1);
    box->snapshot = mig_snapshot_ref(snapshot);
    box->view.protocol = snapshot->state.protocol;
    box->view.keyset = snapshot->state.keyset;
    box->view.keyset_json = snapshot->state.keyset_json;
    memcpy(box->view.keyset_digest, snapshot->digest, MIG_DIGEST_LEN);
    box->view.participants = snapshot->state.participants;
    box->view.prospective = snapshot->state.prospective;
    return box;
}

/* Every view comes from mig_view_box_new; const is the reader's promise, not
 * the owner's. */
static struct mig_view_box *box_of(const struct mig_view *view)
{
    return (struct mig_view_box *)(uintptr_t)view;
}

const struct mig_view *mig_view_ref(const struct mig_view *view)
{
    if (view != NULL)
        (void)atomic_fetch_add_explicit(&box_of(view)->refs, 1, memory_order_relaxed);
    return view;
}

void mig_view_release(const struct mig_view **view)
{
    struct mig_view_box *box = box_of(*view);
    *view = NULL;
    if (box == NULL || atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) != 1)
        return;
    mig_snapshot_release(&box->snapshot);
    free(box);
}
