/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "chain/account.h"
#include "tests/harness.h"

static bool valid(const char *text)
{
    return mig_account_is_valid(text, strlen(text));
}

static void takes_account_ids(void)
{
    static const char *const good[] = {
        "ab",
        "a1",
        "alice.near",
        "v1.signer",
        "v1.signer-prod.testnet",
        "a.b",
        "a-b_c.d",
        "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
        "0x0123456789012345678901234567890123456789",
        "100",
        "0s1",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CU_ASSERT(valid(good[i]));
}

static void refuses_what_is_no_account_id(void)
{
    static const char *const bad[] = {
        "",
        "a",
        "Alice.near",
        ".near",
        "near.",
        "a..b",
        "a--b",
        "a-.b",
        "a._b",
        "-a",
        "a-",
        "_a",
        "a_",
        "a b",
        "a\nb",
        "a/b",
        "a@b",
        "\xc3\xa4.near",
        "a.near\r\nx: y",
        "a%0a",
        "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8a",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT(!valid(bad[i]));
    CU_ASSERT(!mig_account_is_valid("ab\0cd", 5));
}

static enum mig_err parse(const char *text, struct mig_url *url)
{
    return mig_url_parse(text, strlen(text), url);
}

static void splits_urls(void)
{
    struct mig_url url;
    CU_ASSERT_EQUAL(parse("http://alice.example:80", &url), MIG_OK);
    CU_ASSERT(!url.tls && url.port == 80 && strcmp(url.host, "alice.example") == 0);
    CU_ASSERT_EQUAL(parse("https://n0.test.near", &url), MIG_OK);
    CU_ASSERT(url.tls && url.port == 443 && strcmp(url.host, "n0.test.near") == 0);
    CU_ASSERT_EQUAL(parse("https://10.0.0.1:65535/", &url), MIG_OK);
    CU_ASSERT(url.port == 65535 && strcmp(url.host, "10.0.0.1") == 0);
    CU_ASSERT_EQUAL(parse("http://[2001:db8::1]:8080", &url), MIG_OK);
    CU_ASSERT(url.port == 8080 && strcmp(url.host, "2001:db8::1") == 0);
    CU_ASSERT_EQUAL(parse("http://[::1]", &url), MIG_OK);
    CU_ASSERT_EQUAL(parse("http://localhost", &url), MIG_OK);
    CU_ASSERT_EQUAL(parse("http://a_b.c-d.e", &url), MIG_OK);
}

static void refuses_urls(void)
{
    static const char *const bad[] = {
        "",
        "alice.example:80",
        "ftp://a",
        "file:///etc/passwd",
        "http://",
        "http:///",
        "http://:80",
        "http://a:",
        "http://a:0",
        "http://a:080",
        "http://a:65536",
        "http://a:100000",
        "http://a:8a",
        "http://a:-1",
        "http://user@a",
        "http://user:pw@a",
        "http://a/x",
        "http://a?x",
        "http://a#x",
        "http://a//",
        "http://a b",
        "http://a\r\nHost: b",
        "http://a\tb",
        "http://a..b",
        "http://.a",
        "http://a.",
        "http://-a",
        "http://a-.b",
        "http://a-",
        "http://[::1",
        "http://::1",
        "http://[::1]80",
        "http://[::1%25lo]",
        "http://[fe80::1%lo]",
        "http://[1.2.3.4]",
        "http://[]",
        "http://2130706433",
        "http://0x7f.1",
        "http://127.1",
        "http://1.2.3.256",
        "http://1.2.3.4.5",
        "http://017.0.0.1",
        "http://\xc3\xa4.example",
        "HTTP:/a",
        "http:/a",
        "http://a\\b",
        "http://%61",
        "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b",
    };
    struct mig_url url;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(parse(bad[i], &url), MIG_ERR_MALFORMED);
        CU_ASSERT(url.host[0] == '\0' && url.port == 0);
        if (parse(bad[i], &url) == MIG_OK)
            printf("accepted: %s\n", bad[i]);
    }
    CU_ASSERT_EQUAL(mig_url_parse("http://a\0b", 10, &url), MIG_ERR_MALFORMED);
}

static void refuses_long_urls(void)
{
    char text[MIG_URL_MAX + 2];
    struct mig_url url;
    memset(text, 'a', sizeof text);
    memcpy(text, "http://", 7);
    for (size_t i = 40; i < sizeof text; i += 40)
        text[i] = '.';
    CU_ASSERT_EQUAL(mig_url_parse(text, 7 + 250, &url), MIG_OK);
    CU_ASSERT_EQUAL(mig_url_parse(text, 7 + 256, &url), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_url_parse(text, sizeof text, &url), MIG_ERR_MALFORMED);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(takes_account_ids), TEST(refuses_what_is_no_account_id),
        TEST(splits_urls),       TEST(refuses_urls),
        TEST(refuses_long_urls),
    };
    return run_tests("account", tests, sizeof tests / sizeof *tests);
}
