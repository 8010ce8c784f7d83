/* SPDX-License-Identifier: MIT */
#include "backup/announcer.h"

#include <string.h>

#define NS_PER_S UINT64_C(1000000000)
#define LIFE_NS (3600 * NS_PER_S)
#define SEND_AGAIN_NS (30 * NS_PER_S) /* when the contract still does not show it */
#define TRY_AGAIN_NS (2 * NS_PER_S)   /* when it could not be sent */

void mig_announcer_spend(struct mig_announcer *announcer)
{
    mig_ephemeral_clear(&announcer->pair);
    announcer->sent_ns = 0;
}

static bool has_pair(struct mig_announcer *a, uint64_t now_ns)
{
    if (a->pair.secret != NULL && now_ns - a->born_ns < LIFE_NS)
        return true;
    mig_announcer_spend(a);
    a->born_ns = now_ns;
    return mig_ephemeral_generate(&a->pair) == MIG_OK;
}

/* Not while one is under way; after a failure soon when it may pass, rarely when
 * only a person can lift it. */
static bool may_send(const struct mig_announcer *a, uint64_t now_ns)
{
    bool passing = a->err != MIG_ERR_DENIED && a->err != MIG_ERR_NOT_FOUND;
    uint64_t pause = passing ? TRY_AGAIN_NS : SEND_AGAIN_NS;
    if (a->err != MIG_OK)
        return now_ns - a->failed_ns >= pause;
    return a->sent_ns == 0 || now_ns - a->sent_ns >= SEND_AGAIN_NS;
}

static void send(struct mig_announcer *a, uint64_t now_ns)
{
    a->err = a->publish(a->ctx, a->pair.public_key);
    if (a->err == MIG_OK)
        a->sent_ns = now_ns;
    else
        a->failed_ns = now_ns;
}

static bool is_shown(const struct mig_announcer *a, const struct mig_view *view)
{
    return view->published.has_service &&
           memcmp(view->published.service, a->pair.public_key, MIG_KEY_LEN) == 0;
}

bool mig_announcer_ready(struct mig_announcer *a, const struct mig_view *view, uint64_t now_ns,
                         const char **why)
{
    *why = "no locked memory";
    if (!has_pair(a, now_ns))
        return false;
    if (is_shown(a, view)) {
        *why = "the contract does not show the node's ephemeral key yet";
        return view->published.has_node;
    }
    if (may_send(a, now_ns))
        send(a, now_ns);
    *why = a->err == MIG_OK ? "the contract does not show our ephemeral key yet"
                            : "our ephemeral key cannot be published";
    return false;
}
