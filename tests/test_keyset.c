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
    CU_ASSERT_EQUAL(mig_shares_encode(&keyset, shares, plain, &len), MIG_OK);
    CU_ASSERT_EQUAL(len, plain->len);
    CU_ASSERT_EQUAL(mig_shares_decode(plain->bytes, len, &keyset, back), MIG_SHARES_MATCH);
    CU_ASSERT(mig_equal(back->bytes, shares, sizeof shares));
    mig_secret_free(&plain);
    mig_secret_free(&back);
}

int main(void)
{
    static const struct test tests[] = {TEST(digest_of_the_example_is_known),
                                        TEST(shares_go_round)};
    return run_tests("keyset", tests, sizeof tests / sizeof *tests);
}
