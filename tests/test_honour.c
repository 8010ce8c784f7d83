/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <string.h>

#include "migration/honour.h"
#include "tests/views.h"

static struct mig_honour h;
static const uint64_t second = 1000000000u;
enum { DELAY = 600 };

/* A view of a block `block` seconds old in the world, with a key, seen when our
 * clock said `now`. */
static bool observe_at(char key, uint64_t block, uint64_t now, uint64_t delay)
{
    struct view_spec spec = {
        .generation = 1, .height = block, .protocol = MIG_PROTOCOL_RUNNING, .service = key};
    const struct mig_view *view = view_of(&spec);
    bool changed = mig_honour_observe(&h, view, delay * second, now * second);
    mig_view_release(&view);
    return changed;
}

static bool observe(char key, uint64_t at)
{
    return observe_at(key, at, at, DELAY);
}

static char honoured(char registered)
{
    struct view_spec spec = {
        .generation = 1, .protocol = MIG_PROTOCOL_RUNNING, .service = registered};
    const struct mig_view *view = view_of(&spec);
    const uint8_t *key = mig_honour_key(&h, view);
    char letter = key != NULL ? (char)key[0] : 0;
    mig_view_release(&view);
    return letter;
}

static void restart(void)
{
    uint8_t bytes[MIG_HONOUR_RECORD_LEN];
    mig_honour_encode(&h, bytes);
    CU_ASSERT_EQUAL_FATAL(mig_honour_decode(bytes, sizeof bytes, &h), MIG_OK);
}

static void fresh(void)
{
    h = (struct mig_honour){0};
}

static void no_view_and_no_key_honour_nothing(void)
{
    fresh();
    CU_ASSERT_PTR_NULL(mig_honour_key(&h, NULL));
    CU_ASSERT_EQUAL(honoured(0), 0);
    CU_ASSERT_EQUAL(honoured('k'), 0); /* not observed yet */
    CU_ASSERT_FALSE(observe(0, 1000));
    CU_ASSERT_EQUAL(honoured(0), 0);
}

static void without_a_delay_a_key_counts_at_once(void)
{
    fresh();
    CU_ASSERT(observe_at('k', 1000, 1002, 0));
    CU_ASSERT_EQUAL(honoured('k'), 'k');
    CU_ASSERT(observe_at('l', 1001, 900, 0)); /* even when our clock is behind */
    CU_ASSERT_EQUAL(honoured('l'), 'l');
    CU_ASSERT_EQUAL(honoured('k'), 0);
}

static void the_first_key_ever_waits_too(void)
{
    fresh();
    CU_ASSERT(observe('k', 1000));
    CU_ASSERT_EQUAL(honoured('k'), 0);
    CU_ASSERT_FALSE(observe('k', 1000 + DELAY - 1));
    CU_ASSERT_EQUAL(honoured('k'), 0);
    CU_ASSERT(observe('k', 1000 + DELAY));
    CU_ASSERT_EQUAL(honoured('k'), 'k');
    CU_ASSERT_FALSE(observe('k', 5000));
}

static void while_a_new_key_waits_no_key_authenticates(void)
{
    fresh();
    (void)observe_at('k', 900, 900, 0);
    CU_ASSERT(observe('l', 1000));
    CU_ASSERT(honoured('l') == 0 && honoured('k') == 'k'); /* of a view that still shows k */
    CU_ASSERT(observe('l', 1000 + DELAY));
    CU_ASSERT(honoured('l') == 'l' && honoured('k') == 0);
}

static void every_change_starts_the_delay_again(void)
{
    fresh();
    CU_ASSERT(observe('k', 1000));
    CU_ASSERT(observe('l', 1500));
    CU_ASSERT_FALSE(observe('l', 1000 + DELAY));
    CU_ASSERT(observe('k', 2000));
    CU_ASSERT_FALSE(observe('k', 2000 + DELAY - 1));
    CU_ASSERT_EQUAL(honoured('k'), 0);
    CU_ASSERT(observe(0, 2000 + DELAY - 1)); /* taken away, and back */
    CU_ASSERT(observe('k', 2000 + DELAY));
    CU_ASSERT_EQUAL(honoured('k'), 0);
    CU_ASSERT(observe('k', 2000 + 2 * DELAY));
    CU_ASSERT_EQUAL(honoured('k'), 'k');
}

static void the_last_honoured_key_is_never_new(void)
{
    fresh();
    (void)observe_at('k', 900, 900, 0);
    CU_ASSERT(observe('l', 1000));
    CU_ASSERT(observe('k', 1001));
    CU_ASSERT_EQUAL(honoured('k'), 'k');
    CU_ASSERT_FALSE(observe(0, 1002));
    CU_ASSERT_EQUAL(honoured(0), 0);
    CU_ASSERT_FALSE(observe('k', 1003));
    CU_ASSERT_EQUAL(honoured('k'), 'k');
    /* And l, which had waited, waits from the beginning. */
    CU_ASSERT(observe('l', 1100));
    CU_ASSERT_FALSE(observe('l', 1000 + DELAY));
}

static void a_restart_neither_shortens_nor_restarts_the_delay(void)
{
    fresh();
    CU_ASSERT(observe('k', 1000));
    restart();
    CU_ASSERT_FALSE(observe('k', 1300));
    restart();
    CU_ASSERT_FALSE(observe('k', 1000 + DELAY - 1));
    CU_ASSERT(observe('k', 1000 + DELAY));
    restart();
    CU_ASSERT_EQUAL(honoured('k'), 'k');
}

static void lies_about_block_times_do_not_shorten_the_delay(void)
{
    fresh();
    CU_ASSERT(observe_at('k', 100, 1000, DELAY)); /* "an old block showed it already" */
    CU_ASSERT_FALSE(observe_at('k', 1001, 1001, DELAY));
    CU_ASSERT_FALSE(observe_at('k', 9999, 1002, DELAY)); /* "much time has passed" */
    CU_ASSERT_EQUAL(honoured('k'), 0);
    /* And a chain that stands still does not let it pass either. */
    CU_ASSERT_FALSE(observe_at('k', 1002, 9999, DELAY));
    CU_ASSERT(observe_at('k', 1000 + DELAY, 9999, DELAY));
}

static void a_clock_that_goes_back_waits(void)
{
    fresh();
    CU_ASSERT(observe('k', 1000));
    CU_ASSERT_FALSE(observe('k', 10));
    CU_ASSERT_EQUAL(honoured('k'), 0);
}

static void records_are_strict(void)
{
    uint8_t bytes[MIG_HONOUR_RECORD_LEN + 1] = {0};
    struct mig_honour back;
    fresh();
    (void)observe_at('k', 900, 900, 0);
    (void)observe('l', 1000);
    mig_honour_encode(&h, bytes);
    CU_ASSERT_EQUAL(mig_honour_decode(bytes, MIG_HONOUR_RECORD_LEN, &back), MIG_OK);
    CU_ASSERT_EQUAL(back.pending_since_ns, 1000 * second);
    CU_ASSERT(back.has_honoured && back.honoured[3] == 'k' && back.has_pending &&
              back.pending[3] == 'l');
    for (size_t len = 0; len <= MIG_HONOUR_RECORD_LEN + 1; len++)
        if (len != MIG_HONOUR_RECORD_LEN)
            CU_ASSERT_EQUAL(mig_honour_decode(bytes, len, &back), MIG_ERR_MALFORMED);
    static const size_t flags[] = {0, 33};
    for (size_t i = 0; i < 2; i++)
        for (unsigned v = 0; v < 256; v += v == 2 ? 253 : 1) {
            uint8_t odd[MIG_HONOUR_RECORD_LEN];
            memcpy(odd, bytes, sizeof odd);
            odd[flags[i]] = (uint8_t)v;
            CU_ASSERT_EQUAL(mig_honour_decode(odd, sizeof odd, &back),
                            v == 1 ? MIG_OK : MIG_ERR_MALFORMED);
        }
}

int main(void)
{
    static const struct test tests[] = {
        TEST(no_view_and_no_key_honour_nothing),
        TEST(without_a_delay_a_key_counts_at_once),
        TEST(the_first_key_ever_waits_too),
        TEST(while_a_new_key_waits_no_key_authenticates),
        TEST(every_change_starts_the_delay_again),
        TEST(the_last_honoured_key_is_never_new),
        TEST(a_restart_neither_shortens_nor_restarts_the_delay),
        TEST(lies_about_block_times_do_not_shorten_the_delay),
        TEST(a_clock_that_goes_back_waits),
        TEST(records_are_strict),
    };
    return run_tests("honour", tests, sizeof tests / sizeof *tests);
}
