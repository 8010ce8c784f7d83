/* SPDX-License-Identifier: MIT */
#include "tests/vectors/vectors.h"

#include <sodium.h>
#include <string.h>

#include "crypto/encoding.h"
#include "crypto/keyset.h"

/* Every "random" byte is this one, so that containers can be made again. */
static void fixed_bytes(void *const out, const size_t len)
{
    memset(out, 0x77, len);
}

static uint32_t fixed_number(void)
{
    return 0x77777777;
}

static const char *name_of_random(void)
{
    return "fixed";
}

static struct randombytes_implementation fixed = {
    .implementation_name = name_of_random, .random = fixed_number, .buf = fixed_bytes};

static const char *const GROUP_KEYS[3] = {
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

void start_without_chance(void)
{
    must(randombytes_set_implementation(&fixed) == 0 && mig_crypto_init() == MIG_OK, "libsodium");
}

static void make_pair(struct mig_ephemeral *pair, uint8_t byte)
{
    pair->secret = mig_secret_new(MIG_KEY_LEN);
    must(pair->secret != NULL, "memory");
    memset(pair->secret->bytes, byte, MIG_KEY_LEN);
    must(crypto_scalarmult_base(pair->public_key, pair->secret->bytes) == 0, "pair");
}

static void make_keyset(struct cast *c)
{
    size_t n;
    for (size_t i = 0; i < 3; i++) {
        c->domains[i] = (struct mig_domain_key){.domain = i, .attempt = i == 1 ? 2 : 0};
        must(mig_group_key_parse(GROUP_KEYS[i], strlen(GROUP_KEYS[i]), &c->domains[i]) == MIG_OK &&
                 mig_hex_decode(SHARES[i], 64, c->shares[i], MIG_SHARE_LEN, &n) == MIG_OK,
             "keyset");
    }
    c->keyset = (struct mig_keyset){.epoch = 5, .count = 3, .domains = c->domains};
    c->plain = mig_secret_new(mig_shares_plain_len(&c->keyset));
    must(c->plain != NULL && mig_shares_encode(&c->keyset, (const uint8_t(*)[32])c->shares,
                                               c->plain, &c->plain_len) == MIG_OK,
         "plaintext");
}

void make_cast(struct cast *c)
{
    for (int i = 0; i < WHO_COUNT; i++) {
        uint8_t seed[MIG_SEED_LEN];
        memset(seed, i + 1, sizeof seed);
        must(mig_identity_from_seed(seed, &c->id[i]) == MIG_OK, "identity");
    }
    make_pair(&c->service, 0x11);
    make_pair(&c->node, 0x12);
    c->operator_key = mig_secret_new(MIG_OPERATOR_KEY_LEN);
    must(c->operator_key != NULL, "memory");
    for (uint8_t i = 0; i < MIG_OPERATOR_KEY_LEN; i++)
        c->operator_key->bytes[i] = i;
    make_keyset(c);
}

void free_cast(struct cast *c)
{
    for (int i = 0; i < WHO_COUNT; i++)
        mig_identity_free(&c->id[i]);
    mig_ephemeral_clear(&c->service);
    mig_ephemeral_clear(&c->node);
    mig_secret_free(&c->operator_key);
    mig_secret_free(&c->plain);
}
