/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_quorum_vote. Fewer than `need` endpoints are the attacker's and
 * vote what the input says; the others read a chain whose meaning changes at
 * heights of the input's choice, each as far as the input lets it come. What is
 * believed must be what an honest one holds, never look fresher than it, and
 * follow once enough honest ones have come to the same height.
 */
#include <stdlib.h>
#include <string.h>

#include "chain/quorum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

/* The chain's meaning at a height: changes every `period` blocks, and may come
 * back to an earlier one. */
static uint8_t truth(uint64_t height, uint8_t period)
{
    return (uint8_t)(1 + (height / (period + 1u)) % 3);
}

static struct mig_vote vote_of(uint8_t meaning, uint64_t height, uint64_t time)
{
    struct mig_vote vote = {.block = {height, time}};
    memset(vote.meaning, meaning, sizeof vote.meaning);
    return vote;
}

/* Somebody honest holds it at that height or above, at that time or later. */
static void is_honest(const struct mig_quorum *q, size_t liars)
{
    bool height = false, time = false;
    for (size_t i = liars; i < q->count; i++) {
        const struct mig_voter *v = &q->voters[i];
        bool same = v->has_vote && memcmp(v->vote.meaning, q->belief.meaning, MIG_DIGEST_LEN) == 0;
        height |= same && v->vote.block.height >= q->belief.block.height;
        time |= same && v->vote.block.time_ns >= q->belief.block.time_ns;
    }
    require(height && time);
}

static void come_to(struct mig_quorum *q, size_t liars, uint8_t meaning, uint64_t height)
{
    struct mig_vote vote = vote_of(meaning, height, height);
    for (size_t i = liars; i < q->count; i++)
        (void)mig_quorum_vote(q, i, &vote);
    require(q->believes && q->belief.meaning[0] == meaning);
    require(q->belief.block.height == height);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mig_quorum q;
    uint64_t heights[MIG_ENDPOINTS_MAX] = {0}, before = 0;
    if (size < 3)
        return 0;
    size_t count = 1 + data[0] % MIG_ENDPOINTS_MAX, need = 1 + (data[0] >> 4) % count;
    size_t liars = data[1] % need;
    if (count - liars < need)
        liars = count - need;
    uint8_t period = data[2];
    mig_quorum_init(&q, count, need);
    for (size_t at = 3; at + 4 <= size; at += 4) {
        size_t i = data[at] % count;
        struct mig_vote vote;
        if (i < liars) {
            uint64_t height = data[at + 2] == 255 ? UINT64_MAX : data[at + 2];
            vote =
                vote_of(data[at + 1] % 5, height, data[at + 3] == 255 ? UINT64_MAX : data[at + 3]);
        } else {
            heights[i] += data[at + 1] % 8u;
            vote = vote_of(truth(heights[i], period), heights[i], heights[i]);
        }
        struct mig_tally tally = mig_quorum_vote(&q, i, &vote);
        require(!tally.moved || !q.believes || q.belief.block.height > before || before == 0);
        require((tally.fallen & tally.back) == 0 && tally.fallen >> count == 0);
        if (tally.moved)
            is_honest(&q, liars);
        before = q.belief.block.height;
    }
    /* Everybody honest comes to one height above all of theirs. */
    uint64_t last = 1;
    for (size_t i = liars; i < count; i++)
        last = heights[i] >= last ? heights[i] + 1 : last;
    come_to(&q, liars, truth(last, period), last);
    /* What liars did to its time is over a block without a change later. */
    come_to(&q, liars, truth(last, period), last + 1);
    require(q.belief.block.time_ns >= last && q.belief.block.time_ns <= last + 1);
    return 0;
}
