/* SPDX-License-Identifier: MIT */
#include "server/publisher.h"

#include <string.h>

static bool is_alive(const struct mig_publisher *p, uint64_t now_ms)
{
    return p->pair.secret != NULL && now_ms - p->born_ms < MIG_PUBLISHED_LIFE_MS;
}

static bool make(struct mig_publisher *p, uint64_t now_ms)
{
    if (mig_ephemeral_generate(&p->pair) != MIG_OK) {
        mig_ephemeral_clear(&p->pair);
        return false;
    }
    p->born_ms = now_ms;
    p->published = p->seen = false;
    p->again_ms = now_ms;
    p->pause_ms = MIG_PUBLISH_FIRST_MS;
    return true;
}

bool mig_publisher_next(struct mig_publisher *p, bool wanted, uint64_t now_ms,
                        uint8_t key[MIG_KEY_LEN], uint64_t *wake_ms)
{
    *wake_ms = UINT64_MAX;
    if (!wanted || !is_alive(p, now_ms))
        mig_ephemeral_clear(&p->pair);
    if (!wanted)
        return false;
    if (p->pair.secret == NULL && !make(p, now_ms)) {
        *wake_ms = now_ms + MIG_PUBLISH_FIRST_MS;
        return false;
    }
    *wake_ms = p->born_ms + MIG_PUBLISHED_LIFE_MS;
    if (p->published)
        return false;
    if (now_ms < p->again_ms) {
        *wake_ms = p->again_ms;
        return false;
    }
    memcpy(key, p->pair.public_key, MIG_KEY_LEN);
    return true;
}

void mig_publisher_result(struct mig_publisher *p, const uint8_t key[MIG_KEY_LEN], enum mig_err err,
                          uint64_t now_ms)
{
    if (p->pair.secret == NULL || memcmp(p->pair.public_key, key, MIG_KEY_LEN) != 0)
        return;
    p->published = err == MIG_OK;
    p->again_ms = now_ms + p->pause_ms;
    p->pause_ms = p->pause_ms * 2 < MIG_PUBLISH_LAST_MS ? p->pause_ms * 2 : MIG_PUBLISH_LAST_MS;
}

bool mig_publisher_view(struct mig_publisher *p, const struct mig_view *view, uint64_t now_ms)
{
    if (p->pair.secret == NULL || !p->published)
        return false;
    bool shown = view->published.has_node &&
                 memcmp(view->published.node, p->pair.public_key, MIG_KEY_LEN) == 0;
    p->seen = p->seen || shown;
    if (shown || (!p->seen && now_ms - p->born_ms < MIG_PUBLISHED_UNSEEN_MS))
        return false;
    mig_ephemeral_clear(&p->pair);
    return true;
}

bool mig_publisher_take(struct mig_publisher *p, const uint8_t key[MIG_KEY_LEN], uint64_t now_ms,
                        struct mig_ephemeral *pair)
{
    if (!is_alive(p, now_ms) || memcmp(p->pair.public_key, key, MIG_KEY_LEN) != 0)
        return false;
    memcpy(pair->public_key, p->pair.public_key, MIG_KEY_LEN);
    memcpy(pair->secret->bytes, p->pair.secret->bytes, MIG_KEY_LEN);
    mig_ephemeral_clear(&p->pair);
    return true;
}

void mig_publisher_clear(struct mig_publisher *p)
{
    mig_ephemeral_clear(&p->pair);
}
