/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/endpoints.h"
#include "chain/meaning.h"
#include "chain/quorum.h"
#include "tests/harness.h"

#define S UINT64_C(1000000000)

static struct mig_tally cast(struct mig_quorum *q, size_t voter, char meaning, uint64_t height)
{
    struct mig_vote vote = {.block = {height, height * S}};
    memset(vote.meaning, meaning, sizeof vote.meaning);
    return mig_quorum_vote(q, voter, &vote);
}

/* "0A100 1A101=A100": votes of endpoint, meaning and height; after = what is
 * believed then ("-": nothing). */
static void follow(size_t count, size_t need, const char *script)
{
    struct mig_quorum q;
    mig_quorum_init(&q, count, need);
    for (const char *at = script; *at != '\0';) {
        char *end;
        size_t voter = (size_t)(at[0] - '0');
        bool moved = cast(&q, voter, at[1], strtoull(at + 2, &end, 10)).moved;
        at = end;
        if (*at == '=') {
            char meaning = at[1] == '-' ? 0 : at[1];
            at += 2;
            uint64_t height = meaning != 0 ? strtoull(at, &end, 10) : 0;
            at = meaning != 0 ? end : at;
            bool holds = q.believes == (meaning != 0) && q.belief.block.height == height &&
                         q.belief.block.time_ns == height * S && q.belief.meaning[0] == meaning;
            if (!holds)
                printf("\n  %zu of %zu, %s: wrong before \"%s\"\n", need, count, script, at);
            CU_ASSERT(holds);
            CU_ASSERT(!moved || holds);
        }
        at += *at == ' ';
    }
}

static void one_endpoint_is_believed_at_its_word(void)
{
    follow(1, 1, "0A5=A5 0A7=A7 0B8=B8 0A6=B8 0A8=B8 0A9=A9");
}

static void a_change_is_believed_when_enough_tell_it(void)
{
    follow(3, 2, "0A100=- 1A101=A100 2A100=A100 0B102=A100 1B103=B102");
    follow(2, 2, "0A10=- 1B10=- 0B11=B10 1B12=B11");
    follow(5, 3, "0A1=- 1A2=- 2A3=A1 3A4=A2 4A5=A3 0B6=A3 1B6=A3 2B6=B6");
}

static void the_height_is_that_of_the_last_of_them(void)
{
    follow(3, 2, "0A100 1A200=A100 2A150=A150 0A300=A200");
    follow(4, 3, "0A1 1A2 2A9=A1 3A8=A2");
}

static void an_older_height_changes_nothing(void)
{
    follow(
        3, 2,
        "0A100 1A100=A100 0A50=A100 1A60=A100 2B70=A100 0B80=A100 2B90=A100 0B101=A100 2B102=B101");
}

static void a_liar_alone_neither_changes_nor_refreshes_nor_stalls(void)
{
    follow(3, 2, "0A100 1A100=A100 2B101=A100 2B999999=A100 2A999999=A100 1A101=A101 0A102=A102");
    follow(3, 2, "2Z18446744073709551615=- 0A100=- 1A100=A100 0A101 1A102=A101");
    /* It agrees with a frozen honest one: the belief is as old as that one. */
    follow(3, 2, "0A100 1A100=A100 2A500=A100 2A501=A100 2A502=A100");
    /* A future height on the right meaning gains it nothing. */
    follow(3, 2, "2A900 0A100=A100 1A101=A101 0A103 1A102=A103");
}

static void a_liar_with_its_own_time_cannot_make_it_fresher(void)
{
    struct mig_quorum q;
    mig_quorum_init(&q, 3, 2);
    (void)cast(&q, 0, 'A', 100);
    struct mig_vote lie = {.block = {100, 1000 * S}};
    memset(lie.meaning, 'A', sizeof lie.meaning);
    (void)mig_quorum_vote(&q, 2, &lie);
    CU_ASSERT(q.belief.block.height == 100 && q.belief.block.time_ns == 100 * S);
}

static void a_liar_with_its_own_time_cannot_make_it_staler(void)
{
    struct mig_quorum q;
    struct mig_vote lie = {.block = {UINT64_MAX, 0}};
    memset(lie.meaning, 'A', sizeof lie.meaning);
    mig_quorum_init(&q, 3, 2);
    (void)mig_quorum_vote(&q, 2, &lie);
    for (uint64_t h = 100; h < 120; h++) {
        (void)cast(&q, 0, 'A', h);
        (void)cast(&q, 1, 'A', h);
        CU_ASSERT_EQUAL(q.belief.block.height, h);
        CU_ASSERT(h == 100 || q.belief.block.time_ns >= (h - 1) * S);
    }
}

static void who_differs_long_is_outvoted_until_it_agrees(void)
{
    struct mig_quorum q;
    unsigned fallen = 0, back = 0, differs = 0;
    mig_quorum_init(&q, 3, 2);
    for (uint64_t h = 100; h < 130; h++) {
        for (size_t i = 0; i < 3; i++) {
            struct mig_tally t = cast(&q, i, i == 2 && h < 120 ? 'B' : 'A', h);
            fallen += t.fallen;
            back += t.back;
            differs += t.differs;
            CU_ASSERT(!t.differs || i == 2);
            CU_ASSERT_EQUAL(t.back != 0, i == 2 && h == 120);
        }
        CU_ASSERT(q.belief.meaning[0] == 'A' && q.belief.block.height == h);
        CU_ASSERT_EQUAL(mig_quorum_support(&q), h < 120 ? 2 : 3);
    }
    CU_ASSERT(fallen == 4 && back == 4); /* once each, endpoint 2 */
    CU_ASSERT(differs >= 8 && differs <= 12);
}

static void who_is_silent_or_frozen_or_lags_is_outvoted(void)
{
    enum { SILENT, FROZEN, LAGS };
    for (int how = SILENT; how <= LAGS; how++) {
        struct mig_quorum q;
        unsigned fallen = 0;
        mig_quorum_init(&q, 3, 2);
        if (how == FROZEN)
            (void)cast(&q, 2, 'A', 100);
        for (uint64_t h = 100; h < 130; h++) {
            fallen += cast(&q, 0, 'A', h).fallen;
            fallen += cast(&q, 1, 'A', h).fallen;
            if (how == LAGS)
                fallen += cast(&q, 2, 'A', h - MIG_QUORUM_LAG_S - 1).fallen;
        }
        CU_ASSERT_EQUAL(fallen, 4);
    }
}

static void honest_endpoints_at_their_own_pace_are_not_outvoted(void)
{
    for (size_t count = 2; count <= MIG_ENDPOINTS_MAX; count++) {
        struct mig_quorum q;
        mig_quorum_init(&q, count, count / 2 + 1);
        for (uint64_t h = 100; h < 400; h++)
            for (size_t i = 0; i < count; i++) {
                /* A change at 200 reaches each a little later than the one before. */
                uint64_t at = h - i;
                CU_ASSERT_EQUAL(cast(&q, i, at >= 200 ? 'B' : 'A', at).fallen, 0);
            }
    }
}

static void a_split_is_told_once(void)
{
    struct mig_quorum q;
    unsigned splits = 0;
    mig_quorum_init(&q, 3, 2);
    for (uint64_t h = 1; h < 20; h++)
        for (size_t i = 0; i < 3; i++)
            splits += cast(&q, i, (char)('A' + i), h).split;
    CU_ASSERT(splits == 1 && !q.believes);
    CU_ASSERT_EQUAL(mig_quorum_support(&q), 0);
    CU_ASSERT(cast(&q, 0, 'B', 30).moved);
}

static void a_text_is_agreed_on_by_enough(void)
{
    const char *texts[] = {"a", NULL, "b", "b", NULL};
    CU_ASSERT_EQUAL(mig_quorum_text(texts, 5, 1), 0);
    CU_ASSERT_EQUAL(mig_quorum_text(texts, 5, 2), 2);
    CU_ASSERT_EQUAL(mig_quorum_text(texts, 5, 3), -1);
    CU_ASSERT_EQUAL(mig_quorum_text(texts, 0, 1), -1);
}

/* ---- lists ---- */

static void lists_are_read(void)
{
    struct mig_endpoints e;
    CU_ASSERT_EQUAL(mig_endpoints_parse("https://a", &e), MIG_OK);
    CU_ASSERT(e.count == 1 && strcmp(e.url[0], "https://a") == 0);
    CU_ASSERT_EQUAL(mig_endpoints_parse(" https://a/k?x=1 ,\thttp://b:3030,https://c ", &e),
                    MIG_OK);
    CU_ASSERT(e.count == 3 && strcmp(e.url[0], "https://a/k?x=1") == 0 &&
              strcmp(e.url[1], "http://b:3030") == 0 && strcmp(e.url[2], "https://c") == 0);
}

static void bad_lists_are_refused(void)
{
    static const char *const bad[] = {
        "",
        ",",
        "https://a,",
        ",https://a",
        "https://a,,https://b",
        "https://a https://b",
        "https://a,https://a",
        "https://a, https://a",
        "ftp://a",
        "https://a,file:///etc/passwd",
        "https://a\r\nX: y",
        "https://a#b",
        "a,b",
        "https://user:pw@a",
        "http://1,http://2,http://3,http://4,http://5,http://6,http://7,http://8,http://9"};
    struct mig_endpoints e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(mig_endpoints_parse(bad[i], &e), MIG_ERR_MALFORMED);
        CU_ASSERT_EQUAL(e.count, 0);
    }
    char longest[MIG_ENDPOINT_URL_MAX + 2] = "https://a/";
    memset(longest + 10, 'x', sizeof longest - 11);
    longest[MIG_ENDPOINT_URL_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(mig_endpoints_parse(longest, &e), MIG_ERR_MALFORMED);
    longest[MIG_ENDPOINT_URL_MAX] = '\0';
    CU_ASSERT_EQUAL(mig_endpoints_parse(longest, &e), MIG_OK);
}

static void the_quorum_is_a_majority_unless_told(void)
{
    static const size_t majority[] = {0, 1, 2, 2, 3, 3, 4, 4, 5};
    for (size_t n = 1; n <= MIG_ENDPOINTS_MAX; n++) {
        CU_ASSERT_EQUAL(mig_endpoints_quorum(n, 0), majority[n]);
        CU_ASSERT_EQUAL(mig_endpoints_quorum(n, (uint32_t)n), n);
        CU_ASSERT_EQUAL(mig_endpoints_quorum(n, (uint32_t)n + 1), 0);
        CU_ASSERT_EQUAL(mig_endpoints_quorum(n, 1), 1);
    }
}

/* ---- meaning ---- */

static enum mig_err meaning_of(const char *state, const char *info, struct mig_meaning_memo *memo,
                               uint8_t out[MIG_DIGEST_LEN])
{
    const struct mig_answer answers[] = {{MIG_PART_STATE, state, strlen(state)},
                                         {MIG_PART_MIGRATION, info, strlen(info)}};
    return mig_meaning(MIG_DIALECT_DEPLOYED, "alice.near", answers, 2, memo, out);
}

static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    char *out = NULL;
    if (at == NULL || asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) < 0)
        abort();
    return out;
}

static void every_change_that_matters_is_another_meaning(void)
{
    static const char *const changes[][2] = {{"\"epoch_id\":5", "\"epoch_id\":6"},
                                             {"\"attempt\":0", "\"attempt\":1"},
                                             {"\"threshold\":", "\"threshold\":1"},
                                             {"\"next_domain_id\":", "\"next_domain_id\":1"}};
    char *state = test_data("state-running.json", NULL);
    char *info = test_data("migration-info.json", NULL);
    struct mig_meaning_memo memo = {0};
    uint8_t before[MIG_DIGEST_LEN], after[MIG_DIGEST_LEN];
    CU_ASSERT_EQUAL_FATAL(meaning_of(state, info, &memo, before), MIG_OK);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *other = replaced(state, changes[i][0], changes[i][1]);
        CU_ASSERT_EQUAL(meaning_of(other, info, &memo, after), MIG_OK);
        CU_ASSERT_NOT_EQUAL(memcmp(before, after, sizeof after), 0);
        free(other);
    }
    CU_ASSERT_EQUAL(meaning_of(state, "{}", &memo, after), MIG_OK);
    CU_ASSERT_NOT_EQUAL(memcmp(before, after, sizeof after), 0);
    CU_ASSERT_EQUAL(meaning_of(state, info, &memo, after), MIG_OK);
    CU_ASSERT_EQUAL(memcmp(before, after, sizeof after), 0);
    free(state);
    free(info);
}

static void what_does_not_matter_is_the_same_meaning(void)
{
    char *state = test_data("state-running.json", NULL);
    char *spaced = replaced(state, "\"threshold\":", "\"new_member\": [1, 2] , \"threshold\" : ");
    struct mig_meaning_memo memo = {0};
    uint8_t before[MIG_DIGEST_LEN], after[MIG_DIGEST_LEN];
    CU_ASSERT_EQUAL(meaning_of(state, "{}", &memo, before), MIG_OK);
    CU_ASSERT_EQUAL(meaning_of(spaced, "{}", &memo, after), MIG_OK);
    CU_ASSERT_EQUAL(memcmp(before, after, sizeof after), 0);
    /* Another account's record is not ours. */
    CU_ASSERT_EQUAL(meaning_of(state, "{\"bob.near\":[null,null]}", &memo, after), MIG_OK);
    CU_ASSERT_EQUAL(memcmp(before, after, sizeof after), 0);
    free(state);
    free(spaced);
}

static void what_does_not_parse_has_no_meaning(void)
{
    char *state = test_data("state-running.json", NULL);
    struct mig_meaning_memo memo = {0};
    uint8_t out[MIG_DIGEST_LEN];
    CU_ASSERT_EQUAL(meaning_of("{", "{}", &memo, out), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(meaning_of("{", "{}", &memo, out), MIG_ERR_MALFORMED); /* nor from the memo */
    CU_ASSERT_EQUAL(meaning_of(state, "[]", &memo, out), MIG_ERR_MALFORMED);
    const struct mig_answer half = {MIG_PART_STATE, state, strlen(state)};
    CU_ASSERT_EQUAL(mig_meaning(MIG_DIALECT_DEPLOYED, "alice.near", &half, 1, &memo, out),
                    MIG_ERR_MALFORMED);
    free(state);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(one_endpoint_is_believed_at_its_word),
        TEST(a_change_is_believed_when_enough_tell_it),
        TEST(the_height_is_that_of_the_last_of_them),
        TEST(an_older_height_changes_nothing),
        TEST(a_liar_alone_neither_changes_nor_refreshes_nor_stalls),
        TEST(a_liar_with_its_own_time_cannot_make_it_fresher),
        TEST(a_liar_with_its_own_time_cannot_make_it_staler),
        TEST(who_differs_long_is_outvoted_until_it_agrees),
        TEST(who_is_silent_or_frozen_or_lags_is_outvoted),
        TEST(honest_endpoints_at_their_own_pace_are_not_outvoted),
        TEST(a_split_is_told_once),
        TEST(a_text_is_agreed_on_by_enough),
        TEST(lists_are_read),
        TEST(bad_lists_are_refused),
        TEST(the_quorum_is_a_majority_unless_told),
        TEST(every_change_that_matters_is_another_meaning),
        TEST(what_does_not_matter_is_the_same_meaning),
        TEST(what_does_not_parse_has_no_meaning),
    };
    return run_tests("quorum", tests, sizeof tests / sizeof *tests);
}
