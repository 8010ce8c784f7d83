/* SPDX-License-Identifier: MIT */
#include "chain/quorum.h"

#include <string.h>

/* An endpoint looks once while each of the others does: with that many moves
 * missed for each it has been wrong or away for about three looks. */
enum { PATIENCE = 3, TALK = 9 /* votes of an endpoint without any effect */ };

_Static_assert(MIG_ENDPOINTS_MAX <= 8, "struct mig_tally has a bit for each");

void mig_quorum_init(struct mig_quorum *q, size_t count, size_t need)
{
    memset(q, 0, sizeof *q);
    q->count = count;
    q->need = need;
}

static bool means(const struct mig_voter *voter, const uint8_t meaning[MIG_DIGEST_LEN])
{
    return voter->has_vote && memcmp(voter->vote.meaning, meaning, MIG_DIGEST_LEN) == 0;
}

static void insert(uint64_t *sorted, size_t count, uint64_t value)
{
    size_t i = count;
    for (; i > 0 && sorted[i - 1] < value; i--)
        sorted[i] = sorted[i - 1];
    sorted[i] = value;
}

/* The block at which enough endpoints hold `meaning`; false when too few do. */
static bool attested(const struct mig_quorum *q, const uint8_t meaning[MIG_DIGEST_LEN],
                     struct mig_block *out)
{
    uint64_t heights[MIG_ENDPOINTS_MAX], times[MIG_ENDPOINTS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < q->count; i++) {
        if (!means(&q->voters[i], meaning))
            continue;
        insert(heights, n, q->voters[i].vote.block.height);
        insert(times, n, q->voters[i].vote.block.time_ns);
        n++;
    }
    if (n < q->need)
        return false;
    *out = (struct mig_block){heights[q->need - 1], times[q->need - 1]};
    return true;
}

/* By height. A time that went back comes from a liar among the voters, who
 * would make a good view look stale: the next honest vote does without it. */
static bool is_later(const struct mig_quorum *q, const struct mig_block *block)
{
    return block->height > q->belief.block.height && block->time_ns >= q->belief.block.time_ns;
}

/* The voter's word supports the belief, and is of about its time. */
static bool is_present(const struct mig_quorum *q, const struct mig_voter *voter)
{
    uint64_t time = voter->vote.block.time_ns, lag = MIG_QUORUM_LAG_S * 1000000000ull;
    return means(voter, q->belief.meaning) &&
           (time >= q->belief.block.time_ns || q->belief.block.time_ns - time <= lag);
}

static void count_missing(struct mig_quorum *q, size_t voter, struct mig_tally *tally)
{
    for (size_t i = 0; i < q->count; i++) {
        struct mig_voter *v = &q->voters[i];
        if (i == voter || v->outvoted)
            continue;
        v->missed++;
        if (v->missed >= PATIENCE * q->count) {
            v->outvoted = true;
            tally->fallen |= (uint8_t)(1u << i);
        }
    }
}

static void judge(struct mig_quorum *q, size_t voter, struct mig_tally *tally)
{
    struct mig_voter *v = &q->voters[voter];
    if (!q->believes)
        return;
    if (!is_present(q, v)) {
        tally->differs = v->outvoted && !means(v, q->belief.meaning);
        return;
    }
    v->missed = 0;
    if (v->outvoted)
        tally->back |= (uint8_t)(1u << voter);
    v->outvoted = false;
}

static bool is_idle_talk(const struct mig_quorum *q)
{
    size_t n = 0;
    for (size_t i = 0; i < q->count; i++)
        n += q->voters[i].idle >= TALK;
    return n >= q->need;
}

struct mig_tally mig_quorum_vote(struct mig_quorum *q, size_t voter, const struct mig_vote *vote)
{
    struct mig_tally tally = {0};
    struct mig_block block;
    struct mig_voter *v = &q->voters[voter];
    v->has_vote = true;
    v->vote = *vote;
    tally.moved = attested(q, vote->meaning, &block) && (!q->believes || is_later(q, &block));
    if (tally.moved) {
        q->believes = true;
        q->belief.block = block;
        memcpy(q->belief.meaning, vote->meaning, MIG_DIGEST_LEN);
        count_missing(q, voter, &tally);
        for (size_t i = 0; i < q->count; i++)
            q->voters[i].idle = 0;
        q->is_split = false;
    } else {
        v->idle++;
        tally.split = !q->is_split && is_idle_talk(q);
        q->is_split |= tally.split;
    }
    judge(q, voter, &tally);
    return tally;
}

size_t mig_quorum_support(const struct mig_quorum *q)
{
    size_t n = 0;
    for (size_t i = 0; q->believes && i < q->count; i++)
        n += means(&q->voters[i], q->belief.meaning) && !q->voters[i].outvoted;
    return n;
}

int mig_quorum_text(const char *const *texts, size_t count, size_t need)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = 0;
        for (size_t k = 0; texts[i] != NULL && k < count; k++)
            n += texts[k] != NULL && strcmp(texts[i], texts[k]) == 0;
        if (texts[i] != NULL && n >= need)
            return (int)i;
    }
    return -1;
}
