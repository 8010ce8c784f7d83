/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/container.h"
#include "crypto/encoding.h"
#include "crypto/key.h"
#include "crypto/keyset.h"

static const char *const KEYS[3] = {
    "secp256k1:4Q9aK3YhZAugWM3vJrePc5CAxL81yEXzkcT5zqSscURArmybYWJyDLhJ6vijgdDr6PfCcc3dgCvG2fgdoTtF"
    "fM7i",
    "ed25519:GFRaCJ8UDCWt7ZawnTbQ83RGPo7o3viyyer68jysLmVM",
    "bls12381g2:"
    "22a3grHFot4p2otPhqmDThWfuhW3x9A3f9MfhwTBQtzu1XW3V79udzBo3EEFqmVnMKdW1X5WFVuwjLHaXdnb"
    "HFPAWbDt9WScv4qg8uHgmhTcSipU6CJkjQY8ywHeuMcHkK1x",
};
static const char *const SHARES[3] = {
    "add8bea105e6085a3f9d4ee613834280ae277e9516a6d08ba8a1fa88d7ce6225",
    "4868e82fde014d20fa7316500332a9cad79dee5c7aac79b82e69019da9b1790b",
    "a8d9bc9f09e6085c448851e60a980981ceac312b0bf801a510a13eb44c7b5d0e",
};

static void three_domains(struct mig_domain_key domains[3], struct mig_keyset *keyset)
{
    memset(domains, 0, 3 * sizeof domains[0]);
    for (size_t i = 0; i < 3; i++) {
        domains[i].domain = i;
        domains[i].attempt = i == 1 ? 2 : 0;
        CU_ASSERT_EQUAL_FATAL(mig_group_key_parse(KEYS[i], strlen(KEYS[i]), &domains[i]), MIG_OK);
    }
    *keyset = (struct mig_keyset){.epoch = 5, .count = 3, .domains = domains};
}

static void three_shares(uint8_t shares[3][MIG_SHARE_LEN])
{
    size_t n;
    for (size_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL_FATAL(mig_hex_decode(SHARES[i], 64, shares[i], MIG_SHARE_LEN, &n), MIG_OK);
}

static void digest_of_the_example_is_known(void)
{
    struct mig_domain_key domains[3];
    struct mig_keyset keyset;
    uint8_t digest[MIG_DIGEST_LEN];
    char hex[MIG_HEX_LEN(MIG_DIGEST_LEN)];
    three_domains(domains, &keyset);
    mig_keyset_digest("v1.signer", &keyset, digest);
    CU_ASSERT_EQUAL_FATAL(mig_hex_encode(digest, sizeof digest, hex, sizeof hex), MIG_OK);
    CU_ASSERT_STRING_EQUAL(hex, "619aa27783f185cbd287e7d9af0e80f1f695fb7bf049e499925fd9a694c1a175");
}

static void digest_changes_with_everything(void)
{
    struct mig_domain_key domains[3];
    struct mig_keyset keyset;
    uint8_t seen[10][MIG_DIGEST_LEN];
    size_t n = 0;
    three_domains(domains, &keyset);
    mig_keyset_digest("v1.signer", &keyset, seen[n++]);
    mig_keyset_digest("v2.signer", &keyset, seen[n++]);
    mig_keyset_digest("", &keyset, seen[n++]);
    keyset.epoch = 6;
    mig_keyset_digest("v1.signer", &keyset, seen[n++]);
    keyset.epoch = 5;
    keyset.count = 2;
    mig_keyset_digest("v1.signer", &keyset, seen[n++]);
    keyset.count = 0;
    mig_keyset_digest("v1.signer", &keyset, seen[n++]);
    keyset.count = 3;
    domains[1].attempt = 3; /* a keyset that differs only in the attempt */
    mig_keyset_digest("v1.signer", &keyset, seen[n++]);
    domains[1].attempt = 2;
    domains[2].domain = UINT64_MAX;
    mig_keyset_digest("v1.signer", &keyset, seen[n++]);
    domains[2].domain = 2;
    domains[2].key[95] ^= 1;
    mig_keyset_digest("v1.signer", &keyset, seen[n++]);
    domains[2].key[95] ^= 1;
    domains[1].curve = MIG_CURVE_SECP256K1;
    mig_keyset_digest("v1.signer", &keyset, seen[n++]);
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < a; b++)
            CU_ASSERT(!mig_equal(seen[a], seen[b], MIG_DIGEST_LEN));
}

static void normalise_sorts_by_domain(void)
{
    struct mig_domain_key domains[3], reversed[3];
    struct mig_keyset keyset, other = {.epoch = 5, .count = 3, .domains = reversed};
    three_domains(domains, &keyset);
    domains[0].domain = UINT64_MAX - 1; /* beyond what a signed difference could order */
    domains[1].domain = 0;
    domains[2].domain = UINT64_MAX;
    for (size_t i = 0; i < 3; i++)
        reversed[i] = domains[2 - i];
    CU_ASSERT_EQUAL(mig_keyset_normalise(&other), MIG_OK);
    CU_ASSERT_EQUAL(reversed[0].domain, 0);
    CU_ASSERT_EQUAL(reversed[0].curve, MIG_CURVE_ED25519);
    CU_ASSERT_EQUAL(reversed[1].domain, UINT64_MAX - 1);
    CU_ASSERT_EQUAL(reversed[2].domain, UINT64_MAX);
    CU_ASSERT_EQUAL(mig_keyset_normalise(&keyset), MIG_OK);
    CU_ASSERT(mig_keyset_is_equal(&keyset, &other));
    struct mig_keyset empty = {.epoch = 1};
    CU_ASSERT_EQUAL(mig_keyset_normalise(&empty), MIG_OK);
}

static void normalise_rejects_what_is_no_keyset(void)
{
    struct mig_domain_key domains[3];
    struct mig_keyset keyset;
    three_domains(domains, &keyset);
    domains[2].domain = 0;
    CU_ASSERT_EQUAL(mig_keyset_normalise(&keyset), MIG_ERR_MALFORMED);
    three_domains(domains, &keyset);
    domains[1].curve = (enum mig_curve)4;
    CU_ASSERT_EQUAL(mig_keyset_normalise(&keyset), MIG_ERR_MALFORMED);
    domains[1].key_len = 0;
    CU_ASSERT_EQUAL(mig_keyset_normalise(&keyset), MIG_ERR_MALFORMED);
    three_domains(domains, &keyset);
    domains[1].key_len = 33;
    CU_ASSERT_EQUAL(mig_keyset_normalise(&keyset), MIG_ERR_MALFORMED);
    keyset.count = MIG_DOMAINS_MAX + 1;
    CU_ASSERT_EQUAL(mig_keyset_normalise(&keyset), MIG_ERR_MALFORMED);
}

static void copies_share_nothing(void)
{
    struct mig_domain_key domains[3];
    struct mig_keyset keyset, copy, empty = {.epoch = 9};
    three_domains(domains, &keyset);
    CU_ASSERT_EQUAL(mig_keyset_copy(&keyset, &copy), MIG_OK);
    CU_ASSERT_PTR_NOT_EQUAL(copy.domains, domains);
    CU_ASSERT(mig_keyset_is_equal(&keyset, &copy));
    domains[0].key[0] ^= 1;
    CU_ASSERT(!mig_keyset_is_equal(&keyset, &copy));
    mig_keyset_clear(&copy);
    CU_ASSERT(copy.domains == NULL && copy.count == 0 && copy.epoch == 0);
    mig_keyset_clear(&copy);
    mig_keyset_clear(NULL);
    CU_ASSERT_EQUAL(mig_keyset_copy(&empty, &copy), MIG_OK);
    CU_ASSERT(mig_keyset_is_equal(&empty, &copy));
    CU_ASSERT_PTR_NULL(copy.domains);
}

static void a_copy_of_too_many_domains_is_refused(void)
{
    struct mig_keyset huge = {.count = MIG_DOMAINS_MAX + 1}, copy = {.epoch = 1};
    CU_ASSERT_EQUAL(mig_keyset_copy(&huge, &copy), MIG_ERR_MALFORMED);
    CU_ASSERT(copy.domains == NULL && copy.count == 0);
}

static void equality_looks_at_every_field(void)
{
    struct mig_domain_key a[3], b[3];
    struct mig_keyset x, y;
    three_domains(a, &x);
    three_domains(b, &y);
    CU_ASSERT(mig_keyset_is_equal(&x, &y));
    memset(b[1].key + 32, 0xee, 64); /* past key_len: no part of it */
    CU_ASSERT(mig_keyset_is_equal(&x, &y));
    y.epoch = 6;
    CU_ASSERT(!mig_keyset_is_equal(&x, &y));
    y.epoch = 5;
    y.count = 2;
    CU_ASSERT(!mig_keyset_is_equal(&x, &y));
    y.count = 3;
    b[2].domain = 3;
    CU_ASSERT(!mig_keyset_is_equal(&x, &y));
    b[2].domain = 2;
    b[2].attempt = 1;
    CU_ASSERT(!mig_keyset_is_equal(&x, &y));
    b[2].attempt = 0;
    b[2].curve = MIG_CURVE_ED25519;
    CU_ASSERT(!mig_keyset_is_equal(&x, &y));
    b[2].curve = MIG_CURVE_BLS12381G2;
    b[2].key_len = 32;
    CU_ASSERT(!mig_keyset_is_equal(&x, &y));
    b[2].key_len = 96;
    b[2].key[95] ^= 1;
    CU_ASSERT(!mig_keyset_is_equal(&x, &y));
}

static void shares_go_round(void)
{
    struct mig_domain_key domains[3];
    struct mig_keyset keyset;
    uint8_t shares[3][MIG_SHARE_LEN];
    size_t len;
    three_domains(domains, &keyset);
    three_shares(shares);
    struct mig_secret *plain = mig_secret_new(mig_shares_plain_len(&keyset));
    struct mig_secret *back = mig_secret_new(sizeof shares);
    CU_ASSERT_EQUAL(
        mig_shares_encode(&keyset, (const uint8_t(*)[MIG_SHARE_LEN])shares, plain, &len), MIG_OK);
    CU_ASSERT_EQUAL(len, plain->len);
    CU_ASSERT_EQUAL(mig_shares_decode(plain->bytes, len, &keyset, back), MIG_SHARES_MATCH);
    CU_ASSERT(mig_equal(back->bytes, shares, sizeof shares));
    mig_secret_free(&plain);
    mig_secret_free(&back);
}

/* The example's plaintext, and how it is judged after a change. */
struct sample {
    struct mig_domain_key domains[3];
    struct mig_keyset keyset;
    uint8_t shares[3][MIG_SHARE_LEN];
    struct mig_secret *plain, *back;
    size_t len;
};

static void sample_init(struct sample *s)
{
    three_domains(s->domains, &s->keyset);
    three_shares(s->shares);
    s->plain = mig_secret_new(mig_shares_plain_len(&s->keyset) + 1);
    s->back = mig_secret_new(sizeof s->shares);
    CU_ASSERT_EQUAL_FATAL(mig_shares_encode(&s->keyset, (const uint8_t(*)[MIG_SHARE_LEN])s->shares,
                                            s->plain, &s->len),
                          MIG_OK);
}

static void sample_clear(struct sample *s)
{
    mig_secret_free(&s->plain);
    mig_secret_free(&s->back);
}

/* The verdict on the first `len` bytes; a refusal leaves no share behind. */
static enum mig_shares_verdict judge_len(struct sample *s, size_t len)
{
    static const uint8_t zero[3 * MIG_SHARE_LEN];
    memset(s->back->bytes, 0xcc, s->back->len);
    /* An exact copy, so that a sanitizer sees a read past the end. */
    uint8_t *exact = malloc(len > 0 ? len : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, s->plain->bytes, len);
    enum mig_shares_verdict v = mig_shares_decode(exact, len, &s->keyset, s->back);
    CU_ASSERT(mig_equal(s->back->bytes, v == MIG_SHARES_MATCH ? (const uint8_t *)s->shares : zero,
                        sizeof zero));
    free(exact);
    return v;
}

static enum mig_shares_verdict judge(struct sample *s)
{
    return judge_len(s, s->len);
}

/* Offsets in the plaintext: count, then the first entry (secp256k1). */
enum { AT_EPOCH = 4, AT_DOMAIN = 12, AT_ATTEMPT = 20, AT_CURVE = 28, AT_KEY_LEN = 29, AT_KEY = 31 };
enum { AT_SHARE_LEN = AT_KEY + 64, AT_SHARE = AT_SHARE_LEN + 4, ENTRY = AT_SHARE + 32 - 4 };

static void plaintext_is_that_of_the_format(void)
{
    static const uint8_t head[] = {0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0,
                                   0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 64};
    static const uint8_t second[] = {0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0,
                                     0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 0, 32};
    struct sample s;
    sample_init(&s);
    CU_ASSERT_EQUAL(s.len, 4 + 3 * 63 + 64 + 32 + 96);
    CU_ASSERT_EQUAL(memcmp(s.plain->bytes, head, sizeof head), 0);
    CU_ASSERT_EQUAL(memcmp(s.plain->bytes + AT_KEY, s.domains[0].key, 64), 0);
    CU_ASSERT_EQUAL(memcmp(s.plain->bytes + AT_SHARE_LEN, "\0\0\0\x20", 4), 0);
    CU_ASSERT_EQUAL(memcmp(s.plain->bytes + AT_SHARE, s.shares[0], 32), 0);
    CU_ASSERT_EQUAL(memcmp(s.plain->bytes + 4 + ENTRY, second, sizeof second), 0);
    CU_ASSERT_EQUAL(judge(&s), MIG_SHARES_MATCH);
    sample_clear(&s);
}

static void rejects_truncated_and_extended_plaintext(void)
{
    struct sample s;
    sample_init(&s);
    for (size_t len = 0; len < s.len; len++)
        CU_ASSERT_EQUAL(judge_len(&s, len), MIG_SHARES_INCOMPLETE);
    CU_ASSERT_EQUAL(judge_len(&s, s.len + 1), MIG_SHARES_INCOMPLETE);
    sample_clear(&s);
}

/* A flipped bit of a group key is "wrong key", of a share another share, of
 * anything else "incomplete"; the curve of an entry decides its length too. */
static void judges_every_flipped_bit(void)
{
    struct sample s;
    sample_init(&s);
    for (size_t bit = 0; bit < (4 + ENTRY) * 8; bit++) {
        size_t at = bit / 8;
        bool in_key = at >= AT_KEY && at < AT_KEY + 64, in_share = at >= AT_SHARE;
        enum mig_shares_verdict want = in_key     ? MIG_SHARES_WRONG_KEY
                                       : in_share ? MIG_SHARES_MATCH
                                                  : MIG_SHARES_INCOMPLETE;
        s.plain->bytes[at] ^= (uint8_t)(1 << bit % 8);
        if (in_share)
            s.shares[0][at - AT_SHARE] ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT_EQUAL(judge(&s), want);
        if (in_share)
            s.shares[0][at - AT_SHARE] ^= (uint8_t)(1 << bit % 8);
        s.plain->bytes[at] ^= (uint8_t)(1 << bit % 8);
    }
    CU_ASSERT_EQUAL(judge(&s), MIG_SHARES_MATCH);
    sample_clear(&s);
}

/* Re-encodes the sample under another keyset and judges it by the own one. */
static enum mig_shares_verdict judge_keyset(struct sample *s, const struct mig_keyset *made_for)
{
    size_t len = 0;
    struct mig_secret *plain = mig_secret_new(mig_shares_plain_len(made_for));
    CU_ASSERT_PTR_NOT_NULL_FATAL(plain);
    CU_ASSERT_EQUAL_FATAL(
        mig_shares_encode(made_for, (const uint8_t(*)[MIG_SHARE_LEN])s->shares, plain, &len),
        MIG_OK);
    enum mig_shares_verdict v = mig_shares_decode(plain->bytes, len, &s->keyset, s->back);
    mig_secret_free(&plain);
    return v;
}

static void tells_another_keyset_from_another_key(void)
{
    struct sample s;
    struct mig_domain_key domains[3];
    struct mig_keyset other;
    sample_init(&s);

    three_domains(domains, &other);
    other.epoch = 4;
    CU_ASSERT_EQUAL(judge_keyset(&s, &other), MIG_SHARES_INCOMPLETE);
    other.epoch = 5;
    domains[1].attempt = 1;
    CU_ASSERT_EQUAL(judge_keyset(&s, &other), MIG_SHARES_INCOMPLETE);
    domains[1].attempt = 2;
    domains[2].domain = 3;
    CU_ASSERT_EQUAL(judge_keyset(&s, &other), MIG_SHARES_INCOMPLETE);
    domains[2].domain = 2;
    other.count = 2;
    CU_ASSERT_EQUAL(judge_keyset(&s, &other), MIG_SHARES_INCOMPLETE);
    other.count = 3;
    CU_ASSERT_EQUAL(judge_keyset(&s, &other), MIG_SHARES_MATCH);

    domains[2].key[0] ^= 1;
    CU_ASSERT_EQUAL(judge_keyset(&s, &other), MIG_SHARES_WRONG_KEY);
    domains[2].key[0] ^= 1;
    domains[1] = domains[2]; /* another curve, whose key has another length */
    domains[1].domain = 1;
    domains[1].attempt = 2;
    memset(s.shares[1], 1, MIG_SHARE_LEN);
    CU_ASSERT_EQUAL(judge_keyset(&s, &other), MIG_SHARES_WRONG_KEY);
    domains[0].attempt = 7; /* a wrong id outweighs a wrong key */
    CU_ASSERT_EQUAL(judge_keyset(&s, &other), MIG_SHARES_INCOMPLETE);
    sample_clear(&s);
}

static void rejects_reordered_and_repeated_entries(void)
{
    struct sample s;
    sample_init(&s);
    struct mig_domain_key swapped[3] = {s.domains[1], s.domains[0], s.domains[2]};
    struct mig_domain_key repeated[3] = {s.domains[0], s.domains[0], s.domains[2]};
    struct mig_keyset other = {.epoch = 5, .count = 3, .domains = swapped};
    memset(s.shares, 1, sizeof s.shares); /* reduced on every curve */
    CU_ASSERT_EQUAL(judge_keyset(&s, &other), MIG_SHARES_INCOMPLETE);
    other.domains = repeated;
    CU_ASSERT_EQUAL(judge_keyset(&s, &other), MIG_SHARES_INCOMPLETE);
    sample_clear(&s);
}

static void rejects_shares_out_of_range_and_wrong_lengths(void)
{
    struct sample s;
    sample_init(&s);
    memset(s.plain->bytes + AT_SHARE, 0, 32);
    CU_ASSERT_EQUAL(judge(&s), MIG_SHARES_INCOMPLETE);
    memset(s.plain->bytes + AT_SHARE, 0xff, 32);
    CU_ASSERT_EQUAL(judge(&s), MIG_SHARES_INCOMPLETE);
    memcpy(s.plain->bytes + AT_SHARE, s.shares[0], 32);
    s.plain->bytes[AT_SHARE_LEN + 3] = 31;
    CU_ASSERT_EQUAL(judge(&s), MIG_SHARES_INCOMPLETE);
    s.plain->bytes[AT_SHARE_LEN + 3] = 32;
    CU_ASSERT_EQUAL(judge(&s), MIG_SHARES_MATCH);
    sample_clear(&s);
}

static void an_empty_keyset_matches_nothing(void)
{
    static const uint8_t none[4];
    struct sample s;
    size_t len = 99;
    sample_init(&s);
    struct mig_keyset empty = {.epoch = 5, .count = 0, .domains = s.domains};
    CU_ASSERT_EQUAL(mig_shares_decode(none, sizeof none, &empty, s.back), MIG_SHARES_INCOMPLETE);
    CU_ASSERT_EQUAL(
        mig_shares_encode(&empty, (const uint8_t(*)[MIG_SHARE_LEN])s.shares, s.plain, &len),
        MIG_ERR_BUG);
    CU_ASSERT_EQUAL(len, 0);
    sample_clear(&s);
}

static void decode_needs_room_for_every_share(void)
{
    struct sample s;
    sample_init(&s);
    struct mig_secret *small = mig_secret_new(95);
    CU_ASSERT_EQUAL(mig_shares_decode(s.plain->bytes, s.len, &s.keyset, small),
                    MIG_SHARES_INCOMPLETE);
    mig_secret_free(&small);
    sample_clear(&s);
}

static void encode_refuses_what_no_one_could_restore(void)
{
    struct sample s;
    size_t len = 99;
    sample_init(&s);
    const uint8_t(*shares)[MIG_SHARE_LEN] = (const uint8_t(*)[MIG_SHARE_LEN])s.shares;
    struct mig_secret *small = mig_secret_new(s.len - 1);
    CU_ASSERT_EQUAL(mig_shares_encode(&s.keyset, shares, small, &len), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(len, 0);
    memset(s.shares[2], 0, 32);
    CU_ASSERT_EQUAL(mig_shares_encode(&s.keyset, shares, s.plain, &len), MIG_ERR_MALFORMED);
    memset(s.shares[2], 0xff, 32);
    CU_ASSERT_EQUAL(mig_shares_encode(&s.keyset, shares, s.plain, &len), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(len, 0);
    s.keyset.count = MIG_DOMAINS_MAX + 1;
    CU_ASSERT_EQUAL(mig_shares_plain_len(&(struct mig_keyset){.count = 0}), 4);
    mig_secret_free(&small);
    sample_clear(&s);
}

/* The largest keyset there may be goes through a container. */
static void the_largest_keyset_fits_a_container(void)
{
    struct mig_keyset keyset = {.epoch = UINT64_MAX, .count = MIG_DOMAINS_MAX};
    keyset.domains = calloc(MIG_DOMAINS_MAX + 1, sizeof keyset.domains[0]);
    CU_ASSERT_PTR_NOT_NULL_FATAL(keyset.domains);
    for (size_t i = 0; i <= MIG_DOMAINS_MAX; i++) {
        keyset.domains[i] = (struct mig_domain_key){.domain = i << 40,
                                                    .attempt = UINT64_MAX - i,
                                                    .curve = MIG_CURVE_BLS12381G2,
                                                    .key_len = 96};
        mig_random(keyset.domains[i].key, 96);
    }
    size_t plain_len = mig_shares_plain_len(&keyset), len = 0,
           sealed_len = mig_sealed_len(plain_len);
    CU_ASSERT(sealed_len > 0 && sealed_len <= MIG_SEALED_MAX);
    struct mig_secret *shares = mig_secret_new((MIG_DOMAINS_MAX + 1) * MIG_SHARE_LEN);
    struct mig_secret *plain = mig_secret_new(plain_len + 200);
    struct mig_secret *back = mig_secret_new(MIG_DOMAINS_MAX * MIG_SHARE_LEN);
    CU_ASSERT_FATAL(shares != NULL && plain != NULL && back != NULL);
    mig_random(shares->bytes, shares->len);
    for (size_t i = 0; i <= MIG_DOMAINS_MAX; i++)
        shares->bytes[i * MIG_SHARE_LEN + 31] = 0x11; /* reduced */
    const uint8_t(*scalars)[MIG_SHARE_LEN] = (const uint8_t(*)[MIG_SHARE_LEN])shares->bytes;
    CU_ASSERT_EQUAL(mig_keyset_normalise(&keyset), MIG_OK);
    CU_ASSERT_EQUAL(mig_shares_encode(&keyset, scalars, plain, &len), MIG_OK);
    CU_ASSERT_EQUAL(len, plain_len);
    CU_ASSERT_EQUAL(mig_shares_decode(plain->bytes, len, &keyset, back), MIG_SHARES_MATCH);
    CU_ASSERT(mig_equal(back->bytes, shares->bytes, back->len));
    keyset.count++;
    CU_ASSERT_EQUAL(mig_shares_encode(&keyset, scalars, plain, &len), MIG_ERR_BUG);
    free(keyset.domains);
    mig_secret_free(&shares);
    mig_secret_free(&plain);
    mig_secret_free(&back);
}

/* Around zero and each group order, in that curve's byte order. */
static void shares_are_judged_by_their_groups_order(void)
{
    static const struct {
        enum mig_curve curve;
        bool big_endian;
        const char *order;
    } curves[] = {
        {MIG_CURVE_SECP256K1, true,
         "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"},
        {MIG_CURVE_ED25519, false,
         "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed"},
        {MIG_CURVE_BLS12381G2, false,
         "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001"},
    };
    for (size_t c = 0; c < 3; c++) {
        uint8_t order[32], share[32];
        size_t n;
        CU_ASSERT_EQUAL_FATAL(mig_hex_decode(curves[c].order, 64, order, 32, &n), MIG_OK);
        for (int kind = 0; kind < 6; kind++) {
            uint8_t number[32] = {0}; /* big-endian */
            if (kind >= 2)
                memcpy(number, order, 32);
            if (kind == 1)
                number[31] = 1;
            if (kind == 2)
                number[31]--;
            if (kind == 4)
                number[31]++;
            if (kind == 5)
                memset(number, 0xff, 32);
            for (size_t i = 0; i < 32; i++)
                share[i] = number[curves[c].big_endian ? i : 31 - i];
            /* 0, 1, order - 1, order, order + 1, all ones */
            CU_ASSERT_EQUAL(mig_share_is_reduced(curves[c].curve, share), kind == 1 || kind == 2);
        }
        for (size_t i = 0; i < 32; i++) { /* a single 1 in every place is a number, not zero */
            memset(share, 0, 32);
            share[i] = 1;
            CU_ASSERT(mig_share_is_reduced(curves[c].curve, share));
        }
        CU_ASSERT(!mig_share_is_reduced((enum mig_curve)0, share));
    }
}

int main(void)
{
    static const struct test tests[] = {
        TEST(digest_of_the_example_is_known),
        TEST(digest_changes_with_everything),
        TEST(normalise_sorts_by_domain),
        TEST(normalise_rejects_what_is_no_keyset),
        TEST(copies_share_nothing),
        TEST(a_copy_of_too_many_domains_is_refused),
        TEST(equality_looks_at_every_field),
        TEST(shares_go_round),
        TEST(plaintext_is_that_of_the_format),
        TEST(rejects_truncated_and_extended_plaintext),
        TEST(judges_every_flipped_bit),
        TEST(tells_another_keyset_from_another_key),
        TEST(rejects_reordered_and_repeated_entries),
        TEST(rejects_shares_out_of_range_and_wrong_lengths),
        TEST(an_empty_keyset_matches_nothing),
        TEST(decode_needs_room_for_every_share),
        TEST(encode_refuses_what_no_one_could_restore),
        TEST(the_largest_keyset_fits_a_container),
        TEST(shares_are_judged_by_their_groups_order),
    };
    return run_tests("keyset", tests, sizeof tests / sizeof *tests);
}
