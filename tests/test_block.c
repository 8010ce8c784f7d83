/* SPDX-License-Identifier: MIT */
#include "chain/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/checkpoint.h"
#include "chain/tx.h"
#include "tests/harness.h"

#define CONTRACT "v1.signer"

/* tests/data/block_message.json: three shards with arbitrary ids, the middle one
 * without a chunk, receipts of every kind. */
static char *message(void)
{
    size_t len;
    char *text = test_data("block_message.json", &len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    return text;
}

/* The message with every `from` replaced. */
static char *changed(const char *from, const char *to)
{
    char *text = message(), *out = NULL, *p = text;
    size_t len = 0, hits = 0;
    FILE *f = open_memstream(&out, &len);
    for (char *hit; (hit = strstr(p, from)) != NULL; p = hit + strlen(from), hits++)
        (void)fprintf(f, "%.*s%s", (int)(hit - p), p, to);
    (void)fprintf(f, "%s", p);
    (void)fclose(f);
    CU_ASSERT(hits > 0);
    free(text);
    return out;
}

static bool is_hash(const uint8_t hash[MIG_DIGEST_LEN], const char *text)
{
    char got[MIG_HASH_TEXT_MAX];
    mig_hash_format(hash, got);
    if (strcmp(got, text) != 0)
        printf("%s, not %s\n", got, text);
    return strcmp(got, text) == 0;
}

static void reads_context_and_events_of_a_real_message(void)
{
    struct mig_block_update u;
    char *text = message();
    CU_ASSERT_EQUAL_FATAL(mig_block_parse(text, strlen(text), CONTRACT, true, &u), MIG_OK);
    const struct mig_block_context *c = &u.context;
    CU_ASSERT_EQUAL(c->height, 120000005);
    CU_ASSERT_EQUAL(c->prev_height, 120000003);
    CU_ASSERT_EQUAL(c->time_ns, 1790000000123456789);
    CU_ASSERT(is_hash(c->hash, "5wbD6GsVBReHetMUw17QcNne8BjB1xSKRoU4JYpafEx5"));
    CU_ASSERT(is_hash(c->prev_hash, "8PJ2potCVuEcHKHxhV6fUzQvdArDms8xbxCwc94ptpq8"));
    CU_ASSERT(is_hash(c->last_final, "3SZGvB3WTta5eMZuKqwmNst73jpAj9x77gc7BohTmiht"));
    CU_ASSERT(is_hash(c->entropy, "C4BxmcyFCJwCXVDTzAQB51eEgbMgjABEUT72xDXq7skU"));
    CU_ASSERT_EQUAL_FATAL(u.count, 5);
    static const struct {
        enum mig_request_kind kind;
        bool completed, succeeded;
        const char *id;
    } wanted[] = {
        {MIG_REQUEST_SIGNATURE, false, false, "7LvPSJdNFfDEV6UwnSqrtS2dWJWsv15p8PKP6WpH64BQ"},
        {MIG_REQUEST_CKD, false, false, "EcqoP6oArpnJTneAwAdeu2UA8NgSGz8QLutJwmv4ucqV"},
        {MIG_REQUEST_SIGNATURE, true, true, "EjZqyKiBqh4i8VhBSBdGCjcy7D5PQBYtXotirbySxTUX"},
        {MIG_REQUEST_CKD, true, false, "CUmwrUtqjY4sRNE3AAXfV5tR4yP5je6hy5SHLV35rqyi"},
        {MIG_REQUEST_FOREIGN, false, false, "5qec5eGt8zmQ6UNd1wSrAFj5uomqicRpyMRhadervR3X"},
    };
    for (size_t i = 0; i < 5; i++) {
        const struct mig_block_event *e = &u.events[i];
        CU_ASSERT_EQUAL(e->kind, wanted[i].kind);
        CU_ASSERT_EQUAL(e->completed, wanted[i].completed);
        CU_ASSERT_EQUAL(e->succeeded, wanted[i].succeeded);
        CU_ASSERT(is_hash(e->id, wanted[i].id));
        CU_ASSERT_EQUAL(e->args == NULL, e->completed);
        CU_ASSERT_STRING_EQUAL(e->predecessor, e->completed ? CONTRACT : "app.near");
    }
    CU_ASSERT_STRING_EQUAL((const char *)u.events[1].args, "{\"request\":{}}");
    CU_ASSERT_EQUAL(mig_block_count(&u, MIG_REQUEST_SIGNATURE, false), 1);
    mig_block_update_clear(&u);
    mig_block_update_clear(&u); /* harmless */
    free(text);
}

static void sees_nothing_of_another_contract(void)
{
    struct mig_block_update u;
    char *text = message();
    CU_ASSERT_EQUAL(mig_block_parse(text, strlen(text), "v2.signer", true, &u), MIG_OK);
    CU_ASSERT_EQUAL(u.count, 0);
    mig_block_update_clear(&u);
    CU_ASSERT_EQUAL(mig_block_parse(text, strlen(text), "", true, &u), MIG_OK);
    CU_ASSERT_EQUAL(u.count, 0);
    mig_block_update_clear(&u);
    free(text);
}

static void refused(char *text, const char *what)
{
    struct mig_block_update u;
    enum mig_err err = mig_block_parse(text, strlen(text), CONTRACT, true, &u);
    if (err != MIG_ERR_MALFORMED)
        printf("%s: %s\n", what, mig_err_text(err));
    CU_ASSERT_EQUAL(err, MIG_ERR_MALFORMED);
    CU_ASSERT(u.count == 0 && u.events == NULL && u.context.height == 0);
    mig_block_update_clear(&u);
    free(text);
}

static void refuses_what_is_not_whole(void)
{
    static const char *const changes[][2] = {
        /* shards: the three sets must be one */
        {",\"tracked_shards\":[18446744073709551615,9,3]", ""},
        {"\"tracked_shards\":[18446744073709551615,9,3]", "\"tracked_shards\":[9,3]"},
        {"\"tracked_shards\":[18446744073709551615,9,3]",
         "\"tracked_shards\":[18446744073709551615,9,3,4]"},
        {"\"tracked_shards\":[18446744073709551615,9,3]",
         "\"tracked_shards\":[18446744073709551615,9,9]"},
        {"\"tracked_shards\":[18446744073709551615,9,3]",
         "\"tracked_shards\":[18446744073709551616,9,3]"},
        {"{\"shard_id\":3,\"chunk\":null", "{\"shard_id\":4,\"chunk\":null"},
        {"{\"shard_id\":3,\"chunk\":null", "{\"shard_id\":9,\"chunk\":null"},
        {"{\"shard_id\":3,\"chunk\":null,\"receipt_execution_outcomes\":[],\"state_changes\":[]},",
         ""},
        {"{\"shard_id\":3,\"chunk\":null", "{\"shard_id\":3,\"chunk\":0"},
        {"\"chunk\":null,", ""},
        /* a chunk of this block that did not come along */
        {"\"height_included\":120000003", "\"height_included\":120000005"},
        /* members that are missing, twice, or of another type */
        {"\"receipt_execution_outcomes\"", "\"outcomes\""},
        {"\"random_value\"", "\"random\""},
        {"\"prev_hash\"", "\"previous\""},
        {"\"last_final_block\"", "\"last\""},
        {"\"timestamp\":1790000000123456789,", ""},
        {"\"timestamp\":1790000000123456789,", "\"timestamp\":1.79e18,"},
        {"\"height\":120000005,", "\"height\":\"120000005\","},
        {"\"height\":120000005,", "\"height\":0,"},
        {"\"height\":120000005,", "\"height\":120000005,\"height\":120000005,"},
        {"\"height\":120000005,", "\"height\":120000005,\"hei\\u0067ht\":120000005,"},
        {"\"prev_height\":120000003", "\"prev_height\":120000005"},
        {"\"prev_height\":120000003", "\"prev_height\":-1"},
        {"\"executor_id\"", "\"executor\""},
        {"\"status\":{\"SuccessValue\":\"\"}", "\"status\":{}"},
        {"\"status\":{\"SuccessValue\":\"\"}", "\"status\":{\"SuccessValue\":\"\",\"Failure\":{}}"},
        {"\"status\":{\"SuccessValue\":\"\"}", "\"status\":[]"},
        {"\"SuccessReceiptId\":\"7LvPSJdNFfDEV6UwnSqrtS2dWJWsv15p8PKP6WpH64BQ\"",
         "\"SuccessReceiptId\":\"7LvPSJdNFfDEV6UwnSqrtS2dWJWsv15p8PKP6WpH64BQx\""},
        {"\"SuccessReceiptId\":\"7LvPSJdNFfDEV6UwnSqrtS2dWJWsv15p8PKP6WpH64BQ\"",
         "\"SuccessReceiptId\":null"},
        {"\"receipt_id\":", "\"id\":"},
        {"\"actions\":[{\"FunctionCall\"", "\"actions\":{},\"x\":[{\"FunctionCall\""},
        {"\"actions\":[\"CreateAccount\"", "\"actions\":[null"},
        {"{\"Transfer\":{", "{\"Transfer\":{},\"FunctionCall\":{"},
        {"\"method_name\":\"sign\"", "\"method_name\":7"},
        {"\"predecessor_id\":\"app.near\"", "\"predecessor_id\":\"app\\near\""},
        {"\"predecessor_id\":\"app.near\"", "\"predecessor_id\":\"APP.near\""},
        /* the outcome of another receipt */
        {"\"id\":\"8yrudmVfVHFnyizbnM9Ecjzqkpn2kgfsmQFPu4pBpT6C\"",
         "\"id\":\"7LvPSJdNFfDEV6UwnSqrtS2dWJWsv15p8PKP6WpH64BQ\""},
        /* one receipt twice */
        {"EjZqyKiBqh4i8VhBSBdGCjcy7D5PQBYtXotirbySxTUX",
         "CUmwrUtqjY4sRNE3AAXfV5tR4yP5je6hy5SHLV35rqyi"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        refused(changed(changes[i][0], changes[i][1]), changes[i][1]);
}

static void refuses_arguments_that_are_no_base64(void)
{
    static const char *const bad[] = {"eyJyZXF1ZXN0Ijp7fX0", "eyJyZXF1ZXN0Ijp7fX1=", "!",
                                      "e30=\\u0000", "e30=\\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(changed("eyJyZXF1ZXN0Ijp7fX0=", bad[i]), bad[i]);
}

static void refuses_every_prefix(void)
{
    struct mig_block_update u;
    char *text = message();
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        CU_ASSERT_EQUAL(mig_block_parse(text, i, CONTRACT, true, &u), MIG_ERR_MALFORMED);
    free(text);
}

static void refuses_what_is_too_deep_or_too_long(void)
{
    char deep[512] = "";
    for (int i = 0; i < 40; i++)
        (void)strcat(deep, "[");
    char *text = NULL;
    CU_ASSERT(asprintf(&text, "{\"x\":%s", deep) > 0);
    refused(text, "depth");
    size_t len = (size_t)MIG_BLOCK_MAX + 1;
    char *message_text = message();
    char *longer = malloc(len + 1);
    memset(longer, ' ', len);
    longer[len] = '\0';
    memcpy(longer, message_text, strlen(message_text));
    refused(longer, "length");
    free(message_text);
}

static void refuses_too_many_shards(void)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    (void)fprintf(f, "{\"tracked_shards\":[");
    for (int i = 0; i <= MIG_BLOCK_SHARDS_MAX; i++)
        (void)fprintf(f, "%s%d", i > 0 ? "," : "", i);
    (void)fprintf(f, "]");
    (void)fclose(f);
    char *whole = changed("{\"block\":{\"author\"", "{\"block\":{\"author\""), *joined = NULL;
    CU_ASSERT(asprintf(&joined, "%s,%s", text, whole + 1) > 0);
    free(text);
    free(whole);
    refused(joined, "shards");
}

static void takes_what_does_not_matter(void)
{
    static const char *const changes[][2] = {
        {"\"block\":{", "\"unknown\":[{}],\"block\":{"},
        {"\"status\":{\"SuccessValue\":\"\"}", "\"status\":\"Unknown\""},
        {"{\"Data\":{", "{\"GlobalContractDistribution\":{"},
        {"\"prev_height\":120000003", "\"prev_height\":null"},
        {"\"predecessor_id\":\"v1.signer\"", "\"predecessor_id\":\"system\""},
        {"other.near",
         "a-name-that-is-longer-than-what-an-account-of-this-network-may-ever-have-xx"},
    };
    struct mig_block_update u;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *text = changed(changes[i][0], changes[i][1]);
        enum mig_err err = mig_block_parse(text, strlen(text), CONTRACT, true, &u);
        if (err != MIG_OK)
            printf("%s\n", changes[i][1]);
        CU_ASSERT_EQUAL(err, MIG_OK);
        CU_ASSERT_EQUAL(u.count, 5);
        mig_block_update_clear(&u);
        free(text);
    }
    /* A server of ready messages names no tracked shards. */
    char *text = changed(",\"tracked_shards\":[18446744073709551615,9,3]", "");
    CU_ASSERT_EQUAL(mig_block_parse(text, strlen(text), CONTRACT, false, &u), MIG_OK);
    mig_block_update_clear(&u);
    free(text);
    text = changed("\"tracked_shards\":[18446744073709551615,9,3]", "\"tracked_shards\":[9]");
    CU_ASSERT_EQUAL(mig_block_parse(text, strlen(text), CONTRACT, false, &u), MIG_ERR_MALFORMED);
    free(text);
}

static void marks_keep_the_newest_and_undo_from_any(void)
{
    struct mig_marks m = {0};
    uint8_t hash[MIG_DIGEST_LEN] = {0};
    size_t at;
    for (unsigned i = 0; i < MIG_MARKS_MAX + 10; i++) {
        hash[0] = (uint8_t)i;
        hash[1] = (uint8_t)(i >> 8);
        mig_marks_push(&m, i, hash);
    }
    CU_ASSERT_EQUAL(m.count, MIG_MARKS_MAX);
    CU_ASSERT_EQUAL(m.list[0].height, 10);
    CU_ASSERT_EQUAL(m.list[m.count - 1].height, MIG_MARKS_MAX + 9);
    CU_ASSERT(mig_marks_find(&m, hash, &at) && at == m.count - 1);
    mig_marks_undo(&m, m.list[100].hash);
    CU_ASSERT_EQUAL(m.count, 100);
    mig_marks_undo(&m, hash); /* no longer known */
    CU_ASSERT_EQUAL(m.count, 100);
    mig_marks_settle(&m, hash);
    CU_ASSERT_EQUAL(m.count, 100);
    memcpy(hash, m.list[98].hash, sizeof hash);
    mig_marks_settle(&m, hash);
    CU_ASSERT(m.count == 2 && m.list[0].height == 108 && m.list[1].height == 109);
    uint8_t bytes[MIG_CHECKPOINT_MAX];
    struct mig_marks back;
    size_t len;
    CU_ASSERT_EQUAL(mig_checkpoint_encode(&m, CONTRACT, bytes, &len), MIG_OK);
    CU_ASSERT_EQUAL(mig_checkpoint_decode(bytes, len, CONTRACT, &back), MIG_OK);
    CU_ASSERT(back.count == 2 && back.list[1].height == 109 &&
              memcmp(back.list[0].hash, hash, sizeof hash) == 0);
    CU_ASSERT_EQUAL(mig_checkpoint_decode(bytes, len, "v2.signer", &back), MIG_ERR_CONFLICT);
    CU_ASSERT_EQUAL(mig_checkpoint_decode(bytes, 0, CONTRACT, &back), MIG_ERR_MALFORMED);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(reads_context_and_events_of_a_real_message),
        TEST(sees_nothing_of_another_contract),
        TEST(refuses_what_is_not_whole),
        TEST(refuses_arguments_that_are_no_base64),
        TEST(refuses_every_prefix),
        TEST(refuses_what_is_too_deep_or_too_long),
        TEST(refuses_too_many_shards),
        TEST(takes_what_does_not_matter),
        TEST(marks_keep_the_newest_and_undo_from_any),
    };
    return run_tests("block", tests, sizeof tests / sizeof *tests);
}
