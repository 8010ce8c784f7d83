/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <stdlib.h>
#include <string.h>

#include "migration/consequences.h"
#include "tests/views.h"

static struct mig_journal sample(void)
{
    struct mig_journal j = {.seat_held = true, .seat_seen_at = 77};
    j.done = (struct mig_epoch_set){true, 5, set_of("0aM 1bB! 9cC", 2)};
    j.target = (struct mig_epoch_set){true, 6, set_of("0aM 1bX", 3)};
    j.purge_all = true;
    j.touched.list = malloc(2 * sizeof *j.touched.list);
    j.touched.list[0] = 1;
    j.touched.list[1] = 9;
    j.touched.count = 2;
    return j;
}

static bool same_set(const struct mig_epoch_set *a, const struct mig_epoch_set *b)
{
    if (a->known != b->known || a->epoch != b->epoch || a->set.threshold != b->set.threshold ||
        a->set.count != b->set.count)
        return false;
    for (size_t i = 0; i < a->set.count; i++) {
        const struct mig_participant *x = &a->set.list[i], *y = &b->set.list[i];
        if (x->id != y->id || strcmp(x->account, y->account) != 0 || strcmp(x->url, y->url) != 0 ||
            memcmp(x->tls_key, y->tls_key, MIG_KEY_LEN) != 0)
            return false;
    }
    return true;
}

static bool same(const struct mig_journal *a, const struct mig_journal *b)
{
    return a->seat_held == b->seat_held && a->seat_seen_at == b->seat_seen_at &&
           a->seat_lost_at == b->seat_lost_at && same_set(&a->done, &b->done) &&
           same_set(&a->target, &b->target) && a->purge_all == b->purge_all &&
           a->touched.count == b->touched.count &&
           (a->touched.count == 0 || memcmp(a->touched.list, b->touched.list,
                                            a->touched.count * sizeof *a->touched.list) == 0);
}

static void what_was_encoded_decodes(void)
{
    struct mig_journal j = sample(), back;
    uint8_t *bytes;
    size_t len;
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL_FATAL(mig_journal_encode(&j, &bytes, &len), MIG_OK);
        CU_ASSERT_EQUAL_FATAL(mig_journal_decode(bytes, len, &back), MIG_OK);
        CU_ASSERT(same(&j, &back));
        mig_journal_clear(&back);
        free(bytes);
        if (i == 0)
            mig_epoch_set_clear(&j.done);
        if (i == 1) {
            mig_epoch_set_clear(&j.target);
            mig_ids_clear(&j.touched);
            j.purge_all = false;
        }
        if (i == 2) {
            j.seat_held = false;
            j.seat_lost_at = 77;
            mig_participants_clear(&j.target.set);
            j.target.known = true;
        }
    }
    mig_journal_clear(&j);
}

static void every_truncation_extension_and_wrong_start_is_refused(void)
{
    struct mig_journal j = sample(), back;
    uint8_t *bytes;
    size_t len;
    CU_ASSERT_EQUAL_FATAL(mig_journal_encode(&j, &bytes, &len), MIG_OK);
    for (size_t n = 0; n < len; n++)
        CU_ASSERT_EQUAL(mig_journal_decode(bytes, n, &back), MIG_ERR_MALFORMED);
    uint8_t *longer = calloc(1, len + 1);
    memcpy(longer, bytes, len);
    CU_ASSERT_EQUAL(mig_journal_decode(longer, len + 1, &back), MIG_ERR_MALFORMED);
    for (size_t at = 0; at < 9; at++) {
        memcpy(longer, bytes, len);
        longer[at] ^= 0x80;
        CU_ASSERT_EQUAL(mig_journal_decode(longer, len, &back), MIG_ERR_MALFORMED);
    }
    free(longer);
    free(bytes);
    mig_journal_clear(&j);
}

/* Offsets: 8 magic, 1 flags, 16 heights, then done: 20, id 4, account 1 + 6, key 32. */
static void nonsense_is_refused(void)
{
    enum { FLAGS = 8, LOST = 17, COUNT = 25 + 16, ID = 25 + 20, ACCOUNT = ID + 4 };
    static const struct {
        size_t at;
        uint8_t value;
    } row[] = {
        {FLAGS, 0x1f ^ 4}, {LOST + 7, 1}, {COUNT, 0xff},   {COUNT + 3, 200}, {ID + 3, 1},
        {ID, 0xff},        {ACCOUNT, 65}, {ACCOUNT, 0xff}, {ACCOUNT + 1, 0}, {ACCOUNT + 7 + 32, 9},
    };
    struct mig_journal j = sample(), back;
    uint8_t *bytes;
    size_t len;
    CU_ASSERT_EQUAL_FATAL(mig_journal_encode(&j, &bytes, &len), MIG_OK);
    uint8_t *odd = malloc(len);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        memcpy(odd, bytes, len);
        odd[row[i].at] = row[i].value;
        CU_ASSERT_EQUAL(mig_journal_decode(odd, len, &back), MIG_ERR_MALFORMED);
    }
    memcpy(odd, bytes, len);
    memcpy(odd + len - 4, odd + len - 8, 4); /* ids twice */
    CU_ASSERT_EQUAL(mig_journal_decode(odd, len, &back), MIG_ERR_MALFORMED);
    memcpy(odd, bytes, len);
    odd[len - 12] = 0x80; /* too many ids */
    CU_ASSERT_EQUAL(mig_journal_decode(odd, len, &back), MIG_ERR_MALFORMED);
    free(odd);
    free(bytes);
    mig_journal_clear(&j);
}

static void touched_without_a_change_under_way_is_refused(void)
{
    struct mig_journal j = sample(), back;
    uint8_t *bytes;
    size_t len;
    mig_epoch_set_clear(&j.target);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL_FATAL(mig_journal_encode(&j, &bytes, &len), MIG_OK);
        CU_ASSERT_EQUAL(mig_journal_decode(bytes, len, &back), MIG_ERR_MALFORMED);
        free(bytes);
        j.purge_all = false;
    }
    mig_journal_clear(&j);
}

static struct mig_participants crowd(size_t count)
{
    struct mig_participants set = {.list = calloc(count, sizeof *set.list), .count = count};
    for (size_t i = 0; i < count; i++) {
        set.list[i].id = (uint32_t)i;
        memset(set.list[i].account, 'a', MIG_ACCOUNT_MAX);
        memset(set.list[i].url, 'u', MIG_URL_MAX);
    }
    return set;
}

static void addresses_are_left_out_when_they_do_not_fit(void)
{
    struct mig_journal j = {.done = {true, 5, crowd(1024)}, .target = {true, 5, crowd(1024)}}, back;
    uint8_t *bytes;
    size_t len;
    CU_ASSERT_EQUAL_FATAL(mig_journal_encode(&j, &bytes, &len), MIG_OK);
    CU_ASSERT(len <= MIG_JOURNAL_MAX);
    CU_ASSERT_EQUAL_FATAL(mig_journal_decode(bytes, len, &back), MIG_OK);
    CU_ASSERT(back.target.set.count == 1024 && back.target.set.list[1023].url[0] == '\0');
    CU_ASSERT_EQUAL(strlen(back.done.set.list[7].account), MIG_ACCOUNT_MAX);
    mig_journal_clear(&back);
    free(bytes);
    mig_journal_clear(&j);
    j = (struct mig_journal){.done = {true, 5, crowd(20000)}};
    CU_ASSERT_EQUAL(mig_journal_encode(&j, &bytes, &len), MIG_ERR_BUG);
    CU_ASSERT_PTR_NULL(bytes);
    mig_journal_clear(&j);
}

static void a_journal_beyond_the_limit_is_refused_unread(void)
{
    struct mig_journal back;
    uint8_t *bytes = calloc(1, MIG_JOURNAL_MAX + 1);
    CU_ASSERT_EQUAL(mig_journal_decode(bytes, MIG_JOURNAL_MAX + 1, &back), MIG_ERR_MALFORMED);
    free(bytes);
}

/* ---- the phases -------------------------------------------------------- */

static void every_cell_of_the_phases_leads_where_it_should(void)
{
    enum { S = MIG_PHASE_SETTLED, C = MIG_PHASE_CHANGE, P = MIG_PHASE_PURGE };
    static const struct {
        enum mig_err err;
        int phase;
    } want[MIG_PHASES][MIG_PHASE_EVENTS] = {
        /* MOVED       CHANGED           PURGED            FAILED */
        {{MIG_OK, C}, {MIG_ERR_BUG, S}, {MIG_ERR_BUG, S}, {MIG_ERR_BUG, S}},
        {{MIG_OK, C}, {MIG_OK, P}, {MIG_ERR_BUG, C}, {MIG_OK, C}},
        {{MIG_OK, C}, {MIG_ERR_BUG, P}, {MIG_OK, S}, {MIG_OK, P}},
    };
    for (int phase = 0; phase < MIG_PHASES; phase++)
        for (int event = 0; event < MIG_PHASE_EVENTS; event++) {
            struct mig_journal j = sample();
            struct mig_consequences c;
            mig_consequences_init(&c, &j);
            c.phase = (enum mig_phase)phase;
            CU_ASSERT_EQUAL(mig_consequences_step(&c, (enum mig_phase_event)event),
                            want[phase][event].err);
            CU_ASSERT_EQUAL((int)c.phase, want[phase][event].phase);
            CU_ASSERT_EQUAL(c.bugs, want[phase][event].err == MIG_ERR_BUG ? 1 : 0);
            mig_consequences_clear(&c);
        }
}

static void phases_outside_the_table_are_counted(void)
{
    struct mig_consequences c = {.phase = (enum mig_phase)MIG_PHASES};
    CU_ASSERT_EQUAL(mig_consequences_step(&c, MIG_PHASE_ON_MOVED), MIG_ERR_BUG);
    c.phase = MIG_PHASE_SETTLED;
    CU_ASSERT_EQUAL(mig_consequences_step(&c, (enum mig_phase_event)MIG_PHASE_EVENTS), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(c.bugs, 2);
}

/* Crowds that replace each other without an end: the list does not grow for
 * ever, it becomes "everybody". */
static void too_many_touched_ids_become_everybody(void)
{
    struct mig_consequences c = {0};
    uint8_t key[MIG_KEY_LEN] = {0};
    uint64_t epoch = 5;
    for (uint32_t round = 0; round < 80; round++) {
        struct mig_participants set = {.list = calloc(1000, sizeof *set.list), .count = 1000};
        for (uint32_t i = 0; i < 1000; i++)
            set.list[i].id = round * 1000 + i;
        CU_ASSERT_EQUAL_FATAL(mig_consequences_observe(&c, &set, &epoch, "a.near", key), MIG_OK);
        if (round == 0)
            c.journal.purge_all = false; /* as if the first set had been known */
        mig_participants_clear(&set);
        CU_ASSERT(c.journal.touched.count <= MIG_JOURNAL_IDS_MAX);
    }
    CU_ASSERT(c.journal.purge_all);
    mig_consequences_clear(&c);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(what_was_encoded_decodes),
        TEST(every_truncation_extension_and_wrong_start_is_refused),
        TEST(nonsense_is_refused),
        TEST(touched_without_a_change_under_way_is_refused),
        TEST(addresses_are_left_out_when_they_do_not_fit),
        TEST(a_journal_beyond_the_limit_is_refused_unread),
        TEST(every_cell_of_the_phases_leads_where_it_should),
        TEST(phases_outside_the_table_are_counted),
        TEST(too_many_touched_ids_become_everybody),
    };
    return run_tests("journal", tests, sizeof tests / sizeof *tests);
}
