/* SPDX-License-Identifier: MIT */
#include "cmd/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/harness.h"

static const struct mig_config_key keys[] = {
    {.section = "node", .name = "account", .required = true},
    {.section = "node",
     .name = "identity_key",
     .kind = MIG_CONFIG_PATH,
     .fallback = "identity.key"},
    MIG_CONFIG_CONTRACT_KEYS,
    {.section = "limits", .name = "connections", .kind = MIG_CONFIG_NUMBER, .min = 1, .max = 1000},
    {.section = "limits", .name = "strict", .kind = MIG_CONFIG_FLAG, .fallback = "no"},
};
enum { KEYS = sizeof keys / sizeof *keys };

#define GOOD                                                                                       \
    "[node]\naccount = alice.near\n[contract]\naccount = v1.signer\nrpc = http://127.0.0.1:3030\n"

static char why[MIG_CONFIG_WHY_MAX];

static struct mig_config_file *parse_or_null(const char *text)
{
    struct mig_config_file *config = NULL;
    enum mig_err err =
        mig_config_parse(text, strlen(text), "x.conf", "/home/x", keys, KEYS, &config, why);
    CU_ASSERT_EQUAL(err == MIG_OK, config != NULL);
    return config;
}

static void refuses(const char *text, const char *expected)
{
    struct mig_config_file *config = parse_or_null(text);
    CU_ASSERT_PTR_NULL(config);
    CU_ASSERT_STRING_EQUAL(why, expected);
    mig_config_free(&config);
}

static void reads_values_and_fallbacks(void)
{
    struct mig_config_file *c = parse_or_null("# note\n" GOOD "poll_interval = 250ms\n; another\n\n"
                                              "dialect = deployed\n[limits]\nconnections=8\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_STRING_EQUAL(mig_config_text(c, "node", "account"), "alice.near");
    CU_ASSERT_STRING_EQUAL(mig_config_text(c, "contract", "account"), "v1.signer");
    CU_ASSERT_EQUAL(mig_config_number(c, "contract", "poll_interval"), 250);
    CU_ASSERT_EQUAL(mig_config_number(c, "contract", "max_staleness"), 30000);
    CU_ASSERT_EQUAL(mig_config_number(c, "contract", "dialect"), 2);
    CU_ASSERT_EQUAL(mig_config_number(c, "limits", "connections"), 8);
    CU_ASSERT_EQUAL(mig_config_number(c, "limits", "strict"), 0);
    CU_ASSERT_STRING_EQUAL(mig_config_text(c, "node", "identity_key"), "/home/x/identity.key");
    CU_ASSERT_TRUE(mig_config_is_given(c, "limits", "connections"));
    CU_ASSERT_FALSE(mig_config_is_given(c, "limits", "strict"));
    CU_ASSERT_EQUAL(mig_config_line(c, "node", "account"), 3);
    CU_ASSERT_PTR_NULL(mig_config_text(c, "node", "nothing"));
    mig_config_free(&c);
    CU_ASSERT_PTR_NULL(c);
    mig_config_free(&c);
}

static void refuses_unknown_sections_and_keys_with_the_nearest_name(void)
{
    refuses(GOOD "[lmits]\nconnections = 4\n", "x.conf:7: unknown section; did you mean [limits]?");
    refuses(GOOD "[somewhere]\na = 4\n", "x.conf:7: unknown section");
    refuses("account = x\n", "x.conf:1: a key before the first [section]");
    refuses("[node]\nacount = x\n", "x.conf:2: unknown key in [node]; did you mean account?");
    refuses("[node]\nrpc = x\n", "x.conf:2: unknown key in [node]; rpc belongs in [contract]");
    refuses("[node]\nfrobnicate = x\n", "x.conf:2: unknown key in [node]");
}

static void refuses_a_key_given_twice_or_without_a_value(void)
{
    refuses("[node]\naccount = a\naccount = b\n",
            "x.conf:3: [node] account is given twice, first in line 2");
    refuses("[node]\naccount = a\n[contract]\nrpc = x\n[node]\naccount = a\n",
            "x.conf:6: [node] account is given twice, first in line 2");
    refuses("[node]\naccount =\n", "x.conf:2: [node] account has no value");
    refuses("[node]\naccount = ; alice\n", "x.conf:2: [node] account has no value");
}

static void a_list_goes_on_in_indented_lines(void)
{
    static const struct mig_config_key table[] = {
        {.section = "contract", .name = "rpc", .kind = MIG_CONFIG_LIST, .required = true},
        {.section = "contract", .name = "account"}};
    static const struct {
        const char *text, *value, *complaint;
    } cases[] = {
        {"[contract]\nrpc = a, b\n", "a, b", NULL},
        {"[contract]\nrpc = a,\n  b,\n\tc ; the last\naccount = x\n", "a, b, c", NULL},
        {"[contract]\nrpc = a\n  b\n", NULL, "x.conf:3: a line must not start with white space"},
        {"[contract]\nrpc = a,\naccount = x,\n b\n", NULL,
         "x.conf:4: a line must not start with white space"},
        {"[contract]\naccount = x\n b\nrpc = a\n", NULL,
         "x.conf:3: a line must not start with white space"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mig_config_file *c = NULL;
        why[0] = '\0';
        enum mig_err err = mig_config_parse(cases[i].text, strlen(cases[i].text), "x.conf", NULL,
                                            table, 2, &c, why);
        CU_ASSERT_EQUAL(err, cases[i].value != NULL ? MIG_OK : MIG_ERR_MALFORMED);
        if (cases[i].value != NULL && c != NULL)
            CU_ASSERT_STRING_EQUAL(mig_config_text(c, "contract", "rpc"), cases[i].value);
        if (cases[i].complaint != NULL)
            CU_ASSERT_STRING_EQUAL(why, cases[i].complaint);
        mig_config_free(&c);
    }
}

static void refuses_lines_that_are_neither(void)
{
    const char *neither = "x.conf:2: neither `key = value` nor `[section]` nor a comment";
    refuses("[node]\naccount\n", neither);
    refuses("[node]\n[contract\naccount = x\n", neither);
    refuses("[node]\naccount = a\n  more\n", "x.conf:3: a line must not start with white space");
    refuses("[node]\naccount = a\x01\n", "x.conf:2: a control character");
    char text[400] = "[node]\naccount = ";
    memset(text + strlen(text), 'a', 300);
    refuses(text, "x.conf:2: the line is longer than 198 characters");
}

static void refuses_wrong_types_without_repeating_the_value(void)
{
    refuses(GOOD "poll_interval = 5 apples\n",
            "x.conf:6: [contract] poll_interval: expected a duration such as 250ms, 5s, 10m or 2h");
    refuses(GOOD "poll_interval = 1ms\n",
            "x.conf:6: [contract] poll_interval: expected between 50 ms and 3600000 ms");
    refuses(GOOD "poll_interval = 99999999999999999999h\n",
            "x.conf:6: [contract] poll_interval: expected a duration such as 250ms, 5s, 10m or 2h");
    refuses(GOOD "dialect = auto draft\n",
            "x.conf:6: [contract] dialect: expected one of: auto draft deployed");
    refuses(GOOD "dialect = dep\n",
            "x.conf:6: [contract] dialect: expected one of: auto draft deployed");
    refuses(GOOD "[limits]\nconnections = -1\n",
            "x.conf:7: [limits] connections: expected a whole number");
    refuses(GOOD "[limits]\nconnections = 0\n",
            "x.conf:7: [limits] connections: expected between 1 and 1000");
    refuses(GOOD "[limits]\nstrict = true\n", "x.conf:7: [limits] strict: expected yes or no");
}

static void names_what_is_missing(void)
{
    refuses("", "x.conf: [node] account is missing");
    refuses("[node]\naccount = alice.near\n", "x.conf: [contract] account is missing");
}

static void loads_only_regular_files_of_sane_size(void)
{
    struct mig_config_file *config = NULL;
    char path[300], expected[600];
    (void)snprintf(path, sizeof path, "%s/x.conf", test_dir());
    CU_ASSERT_EQUAL(mig_config_load(path, NULL, keys, KEYS, &config, why), MIG_ERR_NOT_FOUND);
    (void)snprintf(expected, sizeof expected, "%s: no such file", path);
    CU_ASSERT_STRING_EQUAL(why, expected);
    CU_ASSERT_EQUAL(mig_config_load(test_dir(), NULL, keys, KEYS, &config, why), MIG_ERR_IO);

    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_TRUE(fputs(GOOD, f) >= 0);
    CU_ASSERT_EQUAL(fclose(f), 0);
    CU_ASSERT_EQUAL_FATAL(mig_config_load(path, NULL, keys, KEYS, &config, why), MIG_OK);
    CU_ASSERT_STRING_EQUAL(mig_config_text(config, "node", "identity_key"), "identity.key");
    mig_config_free(&config);

    f = fopen(path, "a");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    for (int i = 0; i < MIG_CONFIG_FILE_MAX; i++)
        CU_ASSERT_NOT_EQUAL(fputc('#', f), EOF);
    CU_ASSERT_EQUAL(fclose(f), 0);
    CU_ASSERT_EQUAL(mig_config_load(path, NULL, keys, KEYS, &config, why), MIG_ERR_MALFORMED);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(reads_values_and_fallbacks),
        TEST(refuses_unknown_sections_and_keys_with_the_nearest_name),
        TEST(refuses_a_key_given_twice_or_without_a_value),
        TEST(a_list_goes_on_in_indented_lines),
        TEST(refuses_lines_that_are_neither),
        TEST(refuses_wrong_types_without_repeating_the_value),
        TEST(names_what_is_missing),
        TEST(loads_only_regular_files_of_sane_size),
    };
    return run_tests("config", tests, sizeof tests / sizeof *tests);
}
