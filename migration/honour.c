/* SPDX-License-Identifier: MIT */
#include "migration/honour.h"

#include <string.h>

static bool is_key(bool has, const uint8_t a[MIG_KEY_LEN], const uint8_t b[MIG_KEY_LEN])
{
    return has && memcmp(a, b, MIG_KEY_LEN) == 0;
}

static bool forget_pending(struct mig_honour *honour)
{
    bool had = honour->has_pending;
    honour->has_pending = false;
    memset(honour->pending, 0, sizeof honour->pending);
    honour->pending_since_ns = 0;
    return had;
}

static void take_pending(struct mig_honour *honour, const uint8_t key[MIG_KEY_LEN],
                         uint64_t since_ns)
{
    honour->has_pending = true;
    memcpy(honour->pending, key, MIG_KEY_LEN);
    honour->pending_since_ns = since_ns;
}

bool mig_honour_observe(struct mig_honour *honour, const struct mig_view *view, uint64_t delay_ns,
                        uint64_t now_ns)
{
    uint64_t block = view->info_block.time_ns;
    uint64_t early = block < now_ns ? block : now_ns, late = block < now_ns ? now_ns : block;
    /* Without a key nothing waits; a key that comes back waits anew, unless it
     * is the honoured one, which is never new. */
    if (!view->has_service_key || is_key(honour->has_honoured, honour->honoured, view->service_key))
        return forget_pending(honour);

    bool changed = false;
    if (!is_key(honour->has_pending, honour->pending, view->service_key)) {
        take_pending(honour, view->service_key, late);
        changed = true;
    }
    uint64_t since = honour->pending_since_ns;
    if (delay_ns > 0 && (early < since || early - since < delay_ns))
        return changed;
    honour->has_honoured = true;
    memcpy(honour->honoured, view->service_key, MIG_KEY_LEN);
    (void)forget_pending(honour);
    return true;
}

const uint8_t *mig_honour_key(const struct mig_honour *honour, const struct mig_view *view)
{
    if (view == NULL || !view->has_service_key)
        return NULL;
    return is_key(honour->has_honoured, honour->honoured, view->service_key) ? honour->honoured
                                                                             : NULL;
}

/* has honoured 1 || key 32 || has pending 1 || key 32 || since u64 big-endian;
 * what is absent is zero. */
void mig_honour_encode(const struct mig_honour *honour, uint8_t out[MIG_HONOUR_RECORD_LEN])
{
    memset(out, 0, MIG_HONOUR_RECORD_LEN);
    if (honour->has_honoured) {
        out[0] = 1;
        memcpy(out + 1, honour->honoured, MIG_KEY_LEN);
    }
    if (!honour->has_pending)
        return;
    out[33] = 1;
    memcpy(out + 34, honour->pending, MIG_KEY_LEN);
    for (unsigned i = 0; i < 8; i++)
        out[66 + i] = (uint8_t)(honour->pending_since_ns >> (56 - 8 * i));
}

enum mig_err mig_honour_decode(const uint8_t *bytes, size_t len, struct mig_honour *out)
{
    *out = (struct mig_honour){0};
    if (len != MIG_HONOUR_RECORD_LEN)
        return MIG_ERR_MALFORMED;
    struct mig_honour read = {.has_honoured = bytes[0] == 1, .has_pending = bytes[33] == 1};
    memcpy(read.honoured, bytes + 1, MIG_KEY_LEN);
    memcpy(read.pending, bytes + 34, MIG_KEY_LEN);
    for (unsigned i = 0; i < 8; i++)
        read.pending_since_ns = read.pending_since_ns << 8 | bytes[66 + i];
    /* One form only: whatever else it is, it is not what we wrote. */
    uint8_t again[MIG_HONOUR_RECORD_LEN];
    mig_honour_encode(&read, again);
    if (memcmp(again, bytes, sizeof again) != 0)
        return MIG_ERR_MALFORMED;
    *out = read;
    return MIG_OK;
}
