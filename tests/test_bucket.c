/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <string.h>

#include "auth/bucket.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define NOW (5 * SECOND)

static struct mig_budget *budget_of(uint32_t per_address, uint32_t total, size_t addresses)
{
    const struct mig_budget_config config = {per_address, total, addresses};
    struct mig_budget *budget = NULL;
    CU_ASSERT_EQUAL_FATAL(mig_budget_new(&config, &budget), MIG_OK);
    return budget;
}

static struct mig_address ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct mig_address){{[10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d}};
}

static struct mig_address ipv6(uint8_t prefix, uint8_t host)
{
    return (struct mig_address){{0x20, 0x01, 0x0d, 0xb8, [7] = prefix, [15] = host}};
}

static unsigned take_all(struct mig_budget *budget, struct mig_address address, uint64_t now)
{
    unsigned taken = 0;
    while (taken < 100000 && mig_budget_take(budget, &address, now))
        taken++;
    return taken;
}

static void a_burst_is_one_second_of_the_rate(void)
{
    struct mig_budget *budget = budget_of(500, 5000, 64);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 1), NOW), 500);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 1), NOW), 0);
    mig_budget_free(&budget);
    CU_ASSERT_PTR_NULL(budget);
    mig_budget_free(&budget);
}

static void tokens_come_back_with_time(void)
{
    struct mig_budget *budget = budget_of(500, 5000, 64);
    struct mig_address a = ipv4(10, 0, 0, 1);
    CU_ASSERT_EQUAL(take_all(budget, a, NOW), 500);
    CU_ASSERT_EQUAL(take_all(budget, a, NOW + 2 * MS - 1), 0);
    CU_ASSERT_EQUAL(take_all(budget, a, NOW + 2 * MS), 1);
    CU_ASSERT_EQUAL(take_all(budget, a, NOW + 22 * MS), 10);
    CU_ASSERT_EQUAL(take_all(budget, a, NOW + 100 * SECOND), 500); /* never more than the burst */
    CU_ASSERT_EQUAL(mig_budget_retry_after(budget), 1);
    mig_budget_free(&budget);
}

static void addresses_do_not_share(void)
{
    struct mig_budget *budget = budget_of(10, 5000, 64);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 1), NOW), 10);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 2), NOW), 10);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 1), NOW), 0);
    mig_budget_free(&budget);
}

static void an_ipv6_network_of_64_bits_shares(void)
{
    struct mig_budget *budget = budget_of(10, 5000, 64);
    CU_ASSERT_EQUAL(take_all(budget, ipv6(1, 1), NOW), 10);
    CU_ASSERT_EQUAL(take_all(budget, ipv6(1, 2), NOW), 0);
    CU_ASSERT_EQUAL(take_all(budget, ipv6(2, 1), NOW), 10);
    mig_budget_free(&budget);
}

static void the_total_bounds_all_together(void)
{
    struct mig_budget *budget = budget_of(10, 25, 64);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 1), NOW), 10);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 2), NOW), 10);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 3), NOW), 5);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 4), NOW), 0);
    mig_budget_free(&budget);
}

static void a_refusal_takes_from_neither_bucket(void)
{
    struct mig_budget *budget = budget_of(10, 20, 64);
    struct mig_address poor = ipv4(10, 0, 0, 1);
    CU_ASSERT_EQUAL(take_all(budget, poor, NOW), 10);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_FALSE(mig_budget_take(budget, &poor, NOW));
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 2), NOW), 10);
    /* The total is empty now; a third address keeps its own. */
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 3), NOW), 0);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 3), NOW + SECOND), 10);
    mig_budget_free(&budget);
}

static void a_token_given_back_can_be_taken_again(void)
{
    struct mig_budget *budget = budget_of(10, 10, 64);
    struct mig_address a = ipv4(10, 0, 0, 1), unknown = ipv4(10, 0, 0, 9);
    CU_ASSERT_EQUAL(take_all(budget, a, NOW), 10);
    mig_budget_give(budget, &a, NOW);
    CU_ASSERT_EQUAL(take_all(budget, a, NOW), 1);
    mig_budget_give(budget, &a, NOW + 5 * SECOND); /* full already: nothing beyond the burst */
    mig_budget_give(budget, &a, NOW + 5 * SECOND);
    mig_budget_give(budget, &unknown, NOW + 5 * SECOND);
    CU_ASSERT_EQUAL(take_all(budget, a, NOW + 5 * SECOND), 10);
    mig_budget_give(budget, &a, NOW + 5 * SECOND);
    mig_budget_give(budget, &a, NOW + 5 * SECOND + 950 * MS); /* less than a token was missing */
    CU_ASSERT_EQUAL(take_all(budget, a, NOW + 5 * SECOND + 950 * MS), 10);
    mig_budget_free(&budget);
}

static void honest_requests_never_run_dry(void)
{
    struct mig_budget *budget = budget_of(2, 5, 64);
    struct mig_address a = ipv4(10, 0, 0, 1);
    for (int i = 0; i < 10000; i++) {
        CU_ASSERT(mig_budget_take(budget, &a, NOW));
        mig_budget_give(budget, &a, NOW);
    }
    mig_budget_free(&budget);
}

/* A flood from many networks finds fixed memory; what it spends, it has spent
 * from the total. */
static void more_addresses_than_buckets_still_meet_the_total(void)
{
    struct mig_budget *budget = budget_of(10, 1000, 16);
    unsigned taken = 0;
    for (unsigned i = 0; i < 5000; i++) {
        struct mig_address a = ipv4(10, 1, (uint8_t)(i >> 8), (uint8_t)i);
        taken += mig_budget_take(budget, &a, NOW);
    }
    CU_ASSERT_EQUAL(taken, 1000);
    mig_budget_free(&budget);
}

static void the_emptiest_buckets_are_kept(void)
{
    struct mig_budget *budget = budget_of(100, 1000000, 8); /* one set of eight */
    struct mig_address poor = ipv4(10, 0, 0, 1);
    CU_ASSERT_EQUAL(take_all(budget, poor, NOW), 100);
    for (unsigned i = 0; i < 2000; i++) {
        struct mig_address a = ipv4(10, 1, (uint8_t)(i >> 8), (uint8_t)i);
        CU_ASSERT(mig_budget_take(budget, &a, NOW));
    }
    CU_ASSERT_FALSE(mig_budget_take(budget, &poor, NOW));
    mig_budget_free(&budget);
}

static void a_clock_that_steps_back_gives_nothing_away(void)
{
    struct mig_budget *budget = budget_of(10, 100, 64);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 1), NOW), 10);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 1), NOW - SECOND), 0);
    CU_ASSERT_EQUAL(take_all(budget, ipv4(10, 0, 0, 1), 0), 0);
    mig_budget_free(&budget);
}

static void refuses_rates_that_cannot_be(void)
{
    static const struct mig_budget_config bad[] = {
        {0, 1, 1}, {1, 0, 1}, {1, 1, 0}, {1000001, 1, 1}, {1, 1000001, 1}, {1, 1, 1 << 21}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mig_budget *budget = NULL;
        CU_ASSERT_EQUAL(mig_budget_new(&bad[i], &budget), MIG_ERR_MALFORMED);
        CU_ASSERT_PTR_NULL(budget);
    }
}

int main(void)
{
    static const struct test tests[] = {
        TEST(a_burst_is_one_second_of_the_rate),
        TEST(tokens_come_back_with_time),
        TEST(addresses_do_not_share),
        TEST(an_ipv6_network_of_64_bits_shares),
        TEST(the_total_bounds_all_together),
        TEST(a_refusal_takes_from_neither_bucket),
        TEST(a_token_given_back_can_be_taken_again),
        TEST(honest_requests_never_run_dry),
        TEST(more_addresses_than_buckets_still_meet_the_total),
        TEST(the_emptiest_buckets_are_kept),
        TEST(a_clock_that_steps_back_gives_nothing_away),
        TEST(refuses_rates_that_cannot_be),
    };
    return run_tests("bucket", tests, sizeof tests / sizeof *tests);
}
