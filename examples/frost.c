/* SPDX-License-Identifier: MIT */
#include "examples/frost.h"

#include <sodium.h>
#include <string.h>

static void binding_factor(const struct frost_session *s, uint32_t id, uint8_t out[32])
{
    uint8_t wide[64];
    crypto_hash_sha512_state h;
    (void)crypto_hash_sha512_init(&h);
    (void)crypto_hash_sha512_update(&h, (const uint8_t *)"rho", 3);
    (void)crypto_hash_sha512_update(&h, (const uint8_t *)&id, sizeof id);
    (void)crypto_hash_sha512_update(&h, s->group_key, 32);
    (void)crypto_hash_sha512_update(&h, (const uint8_t *)s->list, s->count * sizeof s->list[0]);
    (void)crypto_hash_sha512_update(&h, (const uint8_t *)s->message, strlen(s->message));
    (void)crypto_hash_sha512_final(&h, wide);
    crypto_core_ed25519_scalar_reduce(out, wide);
}

/* R = sum of (hiding + rho * binding), c = SHA-512(R || key || message). */
static bool challenge(const struct frost_session *s, uint8_t point[32], uint8_t c[32])
{
    for (uint32_t i = 0; i < s->count; i++) {
        uint8_t rho[32], term[32];
        binding_factor(s, s->list[i].id, rho);
        if (crypto_scalarmult_ed25519_noclamp(term, rho, s->list[i].binding) != 0 ||
            crypto_core_ed25519_add(term, term, s->list[i].hiding) != 0)
            return false;
        if (i == 0)
            memcpy(point, term, 32);
        else if (crypto_core_ed25519_add(point, point, term) != 0)
            return false;
    }
    uint8_t wide[64];
    crypto_hash_sha512_state h;
    (void)crypto_hash_sha512_init(&h);
    (void)crypto_hash_sha512_update(&h, point, 32);
    (void)crypto_hash_sha512_update(&h, s->group_key, 32);
    (void)crypto_hash_sha512_update(&h, (const uint8_t *)s->message, strlen(s->message));
    (void)crypto_hash_sha512_final(&h, wide);
    crypto_core_ed25519_scalar_reduce(c, wide);
    return s->count > 0;
}

static void small_scalar(uint32_t value, uint8_t out[32])
{
    memset(out, 0, 32);
    memcpy(out, &value, sizeof value);
}

/* Lagrange coefficient at zero of the signer with this id; false when one is
 * named twice. */
static bool lagrange(const struct frost_session *s, uint32_t id, uint8_t out[32])
{
    uint8_t own[32], over[32], under[32];
    small_scalar(id + 1, own);
    small_scalar(1, over);
    small_scalar(1, under);
    for (uint32_t i = 0; i < s->count; i++) {
        uint8_t other[32], difference[32];
        if (s->list[i].id == id)
            continue;
        small_scalar(s->list[i].id + 1, other);
        crypto_core_ed25519_scalar_sub(difference, other, own);
        crypto_core_ed25519_scalar_mul(over, over, other);
        crypto_core_ed25519_scalar_mul(under, under, difference);
    }
    if (crypto_core_ed25519_scalar_invert(under, under) != 0)
        return false;
    crypto_core_ed25519_scalar_mul(out, over, under);
    return true;
}

bool frost_commit(uint32_t id, uint8_t nonce[FROST_NONCE_LEN], struct frost_commitment *out)
{
    *out = (struct frost_commitment){.id = id};
    crypto_core_ed25519_scalar_random(nonce);
    crypto_core_ed25519_scalar_random(nonce + 32);
    return crypto_scalarmult_ed25519_base_noclamp(out->hiding, nonce) == 0 &&
           crypto_scalarmult_ed25519_base_noclamp(out->binding, nonce + 32) == 0;
}

bool frost_sign(const struct frost_session *s, uint32_t id, const uint8_t nonce[FROST_NONCE_LEN],
                const uint8_t share[32], uint8_t part[32])
{
    uint8_t point[32], c[32], rho[32], weight[32], secret[32];
    if (!challenge(s, point, c) || !lagrange(s, id, weight))
        return false;
    binding_factor(s, id, rho);
    crypto_core_ed25519_scalar_mul(secret, weight, share);
    crypto_core_ed25519_scalar_mul(secret, secret, c);
    crypto_core_ed25519_scalar_mul(part, rho, nonce + 32);
    crypto_core_ed25519_scalar_add(part, part, nonce);
    crypto_core_ed25519_scalar_add(part, part, secret);
    sodium_memzero(secret, sizeof secret);
    return true;
}

bool frost_begin(const struct frost_session *s, uint8_t signature[64])
{
    uint8_t c[32];
    memset(signature, 0, 64);
    return challenge(s, signature, c);
}

void frost_add(uint8_t signature[64], const uint8_t part[32])
{
    crypto_core_ed25519_scalar_add(signature + 32, signature + 32, part);
}
