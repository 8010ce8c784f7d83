/* SPDX-License-Identifier: MIT */
#include "handlers/offer.h"

#include <sodium.h>
#include <string.h>

#include "tests/harness.h"

static const uint64_t LIFE = 600000000000u;
static struct mig_offer offer;
static struct mig_offer_terms terms;
static uint8_t key[MIG_KEY_LEN], other[MIG_KEY_LEN];
static uint32_t left;

static void open_offer(void)
{
    terms = (struct mig_offer_terms){.service_key = {1}, .keyset = {2}, .tls_key = {3}, .since = 4};
    CU_ASSERT_EQUAL_FATAL(mig_offer_init(&offer), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_offer_get(&offer, &terms, 1000, LIFE, key, &left), MIG_OK);
}

static bool is_wiped(void)
{
    return sodium_is_zero(offer.pair.secret->bytes, MIG_KEY_LEN) == 1;
}

static bool take(uint64_t now_ns)
{
    struct mig_ephemeral pair = {.secret = mig_secret_new(MIG_KEY_LEN)};
    bool taken = mig_offer_take(&offer, &terms, now_ns, key, &pair);
    uint8_t public_key[MIG_KEY_LEN];
    if (taken) {
        (void)crypto_scalarmult_base(public_key, pair.secret->bytes);
        CU_ASSERT_EQUAL(memcmp(public_key, key, MIG_KEY_LEN), 0);
        CU_ASSERT_EQUAL(memcmp(pair.public_key, key, MIG_KEY_LEN), 0);
    }
    mig_ephemeral_clear(&pair);
    return taken;
}

static void is_the_same_until_it_lapses(void)
{
    open_offer();
    CU_ASSERT_EQUAL(left, 600);
    CU_ASSERT_EQUAL(mig_offer_get(&offer, &terms, 1000 + LIFE - 1, LIFE, other, &left), MIG_OK);
    CU_ASSERT_EQUAL(memcmp(key, other, MIG_KEY_LEN), 0);
    CU_ASSERT_EQUAL(left, 1);
    CU_ASSERT_EQUAL(mig_offer_get(&offer, &terms, 1000 + LIFE, LIFE, other, &left), MIG_OK);
    CU_ASSERT_NOT_EQUAL(memcmp(key, other, MIG_KEY_LEN), 0);
    CU_ASSERT_EQUAL(left, 600);
    mig_offer_clear(&offer);
}

static void a_change_of_any_term_makes_a_new_one(void)
{
    for (int i = 0; i < 4; i++) {
        open_offer();
        terms.service_key[0] ^= i == 0;
        terms.keyset[31] ^= i == 1;
        terms.tls_key[5] ^= i == 2;
        terms.since += i == 3;
        CU_ASSERT_FALSE(mig_offer_is(&offer, &terms, 1001, key));
        CU_ASSERT_FALSE(take(1001));
        CU_ASSERT_EQUAL(mig_offer_get(&offer, &terms, 1001, LIFE, other, &left), MIG_OK);
        CU_ASSERT_NOT_EQUAL(memcmp(key, other, MIG_KEY_LEN), 0);
        mig_offer_clear(&offer);
    }
}

static void is_taken_once_and_leaves_nothing(void)
{
    open_offer();
    CU_ASSERT(mig_offer_is(&offer, &terms, 1001, key));
    CU_ASSERT_FALSE(is_wiped());
    CU_ASSERT(take(1001));
    CU_ASSERT(is_wiped());
    CU_ASSERT_FALSE(mig_offer_is(&offer, &terms, 1001, key));
    CU_ASSERT_FALSE(take(1001));
    mig_offer_clear(&offer);
}

static void another_key_takes_nothing(void)
{
    open_offer();
    key[0] ^= 1;
    CU_ASSERT_FALSE(mig_offer_is(&offer, &terms, 1001, key));
    CU_ASSERT_FALSE(take(1001));
    key[0] ^= 1;
    CU_ASSERT(take(1001));
    mig_offer_clear(&offer);
}

static void a_lapsed_one_is_wiped_when_anybody_looks(void)
{
    open_offer();
    CU_ASSERT_FALSE(mig_offer_is(&offer, &terms, 1000 + LIFE, key));
    CU_ASSERT(is_wiped());
    mig_offer_clear(&offer);
    open_offer();
    mig_offer_drop_unless(&offer, &terms, 1000 + LIFE - 1);
    CU_ASSERT_FALSE(is_wiped());
    mig_offer_drop_unless(&offer, &terms, 1000 + LIFE);
    CU_ASSERT(is_wiped());
    mig_offer_clear(&offer);
}

static void is_dropped_with_what_it_hangs_on(void)
{
    open_offer();
    terms.since++;
    mig_offer_drop_unless(&offer, &terms, 1001);
    CU_ASSERT(is_wiped());
    terms.since--;
    CU_ASSERT_FALSE(take(1001));
    mig_offer_clear(&offer);
    open_offer();
    mig_offer_drop_unless(&offer, NULL, 1001);
    CU_ASSERT(is_wiped());
    mig_offer_clear(&offer);
}

static void only_an_active_record_while_running_carries_one(void)
{
    struct mig_view view = {.protocol = MIG_PROTOCOL_RUNNING, .has_destination = true};
    struct mig_offer_terms out;
    view.destination.active = true;
    view.destination.since = 9;
    memset(view.keyset_digest, 7, sizeof view.keyset_digest);
    CU_ASSERT(mig_offer_terms_of(&view, key, &out));
    CU_ASSERT_EQUAL(out.since, 9);
    CU_ASSERT_EQUAL(out.keyset[31], 7);
    view.destination.active = false;
    CU_ASSERT_FALSE(mig_offer_terms_of(&view, key, &out));
    view.destination.active = true;
    view.has_destination = false;
    CU_ASSERT_FALSE(mig_offer_terms_of(&view, key, &out));
    view.has_destination = true;
    view.protocol = MIG_PROTOCOL_RESHARING;
    CU_ASSERT_FALSE(mig_offer_terms_of(&view, key, &out));
}

static void clearing_twice_is_harmless(void)
{
    open_offer();
    mig_offer_clear(&offer);
    mig_offer_clear(&offer);
    CU_ASSERT_PTR_NULL(offer.pair.secret);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(is_the_same_until_it_lapses),
        TEST(a_change_of_any_term_makes_a_new_one),
        TEST(is_taken_once_and_leaves_nothing),
        TEST(another_key_takes_nothing),
        TEST(a_lapsed_one_is_wiped_when_anybody_looks),
        TEST(is_dropped_with_what_it_hangs_on),
        TEST(only_an_active_record_while_running_carries_one),
        TEST(clearing_twice_is_harmless),
    };
    return run_tests("offer", tests, sizeof tests / sizeof *tests);
}
