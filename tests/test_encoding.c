/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <string.h>

#include "crypto/encoding.h"
#include "crypto/secret.h"

typedef enum mig_err decoder(const char *, size_t, uint8_t *, size_t, size_t *);

/* True when the text is refused, with nothing said to be decoded. */
static bool refuses(decoder *decode, const char *text, size_t len)
{
    uint8_t out[512];
    size_t n = 99;
    return decode(text, len, out, sizeof out, &n) == MIG_ERR_MALFORMED && n == 0;
}

static bool refuses_text(decoder *decode, const char *text)
{
    return refuses(decode, text, strlen(text));
}

static bool gives(decoder *decode, const char *text, const char *bytes, size_t len)
{
    uint8_t out[512];
    size_t n = 99;
    return decode(text, strlen(text), out, len, &n) == MIG_OK && n == len &&
           memcmp(out, bytes, len) == 0;
}

static void base58_known_answers(void)
{
    char text[64];
    uint8_t ff[20];
    memset(ff, 0xff, sizeof ff);
    CU_ASSERT_EQUAL(mig_base58_encode(ff, sizeof ff, text, sizeof text), MIG_OK);
    CU_ASSERT_STRING_EQUAL(text, "4ZrjxJnU1LA5xSyrWMNuXTvSYKwt");
    CU_ASSERT_EQUAL(
        mig_base58_encode((const uint8_t *)"\0\0\x28\x7f\xb4\xcd", 6, text, sizeof text), MIG_OK);
    CU_ASSERT_STRING_EQUAL(text, "11233QC4");
    CU_ASSERT(gives(mig_base58_decode, "11233QC4", "\0\0\x28\x7f\xb4\xcd", 6));
    CU_ASSERT(gives(mig_base58_decode, "ABnLTmg", "\x51\x6b\x6f\xcd\x0f", 5));
    CU_ASSERT(gives(mig_base58_decode, "4ZrjxJnU1LA5xSyrWMNuXTvSYKwt", (const char *)ff, 20));
    CU_ASSERT(gives(mig_base58_decode, "", "", 0));
    CU_ASSERT(gives(mig_base58_decode, "1", "\0", 1));
    CU_ASSERT_EQUAL(mig_base58_encode(NULL, 0, text, sizeof text), MIG_OK);
    CU_ASSERT_STRING_EQUAL(text, "");
}

static void base58_refuses_what_is_not_in_its_alphabet(void)
{
    static const char bad[] = "0OIl+/ \n-_:@[`{\x7f\x80\xff";
    for (size_t i = 0; i < sizeof bad; i++) { /* the NUL too */
        char text[4] = {'2', bad[i], '2', '\0'};
        CU_ASSERT(refuses(mig_base58_decode, text, 3));
        CU_ASSERT(refuses(mig_base58_decode, text + 1, 1));
        CU_ASSERT(refuses(mig_base58_decode, text, 2));
    }
}

static void base58_goes_round_at_every_length(void)
{
    uint8_t in[MIG_BASE58_INPUT_MAX], back[MIG_BASE58_INPUT_MAX];
    char text[400];
    size_t n;
    for (size_t len = 0; len <= 186; len++) {
        for (int kind = 0; kind < 4; kind++) {
            mig_random(in, sizeof in);
            memset(in, kind == 0 ? 0 : 0xff, kind < 2 ? len : 0);
            memset(in, 0, kind == 2 ? len / 2 : 0);
            CU_ASSERT_EQUAL(mig_base58_encode(in, len, text, sizeof text), MIG_OK);
            CU_ASSERT_EQUAL(mig_base58_decode(text, strlen(text), back, len, &n), MIG_OK);
            CU_ASSERT(n == len && memcmp(in, back, len) == 0);
        }
    }
}

static void base58_is_bounded(void)
{
    uint8_t bytes[MIG_BASE58_INPUT_MAX + 1];
    char text[400], long_text[MIG_BASE58_INPUT_MAX + 2];
    size_t n;
    memset(bytes, 0xff, sizeof bytes);
    CU_ASSERT_EQUAL(mig_base58_encode(bytes, MIG_BASE58_INPUT_MAX, text, sizeof text), MIG_OK);
    CU_ASSERT_EQUAL(mig_base58_encode(bytes, sizeof bytes, text, sizeof text), MIG_ERR_BUG);
    CU_ASSERT_STRING_EQUAL(text, "");
    memset(long_text, 'z', sizeof long_text);
    CU_ASSERT_EQUAL(mig_base58_decode(long_text, MIG_BASE58_INPUT_MAX, bytes, sizeof bytes, &n),
                    MIG_OK);
    CU_ASSERT_EQUAL(n, 188);
    CU_ASSERT(refuses(mig_base58_decode, long_text, MIG_BASE58_INPUT_MAX + 1));
}

static void decoders_stop_at_the_capacity(void)
{
    static const struct {
        decoder *decode;
        const char *text;
    } cases[] = {{mig_base58_decode, "ABnLTmg"},
                 {mig_base58_decode, "11111"},
                 {mig_base64_decode, "AAECAwQ="},
                 {mig_hex_decode, "0001020304"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t cap = 0; cap < 5; cap++) {
            uint8_t out[8];
            size_t n = 99;
            memset(out, 0xee, sizeof out);
            CU_ASSERT_EQUAL(cases[i].decode(cases[i].text, strlen(cases[i].text), out, cap, &n),
                            MIG_ERR_MALFORMED);
            CU_ASSERT_EQUAL(n, 0);
            CU_ASSERT_EQUAL(out[cap], 0xee);
        }
        uint8_t out[5];
        size_t n;
        CU_ASSERT_EQUAL(cases[i].decode(cases[i].text, strlen(cases[i].text), out, 5, &n), MIG_OK);
    }
}

static void encoders_refuse_too_small_a_buffer(void)
{
    uint8_t in[5] = {0x51, 0x6b, 0x6f, 0xcd, 0x0f};
    char out[16] = "x";
    CU_ASSERT_EQUAL(mig_base58_encode(in, 5, out, 7), MIG_ERR_BUG);
    CU_ASSERT_STRING_EQUAL(out, "");
    CU_ASSERT_EQUAL(mig_base58_encode(in, 5, out, 8), MIG_OK);
    CU_ASSERT_EQUAL(mig_base58_encode(in, 5, out, 0), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(mig_base64_encode(in, 5, out, MIG_BASE64_LEN(5) - 1), MIG_ERR_BUG);
    CU_ASSERT_STRING_EQUAL(out, "");
    CU_ASSERT_EQUAL(mig_base64_encode(in, 5, out, MIG_BASE64_LEN(5)), MIG_OK);
    CU_ASSERT_EQUAL(mig_base64_encode(in, 5, out, 0), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(mig_base64_encode(in, SIZE_MAX, out, sizeof out), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(mig_base64url_encode(in, 5, out, 7), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(mig_base64url_encode(in, 5, out, 8), MIG_OK);
    CU_ASSERT_EQUAL(mig_hex_encode(in, 5, out, MIG_HEX_LEN(5) - 1), MIG_ERR_BUG);
    CU_ASSERT_STRING_EQUAL(out, "");
    CU_ASSERT_EQUAL(mig_hex_encode(in, 5, out, MIG_HEX_LEN(5)), MIG_OK);
    CU_ASSERT_EQUAL(mig_hex_encode(in, 0, out, 0), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(mig_hex_encode(in, SIZE_MAX, out, sizeof out), MIG_ERR_BUG);
}

static void base64_known_answers(void)
{
    static const struct {
        const char *plain, *standard, *url;
    } cases[] = {{"", "", ""},
                 {"f", "Zg==", "Zg"},
                 {"fo", "Zm8=", "Zm8"},
                 {"foo", "Zm9v", "Zm9v"},
                 {"foob", "Zm9vYg==", "Zm9vYg"},
                 {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                 {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                 {"\xfb\xff\xfe", "+//+", "-__-"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16];
        size_t len = strlen(cases[i].plain);
        const uint8_t *plain = (const uint8_t *)cases[i].plain;
        CU_ASSERT_EQUAL(mig_base64_encode(plain, len, text, sizeof text), MIG_OK);
        CU_ASSERT_STRING_EQUAL(text, cases[i].standard);
        CU_ASSERT_EQUAL(mig_base64url_encode(plain, len, text, sizeof text), MIG_OK);
        CU_ASSERT_STRING_EQUAL(text, cases[i].url);
        CU_ASSERT(gives(mig_base64_decode, cases[i].standard, cases[i].plain, len));
    }
}

static void base64_accepts_one_spelling_only(void)
{
    static const char *const bad[] = {
        "Zg",     "Zg=",   "Zg===",    "=",        "==",       "====",   "Z===",  "Zm9",
        "Zh==",   "Zm9=",  "Zm8=Zm8=", "Zm9v=",    "Zg==Zm9v", "Zg==\n", "Zg= =", "Zm9v\n",
        "\nZm9v", " Zm9v", "Zm 9v",    "Zm9v====", "-__-",     "+__+",   "Zm9*",  "Zm9v=A==",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT(refuses_text(mig_base64_decode, bad[i]));
    CU_ASSERT(refuses(mig_base64_decode, "Zm9\0", 4));
}

/* Every byte but the 64 digits is refused; libsodium's decoder takes those
 * above 127 for '/' where char is signed. */
static void base64_refuses_every_byte_outside_its_alphabet(void)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int c = 0; c < 256; c++) {
        char text[4] = {'A', (char)c, 'A', 'A'};
        bool is_digit = memchr(digits, c, 64) != NULL;
        CU_ASSERT_EQUAL(refuses(mig_base64_decode, text, 4), !is_digit);
    }
}

static void hex_takes_both_cases_and_writes_lower(void)
{
    char text[16];
    CU_ASSERT(gives(mig_hex_decode, "00fFAb", "\x00\xff\xab", 3));
    CU_ASSERT(gives(mig_hex_decode, "", "", 0));
    CU_ASSERT_EQUAL(mig_hex_encode((const uint8_t *)"\x00\xff\xab", 3, text, sizeof text), MIG_OK);
    CU_ASSERT_STRING_EQUAL(text, "00ffab");
}

static void hex_refuses_odd_lengths_and_other_bytes(void)
{
    CU_ASSERT(refuses_text(mig_hex_decode, "0"));
    CU_ASSERT(refuses_text(mig_hex_decode, "000"));
    for (int c = 0; c < 256; c++) {
        char text[4] = {'0', (char)c, '0', '0'};
        bool is_digit = c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;
        CU_ASSERT_EQUAL(refuses(mig_hex_decode, text, 4), !is_digit);
    }
}

static void every_error_has_a_name(void)
{
    for (int e = MIG_OK; e <= MIG_ERR_BUG; e++) {
        const char *text = mig_err_text((enum mig_err)e);
        CU_ASSERT(text != NULL && strcmp(text, "unknown error") != 0);
        for (int other = MIG_OK; other < e; other++)
            CU_ASSERT_STRING_NOT_EQUAL(text, mig_err_text((enum mig_err)other));
    }
    CU_ASSERT_STRING_EQUAL(mig_err_text((enum mig_err)99), "unknown error");
}

int main(void)
{
    static const struct test tests[] = {
        TEST(base58_known_answers),
        TEST(base58_refuses_what_is_not_in_its_alphabet),
        TEST(base58_goes_round_at_every_length),
        TEST(base58_is_bounded),
        TEST(decoders_stop_at_the_capacity),
        TEST(encoders_refuse_too_small_a_buffer),
        TEST(base64_known_answers),
        TEST(base64_accepts_one_spelling_only),
        TEST(base64_refuses_every_byte_outside_its_alphabet),
        TEST(hex_takes_both_cases_and_writes_lower),
        TEST(hex_refuses_odd_lengths_and_other_bytes),
        TEST(every_error_has_a_name),
    };
    return run_tests("encoding", tests, sizeof tests / sizeof *tests);
}
