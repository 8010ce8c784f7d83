/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/encoding.h"
#include "crypto/exchange.h"
#include "store/share_file.h"
#include "tests/views.h"

typedef uint8_t share[MIG_SHARE_LEN];
static struct mig_secret *key, *scratch;
static struct mig_share_file file;
static uint8_t *bytes;
static size_t len;
static const share shares[3] = {{1}, {2}, {3}};

static void seal(size_t domains)
{
    key = mig_secret_new(32);
    scratch = mig_secret_new(MIG_SHARE_FILE_SCRATCH);
    memset(key->bytes, 7, 32);
    file =
        (struct mig_share_file){.sequence = 9, .imported_at = 1795305600, .contract = "v1.signer"};
    file.keyset = keyset_of(5, 1, domains);
    CU_ASSERT_EQUAL_FATAL(mig_share_file_seal(key, &file, shares, scratch, &bytes, &len), MIG_OK);
}

static void end(void)
{
    mig_share_file_clear(&file);
    mig_secret_free(&key);
    mig_secret_free(&scratch);
    free(bytes);
}

/* As a forger would: the unkeyed digest put right. */
static void fix_digest(uint8_t *forged, size_t forged_len)
{
    mig_sha256(forged, forged_len - MIG_DIGEST_LEN, forged + forged_len - MIG_DIGEST_LEN);
}

static enum mig_err open_it(const uint8_t *from, size_t from_len, share *out, size_t count)
{
    return mig_share_file_open(key, from, from_len, scratch, out, count);
}

static void a_sealed_file_parses_and_opens(void)
{
    struct mig_share_file back;
    share out[3];
    uint8_t id[MIG_STORE_KEY_ID_LEN];
    seal(3);
    CU_ASSERT_EQUAL(mig_share_file_parse(bytes, len, &back), MIG_OK);
    CU_ASSERT(back.sequence == 9 && back.imported_at == 1795305600 &&
              strcmp(back.contract, "v1.signer") == 0);
    CU_ASSERT(mig_keyset_is_equal(&back.keyset, &file.keyset));
    mig_store_key_id(key, id);
    CU_ASSERT_EQUAL(memcmp(back.key_id, id, sizeof id), 0);
    CU_ASSERT_EQUAL(open_it(bytes, len, out, 3), MIG_OK);
    CU_ASSERT_EQUAL(memcmp(out, shares, sizeof out), 0);
    static const uint8_t zero[MIG_SHARE_FILE_SCRATCH];
    CU_ASSERT_EQUAL(memcmp(scratch->bytes, zero, sizeof zero), 0);
    mig_share_file_clear(&back);
    end();
}

/* A file of the first release, byte for byte, must open for ever. */
static void the_format_of_the_first_release_opens(void)
{
    uint8_t golden[1024];
    size_t golden_len = 0, text_len = 0;
    struct mig_share_file back;
    share out[3];
    seal(3);
    char *text = test_data("share_file_v1.hex", &text_len);
    while (text_len > 0 && text[text_len - 1] == '\n')
        text_len--;
    CU_ASSERT_EQUAL_FATAL(mig_hex_decode(text, text_len, golden, sizeof golden, &golden_len),
                          MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_share_file_parse(golden, golden_len, &back), MIG_OK);
    CU_ASSERT(mig_keyset_is_equal(&back.keyset, &file.keyset));
    CU_ASSERT_EQUAL(open_it(golden, golden_len, out, 3), MIG_OK);
    CU_ASSERT_EQUAL(memcmp(out, shares, sizeof out), 0);
    mig_share_file_clear(&back);
    free(text);
    end();
}

static void no_byte_can_be_changed_even_with_the_digest_put_right(void)
{
    share out[3];
    static const share zero[3];
    seal(3);
    uint8_t *forged = malloc(len);
    for (size_t at = 0; at < len - MIG_DIGEST_LEN; at++) {
        memcpy(forged, bytes, len);
        forged[at] ^= 0x40;
        fix_digest(forged, len);
        memset(out, 0xee, sizeof out);
        CU_ASSERT_EQUAL(open_it(forged, len, out, 3), MIG_ERR_DENIED);
        CU_ASSERT_EQUAL(memcmp(out, zero, sizeof out), 0);
    }
    free(forged);
    end();
}

static void shares_under_another_header_do_not_open(void)
{
    share out[3];
    seal(3);
    uint8_t *first = bytes;
    struct mig_share_file other = {.contract = "v1.signer", .keyset = keyset_of(5, 2, 3)};
    CU_ASSERT_EQUAL_FATAL(mig_share_file_seal(key, &other, shares, scratch, &bytes, &len), MIG_OK);
    /* Same lengths: graft the sealed part of the second under the first header. */
    size_t tail = 32 + 3 * MIG_SHARE_LEN + 16 + MIG_DIGEST_LEN;
    memcpy(first + len - tail, bytes + len - tail, tail);
    fix_digest(first, len);
    struct mig_share_file back;
    CU_ASSERT_EQUAL(mig_share_file_parse(first, len, &back), MIG_OK);
    CU_ASSERT_EQUAL(open_it(first, len, out, 3), MIG_ERR_DENIED);
    mig_share_file_clear(&back);
    mig_share_file_clear(&other);
    free(first);
    end();
}

static void another_key_or_count_does_not_open(void)
{
    share out[4];
    seal(3);
    CU_ASSERT_EQUAL(open_it(bytes, len, out, 2), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(open_it(bytes, len, out, 4), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(open_it(bytes, len, out, 0), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(open_it(bytes, len, out, MIG_DOMAINS_MAX + 1), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(open_it(bytes, 5, out, 3), MIG_ERR_DENIED);
    key->bytes[0] ^= 1;
    CU_ASSERT_EQUAL(open_it(bytes, len, out, 3), MIG_ERR_DENIED);
    end();
}

static void two_files_of_the_same_shares_have_nothing_in_common(void)
{
    seal(3);
    uint8_t *first = bytes;
    CU_ASSERT_EQUAL_FATAL(mig_share_file_seal(key, &file, shares, scratch, &bytes, &len), MIG_OK);
    size_t tail = 32 + 3 * MIG_SHARE_LEN + 16 + MIG_DIGEST_LEN;
    size_t same = 0;
    for (size_t i = len - tail; i < len; i++)
        same += first[i] == bytes[i];
    CU_ASSERT(same < 16);
    free(first);
    end();
}

static void every_truncation_and_extension_fails_to_parse(void)
{
    struct mig_share_file back;
    seal(3);
    uint8_t *longer = calloc(1, len + 1);
    memcpy(longer, bytes, len);
    for (size_t n = 0; n < len; n++)
        CU_ASSERT_EQUAL(mig_share_file_parse(bytes, n, &back), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_share_file_parse(longer, len + 1, &back), MIG_ERR_MALFORMED);
    fix_digest(longer, len + 1);
    CU_ASSERT_EQUAL(mig_share_file_parse(longer, len + 1, &back), MIG_ERR_MALFORMED);
    free(longer);
    end();
}

/* Header offsets: 8 magic, 4 length, 8 sequence, 8 time, 16 id, 24 nonce. */
static void forged_headers_fail_to_parse(void)
{
    enum { LENGTH = 8, CONTRACT = 12 + 56, COUNT = CONTRACT + 2 + 9 + 8, FIRST = COUNT + 4 };
    static const struct {
        size_t at;
        uint8_t value;
    } row[] = {
        {0, 'X'},
        {LENGTH, 1},
        {LENGTH + 3, 0xff},
        {CONTRACT, 1},
        {CONTRACT + 1, 200},
        {CONTRACT + 1, 65},
        {CONTRACT + 3, 0},
        {COUNT, 1},
        {COUNT + 3, 0},
        {COUNT + 3, 2},
        {COUNT + 3, 4},
        {COUNT + 2, 5},
        {FIRST + 16, 0},
        {FIRST + 16, 2},
        {FIRST + 16, 9},
        {FIRST + 18, 63},
        {FIRST + 19 + 64, 0xff} /* second domain above the third */,
        {FIRST, 0xff},
    };
    struct mig_share_file back;
    seal(3);
    uint8_t *forged = malloc(len);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        memcpy(forged, bytes, len);
        forged[row[i].at] = row[i].value;
        fix_digest(forged, len);
        enum mig_err err = mig_share_file_parse(forged, len, &back);
        CU_ASSERT_EQUAL(err, MIG_ERR_MALFORMED);
        mig_share_file_clear(&back);
    }
    free(forged);
    end();
}

static void short_keys_are_a_bug(void)
{
    share out[3];
    seal(3);
    struct mig_secret *brief = mig_secret_new(31);
    uint8_t *none;
    size_t none_len;
    CU_ASSERT_EQUAL(mig_share_file_seal(brief, &file, shares, scratch, &none, &none_len),
                    MIG_ERR_BUG);
    CU_ASSERT_EQUAL(mig_share_file_seal(key, &file, shares, brief, &none, &none_len), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(mig_share_file_open(brief, bytes, len, scratch, out, 3), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(mig_share_file_open(key, bytes, len, brief, out, 3), MIG_ERR_BUG);
    mig_secret_free(&brief);
    end();
}

int main(void)
{
    static const struct test tests[] = {
        TEST(a_sealed_file_parses_and_opens),
        TEST(the_format_of_the_first_release_opens),
        TEST(no_byte_can_be_changed_even_with_the_digest_put_right),
        TEST(shares_under_another_header_do_not_open),
        TEST(another_key_or_count_does_not_open),
        TEST(two_files_of_the_same_shares_have_nothing_in_common),
        TEST(every_truncation_and_extension_fails_to_parse),
        TEST(forged_headers_fail_to_parse),
        TEST(short_keys_are_a_bug),
    };
    return run_tests("share_file", tests, sizeof tests / sizeof *tests);
}
