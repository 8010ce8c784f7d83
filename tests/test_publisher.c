/* SPDX-License-Identifier: MIT */
#include "server/publisher.h"

#include <string.h>

#include "tests/harness.h"

static uint8_t key[MIG_KEY_LEN];
static uint64_t wake;

static void publish(struct mig_publisher *p, uint64_t now_ms)
{
    CU_ASSERT_TRUE(mig_publisher_next(p, true, now_ms, key, &wake));
    mig_publisher_result(p, key, MIG_OK, now_ms);
    CU_ASSERT_FALSE(mig_publisher_next(p, true, now_ms, key, &wake));
}

static void show(struct mig_view *view, const uint8_t *shown)
{
    view->published.has_node = shown != NULL;
    if (shown != NULL)
        memcpy(view->published.node, shown, MIG_KEY_LEN);
}

static void makes_a_new_key_when_the_contract_forgets_the_old_one(void)
{
    struct mig_publisher p = {0};
    struct mig_view view = {0};
    uint8_t first[MIG_KEY_LEN];
    publish(&p, 1000);
    memcpy(first, key, MIG_KEY_LEN);
    CU_ASSERT_FALSE(mig_publisher_view(&p, &view, 1001)); /* final lags behind */
    show(&view, first);
    CU_ASSERT_FALSE(mig_publisher_view(&p, &view, 1002));
    show(&view, NULL);
    CU_ASSERT_TRUE(mig_publisher_view(&p, &view, 1003));
    publish(&p, 1004);
    CU_ASSERT_NOT_EQUAL(memcmp(first, key, MIG_KEY_LEN), 0);
    mig_publisher_clear(&p);
}

static void gives_up_a_key_that_no_view_ever_shows(void)
{
    struct mig_publisher p = {0};
    struct mig_view view = {0};
    static const uint8_t other[MIG_KEY_LEN] = {9};
    publish(&p, 1000);
    show(&view, other);
    CU_ASSERT_FALSE(mig_publisher_view(&p, &view, 1000 + MIG_PUBLISHED_UNSEEN_MS - 1));
    CU_ASSERT_TRUE(mig_publisher_view(&p, &view, 1000 + MIG_PUBLISHED_UNSEEN_MS));
    CU_ASSERT_FALSE(mig_publisher_view(&p, &view, 1000 + MIG_PUBLISHED_UNSEEN_MS));
    mig_publisher_clear(&p);
}

static void waits_longer_after_each_failure(void)
{
    struct mig_publisher p = {0};
    CU_ASSERT_TRUE(mig_publisher_next(&p, true, 0, key, &wake));
    mig_publisher_result(&p, key, MIG_ERR_RETRY, 0);
    CU_ASSERT_FALSE(mig_publisher_next(&p, true, MIG_PUBLISH_FIRST_MS - 1, key, &wake));
    CU_ASSERT_EQUAL(wake, MIG_PUBLISH_FIRST_MS);
    CU_ASSERT_TRUE(mig_publisher_next(&p, true, MIG_PUBLISH_FIRST_MS, key, &wake));
    CU_ASSERT_FALSE(mig_publisher_next(&p, false, MIG_PUBLISH_FIRST_MS, key, &wake));
    CU_ASSERT_PTR_NULL(p.pair.secret);
    mig_publisher_clear(&p);
}

static void a_key_is_taken_once(void)
{
    struct mig_publisher p = {0};
    struct mig_ephemeral pair = {.secret = mig_secret_new(MIG_KEY_LEN)};
    publish(&p, 0);
    uint8_t mine[MIG_KEY_LEN];
    memcpy(mine, p.pair.public_key, MIG_KEY_LEN);
    CU_ASSERT_TRUE(mig_publisher_take(&p, mine, 1, &pair));
    CU_ASSERT_FALSE(mig_publisher_take(&p, mine, 1, &pair));
    publish(&p, 2);
    memcpy(mine, p.pair.public_key, MIG_KEY_LEN);
    CU_ASSERT_FALSE(mig_publisher_take(&p, mine, 2 + MIG_PUBLISHED_LIFE_MS, &pair));
    mig_secret_free(&pair.secret);
    mig_publisher_clear(&p);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(makes_a_new_key_when_the_contract_forgets_the_old_one),
        TEST(gives_up_a_key_that_no_view_ever_shows),
        TEST(waits_longer_after_each_failure),
        TEST(a_key_is_taken_once),
    };
    return run_tests("publisher", tests, sizeof tests / sizeof *tests);
}
