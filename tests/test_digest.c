/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

#include "auth/digest.h"
#include "crypto/encoding.h"
#include "crypto/secret.h"

#define HELLO "{\"hello\": \"world\"}"
#define HELLO_DIGEST "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"
#define HELLO_512                                                                                  \
    "sha-512=:WZDPaVn/"                                                                            \
    "7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"

static struct mig_text text(const char *s)
{
    return (struct mig_text){s, strlen(s)};
}

static void formats_the_rfcs_example(void)
{
    struct mig_digest *digest;
    uint8_t out[MIG_DIGEST_LEN];
    char field[MIG_DIGEST_FIELD_LEN];
    CU_ASSERT_EQUAL_FATAL(mig_digest_new(&digest), MIG_OK);
    CU_ASSERT_EQUAL(mig_digest_add(digest, HELLO, strlen(HELLO)), MIG_OK);
    CU_ASSERT_EQUAL(mig_digest_end(digest, out), MIG_OK);
    mig_digest_field_format(out, field);
    CU_ASSERT_STRING_EQUAL(field, HELLO_DIGEST);
    mig_digest_free(&digest);
    CU_ASSERT_PTR_NULL(digest);
    mig_digest_free(&digest);
}

static void chunks_make_no_difference(void)
{
    uint8_t body[1000], whole[MIG_DIGEST_LEN], parts[MIG_DIGEST_LEN];
    struct mig_digest *digest;
    mig_random(body, sizeof body);
    CU_ASSERT_EQUAL_FATAL(mig_digest_new(&digest), MIG_OK);
    for (size_t step = 1; step <= sizeof body; step = step * 3 / 2 + 1) {
        CU_ASSERT_EQUAL(mig_digest_add(digest, body, sizeof body), MIG_OK);
        CU_ASSERT_EQUAL(mig_digest_end(digest, whole), MIG_OK);
        for (size_t at = 0; at < sizeof body; at += step) {
            size_t len = sizeof body - at < step ? sizeof body - at : step;
            CU_ASSERT_EQUAL(mig_digest_add(digest, body + at, len), MIG_OK);
            CU_ASSERT_EQUAL(mig_digest_add(digest, NULL, 0), MIG_OK);
        }
        CU_ASSERT_EQUAL(mig_digest_end(digest, parts), MIG_OK);
        CU_ASSERT(memcmp(whole, parts, sizeof whole) == 0);
    }
    mig_digest_free(&digest);
}

static void reset_forgets_what_came_before(void)
{
    struct mig_digest *digest;
    uint8_t out[MIG_DIGEST_LEN];
    char field[MIG_DIGEST_FIELD_LEN];
    CU_ASSERT_EQUAL_FATAL(mig_digest_new(&digest), MIG_OK);
    CU_ASSERT_EQUAL(mig_digest_add(digest, "abandoned", 9), MIG_OK);
    CU_ASSERT_EQUAL(mig_digest_reset(digest), MIG_OK);
    CU_ASSERT_EQUAL(mig_digest_end(digest, out), MIG_OK);
    mig_digest_field_format(out, field);
    CU_ASSERT_STRING_EQUAL(field, "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
    mig_digest_free(&digest);
}

static void reads_sha256_among_others(void)
{
    static const char *const fields[] = {
        HELLO_DIGEST,
        HELLO_512 ", " HELLO_DIGEST,
        HELLO_DIGEST "," HELLO_512,
        "md5=:AAAA:, " HELLO_DIGEST ", unixsum=30637, x=(1 2), y",
        HELLO_DIGEST ";a=1",
    };
    uint8_t out[MIG_DIGEST_LEN];
    char field[MIG_DIGEST_FIELD_LEN];
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        CU_ASSERT_EQUAL(mig_digest_field_parse(text(fields[i]), out), MIG_OK);
        mig_digest_field_format(out, field);
        CU_ASSERT_STRING_EQUAL(field, HELLO_DIGEST);
    }
}

static void refuses_fields_without_one_exact_sha256(void)
{
    static const char *const fields[] = {
        "",
        " ",
        HELLO_512,
        "sha-256",
        "sha-256=1",
        "sha-256=\"X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=\"",
        "sha-256=(:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:)",
        "sha-256=::",
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBA==:", /* 31 octets */
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPEA:", /* 33 */
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE:",  /* no padding */
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPF=:", /* pad bits */
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DB_E=:",
        "SHA-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
        HELLO_DIGEST ", sha-256=:AAAA:",
        HELLO_DIGEST ", " HELLO_DIGEST,
        HELLO_DIGEST ", a=1, a=1",
        HELLO_DIGEST ",",
        HELLO_DIGEST "x",
        "id-" HELLO_DIGEST,
        "SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=",
        "a, b, c, d, e, f, g, h, " HELLO_DIGEST,
    };
    static const uint8_t none[MIG_DIGEST_LEN];
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        uint8_t out[MIG_DIGEST_LEN] = {1};
        enum mig_err err = mig_digest_field_parse(text(fields[i]), out);
        CU_ASSERT_EQUAL(err, MIG_ERR_MALFORMED);
        CU_ASSERT(memcmp(out, none, sizeof none) == 0);
        if (err != MIG_ERR_MALFORMED)
            fprintf(stderr, "accepted: %s\n", fields[i]);
    }
}

static void refuses_a_field_that_is_too_long(void)
{
    char field[1100] = HELLO_DIGEST;
    uint8_t out[MIG_DIGEST_LEN];
    memset(field + strlen(HELLO_DIGEST), ' ', sizeof field - strlen(HELLO_DIGEST));
    CU_ASSERT_EQUAL(mig_digest_field_parse((struct mig_text){field, 1024}, out), MIG_OK);
    CU_ASSERT_EQUAL(mig_digest_field_parse((struct mig_text){field, 1025}, out), MIG_ERR_MALFORMED);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(formats_the_rfcs_example),
        TEST(chunks_make_no_difference),
        TEST(reset_forgets_what_came_before),
        TEST(reads_sha256_among_others),
        TEST(refuses_fields_without_one_exact_sha256),
        TEST(refuses_a_field_that_is_too_long),
    };
    return run_tests("digest", tests, sizeof tests / sizeof *tests);
}
