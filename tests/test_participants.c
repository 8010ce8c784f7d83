/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration/participants.h"
#include "tests/views.h"

static struct mig_delta d;

/* This node is a.near with the key M. */
static void diff(const char *before, uint64_t epoch_before, const char *after, uint64_t epoch_after)
{
    uint8_t key[MIG_KEY_LEN];
    letter_key('M', key);
    struct mig_participants a = set_of(before != NULL ? before : "", 2), b = set_of(after, 2);
    mig_delta_clear(&d);
    CU_ASSERT_EQUAL_FATAL(mig_delta_compute(before != NULL ? &a : NULL, epoch_before, &b,
                                            epoch_after, "a.near", key, &d),
                          MIG_OK);
    mig_participants_clear(&a);
    mig_participants_clear(&b);
}

static const char *text(const struct mig_ids *ids)
{
    static char out[256];
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < ids->count; i++)
        len +=
            (size_t)snprintf(out + len, sizeof out - len, "%s%u", i > 0 ? " " : "", ids->list[i]);
    return out;
}

static void every_kind_of_change_has_its_row(void)
{
    static const struct {
        const char *before, *after;
        const char *joined, *left, *rekeyed, *gone;
        bool address, reconnects, was, is;
    } row[] = {
        {"0aM 1bB", "0aM 1bB", "", "", "", "", false, false, true, true},
        {"", "", "", "", "", "", false, false, false, false},
        {"", "0aM", "0", "", "", "", false, true, false, true},
        {"0aM", "", "", "0", "", "0", false, true, true, false},
        {"0aM 1bB", "0aM 1bB 2cC", "2", "", "", "", false, true, true, true},
        {"1bB", "0aM 1bB", "0", "", "", "", false, true, false, true},
        {"0aM 1bB 2cC", "0aM 2cC", "", "1", "", "1", false, true, true, true},
        {"0aM 1bB", "0aM 1bX", "", "", "1", "1", false, true, true, true},  /* key */
        {"0aM 1bB", "0aM 1xB", "", "", "1", "1", false, true, true, true},  /* account */
        {"0aA 1bB", "0aM 1bB", "", "", "0", "0", false, true, false, true}, /* this node came */
        {"0aM 1bB", "0aA 1bB", "", "", "0", "0", false, true, true, false}, /* and went */
        {"0aM 1bB", "0aM 1bB!", "", "", "", "", true, false, true, true},
        {"0aM 1bB", "0aM 1bX!", "", "", "1", "1", false, true, true,
         true}, /* re-keyed: not moved */
        {"0aM 7bB", "0aM 9bB", "9", "7", "", "7", false, true, true, true}, /* another id */
        {"0aM 1bB 2cC", "0aM 1cC 2bB", "", "", "1 2", "1 2", false, true, true, true},
        {"1bB 4000000000cC", "0aM 4000000000cX", "0", "1", "4000000000", "1 4000000000", false,
         true, false, true},
        {"0aM 2bB 4cC 6dD 8eE", "1xX 2bB! 4cY 5zZ 8eE", "1 5", "0 6", "4", "0 4 6", true, true,
         true, false},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        diff(row[i].before, 5, row[i].after, 5);
        CU_ASSERT_STRING_EQUAL(text(&d.joined), row[i].joined);
        CU_ASSERT_STRING_EQUAL(text(&d.left), row[i].left);
        CU_ASSERT_STRING_EQUAL(text(&d.rekeyed), row[i].rekeyed);
        CU_ASSERT_STRING_EQUAL(text(&d.gone), row[i].gone);
        CU_ASSERT_EQUAL(d.address_changed, row[i].address);
        CU_ASSERT_EQUAL(mig_delta_reconnects(&d), row[i].reconnects);
        CU_ASSERT_EQUAL(d.was_member, row[i].was);
        CU_ASSERT_EQUAL(d.is_member, row[i].is);
        CU_ASSERT_FALSE(d.epoch_changed || d.threshold_changed);
    }
    mig_delta_clear(&d);
}

static void a_new_epoch_reconnects_even_the_same_set(void)
{
    diff("0aM 1bB", 5, "0aM 1bB", 6);
    CU_ASSERT(d.epoch_changed && mig_delta_reconnects(&d) && d.gone.count == 0);
    mig_delta_clear(&d);
}

static void nothing_known_before_counts_as_a_new_epoch(void)
{
    diff(NULL, 5, "0aM 1bB", 5);
    CU_ASSERT(d.epoch_changed && mig_delta_reconnects(&d) && !d.threshold_changed);
    CU_ASSERT_STRING_EQUAL(text(&d.joined), "0 1");
    mig_delta_clear(&d);
}

static void a_threshold_alone_reconnects_nothing(void)
{
    uint8_t key[MIG_KEY_LEN] = {0};
    struct mig_participants a = set_of("0aM 1bB", 2), b = set_of("0aM 1bB", 3);
    CU_ASSERT_EQUAL(mig_delta_compute(&a, 5, &b, 5, "a.near", key, &d), MIG_OK);
    CU_ASSERT(d.threshold_changed && !mig_delta_reconnects(&d) && !d.is_member);
    mig_delta_clear(&d);
    mig_participants_clear(&a);
    mig_participants_clear(&b);
}

static void ids_merge_as_sets(void)
{
    static uint32_t odd[] = {1, 3, 5}, some[] = {0, 3, 4, 9};
    struct mig_ids into = {0}, a = {3, odd}, b = {4, some}, none = {0};
    CU_ASSERT_EQUAL(mig_ids_merge(&into, &none), MIG_OK);
    CU_ASSERT_EQUAL(into.count, 0);
    CU_ASSERT_EQUAL(mig_ids_merge(&into, &a), MIG_OK);
    CU_ASSERT_STRING_EQUAL(text(&into), "1 3 5");
    CU_ASSERT_EQUAL(mig_ids_merge(&into, &b), MIG_OK);
    CU_ASSERT_STRING_EQUAL(text(&into), "0 1 3 4 5 9");
    CU_ASSERT_EQUAL(mig_ids_merge(&into, &a), MIG_OK);
    CU_ASSERT_STRING_EQUAL(text(&into), "0 1 3 4 5 9");
    CU_ASSERT(mig_ids_has(&into, 9) && mig_ids_has(&into, 0) && !mig_ids_has(&into, 2) &&
              !mig_ids_has(&none, 0));
    mig_ids_clear(&into);
}

static void a_thousand_participants_are_compared(void)
{
    struct mig_participants a = {.list = calloc(1000, sizeof *a.list), .count = 1000}, b;
    uint8_t key[MIG_KEY_LEN] = {0};
    for (uint32_t i = 0; i < 1000; i++) {
        a.list[i].id = i * 7;
        (void)snprintf(a.list[i].account, sizeof a.list[i].account, "n%u.near", i);
    }
    CU_ASSERT_EQUAL(mig_participants_copy(&a, &b), MIG_OK);
    for (uint32_t i = 0; i < 1000; i += 3)
        b.list[i].tls_key[0] ^= 1;
    CU_ASSERT_EQUAL(mig_delta_compute(&a, 5, &b, 5, "n1.near", key, &d), MIG_OK);
    CU_ASSERT(d.rekeyed.count == 334 && d.left.count == 0 && d.is_member);
    mig_delta_clear(&d);
    mig_participants_clear(&a);
    mig_participants_clear(&b);
}

/* ---- random histories -------------------------------------------------- */

enum { IDS = 6, STEPS = 12, HISTORIES = 3000 };

static uint32_t state;
static uint32_t dice(uint32_t sides)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % sides;
}

/* key[id]: 0 absent, else a letter; one participant per id and account. */
struct world {
    char key[IDS];
};

static struct mig_participants as_set(const struct world *w)
{
    char line[128] = "";
    size_t len = 0;
    for (int i = 0; i < IDS; i++)
        if (w->key[i] != 0)
            len +=
                (size_t)snprintf(line + len, sizeof line - len, "%d%c%c ", i, 'a' + i, w->key[i]);
    if (len > 0)
        line[len - 1] = '\0';
    return set_of(line, 2);
}

static void move(struct world *w)
{
    uint32_t id = dice(IDS);
    w->key[id] = dice(3) == 0 ? 0 : (char)('A' + (char)dice(3));
}

/* Assets are sets of ids, made by those present, and remember the keys they
 * were made with. `void_now`: an id in it is absent or has another key. */
struct asset {
    uint32_t members;
    char key[IDS];
    bool gone;
};

static struct asset make(const struct world *w)
{
    struct asset a = {0};
    for (int i = 0; i < IDS; i++)
        if (w->key[i] != 0 && dice(2) == 0) {
            a.members |= 1u << i;
            a.key[i] = w->key[i];
        }
    return a;
}

static bool involves(const struct asset *a, const struct mig_ids *gone)
{
    for (size_t i = 0; i < gone->count; i++)
        if ((a->members >> gone->list[i] & 1) != 0)
            return true;
    return false;
}

/* After any history, purging by each step's `gone`: no asset of a changed
 * participant stays, none of unchanged ones goes, twice is once, and the union
 * in one go does the same as step by step. */
static void purges_over_random_histories_are_exact(void)
{
    uint8_t key[MIG_KEY_LEN] = {0};
    for (uint32_t seed = 0; seed < HISTORIES; seed++) {
        state = seed;
        struct world w = {0};
        for (int i = 0; i < IDS; i++)
            move(&w);
        struct asset asset[8];
        bool touched[8] = {false}, expected[8] = {false};
        struct mig_ids all = {0};
        for (int i = 0; i < 8; i++)
            asset[i] = make(&w);
        for (int step = 0; step < STEPS; step++) {
            struct world was = w;
            if (dice(4) > 0)
                move(&w);
            struct mig_participants a = as_set(&was), b = as_set(&w);
            CU_ASSERT_EQUAL_FATAL(mig_delta_compute(&a, 5, &b, 5, "a.near", key, &d), MIG_OK);
            for (int i = 0; i < 8; i++) {
                for (int id = 0; id < IDS; id++)
                    if ((asset[i].members >> id & 1) != 0 && w.key[id] != was.key[id])
                        expected[i] = true;
                touched[i] = touched[i] || involves(&asset[i], &d.gone);
            }
            CU_ASSERT_EQUAL(mig_ids_merge(&all, &d.gone), MIG_OK);
            CU_ASSERT_EQUAL(mig_delta_reconnects(&d), memcmp(&was, &w, sizeof w) != 0);
            mig_delta_clear(&d);
            mig_participants_clear(&a);
            mig_participants_clear(&b);
        }
        for (int i = 0; i < 8; i++) {
            CU_ASSERT_EQUAL(touched[i], expected[i]);
            CU_ASSERT_EQUAL(involves(&asset[i], &all), expected[i]);
        }
        mig_ids_clear(&all);
    }
}

static void a_difference_and_its_reverse_mirror_each_other(void)
{
    uint8_t key[MIG_KEY_LEN] = {0};
    for (uint32_t seed = 0; seed < 500; seed++) {
        state = seed;
        struct world x = {0}, y;
        for (int i = 0; i < IDS; i++)
            move(&x);
        y = x;
        for (int i = 0; i < IDS; i++)
            move(&y);
        struct mig_participants a = as_set(&x), b = as_set(&y);
        struct mig_delta back;
        CU_ASSERT_EQUAL_FATAL(mig_delta_compute(&a, 5, &b, 5, "a.near", key, &d), MIG_OK);
        CU_ASSERT_EQUAL_FATAL(mig_delta_compute(&b, 5, &a, 5, "a.near", key, &back), MIG_OK);
        CU_ASSERT(d.joined.count == back.left.count && d.left.count == back.joined.count);
        CU_ASSERT(d.rekeyed.count == back.rekeyed.count);
        CU_ASSERT_EQUAL(d.gone.count, d.left.count + d.rekeyed.count);
        CU_ASSERT(d.was_member == back.is_member && d.is_member == back.was_member);
        mig_delta_clear(&d);
        mig_delta_clear(&back);
        mig_participants_clear(&a);
        mig_participants_clear(&b);
    }
}

int main(void)
{
    static const struct test tests[] = {
        TEST(every_kind_of_change_has_its_row),
        TEST(a_new_epoch_reconnects_even_the_same_set),
        TEST(nothing_known_before_counts_as_a_new_epoch),
        TEST(a_threshold_alone_reconnects_nothing),
        TEST(ids_merge_as_sets),
        TEST(a_thousand_participants_are_compared),
        TEST(purges_over_random_histories_are_exact),
        TEST(a_difference_and_its_reverse_mirror_each_other),
    };
    return run_tests("participants", tests, sizeof tests / sizeof *tests);
}
