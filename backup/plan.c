/* SPDX-License-Identifier: MIT */
#include "backup/plan.h"

#include <string.h>

enum { NS_PER_MS = 1000000, MS_PER_S = 1000 };

static const struct {
    const char *word, *text;
    bool safe;
} reasons[MIG_REASON_COUNT] = {
    [MIG_REASON_NO_VIEW] = {"no_view", "the contract has not been read yet", false},
    [MIG_REASON_STALE] = {"stale_view",
                          "the newest block that the RPC endpoint shows is too old, or this "
                          "machine's clock is wrong",
                          false},
    [MIG_REASON_NOT_REGISTERED] =
        {"not_registered", "no backup service is registered for the account; see `register`",
         false},
    [MIG_REASON_OTHER_KEY] = {"other_key",
                              "the contract names another backup key than ours; see `register`",
                              false},
    [MIG_REASON_NOT_RUNNING] = {"not_running", "the protocol is not running; waiting until it is",
                                false},
    [MIG_REASON_NO_KEYSET] = {"no_keyset", "the network has generated no key yet", false},
    [MIG_REASON_NOT_PARTICIPANT] = {"not_participant",
                                    "the account is not a participant; there is nothing to back up",
                                    false},
    [MIG_REASON_NOT_COVERED] = {"not_covered", "the contract's keyset is not in the vault", false},
    [MIG_REASON_LOST_WITH_NODE] =
        {"not_covered_migrating",
         "a migration runs, but the keyset is not in the vault; only the old node has it", false},
    [MIG_REASON_UNCONFIRMED] =
        {"unconfirmed", "the keyset is in the vault, but the present node has not served it yet",
         true},
    [MIG_REASON_RECEIPT_DUE] = {"receipt_due",
                                "the keyset is in the vault; the node does not know that yet",
                                true},
    [MIG_REASON_DELIVERY_DUE] = {"delivery_due", "a migration runs; delivering to the new node",
                                 true},
    [MIG_REASON_SAFE] = {"safe", "the keyset is in the vault and the node knows it", true},
};

const char *mig_reason_word(enum mig_reason reason)
{
    return reasons[reason].word;
}

const char *mig_reason_text(enum mig_reason reason)
{
    return reasons[reason].text;
}

bool mig_reason_is_safe(enum mig_reason reason)
{
    return reasons[reason].safe;
}

bool mig_target_is_equal(const struct mig_target *a, const struct mig_target *b)
{
    return a->task == b->task && a->since == b->since &&
           memcmp(a->node, b->node, MIG_KEY_LEN) == 0 &&
           memcmp(a->keyset, b->keyset, MIG_DIGEST_LEN) == 0 && strcmp(a->url, b->url) == 0;
}

static struct mig_plan wait_for(enum mig_reason reason)
{
    return (struct mig_plan){.reason = reason};
}

static struct mig_plan do_task(enum mig_reason reason, enum mig_task task,
                               const struct mig_view *view, const uint8_t node[MIG_KEY_LEN],
                               const char *url, uint64_t since)
{
    struct mig_plan plan = {.reason = reason, .target = {.task = task, .since = since}};
    memcpy(plan.target.node, node, MIG_KEY_LEN);
    memcpy(plan.target.keyset, view->keyset_digest, MIG_DIGEST_LEN);
    memcpy(plan.target.url, url, strnlen(url, MIG_URL_MAX));
    return plan;
}

/* Whether anything may be done at all: the same conditions the node checks. */
static bool is_admitted(const struct mig_facts *facts, enum mig_reason *why)
{
    const struct mig_view *view = facts->view;
    if (view == NULL)
        *why = MIG_REASON_NO_VIEW;
    else if (mig_view_age_ns(view, facts->now_ns) > facts->max_staleness_ns)
        *why = MIG_REASON_STALE;
    else if (!view->has_service_key)
        *why = MIG_REASON_NOT_REGISTERED;
    else if (memcmp(view->service_key, facts->service_key, MIG_KEY_LEN) != 0)
        *why = MIG_REASON_OTHER_KEY;
    else if (view->protocol != MIG_PROTOCOL_RUNNING)
        *why = MIG_REASON_NOT_RUNNING;
    else if (view->keyset.count == 0)
        *why = MIG_REASON_NO_KEYSET;
    else
        return true;
    return false;
}

/* A destination that holds the seat already needs nothing any more. */
static bool is_migrating(const struct mig_view *view, const struct mig_participant *seat)
{
    return view->has_destination && view->destination.active &&
           memcmp(view->destination.tls_key, seat->tls_key, MIG_KEY_LEN) != 0;
}

static bool is_from(const struct mig_note *note, const struct mig_participant *seat)
{
    return note != NULL && memcmp(note->parsed.node, seat->tls_key, MIG_KEY_LEN) == 0;
}

struct mig_plan mig_plan_make(const struct mig_facts *facts)
{
    enum mig_reason why;
    const struct mig_view *view = facts->view;
    if (!is_admitted(facts, &why))
        return wait_for(why);
    const struct mig_participant *seat = mig_participants_find(&view->participants, facts->account);
    if (seat == NULL)
        return wait_for(MIG_REASON_NOT_PARTICIPANT);

    const struct mig_destination *to = &view->destination;
    bool migrating = is_migrating(view, seat);
    if (migrating && facts->covered)
        return do_task(MIG_REASON_DELIVERY_DUE, MIG_TASK_DELIVER, view, to->tls_key, to->url,
                       to->since);
    if (!facts->covered)
        return do_task(migrating ? MIG_REASON_LOST_WITH_NODE : MIG_REASON_NOT_COVERED,
                       MIG_TASK_BACKUP, view, seat->tls_key, seat->url, 0);
    if (!is_from(facts->note, seat))
        return do_task(MIG_REASON_UNCONFIRMED, MIG_TASK_BACKUP, view, seat->tls_key, seat->url, 0);
    if (facts->note->state == MIG_NOTE_ACKNOWLEDGED)
        return wait_for(MIG_REASON_SAFE);
    /* A receipt speaks for the key that made the backup; another one has to make its own. */
    bool ours = memcmp(facts->note->parsed.service, facts->service_key, MIG_KEY_LEN) == 0;
    return do_task(ours ? MIG_REASON_RECEIPT_DUE : MIG_REASON_UNCONFIRMED,
                   ours ? MIG_TASK_RECEIPT : MIG_TASK_BACKUP, view, seat->tls_key, seat->url, 0);
}

uint64_t mig_attempt_due(const struct mig_attempt *attempt, const struct mig_target *target,
                         uint64_t generation)
{
    if (!mig_target_is_equal(&attempt->target, target))
        return 0;
    if (attempt->finished)
        return UINT64_MAX;
    return attempt->generation == generation ? attempt->not_before_ns : 0;
}

static uint64_t doubled(uint64_t first, unsigned times, uint64_t most)
{
    uint64_t ms = first;
    while (times-- > 0 && ms < most)
        ms *= 2;
    return ms < most ? ms : most;
}

/* The node reads the contract by itself and may be a look behind: what it
 * refuses for its place in it, it may allow a second later. */
static unsigned quick_tries(const struct mig_result *result)
{
    static const char *const codes[] = {"decommissioned", "not_destination", "not_participant",
                                        "no_migration"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(result->code, codes[i]) == 0)
            return MIG_BEHIND_TRIES;
    return 0;
}

/* Milliseconds to wait after the n-th failure in a row (n >= 1). */
static uint64_t pause_after(const struct mig_result *result, unsigned failures)
{
    switch (result->upshot) {
    case MIG_UPSHOT_OK:
        return MIG_DELIVERY_POLL_MS;
    case MIG_UPSHOT_CANCELLED:
        return 0;
    case MIG_UPSHOT_REFUSED:
        if (failures <= quick_tries(result))
            break;
        return doubled(MIG_REFUSED_FIRST_MS, failures - 1 - quick_tries(result),
                       MIG_REFUSED_MAX_MS);
    case MIG_UPSHOT_BROKEN:
        return doubled(MIG_REFUSED_FIRST_MS, failures - 1, MIG_REFUSED_MAX_MS);
    case MIG_UPSHOT_RETRY:
        /* The offer was consumed or replaced: ask for a new one now, but not for ever. */
        if (failures == 1 && strcmp(result->code, "offer_unknown") == 0)
            return 0;
        break;
    case MIG_UPSHOT_NO_ANSWER:
    case MIG_UPSHOT_FAILED:
        break;
    }
    return doubled(MIG_BACKOFF_FIRST_MS, failures - 1, MIG_BACKOFF_MAX_MS);
}

void mig_attempt_record(struct mig_attempt *attempt, const struct mig_target *target,
                        uint64_t generation, const struct mig_result *result, bool finished,
                        uint64_t now_ns, uint32_t random)
{
    bool same = mig_target_is_equal(&attempt->target, target);
    unsigned failures = same ? attempt->failures : 0;
    unsigned unanswered = same ? attempt->unanswered : 0;
    bool failed = result->upshot != MIG_UPSHOT_OK && result->upshot != MIG_UPSHOT_CANCELLED;
    bool refused = result->upshot == MIG_UPSHOT_REFUSED || result->upshot == MIG_UPSHOT_BROKEN;
    /* Hours without an answer say nothing about how soon a refusal is lifted. */
    if (failed && same && refused != attempt->refused)
        failures = 0;
    if (failed && failures < UINT32_MAX)
        failures++;
    if (result->upshot == MIG_UPSHOT_OK)
        failures = 0;
    uint64_t ms = pause_after(result, failures);
    ms = ms - ms / 4 + ms / 2 * (random >> 16) / 0xffff;
    uint64_t asked = (uint64_t)result->retry_after * MS_PER_S;
    *attempt =
        (struct mig_attempt){.target = *target,
                             .generation = generation,
                             .failures = failures,
                             .refused = refused,
                             .unanswered = unanswered + (result->upshot == MIG_UPSHOT_NO_ANSWER),
                             .finished = finished,
                             .not_before_ns = now_ns + (ms > asked ? ms : asked) * NS_PER_MS};
}

const char *mig_plan_url(const struct mig_target *target, unsigned unanswered, const char *node_url,
                         const char *recover_url)
{
    const char *urls[3];
    unsigned count = 0;
    if (target->task != MIG_TASK_DELIVER && node_url != NULL)
        urls[count++] = node_url;
    if (recover_url != NULL)
        urls[count++] = recover_url;
    urls[count++] = target->url;
    return urls[unanswered % count];
}
