/* SPDX-License-Identifier: MIT */
#include "tests/vectors/vectors.h"

#include <string.h>

#include "crypto/encoding.h"
#include "crypto/keyset.h"

json_t *keys(const struct cast *c)
{
    static const char *const names[WHO_COUNT] = {"service", "node", "destination", "stranger"};
    json_t *all = json_array();
    for (int i = 0; i < WHO_COUNT; i++) {
        const struct mig_identity *id = c->id[i];
        char public_text[MIG_KEY_TEXT_MAX], secret[MIG_SECRET_KEY_TEXT_MAX] = "ed25519:";
        mig_key_format(id->public_key, public_text);
        must(mig_base58_encode(id->secret->bytes, 64, secret + 8, sizeof secret - 8) == MIG_OK,
             "base58");
        add(all, json_pack("{s:s,s:o,s:o,s:s,s:s}", "name", names[i], "seed",
                           hex(id->secret->bytes, 32), "public", hex(id->public_key, 32), "text",
                           public_text, "secret_text", secret));
    }
    return all;
}

json_t *keys_refused(void)
{
    static const char *const rows[][2] = {
        {"", "empty"},
        {"AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9", "no prefix"},
        {"secp256k1:AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9", "another prefix"},
        {"ED25519:AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9", "prefix in capitals"},
        {"ed25519:AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRS", "31 bytes"},
        {"ed25519:1AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9", "33 bytes"},
        {"ed25519:AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ0", "0 is not in the alphabet"},
        {"ed25519: AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9", "a space"},
    };
    json_t *all = json_array();
    for (size_t i = 0; i < LENGTH(rows); i++)
        add(all, json_pack("{s:s,s:s}", "text", rows[i][0], "why", rows[i][1]));
    return all;
}

static json_t *keyset(const char *name, const char *contract, const struct mig_keyset *k)
{
    uint8_t digest[MIG_DIGEST_LEN];
    json_t *domains = json_array();
    mig_keyset_digest(contract, k, digest);
    for (size_t i = 0; i < k->count; i++) {
        const struct mig_domain_key *d = &k->domains[i];
        char key[MIG_GROUP_KEY_TEXT_MAX];
        mig_group_key_format(d, key);
        add(domains, json_pack("{s:o,s:o,s:i,s:s}", "domain", decimal(d->domain), "attempt",
                               decimal(d->attempt), "curve", (int)d->curve, "public_key", key));
    }
    return good(json_pack("{s:s,s:s,s:o,s:o,s:o}", "name", name, "contract", contract, "epoch",
                          decimal(k->epoch), "domains", domains, "digest",
                          hex(digest, sizeof digest)));
}

json_t *keysets(const struct cast *c)
{
    struct mig_domain_key other[3];
    struct mig_keyset k = {.epoch = 5, .count = 3, .domains = other};
    json_t *all = json_array();
    memcpy(other, c->domains, sizeof other);
    add(all, keyset("three domains", "v1.signer", &c->keyset));
    add(all, keyset("another contract", "v2.signer", &c->keyset));
    other[1].attempt = 3;
    add(all, keyset("another attempt", "v1.signer", &k));
    k = (struct mig_keyset){.epoch = UINT64_MAX, .count = 1, .domains = other + 1};
    other[1].domain = other[1].attempt = UINT64_MAX;
    add(all, keyset("largest numbers", "v1.signer", &k));
    return all;
}

json_t *plaintexts(const struct cast *c)
{
    json_t *shares = json_array(), *all = json_array();
    for (size_t i = 0; i < 3; i++)
        add(shares, hex(c->shares[i], MIG_SHARE_LEN));
    add(all, json_pack("{s:s,s:s,s:o,s:o}", "name", "three domains", "keyset", "three domains",
                       "shares", shares, "plaintext", hex(c->plain->bytes, c->plain_len)));
    return all;
}

json_t *plaintexts_refused(void)
{
    static const char *const rows[][3] = {
        {"wrong_key", "a bit of a public key differs", "[[0,189],\"b5\",[190,385]]"},
        {"wrong_key", "a domain with another curve and key",
         "[[0,155],\"010040\",[158,190],[158,190],[190,385]]"},
        {"incomplete", "nothing", "[]"},
        {"incomplete", "no domains", "[\"00000000\"]"},
        {"incomplete", "the last byte is missing", "[[0,384]]"},
        {"incomplete", "a byte too many", "[[0,385],\"00\"]"},
        {"incomplete", "a domain is missing", "[\"00000002\",[4,226]]"},
        {"incomplete", "fewer domains than counted", "[[0,226]]"},
        {"incomplete", "more domains than counted", "[\"00000002\",[4,385]]"},
        {"incomplete", "a domain twice", "[[0,131],[4,131],[226,385]]"},
        {"incomplete", "domains not in ascending order", "[[0,4],[131,226],[4,131],[226,385]]"},
        {"incomplete", "another epoch", "[[0,138],\"06\",[139,385]]"},
        {"incomplete", "another domain", "[[0,146],\"07\",[147,385]]"},
        {"incomplete", "another attempt", "[[0,154],\"03\",[155,385]]"},
        {"incomplete", "another attempt and another key",
         "[[0,154],\"03\",[155,189],\"b5\",[190,385]]"},
        {"incomplete", "an unknown curve", "[[0,155],\"04\",[156,385]]"},
        {"incomplete", "a key length that is not the curve's", "[[0,156],\"001f\",[158,385]]"},
        {"incomplete", "a share of 31 bytes", "[[0,190],\"0000001f\",[194,225],[226,385]]"},
        {"incomplete", "a share that is zero (secp256k1)",
         "[[0,99],\"0000000000000000000000000000000000000000000000000000000000000000\",[131,385]]"},
        {"incomplete", "a share equal to the group order (secp256k1, big-endian)",
         "[[0,99],\"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141\",[131,385]]"},
        {"incomplete", "a share equal to the group order (ed25519, little-endian)",
         "[[0,194],\"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010\",[226,385]"
         "]"},
        {"incomplete", "a share equal to the group order (bls12381, little-endian)",
         "[[0,353],\"01000000fffffffffe5bfeff02a4bd5305d8a10908d83933487d9d2953a7ed73\"]"},
    };
    json_t *all = json_array();
    for (size_t i = 0; i < LENGTH(rows); i++)
        add(all, json_pack("{s:s,s:s,s:s,s:o}", "plaintext", "three domains", "code", rows[i][0],
                           "why", rows[i][1], "parts", parsed(rows[i][2])));
    return all;
}
