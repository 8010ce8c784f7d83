/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/container.h"
#include "crypto/encoding.h"
#include "crypto/exchange.h"

enum {
    PLAIN_MAX = 262028, /* what fits into MIG_SEALED_MAX: four frames */
    PREFIX = 32,
    OVERHEAD = 21,
    FULL = MIG_SEALED_CHUNK + OVERHEAD,
    MESSAGE = crypto_secretstream_xchacha20poly1305_TAG_MESSAGE,
};
#define PUSH crypto_secretstream_xchacha20poly1305_TAG_PUSH
#define REKEY crypto_secretstream_xchacha20poly1305_TAG_REKEY
#define FINAL crypto_secretstream_xchacha20poly1305_TAG_FINAL

static struct mig_secret *key;
static uint8_t *plain, *sealed, *work;
static struct mig_secret *opened;

static void set_up(void)
{
    key = mig_secret_new(32);
    opened = mig_secret_new(MIG_SEALED_MAX);
    plain = malloc(MIG_SEALED_MAX + 1);
    sealed = malloc(MIG_SEALED_MAX + FULL);
    work = malloc(MIG_SEALED_MAX + FULL);
    if (key == NULL || opened == NULL || plain == NULL || sealed == NULL || work == NULL)
        abort();
    for (uint8_t i = 0; i < 32; i++)
        key->bytes[i] = (uint8_t)(0x40 + i);
    for (size_t i = 0; i <= MIG_SEALED_MAX; i++)
        plain[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void tear_down(void)
{
    mig_secret_free(&key);
    mig_secret_free(&opened);
    free(plain);
    free(sealed);
    free(work);
}

static size_t seal(size_t plain_len)
{
    size_t len = 0;
    CU_ASSERT_EQUAL_FATAL(
        mig_container_seal(key, plain, plain_len, sealed, mig_sealed_len(plain_len), &len), MIG_OK);
    CU_ASSERT_EQUAL(len, mig_sealed_len(plain_len));
    return len;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

/* True when the container is refused and not a byte of it remains. */
static bool refused(const uint8_t *in, size_t len)
{
    size_t n = 99;
    memset(opened->bytes, 0xcc, opened->len);
    return mig_container_open(key, in, len, opened, &n) == MIG_ERR_MALFORMED && n == 0 &&
           all_zero(opened->bytes, opened->len);
}

static bool opens_to(const uint8_t *in, size_t len, size_t plain_len)
{
    size_t n = 99;
    return mig_container_open(key, in, len, opened, &n) == MIG_OK && n == plain_len &&
           memcmp(opened->bytes, plain, plain_len) == 0;
}

/* A container with frames of one's own making, as a dishonest peer with the
 * right key could send it. */
struct frame {
    size_t len;
    unsigned char tag;
};

static size_t build(const struct frame *frames, size_t count)
{
    crypto_secretstream_xchacha20poly1305_state state;
    size_t pos = PREFIX;
    memcpy(sealed, "MPCSEAL1", 8);
    (void)crypto_secretstream_xchacha20poly1305_init_push(&state, sealed + 8, key->bytes);
    for (size_t i = 0; i < count; i++) {
        uint32_t len = (uint32_t)(frames[i].len + 17);
        for (int b = 0; b < 4; b++)
            sealed[pos++] = (uint8_t)(len >> (24 - 8 * b));
        (void)crypto_secretstream_xchacha20poly1305_push(&state, sealed + pos, NULL, plain,
                                                         frames[i].len, NULL, 0, frames[i].tag);
        pos += len;
    }
    return pos;
}

static void lengths_are_those_of_the_format(void)
{
    CU_ASSERT_EQUAL(mig_sealed_len(0), 53);
    CU_ASSERT_EQUAL(mig_sealed_len(1), 54);
    CU_ASSERT_EQUAL(mig_sealed_len(65536), PREFIX + FULL);
    CU_ASSERT_EQUAL(mig_sealed_len(65537), PREFIX + FULL + OVERHEAD + 1);
    CU_ASSERT_EQUAL(mig_sealed_len(PLAIN_MAX), MIG_SEALED_MAX);
    CU_ASSERT_EQUAL(mig_sealed_len(PLAIN_MAX + 1), 0);
    CU_ASSERT_EQUAL(mig_sealed_len(SIZE_MAX), 0);
    CU_ASSERT_EQUAL(mig_sealed_capacity(0), 0);
    CU_ASSERT_EQUAL(mig_sealed_capacity(31), 0);
    CU_ASSERT_EQUAL(mig_sealed_capacity(MIG_SEALED_MAX + 1), 0);
    for (size_t len = 0; len <= PLAIN_MAX; len += len % 65536 < 3 ? 1 : 311)
        CU_ASSERT_EQUAL(mig_sealed_capacity(mig_sealed_len(len)), len);
}

/* Bytes that another implementation of the stream made. */
static void opens_known_answers(void)
{
    static const char shares[] =
        "4d50435345414c31000102030405060708090a0b0c0d0e0f10111213141516170000001dbaad568428442f1bb2"
        "2ce49fbf86c51d21cdd6153506091417df0652fb";
    static const char empty[] = "4d50435345414c31000102030405060708090a0b0c0d0e0f101112131415161700"
                                "000011ba43602e74f2ea91b19cd794fcdd7567a4";
    size_t n, len;
    CU_ASSERT_EQUAL_FATAL(mig_hex_decode(shares, strlen(shares), work, MIG_SEALED_MAX, &n), MIG_OK);
    CU_ASSERT_EQUAL(mig_container_open(key, work, n, opened, &len), MIG_OK);
    CU_ASSERT(len == 12 && memcmp(opened->bytes, "three shares", 12) == 0);
    CU_ASSERT_EQUAL_FATAL(mig_hex_decode(empty, strlen(empty), work, MIG_SEALED_MAX, &n), MIG_OK);
    CU_ASSERT_EQUAL(mig_container_open(key, work, n, opened, &len), MIG_OK);
    CU_ASSERT_EQUAL(len, 0);
}

static void count_up(void *const out, const size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)i;
}

static const char *name_of_counter(void)
{
    return "counter";
}

static uint32_t random_of_counter(void)
{
    return 0;
}

static void seals_a_known_answer_of_three_frames(void)
{
    randombytes_implementation counter = {
        .implementation_name = name_of_counter, .random = random_of_counter, .buf = count_up};
    (void)randombytes_set_implementation(&counter);
    size_t len = seal(131072 + 5);
    (void)randombytes_set_implementation(&randombytes_sysrandom_implementation);
    uint8_t digest[32];
    char text[65];
    mig_sha256(sealed, len, digest);
    CU_ASSERT_EQUAL(mig_hex_encode(digest, 32, text, sizeof text), MIG_OK);
    CU_ASSERT_STRING_EQUAL(text,
                           "3176aa7469108107294ad2e34790af43763f983f8b626ac0e71094eb4f4ec97b");
}

static void goes_round_at_every_boundary(void)
{
    static const size_t lens[] = {0,      1,      4096,   65535,  65536,         65537,
                                  131071, 131072, 131073, 196608, PLAIN_MAX - 1, PLAIN_MAX};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        size_t len = seal(lens[i]);
        CU_ASSERT(opens_to(sealed, len, lens[i]));
    }
}

static void no_two_containers_are_equal(void)
{
    size_t len = seal(32);
    memcpy(work, sealed, len);
    (void)seal(32);
    CU_ASSERT(memcmp(work, sealed, len) != 0);
}

static void refuses_to_seal_what_does_not_fit(void)
{
    size_t len = 99;
    struct mig_secret *short_key = mig_secret_new(31);
    CU_ASSERT_EQUAL(mig_container_seal(key, plain, PLAIN_MAX + 1, sealed, MIG_SEALED_MAX, &len),
                    MIG_ERR_BUG);
    CU_ASSERT_EQUAL(len, 0);
    CU_ASSERT_EQUAL(mig_container_seal(key, plain, 10, sealed, mig_sealed_len(10) - 1, &len),
                    MIG_ERR_BUG);
    CU_ASSERT_EQUAL(mig_container_seal(short_key, plain, 10, sealed, MIG_SEALED_MAX, &len),
                    MIG_ERR_BUG);
    mig_secret_free(&short_key);
}

static void rejects_truncation_at_every_byte(void)
{
    size_t len = seal(300);
    for (size_t cut = 0; cut < len; cut++)
        CU_ASSERT(refused(sealed, cut));
    CU_ASSERT(opens_to(sealed, len, 300));
}

static void rejects_truncation_between_frames(void)
{
    size_t len = seal(131072 + 5);
    for (size_t cut = 0; cut < 24; cut++) {
        CU_ASSERT(refused(sealed, PREFIX + cut));
        CU_ASSERT(refused(sealed, PREFIX + FULL + cut));
        CU_ASSERT(refused(sealed, PREFIX + 2 * FULL + cut));
    }
    for (size_t cut = 1; cut < 3 * FULL; cut += 997)
        CU_ASSERT(refused(sealed, len - cut % len));
}

static void rejects_every_flipped_bit(void)
{
    size_t len = seal(40);
    for (size_t bit = 0; bit < len * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT(refused(sealed, len));
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CU_ASSERT(opens_to(sealed, len, 40));
}

static void rejects_a_flipped_bit_in_a_later_frame(void)
{
    size_t len = seal(131072 + 5);
    for (size_t at = PREFIX; at < len; at += 4099) {
        sealed[at] ^= 1;
        CU_ASSERT(refused(sealed, len));
        sealed[at] ^= 1;
    }
    CU_ASSERT(opens_to(sealed, len, 131072 + 5));
}

static void rejects_reordered_frames(void)
{
    size_t len = seal(131072 + 5);
    memcpy(work, sealed, len);
    memcpy(work + PREFIX, sealed + PREFIX + FULL, FULL);
    memcpy(work + PREFIX + FULL, sealed + PREFIX, FULL);
    CU_ASSERT(refused(work, len));
}

static void rejects_a_duplicated_frame(void)
{
    size_t len = seal(65536 + 5);
    memcpy(work, sealed, PREFIX + FULL);
    memcpy(work + PREFIX + FULL, sealed + PREFIX, len - PREFIX);
    CU_ASSERT(refused(work, len + FULL));
}

static void rejects_a_missing_frame(void)
{
    size_t len = seal(131072 + 5);
    memcpy(work, sealed, PREFIX);
    memcpy(work + PREFIX, sealed + PREFIX + FULL, len - PREFIX - FULL);
    CU_ASSERT(refused(work, len - FULL));
}

static void rejects_anything_after_the_end(void)
{
    size_t len = seal(65536);
    memcpy(work, sealed, len);
    work[len] = 0;
    CU_ASSERT(refused(work, len + 1));
    memcpy(work + len, sealed + PREFIX, FULL);
    CU_ASSERT(refused(work, len + FULL));
    memcpy(work + len, sealed, len);
    CU_ASSERT(refused(work, 2 * len));
}

static void rejects_another_key(void)
{
    size_t len = seal(4096);
    key->bytes[31] ^= 0x80;
    CU_ASSERT(refused(sealed, len));
    key->bytes[31] ^= 0x80;
    CU_ASSERT(opens_to(sealed, len, 4096));
}

static void rejects_a_frame_of_another_container(void)
{
    size_t len = seal(65536 + 5);
    memcpy(work, sealed, len);
    (void)seal(65536 + 5);
    memcpy(work + PREFIX + FULL, sealed + PREFIX + FULL, OVERHEAD + 5);
    CU_ASSERT(refused(work, len));
}

static void rejects_frames_an_honest_peer_does_not_make(void)
{
    static const struct {
        struct frame frames[3];
        size_t count;
    } bad[] = {
        {{{100, MESSAGE}}, 1},                                /* no end */
        {{{65536, MESSAGE}}, 1},                              /* no end after a full frame */
        {{{100, MESSAGE}, {5, FINAL}}, 2},                    /* short frame inside */
        {{{65535, MESSAGE}, {5, FINAL}}, 2},                  /* by one byte */
        {{{65537, MESSAGE}, {5, FINAL}}, 2},                  /* long frame */
        {{{65537, FINAL}}, 1},                                /* long last frame */
        {{{65536, MESSAGE}, {0, FINAL}}, 2},                  /* empty end that is not alone */
        {{{0, MESSAGE}, {5, FINAL}}, 2},                      /* empty frame inside */
        {{{65536, PUSH}, {5, FINAL}}, 2},                     /* other tags */
        {{{65536, REKEY}, {5, FINAL}}, 2},                    /* other tags */
        {{{65536, FINAL}, {5, FINAL}}, 2},                    /* two ends */
        {{{65536, FINAL}, {5, MESSAGE}}, 2},                  /* more after the end */
        {{{65536, MESSAGE}, {65536, MESSAGE}, {5, PUSH}}, 3}, /* an end that is none */
        {{{5, 0x83}}, 1},                                     /* a tag with another bit */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT(refused(sealed, build(bad[i].frames, bad[i].count)));
    const struct frame good[] = {{65536, MESSAGE}, {65536, FINAL}};
    size_t n, len = build(good, 2);
    CU_ASSERT_EQUAL(mig_container_open(key, sealed, len, opened, &n), MIG_OK);
    CU_ASSERT_EQUAL(n, 131072);
}

static void rejects_lengths_that_lie(void)
{
    static const uint32_t lies[] = {0, 1, 16, 18, 316, 318, 0x10012, 0x7fffffff, 0xffffffff};
    size_t len = seal(300);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        for (int b = 0; b < 4; b++)
            sealed[PREFIX + b] = (uint8_t)(lies[i] >> (24 - 8 * b));
        CU_ASSERT(refused(sealed, len));
    }
}

static void rejects_another_magic_and_size(void)
{
    size_t len = seal(PLAIN_MAX);
    CU_ASSERT(refused(sealed, len + 1));
    CU_ASSERT(refused(sealed, 0));
    sealed[7] = '2';
    CU_ASSERT(refused(sealed, len));
    /* Well-made, but one frame too long. */
    const struct frame long_one[] = {
        {65536, MESSAGE}, {65536, MESSAGE}, {65536, MESSAGE}, {65536, FINAL}};
    len = build(long_one, 4);
    CU_ASSERT(len > MIG_SEALED_MAX);
    CU_ASSERT(refused(sealed, len));
}

static void needs_room_for_all_of_it(void)
{
    size_t n = 99, len = seal(100);
    struct mig_secret *small = mig_secret_new(99), *exact = mig_secret_new(100);
    struct mig_secret *short_key = mig_secret_new(31);
    CU_ASSERT_EQUAL(mig_container_open(key, sealed, len, small, &n), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_EQUAL(mig_container_open(short_key, sealed, len, exact, &n), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(mig_container_open(key, sealed, len, exact, &n), MIG_OK);
    CU_ASSERT_EQUAL(n, 100);
    mig_secret_free(&small);
    mig_secret_free(&exact);
    mig_secret_free(&short_key);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(lengths_are_those_of_the_format),
        TEST(opens_known_answers),
        TEST(seals_a_known_answer_of_three_frames),
        TEST(goes_round_at_every_boundary),
        TEST(no_two_containers_are_equal),
        TEST(refuses_to_seal_what_does_not_fit),
        TEST(rejects_truncation_at_every_byte),
        TEST(rejects_truncation_between_frames),
        TEST(rejects_every_flipped_bit),
        TEST(rejects_a_flipped_bit_in_a_later_frame),
        TEST(rejects_reordered_frames),
        TEST(rejects_a_duplicated_frame),
        TEST(rejects_a_missing_frame),
        TEST(rejects_anything_after_the_end),
        TEST(rejects_another_key),
        TEST(rejects_a_frame_of_another_container),
        TEST(rejects_frames_an_honest_peer_does_not_make),
        TEST(rejects_lengths_that_lie),
        TEST(rejects_another_magic_and_size),
        TEST(needs_room_for_all_of_it),
    };
    if (mig_crypto_init() != MIG_OK)
        return 2;
    set_up();
    int status = run_tests("container", tests, sizeof tests / sizeof *tests);
    tear_down();
    return status;
}
