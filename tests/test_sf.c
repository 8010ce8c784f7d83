/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/sf.h"

enum { MEMBERS = 1100, ITEMS = 300, PARAMS = 300, TEXT = 70000 };

static struct mig_sf_member members[MEMBERS];
static struct mig_sf_item items[ITEMS];
static struct mig_sf_param params[PARAMS];
static struct mig_sf sf;
static char out[TEXT];

static struct mig_text text(const char *s)
{
    return (struct mig_text){s, strlen(s)};
}

static enum mig_err parse_text(enum mig_sf_kind kind, struct mig_text value)
{
    sf = (struct mig_sf){.members = members,
                         .items = items,
                         .params = params,
                         .member_cap = MEMBERS,
                         .item_cap = ITEMS,
                         .param_cap = PARAMS};
    /* Exact size, so that a sanitizer sees a read past the end. */
    static char *exact;
    free(exact);
    exact = malloc(value.len != 0 ? value.len : 1);
    if (exact == NULL)
        return MIG_ERR_NOMEM;
    memcpy(exact, value.at, value.len);
    return mig_sf_parse(kind, (struct mig_text){exact, value.len}, &sf);
}

static enum mig_err parse(enum mig_sf_kind kind, const char *value)
{
    return parse_text(kind, text(value));
}

static void refuses(enum mig_sf_kind kind, const char *value)
{
    enum mig_err err = parse(kind, value);
    CU_ASSERT_EQUAL(err, MIG_ERR_MALFORMED);
    if (err != MIG_ERR_MALFORMED)
        fprintf(stderr, "accepted: %s\n", value);
}

static void gives(enum mig_sf_kind kind, const char *value, const char *canonical)
{
    char scratch[TEXT];
    size_t len = 0;
    CU_ASSERT_EQUAL_FATAL(parse(kind, value), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_sf_format(kind, &sf, out, sizeof out, &len), MIG_OK);
    out[len] = '\0';
    CU_ASSERT_STRING_EQUAL(out, canonical);
    CU_ASSERT_EQUAL(mig_sf_is_canonical(kind, &sf, text(value), scratch, sizeof scratch),
                    strcmp(value, canonical) == 0);
}

static void integers_have_up_to_fifteen_digits(void)
{
    gives(MIG_SF_ITEM, "0", "0");
    gives(MIG_SF_ITEM, "-0", "0");
    gives(MIG_SF_ITEM, "007", "7");
    gives(MIG_SF_ITEM, "-007", "-7");
    gives(MIG_SF_ITEM, "999999999999999", "999999999999999");
    gives(MIG_SF_ITEM, "-999999999999999", "-999999999999999");
    CU_ASSERT_EQUAL(sf.members[0].item.value.number, -999999999999999);
    static const char *const bad[] = {"1000000000000000",
                                      "-1000000000000000",
                                      "0000000000000001",
                                      "-",
                                      "--1",
                                      "+1",
                                      "- 1",
                                      "1-",
                                      "1e3",
                                      "0x1",
                                      "1,000",
                                      "",
                                      " ",
                                      "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(MIG_SF_ITEM, bad[i]);
}

static void decimals_have_twelve_and_three_digits(void)
{
    gives(MIG_SF_ITEM, "1.5", "1.5");
    gives(MIG_SF_ITEM, "-0.050", "-0.05");
    gives(MIG_SF_ITEM, "1.000", "1.0");
    gives(MIG_SF_ITEM, "1.020", "1.02");
    gives(MIG_SF_ITEM, "00.123", "0.123");
    gives(MIG_SF_ITEM, "-0.0", "0.0");
    gives(MIG_SF_ITEM, "999999999999.999", "999999999999.999");
    CU_ASSERT_EQUAL(sf.members[0].item.value.type, MIG_SF_DECIMAL);
    CU_ASSERT_EQUAL(sf.members[0].item.value.number, 999999999999999);
    static const char *const bad[] = {"1.",   ".5",    "-.5",  "1.1234", "1000000000000.0",
                                      "1..2", "1.2.3", "1.-2", "1. 2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(MIG_SF_ITEM, bad[i]);
}

static void strings_know_two_escapes(void)
{
    gives(MIG_SF_ITEM, "\"\"", "\"\"");
    gives(MIG_SF_ITEM, "\"a b~\"", "\"a b~\"");
    gives(MIG_SF_ITEM, "\"\\\"\\\\\"", "\"\\\"\\\\\"");
    static const char *const bad[] = {"\"",           "\"a",      "\"a\\\"", "\"\\",
                                      "\"\\x\"",      "\"\\\n\"", "\"\t\"",  "\"\x7f\"",
                                      "\"\xc3\xbc\"", "\"a\"b",   "'a'",     "\"a\" \"b\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(MIG_SF_ITEM, bad[i]);
    CU_ASSERT_EQUAL(parse_text(MIG_SF_ITEM, (struct mig_text){"\"a\0b\"", 5}), MIG_ERR_MALFORMED);
}

/* RFC 9651: token = ( ALPHA / "*" ) *( tchar / ":" / "/" ). Every octet in
 * every place, against those words. */
static void every_octet_of_a_token_is_as_the_rfc_says(void)
{
    for (int c = 0; c < 256; c++) {
        char t[3] = {'t', (char)c, 't'}, first[2] = {(char)c, 't'};
        bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool tchar =
            alpha || (c >= '0' && c <= '9') || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        bool in = tchar || c == ':' || c == '/' || c == ';'; /* that starts a parameter */
        CU_ASSERT_EQUAL(parse_text(MIG_SF_ITEM, (struct mig_text){t, 3}) == MIG_OK, in);
        if (c != ' ')
            CU_ASSERT_EQUAL(parse_text(MIG_SF_ITEM, (struct mig_text){first, 2}) == MIG_OK,
                            alpha || c == '*');
    }
}

static void every_octet_of_a_key_is_as_the_rfc_says(void)
{
    for (int c = 1; c < 256; c++) {
        char key[4] = {'k', (char)c, 'k', 0};
        char first[3] = {(char)c, 'k', 0};
        bool start = (c >= 'a' && c <= 'z') || c == '*';
        bool in = start || (c >= '0' && c <= '9') || strchr("_-.", c) != NULL;
        CU_ASSERT_EQUAL(mig_sf_is_key(text(key)), in);
        CU_ASSERT_EQUAL(mig_sf_is_key(text(first)), start);
    }
    CU_ASSERT_FALSE(mig_sf_is_key(MIG_TEXT("")));
}

static void every_octet_of_a_string_is_as_the_rfc_says(void)
{
    for (int c = 0; c < 256; c++) {
        char s[4] = {'"', (char)c, 'x', '"'};
        bool in = c >= 0x20 && c <= 0x7e && c != '"' && c != '\\';
        CU_ASSERT_EQUAL(parse_text(MIG_SF_ITEM, (struct mig_text){s, 4}) == MIG_OK, in);
    }
}

static void byte_sequences_are_set_right(void)
{
    gives(MIG_SF_ITEM, "::", "::");
    gives(MIG_SF_ITEM, ":aGVsbG8=:", ":aGVsbG8=:");
    gives(MIG_SF_ITEM, ":aGVsbG8:", ":aGVsbG8=:");
    gives(MIG_SF_ITEM, ":aGVsbG9:", ":aGVsbG8=:");
    gives(MIG_SF_ITEM, ":iZ==:", ":iQ==:");
    gives(MIG_SF_ITEM, ":iZ:", ":iQ==:");
    gives(MIG_SF_ITEM, ":+/09:", ":+/09:");
    gives(MIG_SF_ITEM, ":a/:", ":aw==:");
    gives(MIG_SF_ITEM, ":a+:", ":aw==:");
    gives(MIG_SF_ITEM, ":a9:", ":aw==:");
    static const char *const bad[] = {
        ":",           ":a",      ":aGVsbG8=",   ":a:",     ":aaaaa:",
        ":aa=:",       ":aaa==:", ":aa===:",     ":=:",     ":aGVsb=G8:",
        ":aGVs bG8=:", ":_-aa:",  ":aGVsbG8=:x", ":aaaa=:", ":aGVsbG8=:="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(MIG_SF_ITEM, bad[i]);
}

static void booleans_are_zero_or_one(void)
{
    gives(MIG_SF_ITEM, "?0", "?0");
    gives(MIG_SF_ITEM, "?1", "?1");
    static const char *const bad[] = {"?", "?2", "?T", "?true", "? 1", "?-1", "?11"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(MIG_SF_ITEM, bad[i]);
}

static void dates_are_whole_seconds(void)
{
    gives(MIG_SF_ITEM, "@0", "@0");
    gives(MIG_SF_ITEM, "@-1659578233", "@-1659578233");
    static const char *const bad[] = {
        "@", "@1.0", "@x", "@ 1", "@-", "@\"1\"", "@1000000000000000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(MIG_SF_ITEM, bad[i]);
}

static void display_strings_are_valid_utf8(void)
{
    gives(MIG_SF_ITEM, "%\"f%c3%bc%c3%bc\"", "%\"f%c3%bc%c3%bc\"");
    gives(MIG_SF_ITEM, "%\"%41\\%25%22\"", "%\"A\\%25%22\"");
    gives(MIG_SF_ITEM, "%\"%00%7f\"", "%\"%00%7f\"");
    gives(MIG_SF_ITEM, "%\"%e2%82%ac%f0%9f%98%80%ed%9f%bf%f4%8f%bf%bf\"",
          "%\"%e2%82%ac%f0%9f%98%80%ed%9f%bf%f4%8f%bf%bf\"");
    static const char *const bad[] = {
        "%",
        "%x",
        "%\"",
        "%\"a",
        "%\"%\"",
        "%\"%c\"",
        "%\"%C3%BC\"",
        "%\"%gg\"",
        "%\"%0g\"",
        "%\"\xc3\xbc\"",
        "%\"\t\"",
        "%\"%c3\"",
        "%\"%c3%c3\"",
        "%\"%80\"",
        "%\"%c0%80\"",
        "%\"%c1%bf\"",
        "%\"%e0%80%80\"",
        "%\"%e0%9f%bf\"",
        "%\"%ed%a0%80\"",
        "%\"%f0%80%80%80\"",
        "%\"%f0%8f%bf%bf\"",
        "%\"%f4%90%80%80\"",
        "%\"%f5%80%80%80\"",
        "%\"%ff\"",
        "%\"%e2%82\"",
        "%\"%e2%82a\"",
        "%\"%e2%82%\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(MIG_SF_ITEM, bad[i]);
}

static void parameters_bind_to_their_item(void)
{
    gives(MIG_SF_ITEM, "a;b;c=?1;d=?0;e=1; f=\"x\"", "a;b;c;d=?0;e=1;f=\"x\"");
    gives(MIG_SF_ITEM, "1;a=*x;b=:aa:;c=@5;d=1.50;e=%\"y\"", "1;a=*x;b=:aQ==:;c=@5;d=1.5;e=%\"y\"");
    CU_ASSERT_FALSE(sf.has_duplicates);
    static const char *const bad[] = {
        "a;",   "a; ",   "a;B",  "a;=1",    "a;b=", "a;b =1", "a;b= 1",
        "a ;b", "a;\tb", "a;;b", "a;b=(1)", "a;1",  "a;b=-"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(MIG_SF_ITEM, bad[i]);
}

static void duplicates_are_reported_and_the_last_counts(void)
{
    gives(MIG_SF_ITEM, "x;a=1;b=2;a=3", "x;a=3;b=2");
    CU_ASSERT(sf.has_duplicates);
    gives(MIG_SF_DICTIONARY, "a=1, b=2, a=(3);x", "a=(3);x, b=2");
    CU_ASSERT(sf.has_duplicates);
    gives(MIG_SF_DICTIONARY, "a;x;x, b", "a;x, b");
    CU_ASSERT(sf.has_duplicates);
    gives(MIG_SF_DICTIONARY, "a;x, b;x, c=(1;x 2;x);x", "a;x, b;x, c=(1;x 2;x);x");
    CU_ASSERT_FALSE(sf.has_duplicates);
    gives(MIG_SF_LIST, "a, a, a", "a, a, a");
    CU_ASSERT_FALSE(sf.has_duplicates);
}

static void lists_hold_items_and_inner_lists(void)
{
    gives(MIG_SF_LIST, "", "");
    gives(MIG_SF_LIST, "  ", "");
    gives(MIG_SF_LIST, "a", "a");
    gives(MIG_SF_LIST, "a,b\t, \tc", "a, b, c");
    gives(MIG_SF_LIST, " a \t", "a");
    gives(MIG_SF_LIST, "( a  b ), ();x, (\"c\";d=1)", "(a b), ();x, (\"c\";d=1)");
    gives(MIG_SF_LIST, "?1, ?0", "?1, ?0");
    static const char *const bad[] = {",",    "a,",     "a, ",  "a,,b",         "a b",   "\ta",
                                      "(",    "(a",     "(a b", "(a\tb)",       "(a,b)", "((a))",
                                      "(a)b", "(a)(b)", "a=1",  "(\"a\"\"b\")", "(a;)",  "(a;b;)",
                                      "(;a)"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(MIG_SF_LIST, bad[i]);
}

static void dictionaries_hold_keys(void)
{
    gives(MIG_SF_DICTIONARY, "", "");
    gives(MIG_SF_DICTIONARY, "a=1,b , c=?1;x,d=?0, e=()", "a=1, b, c;x, d=?0, e=()");
    gives(MIG_SF_DICTIONARY, "sig=(\"@method\" \"a\";req);created=1",
          "sig=(\"@method\" \"a\";req);created=1");
    CU_ASSERT(sf.members[0].is_inner);
    CU_ASSERT_EQUAL(sf.members[0].count, 2);
    CU_ASSERT(mig_text_is(sf.items[1].value.text, "a"));
    CU_ASSERT_EQUAL(sf.items[1].param_count, 1);
    CU_ASSERT(mig_text_is(sf.params[sf.items[1].param].key, "req"));
    CU_ASSERT(mig_text_is(sf.params[sf.members[0].item.param].key, "created"));
    static const char *const bad[] = {"A=1",  "1=1",     "=1",   "a=",   "a =1",  "a= 1",
                                      "a=1,", "a=1 b=2", "a=1;", "a,,b", "a;b=(", "a=b=c"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(MIG_SF_DICTIONARY, bad[i]);
}

static void items_stand_alone(void)
{
    gives(MIG_SF_ITEM, "  a  ", "a");
    static const char *const bad[] = {"", "a, b", "(a)", "a\t", "\ta", "a\n", "a b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(MIG_SF_ITEM, bad[i]);
}

static void no_prefix_reads_past_its_end(void)
{
    static const char whole[] = "a=1.5, b=(\"x\\\"\";k=:aGVsbG8=: tok/en ?1;r @-5);p=%\"f%c3%bc\", "
                                "*c;d=-12, e=%\"%e2%82%ac\"";
    CU_ASSERT_EQUAL(parse(MIG_SF_DICTIONARY, whole), MIG_OK);
    size_t accepted = 0;
    for (size_t len = 0; len < sizeof whole; len++) {
        for (int kind = MIG_SF_ITEM; kind <= MIG_SF_DICTIONARY; kind++)
            accepted += parse_text((enum mig_sf_kind)kind, (struct mig_text){whole, len}) == MIG_OK;
    }
    CU_ASSERT(accepted > 0);
}

static void arrays_bound_what_is_accepted(void)
{
    char value[TEXT] = "";
    size_t used = 0;
    for (int i = 0; i < 1024; i++) /* what the RFC asks of every parser */
        used += (size_t)snprintf(value + used, sizeof value - used, "%sk%d", i > 0 ? "," : "", i);
    CU_ASSERT_EQUAL(parse(MIG_SF_DICTIONARY, value), MIG_OK);
    CU_ASSERT_EQUAL(sf.member_count, 1024);

    struct mig_sf small = {.members = members,
                           .items = items,
                           .params = params,
                           .member_cap = 1,
                           .item_cap = 2,
                           .param_cap = 2};
    CU_ASSERT_EQUAL(mig_sf_parse(MIG_SF_LIST, text("(a;x b;y)"), &small), MIG_OK);
    CU_ASSERT_EQUAL(mig_sf_parse(MIG_SF_LIST, text("(a b c)"), &small), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_sf_parse(MIG_SF_LIST, text("(a;x b;y);z"), &small), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_sf_parse(MIG_SF_LIST, text("a, b"), &small), MIG_ERR_MALFORMED);
    small.member_cap = 0;
    CU_ASSERT_EQUAL(mig_sf_parse(MIG_SF_ITEM, text("a"), &small), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_sf_parse(MIG_SF_LIST, text(""), &small), MIG_OK);
}

static void formats_into_exactly_enough_room(void)
{
    char scratch[64];
    size_t len, need;
    const char *value = "a=1, b=(x);y";
    CU_ASSERT_EQUAL(parse(MIG_SF_DICTIONARY, value), MIG_OK);
    for (need = 0; need < strlen(value); need++) {
        CU_ASSERT_EQUAL(mig_sf_format(MIG_SF_DICTIONARY, &sf, scratch, need, &len), MIG_ERR_BUG);
        CU_ASSERT_EQUAL(len, 0);
        CU_ASSERT_FALSE(mig_sf_is_canonical(MIG_SF_DICTIONARY, &sf, text(value), scratch, need));
    }
    CU_ASSERT_EQUAL(mig_sf_format(MIG_SF_DICTIONARY, &sf, scratch, need, &len), MIG_OK);
    CU_ASSERT_EQUAL(len, need);
    CU_ASSERT_EQUAL(mig_sf_format(MIG_SF_ITEM, &sf, scratch, sizeof scratch, &len), MIG_ERR_BUG);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(integers_have_up_to_fifteen_digits),
        TEST(decimals_have_twelve_and_three_digits),
        TEST(strings_know_two_escapes),
        TEST(every_octet_of_a_token_is_as_the_rfc_says),
        TEST(every_octet_of_a_key_is_as_the_rfc_says),
        TEST(every_octet_of_a_string_is_as_the_rfc_says),
        TEST(byte_sequences_are_set_right),
        TEST(booleans_are_zero_or_one),
        TEST(dates_are_whole_seconds),
        TEST(display_strings_are_valid_utf8),
        TEST(parameters_bind_to_their_item),
        TEST(duplicates_are_reported_and_the_last_counts),
        TEST(lists_hold_items_and_inner_lists),
        TEST(dictionaries_hold_keys),
        TEST(items_stand_alone),
        TEST(no_prefix_reads_past_its_end),
        TEST(arrays_bound_what_is_accepted),
        TEST(formats_into_exactly_enough_room),
    };
    return run_tests("sf", tests, sizeof tests / sizeof *tests);
}
