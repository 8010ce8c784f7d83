/* SPDX-License-Identifier: MIT */
#include "handlers/problem.h"

#include <jansson.h>
#include <string.h>

#include "tests/harness.h"

/* The second table of docs/protocol.md, once more, by hand. */
static const struct {
    enum mig_problem problem;
    unsigned status;
    const char *code;
    bool retryable;
    bool waits; /* Retry-After */
} WANT[] = {
    {MIG_PROBLEM_MALFORMED, 400, "malformed", false, false},
    {MIG_PROBLEM_DIGEST_MISMATCH, 400, "digest_mismatch", false, false},
    {MIG_PROBLEM_UNAUTHORIZED, 401, "unauthorized", false, false},
    {MIG_PROBLEM_NOT_PARTICIPANT, 403, "not_participant", false, false},
    {MIG_PROBLEM_DECOMMISSIONED, 403, "decommissioned", false, false},
    {MIG_PROBLEM_NOT_DESTINATION, 403, "not_destination", false, false},
    {MIG_PROBLEM_NOT_FOUND, 404, "not_found", false, false},
    {MIG_PROBLEM_METHOD_NOT_ALLOWED, 405, "method_not_allowed", false, false},
    {MIG_PROBLEM_TIMEOUT, 408, "timeout", true, false},
    {MIG_PROBLEM_KEYSET_MISMATCH, 409, "keyset_mismatch", true, false},
    {MIG_PROBLEM_NO_MIGRATION, 409, "no_migration", false, false},
    {MIG_PROBLEM_ANNOUNCE_MISMATCH, 409, "announce_mismatch", false, false},
    {MIG_PROBLEM_EPHEMERAL_UNPUBLISHED, 409, "ephemeral_unpublished", true, false},
    {MIG_PROBLEM_OPERATOR_KEY, 409, "operator_key", false, false},
    {MIG_PROBLEM_OFFER_UNKNOWN, 409, "offer_unknown", true, false},
    {MIG_PROBLEM_SHARES_CONFLICT, 409, "shares_conflict", false, false},
    {MIG_PROBLEM_BUSY, 409, "busy", true, false},
    {MIG_PROBLEM_LENGTH_REQUIRED, 411, "length_required", false, false},
    {MIG_PROBLEM_TOO_LARGE, 413, "too_large", false, false},
    {MIG_PROBLEM_UNSUPPORTED_TYPE, 415, "unsupported_type", false, false},
    {MIG_PROBLEM_EXPECTATION_FAILED, 417, "expectation_failed", false, false},
    {MIG_PROBLEM_MISDIRECTED, 421, "misdirected", false, false},
    {MIG_PROBLEM_WRONG_KEY, 422, "wrong_key", false, false},
    {MIG_PROBLEM_INCOMPLETE, 422, "incomplete", false, false},
    {MIG_PROBLEM_RATE_LIMITED, 429, "rate_limited", true, true},
    {MIG_PROBLEM_HEADERS_TOO_LARGE, 431, "headers_too_large", false, false},
    {MIG_PROBLEM_NOT_RUNNING, 503, "not_running", true, true},
    {MIG_PROBLEM_STALE_VIEW, 503, "stale_view", true, true},
    {MIG_PROBLEM_STORE_UNAVAILABLE, 503, "store_unavailable", true, true},
    {MIG_PROBLEM_SHARES_MISSING, 503, "shares_missing", false, false},
    {MIG_PROBLEM_RESTARTING, 503, "restarting", true, true},
};
enum { WANT_COUNT = sizeof WANT / sizeof WANT[0] };

static const char *field(const struct mig_response *r, const char *name)
{
    static char value[1024];
    for (size_t i = 0; i < r->field_count; i++) {
        if (!mig_text_is(r->fields[i].name, name))
            continue;
        CU_ASSERT_FATAL(r->fields[i].value.len < sizeof value);
        memcpy(value, r->fields[i].value.at, r->fields[i].value.len);
        value[r->fields[i].value.len] = '\0';
        return value;
    }
    return NULL;
}

static void every_problem_is_a_problem_document_of_the_protocol(void)
{
    CU_ASSERT_EQUAL(WANT_COUNT + 1, MIG_PROBLEM_COUNT);
    for (size_t i = 0; i < WANT_COUNT; i++) {
        struct mig_response r;
        mig_problem_response(WANT[i].problem, NULL, 0, &r);
        CU_ASSERT_EQUAL(r.status, WANT[i].status);
        CU_ASSERT_FALSE(r.is_signed);
        json_t *doc = json_loadb((const char *)r.body, r.body_len, JSON_REJECT_DUPLICATES, NULL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(doc, "type")), "about:blank");
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(doc, "title")), WANT[i].code);
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(doc, "code")), WANT[i].code);
        CU_ASSERT_EQUAL(json_integer_value(json_object_get(doc, "status")), WANT[i].status);
        CU_ASSERT(json_is_boolean(json_object_get(doc, "retryable")));
        CU_ASSERT_EQUAL(json_is_true(json_object_get(doc, "retryable")), WANT[i].retryable);
        CU_ASSERT(json_is_string(json_object_get(doc, "detail")));
        CU_ASSERT_EQUAL(json_object_size(doc), 6);
        json_decref(doc);
        CU_ASSERT_STRING_EQUAL(field(&r, "Content-Type"), "application/problem+json");
        CU_ASSERT_STRING_EQUAL(field(&r, "Cache-Control"), "no-store");
        CU_ASSERT_EQUAL(field(&r, "Retry-After") != NULL, WANT[i].waits);
        CU_ASSERT_EQUAL(field(&r, "WWW-Authenticate") != NULL, WANT[i].status == 401);
    }
}

static void unauthorized_says_how_to_sign(void)
{
    struct mig_response r;
    mig_problem_response(MIG_PROBLEM_UNAUTHORIZED, NULL, 0, &r);
    CU_ASSERT_STRING_EQUAL(field(&r, "WWW-Authenticate"), "Signature realm=\"mpc-migration\"");
    CU_ASSERT_STRING_EQUAL(field(&r, "Accept-Signature"),
                           "sig=(\"@method\" \"@authority\" \"@path\" \"@query\" "
                           "\"mpc-migration-context\");created;expires;tag=\"mpc-migration-v1\"");
}

static void retry_after_stays_within_a_minute(void)
{
    static const struct {
        uint32_t asked;
        const char *said;
    } CASES[] = {{1, "1"}, {9, "9"}, {59, "59"}, {60, "60"}, {61, "60"}, {UINT32_MAX, "60"}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct mig_response r;
        mig_problem_response(MIG_PROBLEM_RATE_LIMITED, NULL, CASES[i].asked, &r);
        CU_ASSERT_STRING_EQUAL(field(&r, "Retry-After"), CASES[i].said);
    }
}

static void the_server_names_a_problem_by_status_and_code(void)
{
    for (size_t i = 0; i < WANT_COUNT; i++) {
        struct mig_response by_code, by_problem;
        mig_response_problem(WANT[i].status, WANT[i].code, NULL, 0, &by_code);
        mig_problem_response(WANT[i].problem, NULL, 0, &by_problem);
        CU_ASSERT_PTR_EQUAL(by_code.body, by_problem.body);
    }
    struct mig_response r;
    mig_response_problem(405, "method_not_allowed", "GET", 0, &r);
    CU_ASSERT_STRING_EQUAL(field(&r, "Allow"), "GET");
}

static void an_unknown_code_becomes_the_first_of_its_status(void)
{
    struct mig_response r;
    mig_response_problem(409, "no_such_code", NULL, 0, &r);
    CU_ASSERT_PTR_EQUAL(r.body, mig_problem_info(MIG_PROBLEM_KEYSET_MISMATCH)->body.at);
    mig_response_problem(408, NULL, NULL, 0, &r);
    CU_ASSERT_EQUAL(r.status, 408);
    mig_response_problem(418, "teapot", NULL, 0, &r);
    CU_ASSERT_EQUAL(r.status, 400);
    mig_response_problem(400, "not_found", NULL, 0, &r);
    CU_ASSERT_PTR_EQUAL(r.body, mig_problem_info(MIG_PROBLEM_MALFORMED)->body.at);
}

static void every_verdict_has_its_problem(void)
{
    static const struct {
        enum mig_verdict verdict;
        enum mig_problem problem;
    } CASES[] = {
        {MIG_ADMITTED, MIG_PROBLEM_NONE},
        {MIG_REFUSED_NO_VIEW, MIG_PROBLEM_STALE_VIEW},
        {MIG_REFUSED_MISDIRECTED, MIG_PROBLEM_MISDIRECTED},
        {MIG_REFUSED_DIRECTION, MIG_PROBLEM_MALFORMED},
        {MIG_REFUSED_STALE, MIG_PROBLEM_STALE_VIEW},
        {MIG_REFUSED_NOT_RUNNING, MIG_PROBLEM_NOT_RUNNING},
        {MIG_REFUSED_NOT_PARTICIPANT, MIG_PROBLEM_NOT_PARTICIPANT},
        {MIG_REFUSED_DECOMMISSIONED, MIG_PROBLEM_DECOMMISSIONED},
        {MIG_REFUSED_NOT_DESTINATION, MIG_PROBLEM_NOT_DESTINATION},
        {MIG_REFUSED_NO_MIGRATION, MIG_PROBLEM_NO_MIGRATION},
        {MIG_REFUSED_KEYSET, MIG_PROBLEM_KEYSET_MISMATCH},
        {MIG_REFUSED_ANNOUNCE, MIG_PROBLEM_ANNOUNCE_MISMATCH},
        {MIG_REFUSED_OPERATOR_KEY, MIG_PROBLEM_OPERATOR_KEY},
        {MIG_REFUSED_EPHEMERAL, MIG_PROBLEM_EPHEMERAL_UNPUBLISHED},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        CU_ASSERT_EQUAL(mig_problem_of_verdict(CASES[i].verdict), CASES[i].problem);
    CU_ASSERT_EQUAL(mig_problem_of_verdict((enum mig_verdict)99), MIG_PROBLEM_STALE_VIEW);
}

static void a_response_holds_no_more_fields_than_it_has_room_for(void)
{
    struct mig_response r = {0};
    for (size_t i = 0; i < MIG_RESPONSE_FIELDS_MAX + 3; i++)
        mig_response_add(&r, MIG_TEXT("X"), MIG_TEXT("y"));
    CU_ASSERT_EQUAL(r.field_count, MIG_RESPONSE_FIELDS_MAX);
}

static void without_memory_the_answer_is_a_static_503(void)
{
    const struct mig_response *r = mig_exchange_response(NULL);
    CU_ASSERT_EQUAL(r->status, 503);
    CU_ASSERT_STRING_EQUAL(field(r, "Retry-After"), "1");
    CU_ASSERT_EQUAL(r->body_len, mig_problem_info(MIG_PROBLEM_RESTARTING)->body.len);
    CU_ASSERT_EQUAL(memcmp(r->body, mig_problem_info(MIG_PROBLEM_RESTARTING)->body.at, r->body_len),
                    0);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(every_problem_is_a_problem_document_of_the_protocol),
        TEST(unauthorized_says_how_to_sign),
        TEST(retry_after_stays_within_a_minute),
        TEST(the_server_names_a_problem_by_status_and_code),
        TEST(an_unknown_code_becomes_the_first_of_its_status),
        TEST(every_verdict_has_its_problem),
        TEST(a_response_holds_no_more_fields_than_it_has_room_for),
        TEST(without_memory_the_answer_is_a_static_503),
    };
    return run_tests("problem", tests, sizeof tests / sizeof *tests);
}
