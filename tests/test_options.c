/* SPDX-License-Identifier: MIT */
#include "cmd/options.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/nearest.h"
#include "tests/harness.h"

static const char *home, *config;
static bool json;
static const struct mig_option options[] = {
    {"home", "DIR", "where keys and backups live", &home, NULL},
    {"config", "FILE", "configuration\n(default: DIR/x.conf)", &config, NULL},
    {"json", NULL, "print JSON", NULL, &json},
};
enum { OPTIONS = sizeof options / sizeof *options, ARGS = 8 };

static char why[MIG_OPTIONS_WHY_MAX];
static char words[ARGS][100];
static char *argv[ARGS];
static int operands;

static bool parse(int argc, const char *const *args)
{
    home = "default";
    config = NULL;
    json = false;
    argv[0] = words[0];
    for (int i = 0; i < argc; i++)
        argv[i + 1] = strcpy(words[i + 1], args[i]);
    return mig_options_parse(argc + 1, argv, options, OPTIONS, &operands, why);
}
#define PARSE(...)                                                                                 \
    parse(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void reads_both_forms_in_any_place(void)
{
    CU_ASSERT_TRUE(PARSE("status", "--home=/a", "--json", "--config", "/b", "more"));
    CU_ASSERT_STRING_EQUAL(home, "/a");
    CU_ASSERT_STRING_EQUAL(config, "/b");
    CU_ASSERT_TRUE(json);
    CU_ASSERT_EQUAL(operands, 2);
    CU_ASSERT_STRING_EQUAL(argv[1], "status");
    CU_ASSERT_STRING_EQUAL(argv[2], "more");
}

static void keeps_defaults(void)
{
    CU_ASSERT_TRUE(PARSE("status"));
    CU_ASSERT_STRING_EQUAL(home, "default");
    CU_ASSERT_PTR_NULL(config);
    CU_ASSERT_FALSE(json);
}

static void two_dashes_end_the_options(void)
{
    CU_ASSERT_TRUE(PARSE("--json", "--", "--home", "-"));
    CU_ASSERT_EQUAL(operands, 2);
    CU_ASSERT_STRING_EQUAL(argv[1], "--home");
    CU_ASSERT_STRING_EQUAL(argv[2], "-");
}

static void refuses_a_repeated_option(void)
{
    CU_ASSERT_FALSE(PARSE("--home", "a", "--home", "b"));
    CU_ASSERT_STRING_EQUAL(why, "--home is given twice");
    CU_ASSERT_FALSE(PARSE("--json", "--json"));
}

static void refuses_missing_and_superfluous_values(void)
{
    CU_ASSERT_FALSE(PARSE("--home"));
    CU_ASSERT_STRING_EQUAL(why, "--home needs a value: DIR");
    CU_ASSERT_FALSE(PARSE("--home="));
    CU_ASSERT_FALSE(PARSE("--json=yes"));
    CU_ASSERT_STRING_EQUAL(why, "--json takes no value");
}

static void refuses_unknown_options_and_names_the_nearest(void)
{
    CU_ASSERT_FALSE(PARSE("--hom", "a"));
    CU_ASSERT_STRING_EQUAL(why, "unknown option; did you mean --home?");
    CU_ASSERT_FALSE(PARSE("--frobnicate"));
    CU_ASSERT_STRING_EQUAL(why, "unknown option --frobnicate");
    CU_ASSERT_FALSE(PARSE("-j"));
}

static void does_not_repeat_what_may_be_a_secret(void)
{
    CU_ASSERT_FALSE(
        PARSE("--ed25519:3D4YudUahN1nawWogh8pAKSj92sUNMdbZGjn7kERKzYoTy8tnFQuwoGUC51DowKqor"));
    CU_ASSERT_STRING_EQUAL(why, "unknown option");
}

static void help_lists_every_option(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    mig_options_print(out, options, OPTIONS);
    CU_ASSERT_EQUAL(fclose(out), 0);
    CU_ASSERT_STRING_EQUAL(text, "  --home DIR              where keys and backups live\n"
                                 "  --config FILE           configuration\n"
                                 "                          (default: DIR/x.conf)\n"
                                 "  --json                  print JSON\n");
    free(text);
}

static void distance_counts_single_edits(void)
{
    CU_ASSERT_EQUAL(mig_word_distance("", ""), 0);
    CU_ASSERT_EQUAL(mig_word_distance("", "abc"), 3);
    CU_ASSERT_EQUAL(mig_word_distance("acount", "account"), 1);
    CU_ASSERT_EQUAL(mig_word_distance("kitten", "sitting"), 3);
    CU_ASSERT_EQUAL(mig_word_distance("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a"), SIZE_MAX);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(reads_both_forms_in_any_place),
        TEST(keeps_defaults),
        TEST(two_dashes_end_the_options),
        TEST(refuses_a_repeated_option),
        TEST(refuses_missing_and_superfluous_values),
        TEST(refuses_unknown_options_and_names_the_nearest),
        TEST(does_not_repeat_what_may_be_a_secret),
        TEST(help_lists_every_option),
        TEST(distance_counts_single_edits),
    };
    return run_tests("options", tests, sizeof tests / sizeof *tests);
}
