/* SPDX-License-Identifier: MIT */
#include "backup/announcer.h"

#include <string.h>

#include "tests/harness.h"

#define NS_PER_S UINT64_C(1000000000)

struct scene {
    struct mig_announcer announcer;
    struct mig_view view;
    enum mig_err err; /* of publishing */
    unsigned sent;
    uint8_t key[MIG_KEY_LEN];
};

static enum mig_err publish(void *ctx, const uint8_t key[MIG_KEY_LEN])
{
    struct scene *s = ctx;
    s->sent++;
    memcpy(s->key, key, MIG_KEY_LEN);
    return s->err;
}

static void start(struct scene *s)
{
    *s = (struct scene){.view.published.has_node = true};
    s->announcer = (struct mig_announcer){.publish = publish, .ctx = s};
}

static bool ready(struct scene *s, uint64_t seconds)
{
    const char *why = NULL;
    bool is = mig_announcer_ready(&s->announcer, &s->view, seconds * NS_PER_S, &why);
    CU_ASSERT_PTR_NOT_NULL(why);
    return is;
}

static void show(struct scene *s)
{
    s->view.published.has_service = true;
    memcpy(s->view.published.service, s->key, MIG_KEY_LEN);
}

static void is_ready_only_when_the_view_shows_both_keys(void)
{
    struct scene s;
    start(&s);
    CU_ASSERT_FALSE(ready(&s, 1));
    CU_ASSERT_EQUAL(s.sent, 1);
    CU_ASSERT_FALSE(ready(&s, 2)); /* sent, not shown: no second transaction */
    CU_ASSERT_EQUAL(s.sent, 1);
    show(&s);
    s.view.published.has_node = false;
    CU_ASSERT_FALSE(ready(&s, 3));
    s.view.published.has_node = true;
    CU_ASSERT_TRUE(ready(&s, 4));
    CU_ASSERT_EQUAL(memcmp(s.announcer.pair.public_key, s.key, MIG_KEY_LEN), 0);
    mig_announcer_spend(&s.announcer);
}

static void sends_again_when_it_failed_or_never_showed(void)
{
    struct scene s;
    start(&s);
    s.err = MIG_ERR_RETRY;
    CU_ASSERT_FALSE(ready(&s, 1));
    CU_ASSERT_FALSE(ready(&s, 2)); /* not at once */
    CU_ASSERT_EQUAL(s.sent, 1);
    CU_ASSERT_FALSE(ready(&s, 3));
    CU_ASSERT_EQUAL(s.sent, 2);
    s.err = MIG_OK;
    CU_ASSERT_FALSE(ready(&s, 5));
    CU_ASSERT_FALSE(ready(&s, 6));
    CU_ASSERT_EQUAL(s.sent, 3);
    CU_ASSERT_FALSE(ready(&s, 34));
    CU_ASSERT_EQUAL(s.sent, 3);
    CU_ASSERT_FALSE(ready(&s, 35));
    CU_ASSERT_EQUAL(s.sent, 4);
    mig_announcer_spend(&s.announcer);
}

static void a_key_that_may_not_publish_does_not_flood_the_chain(void)
{
    static const enum mig_err needs_a_person[] = {MIG_ERR_DENIED, MIG_ERR_NOT_FOUND};
    for (size_t i = 0; i < 2; i++) {
        struct scene s;
        start(&s);
        s.err = needs_a_person[i];
        for (uint64_t t = 1; t < 31; t++)
            CU_ASSERT_FALSE(ready(&s, t));
        CU_ASSERT_EQUAL(s.sent, 1);
        CU_ASSERT_EQUAL(s.announcer.err, needs_a_person[i]);
        CU_ASSERT_FALSE(ready(&s, 31));
        CU_ASSERT_EQUAL(s.sent, 2);
        mig_announcer_spend(&s.announcer);
    }
}

static void somebody_elses_key_is_not_ours(void)
{
    struct scene s;
    start(&s);
    CU_ASSERT_FALSE(ready(&s, 1));
    show(&s);
    s.view.published.service[0] ^= 1;
    CU_ASSERT_FALSE(ready(&s, 2));
    mig_announcer_spend(&s.announcer);
}

static void a_pair_serves_once_and_an_hour_at_most(void)
{
    struct scene s;
    start(&s);
    CU_ASSERT_FALSE(ready(&s, 1));
    show(&s);
    CU_ASSERT_TRUE(ready(&s, 3600));
    CU_ASSERT_FALSE(ready(&s, 3601)); /* another pair, not shown */
    CU_ASSERT_EQUAL(s.sent, 2);
    show(&s);
    CU_ASSERT_TRUE(ready(&s, 3602));
    mig_announcer_spend(&s.announcer);
    CU_ASSERT_PTR_NULL(s.announcer.pair.secret);
    CU_ASSERT_FALSE(ready(&s, 3603));
    CU_ASSERT_EQUAL(s.sent, 3);
    mig_announcer_spend(&s.announcer);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(is_ready_only_when_the_view_shows_both_keys),
        TEST(sends_again_when_it_failed_or_never_showed),
        TEST(a_key_that_may_not_publish_does_not_flood_the_chain),
        TEST(somebody_elses_key_is_not_ours),
        TEST(a_pair_serves_once_and_an_hour_at_most),
    };
    return run_tests("announcer", tests, sizeof tests / sizeof *tests);
}
