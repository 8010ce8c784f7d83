/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <sodium.h>
#include <string.h>

#include "crypto/encoding.h"
#include "crypto/exchange.h"

/* Computed with X25519 and BLAKE2b of another library, from secret keys
 * 32 x 0x11 (node) and 32 x 0x22 (service). */
static const char CONTEXT[] = "contract=\"v1.signer\", account=\"alice.near\", direction=backup";
enum { CONTEXT_LEN = sizeof CONTEXT - 1 };
static const char NODE_KEY[] = "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13";
static const char SERVICE_KEY[] =
    "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20";
static const char BACKUP[] = "44c34b32a9f1e4b81625159fc130816b6d77c1ea8dc74d1b52ad1fff743b9aca";
static const char RECOVER[] = "147fb3e0ea803b8ae825434a275693b3c1443ef541cebb901aa6772d0240299f";
static const char WITH_OPERATOR[] =
    "400ce2d129e81d56447c0c9471088861bc8f2bb8c373d3499ba59b9b55bfe1e2";

static struct mig_ephemeral pair_of(uint8_t byte)
{
    struct mig_ephemeral pair = {.secret = mig_secret_new(32)};
    CU_ASSERT_PTR_NOT_NULL_FATAL(pair.secret);
    memset(pair.secret->bytes, byte, 32);
    CU_ASSERT_EQUAL_FATAL(crypto_scalarmult_base(pair.public_key, pair.secret->bytes), 0);
    return pair;
}

static struct mig_secret *operator_key(void)
{
    struct mig_secret *key = mig_secret_new(MIG_OPERATOR_KEY_LEN);
    CU_ASSERT_PTR_NOT_NULL_FATAL(key);
    for (uint8_t i = 0; i < MIG_OPERATOR_KEY_LEN; i++)
        key->bytes[i] = i;
    return key;
}

static bool is_hex(const uint8_t *bytes, size_t len, const char *want)
{
    char text[129];
    return mig_hex_encode(bytes, len, text, sizeof text) == MIG_OK && strcmp(text, want) == 0;
}

static void known_answers_on_both_sides(void)
{
    struct mig_ephemeral node = pair_of(0x11), service = pair_of(0x22);
    struct mig_secret *key = mig_secret_new(32), *op = operator_key();
    static const struct {
        enum mig_direction direction;
        bool with_operator;
        const char *want;
    } cases[] = {{MIG_BACKUP, false, BACKUP},
                 {MIG_RECOVER, false, RECOVER},
                 {MIG_BACKUP, true, WITH_OPERATOR}};
    CU_ASSERT(is_hex(node.public_key, 32, NODE_KEY));
    CU_ASSERT(is_hex(service.public_key, 32, SERVICE_KEY));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct mig_secret *extra = cases[i].with_operator ? op : NULL;
        CU_ASSERT_EQUAL(mig_exchange(&node, MIG_ROLE_NODE, service.public_key, cases[i].direction,
                                     CONTEXT, CONTEXT_LEN, extra, key),
                        MIG_OK);
        CU_ASSERT(is_hex(key->bytes, 32, cases[i].want));
        CU_ASSERT_EQUAL(mig_exchange(&service, MIG_ROLE_SERVICE, node.public_key,
                                     cases[i].direction, CONTEXT, CONTEXT_LEN, extra, key),
                        MIG_OK);
        CU_ASSERT(is_hex(key->bytes, 32, cases[i].want));
    }
    mig_secret_free(&key);
    mig_secret_free(&op);
    mig_ephemeral_clear(&node);
    mig_ephemeral_clear(&service);
}

static void every_input_changes_the_key(void)
{
    struct mig_ephemeral node = pair_of(0x11), service = pair_of(0x22), other = pair_of(0x33);
    struct mig_secret *keys[6], *op = operator_key();
    for (size_t i = 0; i < 6; i++)
        keys[i] = mig_secret_new(32);
    const uint8_t *peer = service.public_key;
    CU_ASSERT_EQUAL(
        mig_exchange(&node, MIG_ROLE_NODE, peer, MIG_BACKUP, CONTEXT, CONTEXT_LEN, NULL, keys[0]),
        MIG_OK);
    CU_ASSERT_EQUAL(
        mig_exchange(&node, MIG_ROLE_NODE, peer, MIG_RECOVER, CONTEXT, CONTEXT_LEN, NULL, keys[1]),
        MIG_OK);
    CU_ASSERT_EQUAL(mig_exchange(&node, MIG_ROLE_NODE, peer, MIG_BACKUP, CONTEXT, CONTEXT_LEN - 1,
                                 NULL, keys[2]),
                    MIG_OK);
    CU_ASSERT_EQUAL(
        mig_exchange(&node, MIG_ROLE_NODE, peer, MIG_BACKUP, CONTEXT, CONTEXT_LEN, op, keys[3]),
        MIG_OK);
    CU_ASSERT_EQUAL(mig_exchange(&node, MIG_ROLE_NODE, other.public_key, MIG_BACKUP, CONTEXT,
                                 CONTEXT_LEN, NULL, keys[4]),
                    MIG_OK);
    op->bytes[31] ^= 1;
    CU_ASSERT_EQUAL(
        mig_exchange(&node, MIG_ROLE_NODE, peer, MIG_BACKUP, CONTEXT, CONTEXT_LEN, op, keys[5]),
        MIG_OK);
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < i; k++)
            CU_ASSERT(!mig_equal(keys[i]->bytes, keys[k]->bytes, 32));
    for (size_t i = 0; i < 6; i++)
        mig_secret_free(&keys[i]);
    mig_secret_free(&op);
    mig_ephemeral_clear(&node);
    mig_ephemeral_clear(&service);
    mig_ephemeral_clear(&other);
}

/* Two sides that both think they are the node, or the service, do not meet. */
static void equal_roles_do_not_agree(void)
{
    struct mig_ephemeral a = pair_of(0x11), b = pair_of(0x22);
    struct mig_secret *x = mig_secret_new(32), *y = mig_secret_new(32);
    static const enum mig_role roles[] = {MIG_ROLE_NODE, MIG_ROLE_SERVICE};
    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(
            mig_exchange(&a, roles[i], b.public_key, MIG_BACKUP, CONTEXT, CONTEXT_LEN, NULL, x),
            MIG_OK);
        CU_ASSERT_EQUAL(
            mig_exchange(&b, roles[i], a.public_key, MIG_BACKUP, CONTEXT, CONTEXT_LEN, NULL, y),
            MIG_OK);
        CU_ASSERT(!mig_equal(x->bytes, y->bytes, 32));
    }
    mig_secret_free(&x);
    mig_secret_free(&y);
    mig_ephemeral_clear(&a);
    mig_ephemeral_clear(&b);
}

static void rejects_points_of_small_order(void)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    static const uint8_t zero[32];
    struct mig_ephemeral node = pair_of(0x11);
    struct mig_secret *key = mig_secret_new(32);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        uint8_t peer[32];
        size_t n;
        CU_ASSERT_EQUAL_FATAL(mig_hex_decode(points[i], 64, peer, 32, &n), MIG_OK);
        for (int role = MIG_ROLE_NODE; role <= MIG_ROLE_SERVICE; role++) {
            memset(key->bytes, 0xaa, 32);
            CU_ASSERT_EQUAL(mig_exchange(&node, (enum mig_role)role, peer, MIG_BACKUP, CONTEXT,
                                         CONTEXT_LEN, NULL, key),
                            MIG_ERR_MALFORMED);
            CU_ASSERT(mig_equal(key->bytes, zero, 32));
        }
    }
    mig_secret_free(&key);
    mig_ephemeral_clear(&node);
}

static void refuses_arguments_that_make_no_sense(void)
{
    struct mig_ephemeral node = pair_of(0x11), service = pair_of(0x22), none = {.secret = NULL};
    struct mig_ephemeral small = {.secret = mig_secret_new(16)};
    struct mig_secret *key = mig_secret_new(32), *short_key = mig_secret_new(31);
    const uint8_t *peer = service.public_key;
    const struct {
        const struct mig_ephemeral *own;
        int role, direction;
        const struct mig_secret *op;
        struct mig_secret *key;
    } bad[] = {
        {&none, MIG_ROLE_NODE, MIG_BACKUP, NULL, key},
        {&small, MIG_ROLE_NODE, MIG_BACKUP, NULL, key},
        {&node, 0, MIG_BACKUP, NULL, key},
        {&node, 3, MIG_BACKUP, NULL, key},
        {&node, MIG_ROLE_NODE, 0, NULL, key},
        {&node, MIG_ROLE_NODE, 3, NULL, key},
        {&node, MIG_ROLE_NODE, MIG_BACKUP, short_key, key},
        {&node, MIG_ROLE_NODE, MIG_BACKUP, NULL, short_key},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(mig_exchange(bad[i].own, (enum mig_role)bad[i].role, peer,
                                     (enum mig_direction)bad[i].direction, CONTEXT, CONTEXT_LEN,
                                     bad[i].op, bad[i].key),
                        MIG_ERR_BUG);
    CU_ASSERT_EQUAL(mig_ephemeral_generate(&small), MIG_ERR_BUG);
    mig_secret_free(&key);
    mig_secret_free(&short_key);
    mig_ephemeral_clear(&node);
    mig_ephemeral_clear(&service);
    mig_ephemeral_clear(&small);
}

static void generates_fresh_pairs_in_the_same_memory(void)
{
    struct mig_ephemeral pair = {.secret = NULL};
    uint8_t before[32], want[32];
    CU_ASSERT_EQUAL(mig_ephemeral_generate(&pair), MIG_OK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pair.secret);
    struct mig_secret *memory = pair.secret;
    memcpy(before, pair.public_key, 32);
    CU_ASSERT_EQUAL(mig_ephemeral_generate(&pair), MIG_OK);
    CU_ASSERT_PTR_EQUAL(pair.secret, memory);
    CU_ASSERT(!mig_equal(before, pair.public_key, 32));
    CU_ASSERT_EQUAL(crypto_scalarmult_base(want, pair.secret->bytes), 0);
    CU_ASSERT(mig_equal(want, pair.public_key, 32));
    mig_ephemeral_clear(&pair);
    CU_ASSERT_PTR_NULL(pair.secret);
    static const uint8_t zero[32];
    CU_ASSERT(mig_equal(pair.public_key, zero, 32));
    mig_ephemeral_clear(&pair);
}

static void operator_tag_is_known(void)
{
    struct mig_secret *op = operator_key();
    uint8_t tag[MIG_OPERATOR_TAG_LEN];
    mig_operator_tag(op, tag);
    CU_ASSERT(is_hex(tag, sizeof tag, "e8ba880e15b6de3d"));
    mig_secret_free(&op);
}

static void sha256_known_answers(void)
{
    static const uint8_t zeros[4096];
    uint8_t digest[32], other[32];
    mig_sha256("abc", 3, digest);
    CU_ASSERT(
        is_hex(digest, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    mig_sha256("", 0, digest);
    CU_ASSERT(
        is_hex(digest, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    for (size_t len = 0; len <= sizeof zeros; len += 61) {
        mig_sha256(zeros, len, digest);
        (void)crypto_hash_sha256(other, zeros, len);
        CU_ASSERT(mig_equal(digest, other, 32));
    }
}

int main(void)
{
    static const struct test tests[] = {
        TEST(known_answers_on_both_sides),
        TEST(every_input_changes_the_key),
        TEST(equal_roles_do_not_agree),
        TEST(rejects_points_of_small_order),
        TEST(refuses_arguments_that_make_no_sense),
        TEST(generates_fresh_pairs_in_the_same_memory),
        TEST(operator_tag_is_known),
        TEST(sha256_known_answers),
    };
    return run_tests("exchange", tests, sizeof tests / sizeof *tests);
}
