/* SPDX-License-Identifier: MIT */
#include "backup/plan.h"

#include <string.h>

#include "tests/harness.h"

enum { MS = 1000000 };
static const uint8_t OURS[MIG_KEY_LEN] = {1}, THEIRS[MIG_KEY_LEN] = {2};
static const uint8_t OLD[MIG_KEY_LEN] = {3}, NEW[MIG_KEY_LEN] = {4};
#define SECONDS(n) ((uint64_t)(n)*1000 * MS)

/* A running network where alice holds a seat with the node OLD and our key is
 * registered; tests change what they are about. */
struct scene {
    struct mig_domain_key domain;
    struct mig_participant seats[2];
    struct mig_view view;
    struct mig_note note;
    struct mig_facts facts;
};

static void scene_init(struct scene *s)
{
    *s = (struct scene){.seats = {{.id = 1, .account = "alice.near", .url = "http://old.example"},
                                  {.id = 2, .account = "bob.near", .url = "http://bob.example"}}};
    memcpy(s->seats[0].tls_key, OLD, MIG_KEY_LEN);
    s->view = (struct mig_view){.generation = 7,
                                .state_block = {.height = 9, .time_ns = SECONDS(1000)},
                                .info_block = {.height = 9, .time_ns = SECONDS(1000)},
                                .protocol = MIG_PROTOCOL_RUNNING,
                                .keyset = {.epoch = 5, .count = 1, .domains = &s->domain},
                                .keyset_digest = {0xd1},
                                .participants = {.threshold = 2, .count = 2, .list = s->seats},
                                .has_service_key = true};
    memcpy(s->view.service_key, OURS, MIG_KEY_LEN);
    s->note.state = MIG_NOTE_PENDING;
    memcpy(s->note.parsed.node, OLD, MIG_KEY_LEN);
    memcpy(s->note.parsed.service, OURS, MIG_KEY_LEN);
    s->facts = (struct mig_facts){.view = &s->view,
                                  .account = "alice.near",
                                  .service_key = OURS,
                                  .now_ns = SECONDS(1010),
                                  .max_staleness_ns = SECONDS(30)};
}

static void cover(struct scene *s)
{
    s->facts.covered = true;
    s->facts.note = &s->note;
}

static void migrate(struct scene *s)
{
    s->view.has_destination = true;
    s->view.destination =
        (struct mig_destination){.url = "https://new.example", .since = 8, .active = true};
    memcpy(s->view.destination.tls_key, NEW, MIG_KEY_LEN);
}

static void expect(const struct scene *s, enum mig_reason reason, enum mig_task task)
{
    struct mig_plan plan = mig_plan_make(&s->facts);
    CU_ASSERT_EQUAL(plan.reason, reason);
    CU_ASSERT_EQUAL(plan.target.task, task);
}

static void waits_while_nothing_is_allowed(void)
{
    struct scene s;
    scene_init(&s);
    s.facts.view = NULL;
    expect(&s, MIG_REASON_NO_VIEW, MIG_TASK_NONE);
    scene_init(&s);
    s.facts.now_ns = SECONDS(1031);
    expect(&s, MIG_REASON_STALE, MIG_TASK_NONE);
    scene_init(&s);
    s.view.has_service_key = false;
    expect(&s, MIG_REASON_NOT_REGISTERED, MIG_TASK_NONE);
    scene_init(&s);
    memcpy(s.view.service_key, THEIRS, MIG_KEY_LEN);
    expect(&s, MIG_REASON_OTHER_KEY, MIG_TASK_NONE);
    static const enum mig_protocol idle[] = {MIG_PROTOCOL_NOT_INITIALIZED,
                                             MIG_PROTOCOL_INITIALIZING, MIG_PROTOCOL_RESHARING};
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++) {
        scene_init(&s);
        migrate(&s);
        cover(&s);
        s.view.protocol = idle[i];
        expect(&s, MIG_REASON_NOT_RUNNING, MIG_TASK_NONE);
    }
    scene_init(&s);
    s.view.keyset.count = 0;
    expect(&s, MIG_REASON_NO_KEYSET, MIG_TASK_NONE);
    scene_init(&s);
    s.facts.account = "carol.near";
    expect(&s, MIG_REASON_NOT_PARTICIPANT, MIG_TASK_NONE);
}

static void backs_up_what_is_not_covered(void)
{
    struct scene s;
    scene_init(&s);
    expect(&s, MIG_REASON_NOT_COVERED, MIG_TASK_BACKUP);
    struct mig_plan plan = mig_plan_make(&s.facts);
    CU_ASSERT_EQUAL(memcmp(plan.target.node, OLD, MIG_KEY_LEN), 0);
    CU_ASSERT_EQUAL(memcmp(plan.target.keyset, s.view.keyset_digest, MIG_DIGEST_LEN), 0);
    CU_ASSERT_STRING_EQUAL(plan.target.url, "http://old.example");
    /* A note without the shares covers nothing. */
    s.facts.note = &s.note;
    s.note.state = MIG_NOTE_ACKNOWLEDGED;
    expect(&s, MIG_REASON_NOT_COVERED, MIG_TASK_BACKUP);
}

static void sends_the_receipt_until_it_is_acknowledged(void)
{
    struct scene s;
    scene_init(&s);
    cover(&s);
    expect(&s, MIG_REASON_RECEIPT_DUE, MIG_TASK_RECEIPT);
    s.note.state = MIG_NOTE_ACKNOWLEDGED;
    expect(&s, MIG_REASON_SAFE, MIG_TASK_NONE);
}

static void fetches_again_without_a_note_or_from_another_node(void)
{
    struct scene s;
    scene_init(&s);
    cover(&s);
    s.facts.note = NULL;
    expect(&s, MIG_REASON_UNCONFIRMED, MIG_TASK_BACKUP);
    /* After a migration the new node has the seat: prove that it serves. */
    s.facts.note = &s.note;
    s.note.state = MIG_NOTE_ACKNOWLEDGED;
    memcpy(s.seats[0].tls_key, NEW, MIG_KEY_LEN);
    expect(&s, MIG_REASON_UNCONFIRMED, MIG_TASK_BACKUP);
    /* A pending receipt of an earlier key of ours cannot be sent any more. */
    scene_init(&s);
    cover(&s);
    memcpy(s.note.parsed.service, THEIRS, MIG_KEY_LEN);
    expect(&s, MIG_REASON_UNCONFIRMED, MIG_TASK_BACKUP);
}

static void delivers_when_a_migration_starts(void)
{
    struct scene s;
    scene_init(&s);
    migrate(&s);
    cover(&s);
    expect(&s, MIG_REASON_DELIVERY_DUE, MIG_TASK_DELIVER);
    struct mig_plan plan = mig_plan_make(&s.facts);
    CU_ASSERT_EQUAL(memcmp(plan.target.node, NEW, MIG_KEY_LEN), 0);
    CU_ASSERT_EQUAL(plan.target.since, 8);
    CU_ASSERT_STRING_EQUAL(plan.target.url, "https://new.example");
}

static void does_not_deliver_to_records_that_are_over(void)
{
    struct scene s;
    scene_init(&s);
    migrate(&s);
    cover(&s);
    s.view.destination.active = false; /* survived a resharing */
    expect(&s, MIG_REASON_RECEIPT_DUE, MIG_TASK_RECEIPT);
    s.view.destination.active = true;
    memcpy(s.seats[0].tls_key, NEW, MIG_KEY_LEN); /* it has the seat already */
    s.facts.note = NULL;
    expect(&s, MIG_REASON_UNCONFIRMED, MIG_TASK_BACKUP);
}

static void tries_the_old_node_when_a_migration_finds_nothing(void)
{
    struct scene s;
    scene_init(&s);
    migrate(&s);
    expect(&s, MIG_REASON_LOST_WITH_NODE, MIG_TASK_BACKUP);
    struct mig_plan plan = mig_plan_make(&s.facts);
    CU_ASSERT_EQUAL(memcmp(plan.target.node, OLD, MIG_KEY_LEN), 0);
}

static void a_target_is_all_of_node_keyset_record_and_address(void)
{
    struct scene s;
    scene_init(&s);
    migrate(&s);
    cover(&s);
    const struct mig_target base = mig_plan_make(&s.facts).target;
    struct mig_target other = base;
    CU_ASSERT_TRUE(mig_target_is_equal(&base, &other));
    other.since++;
    CU_ASSERT_FALSE(mig_target_is_equal(&base, &other));
    other = base;
    other.keyset[31] ^= 1;
    CU_ASSERT_FALSE(mig_target_is_equal(&base, &other));
    other = base;
    other.node[31] ^= 1;
    CU_ASSERT_FALSE(mig_target_is_equal(&base, &other));
    other = base;
    other.url[0] = 'x';
    CU_ASSERT_FALSE(mig_target_is_equal(&base, &other));
    other = base;
    other.task = MIG_TASK_BACKUP;
    CU_ASSERT_FALSE(mig_target_is_equal(&base, &other));
}

/* Milliseconds until the next try after so many such results in a row. */
static uint64_t pause_ms(enum mig_upshot upshot, const char *code, uint32_t retry_after,
                         unsigned times, uint32_t random)
{
    const struct mig_target target = {.task = MIG_TASK_DELIVER};
    struct mig_attempt attempt = {0};
    struct mig_result result = {.upshot = upshot, .retry_after = retry_after, .why = ""};
    strcpy(result.code, code);
    while (times-- > 0)
        mig_attempt_record(&attempt, &target, 1, &result, false, SECONDS(5), random);
    return (mig_attempt_due(&attempt, &target, 1) - SECONDS(5)) / MS;
}

static void waits_longer_after_each_failure(void)
{
    static const struct {
        enum mig_upshot upshot;
        const char *code;
        uint32_t retry_after;
        unsigned times;
        uint64_t least, most;
    } rows[] = {
        {MIG_UPSHOT_OK, "", 0, 1, 750, 1250},
        {MIG_UPSHOT_OK, "", 0, 9, 750, 1250},
        {MIG_UPSHOT_CANCELLED, "", 0, 3, 0, 0},
        {MIG_UPSHOT_NO_ANSWER, "", 0, 1, 750, 1250},
        {MIG_UPSHOT_NO_ANSWER, "", 0, 2, 1500, 2500},
        {MIG_UPSHOT_NO_ANSWER, "", 0, 5, 12000, 20000},
        {MIG_UPSHOT_NO_ANSWER, "", 0, 1000, 45000, 75000},
        {MIG_UPSHOT_NO_ANSWER, "", 60, 1, 60000, 60000},
        {MIG_UPSHOT_RETRY, "busy", 0, 1, 750, 1250},
        {MIG_UPSHOT_RETRY, "stale_view", 5, 1, 5000, 5000},
        {MIG_UPSHOT_RETRY, "offer_unknown", 0, 1, 0, 0},
        {MIG_UPSHOT_RETRY, "offer_unknown", 0, 2, 1500, 2500},
        {MIG_UPSHOT_FAILED, "", 0, 1, 750, 1250},
        {MIG_UPSHOT_REFUSED, "operator_key", 0, 1, 22500, 37500},
        {MIG_UPSHOT_REFUSED, "operator_key", 0, 99, 450000, 750000},
        /* The node may be a block behind; after the third time it is not that. */
        {MIG_UPSHOT_REFUSED, "decommissioned", 0, 1, 750, 1250},
        {MIG_UPSHOT_REFUSED, "no_migration", 0, 2, 1500, 2500},
        {MIG_UPSHOT_REFUSED, "not_destination", 0, 3, 3000, 5000},
        {MIG_UPSHOT_REFUSED, "decommissioned", 0, 4, 22500, 37500},
        {MIG_UPSHOT_BROKEN, "", 0, 1, 22500, 37500},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t least =
            pause_ms(rows[i].upshot, rows[i].code, rows[i].retry_after, rows[i].times, 0);
        uint64_t most =
            pause_ms(rows[i].upshot, rows[i].code, rows[i].retry_after, rows[i].times, UINT32_MAX);
        CU_ASSERT_EQUAL(least, rows[i].least);
        CU_ASSERT_EQUAL(most, rows[i].most);
    }
}

static void a_refusal_after_a_long_silence_is_a_first_one(void)
{
    struct mig_target target = {.task = MIG_TASK_DELIVER};
    struct mig_attempt attempt = {0};
    const struct mig_result silence = {.upshot = MIG_UPSHOT_NO_ANSWER, .why = ""};
    const struct mig_result refused = {
        .upshot = MIG_UPSHOT_REFUSED, .code = "no_migration", .why = ""};
    for (int i = 0; i < 50; i++)
        mig_attempt_record(&attempt, &target, 1, &silence, false, 0, 0);
    CU_ASSERT_EQUAL(attempt.failures, 50);
    mig_attempt_record(&attempt, &target, 1, &refused, false, 0, UINT32_MAX);
    CU_ASSERT_EQUAL(attempt.failures, 1);
    CU_ASSERT_TRUE(mig_attempt_due(&attempt, &target, 1) <= 1250 * MS);
    for (int i = 0; i < 3; i++)
        mig_attempt_record(&attempt, &target, 1, &refused, false, 0, 0);
    CU_ASSERT_EQUAL(attempt.failures, 4);
    mig_attempt_record(&attempt, &target, 1, &silence, false, 0, 0);
    CU_ASSERT_EQUAL(attempt.failures, 1);
}

static void a_change_makes_it_due_at_once(void)
{
    struct mig_target target = {.task = MIG_TASK_BACKUP};
    struct mig_attempt attempt = {0};
    const struct mig_result refused = {.upshot = MIG_UPSHOT_REFUSED, .why = ""};
    CU_ASSERT_EQUAL(mig_attempt_due(&attempt, &target, 1), 0);
    mig_attempt_record(&attempt, &target, 1, &refused, false, 0, 0);
    CU_ASSERT_TRUE(mig_attempt_due(&attempt, &target, 1) > 0);
    CU_ASSERT_EQUAL(mig_attempt_due(&attempt, &target, 2), 0);
    CU_ASSERT_EQUAL(attempt.failures, 1);
    target.since++;
    CU_ASSERT_EQUAL(mig_attempt_due(&attempt, &target, 1), 0);
    mig_attempt_record(&attempt, &target, 1, &refused, false, 0, 0);
    CU_ASSERT_EQUAL(attempt.failures, 1);
}

static void a_finished_delivery_stays_finished_for_its_record_only(void)
{
    struct mig_target target = {.task = MIG_TASK_DELIVER, .since = 4};
    struct mig_attempt attempt = {0};
    const struct mig_result ok = {.upshot = MIG_UPSHOT_OK, .why = ""};
    mig_attempt_record(&attempt, &target, 1, &ok, true, 0, 0);
    CU_ASSERT_EQUAL(mig_attempt_due(&attempt, &target, 2), UINT64_MAX);
    target.since = 5; /* back again: A to B to A */
    CU_ASSERT_EQUAL(mig_attempt_due(&attempt, &target, 2), 0);
}

static void tries_the_known_addresses_in_turn(void)
{
    const struct mig_target backup = {.task = MIG_TASK_BACKUP, .url = "c"};
    const struct mig_target deliver = {.task = MIG_TASK_DELIVER, .url = "c"};
    CU_ASSERT_STRING_EQUAL(mig_plan_url(&backup, 0, "n", "r"), "n");
    CU_ASSERT_STRING_EQUAL(mig_plan_url(&backup, 1, "n", "r"), "r");
    CU_ASSERT_STRING_EQUAL(mig_plan_url(&backup, 2, "n", "r"), "c");
    CU_ASSERT_STRING_EQUAL(mig_plan_url(&backup, 3, "n", "r"), "n");
    CU_ASSERT_STRING_EQUAL(mig_plan_url(&backup, 1, NULL, NULL), "c");
    CU_ASSERT_STRING_EQUAL(mig_plan_url(&deliver, 0, "n", "r"), "r");
    CU_ASSERT_STRING_EQUAL(mig_plan_url(&deliver, 1, "n", "r"), "c");
    CU_ASSERT_STRING_EQUAL(mig_plan_url(&deliver, 0, "n", NULL), "c");
}

static void stays_with_an_address_that_answers(void)
{
    const struct mig_target target = {.task = MIG_TASK_DELIVER};
    struct mig_attempt attempt = {0};
    const struct mig_result silent = {.upshot = MIG_UPSHOT_NO_ANSWER, .why = ""};
    const struct mig_result busy = {.upshot = MIG_UPSHOT_RETRY, .why = ""};
    const struct mig_result ok = {.upshot = MIG_UPSHOT_OK, .why = ""};
    mig_attempt_record(&attempt, &target, 1, &silent, false, 0, 0);
    CU_ASSERT_EQUAL(attempt.unanswered, 1);
    mig_attempt_record(&attempt, &target, 1, &busy, false, 0, 0);
    mig_attempt_record(&attempt, &target, 1, &ok, false, 0, 0);
    CU_ASSERT_EQUAL(attempt.unanswered, 1);
    CU_ASSERT_EQUAL(attempt.failures, 0);
}

static void every_reason_has_a_word_and_a_sentence(void)
{
    for (enum mig_reason r = 0; r < MIG_REASON_COUNT; r++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(mig_reason_word(r));
        CU_ASSERT_PTR_NOT_NULL_FATAL(mig_reason_text(r));
        CU_ASSERT_TRUE(strlen(mig_reason_text(r)) > 10);
    }
    CU_ASSERT_TRUE(mig_reason_is_safe(MIG_REASON_SAFE));
    CU_ASSERT_FALSE(mig_reason_is_safe(MIG_REASON_NOT_COVERED));
}

int main(void)
{
    static const struct test tests[] = {
        TEST(waits_while_nothing_is_allowed),
        TEST(backs_up_what_is_not_covered),
        TEST(sends_the_receipt_until_it_is_acknowledged),
        TEST(fetches_again_without_a_note_or_from_another_node),
        TEST(delivers_when_a_migration_starts),
        TEST(does_not_deliver_to_records_that_are_over),
        TEST(tries_the_old_node_when_a_migration_finds_nothing),
        TEST(a_target_is_all_of_node_keyset_record_and_address),
        TEST(waits_longer_after_each_failure),
        TEST(a_refusal_after_a_long_silence_is_a_first_one),
        TEST(a_change_makes_it_due_at_once),
        TEST(a_finished_delivery_stays_finished_for_its_record_only),
        TEST(tries_the_known_addresses_in_turn),
        TEST(stays_with_an_address_that_answers),
        TEST(every_reason_has_a_word_and_a_sentence),
    };
    return run_tests("plan", tests, sizeof tests / sizeof *tests);
}
