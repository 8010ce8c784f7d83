/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/json.h"
#include "tests/harness.h"

static enum mig_err skip(const char *text, size_t len)
{
    struct mig_json j;
    mig_json_init(&j, text, len);
    mig_json_skip(&j);
    return mig_json_end(&j);
}

static bool is_json(const char *text)
{
    return skip(text, strlen(text)) == MIG_OK;
}

static void takes_json(void)
{
    static const char *const good[] = {
        "{}",
        "[]",
        " \t\r\n1\n",
        "0",
        "-0",
        "-1.5e+10",
        "1E5",
        "\"\"",
        "true",
        "false",
        "null",
        "[1,[2,{\"a\":[]}],\"x\"]",
        "{\"a\":1,\"b\":{\"a\":2}}",
        "\"\\u0041\\n\\\"\\/\\\\\"",
        "\"\\ud83d\\ude00\"",
        "\"\xf0\x9f\x98\x80\xc3\xa4\xe2\x82\xac\"",
        "123456789012345678901234567890",
        "{\"\":1}",
        "\"\\u0000\"",
        "\"\x7f\"",
        "\"\xf4\x8f\xbf\xbf\"",
        "{\"a\":1,\"A\":1}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CU_ASSERT(is_json(good[i]));
}

static void refuses_what_is_no_json(void)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "[1}",
        "{\"a\":1]",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "-Infinity",
        "tru",
        "True",
        "nul",
        "nulll",
        "\"",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\ud800\"",
        "\"\n\"",
        "\"\t\"",
        "\"\x1f\"",
        "'a'",
        "1 1",
        "{}{}",
        "[]]",
        "{} x",
        "\xef\xbb\xbf{}",
        "// c\n1",
        "/**/1",
        "1;",
        "\"\x80\"",
        "\"\xc0\x80\"",
        "\"\xc1\xbf\"",
        "\"\xc3\"",
        "\"\xe0\x80\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf0\x80\x80\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xff\"",
        "\"\xe2\x82\"",
        "\xc2\xa0"
        "1",
        "\f1",
        "\v1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT(!is_json(bad[i]));
        if (is_json(bad[i]))
            printf("accepted: %s\n", bad[i]);
    }
    CU_ASSERT_EQUAL(skip("1\0", 2), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(skip("\"a\0b\"", 5), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(skip("\"a\\\0\"", 5), MIG_ERR_MALFORMED);
}

static void refuses_duplicate_members(void)
{
    CU_ASSERT(!is_json("{\"a\":1,\"a\":1}"));
    CU_ASSERT(!is_json("{\"a\":1,\"b\":2,\"a\":3}"));
    CU_ASSERT(!is_json("[[{\"x\":{\"a\":1,\"a\":2}}]]"));
    CU_ASSERT(!is_json("{\"a\":1,\"\\u0061\":2}"));
    CU_ASSERT(!is_json("{\"\\u0061b\":1,\"a\\u0062\":2}"));
    CU_ASSERT(!is_json("{\"\\n\":1,\"\\u000a\":2}"));
    CU_ASSERT(is_json("{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}"));
}

static char *many_members(size_t n, bool twice, size_t *len)
{
    char *text = malloc(n * 16 + 64), *p = text;
    p += sprintf(p, "{");
    for (size_t i = 0; i < n; i++)
        p += sprintf(p, "\"k%zu\":0,", i);
    p += sprintf(p, "\"k%s\":0}", twice ? "17" : "x");
    *len = (size_t)(p - text);
    return text;
}

static void finds_a_duplicate_among_many(void)
{
    for (size_t n = 18; n < 300000; n = n * 20 + 1) {
        size_t len;
        char *text = many_members(n, false, &len);
        CU_ASSERT_EQUAL(skip(text, len), MIG_OK);
        free(text);
        text = many_members(n, true, &len);
        CU_ASSERT_EQUAL(skip(text, len), MIG_ERR_MALFORMED);
        free(text);
    }
}

static void refuses_depth_bombs(void)
{
    char text[4 * MIG_JSON_DEPTH_MAX];
    memset(text, '[', MIG_JSON_DEPTH_MAX);
    memset(text + MIG_JSON_DEPTH_MAX, ']', MIG_JSON_DEPTH_MAX);
    CU_ASSERT_EQUAL(skip(text, 2 * MIG_JSON_DEPTH_MAX), MIG_OK);
    memset(text, '[', MIG_JSON_DEPTH_MAX + 1);
    memset(text + MIG_JSON_DEPTH_MAX + 1, ']', MIG_JSON_DEPTH_MAX + 1);
    CU_ASSERT_EQUAL(skip(text, 2 * MIG_JSON_DEPTH_MAX + 2), MIG_ERR_MALFORMED);
    size_t deep = 1 << 20;
    char *bomb = malloc(deep);
    memset(bomb, '[', deep);
    CU_ASSERT_EQUAL(skip(bomb, deep), MIG_ERR_MALFORMED);
    for (size_t i = 0; i + 5 <= deep; i += 5)
        memcpy(bomb + i, "{\"a\":", 5);
    CU_ASSERT_EQUAL(skip(bomb, deep), MIG_ERR_MALFORMED);
    free(bomb);
}

static enum mig_err read_u64(const char *text, uint64_t *v)
{
    struct mig_json j;
    mig_json_init(&j, text, strlen(text));
    *v = mig_json_u64(&j);
    return mig_json_end(&j);
}

static void reads_u64_exactly(void)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {
        {"0", 0},
        {" 7 ", 7},
        {"9007199254740993", 9007199254740993u},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", 9223372036854775808u},
        {"18446744073709551615", UINT64_MAX},
    };
    static const char *const bad[] = {
        "18446744073709551616",
        "18446744073709551625",
        "28446744073709551615",
        "99999999999999999999999",
        "-1",
        "-0",
        "1.0",
        "1e3",
        "1E3",
        "01",
        "00",
        "\"1\"",
        "null",
        "true",
        "[]",
        "{}",
        "",
        "0x1",
    };
    uint64_t v;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CU_ASSERT_EQUAL(read_u64(good[i].text, &v), MIG_OK);
        CU_ASSERT_EQUAL(v, good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(read_u64(bad[i], &v), MIG_ERR_MALFORMED);
        CU_ASSERT_EQUAL(v, 0);
    }
}

static void reads_u32_in_range(void)
{
    struct mig_json j;
    mig_json_init(&j, "4294967295", 10);
    CU_ASSERT_EQUAL(mig_json_u32(&j), UINT32_MAX);
    CU_ASSERT_EQUAL(mig_json_end(&j), MIG_OK);
    mig_json_init(&j, "4294967296", 10);
    CU_ASSERT_EQUAL(mig_json_u32(&j), 0);
    CU_ASSERT_EQUAL(mig_json_end(&j), MIG_ERR_MALFORMED);
}

static enum mig_err read_string(const char *text, char *out, size_t cap)
{
    struct mig_json j;
    mig_json_init(&j, text, strlen(text));
    mig_json_string(&j, out, cap);
    return mig_json_end(&j);
}

static void decodes_strings(void)
{
    char out[16];
    CU_ASSERT_EQUAL(read_string("\"a\\u00e4\\u20ac\\ud83d\\ude00\\t\"", out, sizeof out), MIG_OK);
    CU_ASSERT_STRING_EQUAL(out, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\t");
    CU_ASSERT_EQUAL(read_string("\"abc\"", out, 4), MIG_OK);
    CU_ASSERT_STRING_EQUAL(out, "abc");
    CU_ASSERT_EQUAL(read_string("\"abcd\"", out, 4), MIG_ERR_MALFORMED);
    CU_ASSERT_STRING_EQUAL(out, "");
    CU_ASSERT_EQUAL(read_string("\"a\\u0000\"", out, sizeof out), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(read_string("5", out, sizeof out), MIG_ERR_MALFORMED);
}

static enum mig_err read_bytes(const char *text, uint8_t *out, size_t cap, size_t *len)
{
    struct mig_json j;
    mig_json_init(&j, text, strlen(text));
    mig_json_bytes(&j, out, cap, len);
    return mig_json_end(&j);
}

static void decodes_byte_arrays(void)
{
    uint8_t out[8];
    size_t len;
    CU_ASSERT_EQUAL(read_bytes("[0,9,10,99,100,199,200,255]", out, sizeof out, &len), MIG_OK);
    CU_ASSERT(len == 8 && memcmp(out, "\x00\x09\x0a\x63\x64\xc7\xc8\xff", 8) == 0);
    CU_ASSERT_EQUAL(read_bytes(" [ 1 , 2\n,3 ] ", out, sizeof out, &len), MIG_OK);
    CU_ASSERT(len == 3 && memcmp(out, "\x01\x02\x03", 3) == 0);
    CU_ASSERT_EQUAL(read_bytes("[]", out, sizeof out, &len), MIG_OK);
    CU_ASSERT_EQUAL(len, 0);
    static const char *const bad[] = {
        "[256,1,1]",
        "[1,256]",
        "[999,1,1,1]",
        "[1000,1,1]",
        "[-1,1,1]",
        "[1.5,1,1]",
        "[1,,1,1]",
        "[1,1,]",
        "[01,1,1,1]",
        "[1,1,00]",
        "[1 1]",
        "[\"1\"]",
        "[null]",
        "[1,1",
        "[1,1,",
        "{}",
        "\"ab\"",
        "[1,2,3,4,5,6,7,8,9]",
        "[1,2,3,4,5,6,7,8,9,10,11,12]",
        "[1e1]",
        "[25x,1,1]",
        "[,1,1,1,1]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(read_bytes(bad[i], out, sizeof out, &len), MIG_ERR_MALFORMED);
        CU_ASSERT_EQUAL(len, 0);
    }
}

static void a_failure_sticks(void)
{
    static const char *const fields[] = {"a", "b", NULL};
    struct mig_json j;
    char out[4] = "xyz";
    unsigned seen = 0;
    mig_json_init(&j, "{\"a\":true,\"b\":1}", 16);
    mig_json_object(&j);
    CU_ASSERT_EQUAL(mig_json_field(&j, fields, &seen), 0);
    CU_ASSERT_EQUAL(mig_json_u64(&j), 0);
    CU_ASSERT_EQUAL(mig_json_field(&j, fields, &seen), -1);
    CU_ASSERT_EQUAL(seen, 1);
    mig_json_array(&j);
    CU_ASSERT(!mig_json_item(&j));
    CU_ASSERT(!mig_json_null(&j));
    CU_ASSERT(!mig_json_bool(&j));
    mig_json_string(&j, out, sizeof out);
    CU_ASSERT_STRING_EQUAL(out, "");
    mig_json_skip(&j);
    CU_ASSERT_EQUAL(mig_json_end(&j), MIG_ERR_MALFORMED);
}

static void finds_fields_in_any_order(void)
{
    static const char *const fields[] = {"a", "b", NULL};
    static const char text[] = "{\"x\":[{}],\"b\":2,\"\\u0061\":1,\"y\":null}";
    struct mig_json j;
    unsigned seen = 0;
    uint64_t value[2] = {0};
    mig_json_init(&j, text, sizeof text - 1);
    mig_json_object(&j);
    for (int f; (f = mig_json_field(&j, fields, &seen)) >= 0;)
        value[f] = mig_json_u64(&j);
    CU_ASSERT_EQUAL(mig_json_end(&j), MIG_OK);
    CU_ASSERT(seen == 3 && value[0] == 1 && value[1] == 2);
}

static void leaving_an_object_early_is_an_error(void)
{
    struct mig_json j;
    struct mig_json_name name;
    mig_json_init(&j, "{\"a\":1}", 7);
    mig_json_object(&j);
    CU_ASSERT(mig_json_member(&j, &name));
    CU_ASSERT(mig_json_is(&name, "a") && !mig_json_is(&name, "ab") && !mig_json_is(&name, ""));
    CU_ASSERT_EQUAL(mig_json_u64(&j), 1);
    CU_ASSERT_EQUAL(mig_json_end(&j), MIG_ERR_MALFORMED);
}

static void gives_the_text_of_a_value(void)
{
    struct mig_json j;
    const char *text;
    size_t len;
    mig_json_init(&j, " [ {\"a\" : 1} , 2]", 17);
    mig_json_array(&j);
    CU_ASSERT(mig_json_item(&j));
    mig_json_raw(&j, &text, &len);
    CU_ASSERT(len == 9 && memcmp(text, "{\"a\" : 1}", 9) == 0);
    CU_ASSERT(mig_json_item(&j));
    mig_json_raw(&j, &text, &len);
    CU_ASSERT(len == 1 && *text == '2');
    CU_ASSERT(!mig_json_item(&j));
    CU_ASSERT_EQUAL(mig_json_end(&j), MIG_OK);
}

static void refuses_documents_over_the_limit(void)
{
    struct mig_json j;
    size_t len = (size_t)MIG_JSON_MAX + 1;
    char *text = malloc(len);
    memset(text, ' ', len);
    text[0] = '1';
    CU_ASSERT_EQUAL(skip(text, len - 1), MIG_OK);
    mig_json_init(&j, text, len);
    mig_json_skip(&j);
    CU_ASSERT_EQUAL(mig_json_end(&j), MIG_ERR_MALFORMED);
    free(text);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(takes_json),
        TEST(refuses_what_is_no_json),
        TEST(refuses_duplicate_members),
        TEST(finds_a_duplicate_among_many),
        TEST(refuses_depth_bombs),
        TEST(reads_u64_exactly),
        TEST(reads_u32_in_range),
        TEST(decodes_strings),
        TEST(decodes_byte_arrays),
        TEST(a_failure_sticks),
        TEST(finds_fields_in_any_order),
        TEST(leaving_an_object_early_is_an_error),
        TEST(gives_the_text_of_a_value),
        TEST(refuses_documents_over_the_limit),
    };
    return run_tests("json", tests, sizeof tests / sizeof *tests);
}
