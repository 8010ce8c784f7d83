/* SPDX-License-Identifier: MIT */
#include "crypto/keyset.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"

static const char LABEL[] = "mpc-keyset-v1";

static int by_domain(const void *a, const void *b)
{
    const struct mig_domain_key *x = a, *y = b;
    return x->domain < y->domain ? -1 : x->domain > y->domain;
}

enum mig_err mig_keyset_normalise(struct mig_keyset *keyset)
{
    if (keyset->count > MIG_DOMAINS_MAX)
        return MIG_ERR_MALFORMED;
    for (size_t i = 0; i < keyset->count; i++) {
        const struct mig_domain_key *d = &keyset->domains[i];
        if (d->key_len == 0 || d->key_len != mig_group_key_len(d->curve))
            return MIG_ERR_MALFORMED;
    }
    if (keyset->count > 1)
        qsort(keyset->domains, keyset->count, sizeof keyset->domains[0], by_domain);
    for (size_t i = 1; i < keyset->count; i++)
        if (keyset->domains[i - 1].domain == keyset->domains[i].domain)
            return MIG_ERR_MALFORMED;
    return MIG_OK;
}

enum mig_err mig_keyset_copy(const struct mig_keyset *from, struct mig_keyset *out)
{
    *out = (struct mig_keyset){0};
    if (from->count > MIG_DOMAINS_MAX)
        return MIG_ERR_MALFORMED;
    if (from->count > 0) {
        out->domains = malloc(from->count * sizeof from->domains[0]);
        if (out->domains == NULL)
            return MIG_ERR_NOMEM;
        memcpy(out->domains, from->domains, from->count * sizeof from->domains[0]);
    }
    out->epoch = from->epoch;
    out->count = from->count;
    return MIG_OK;
}

void mig_keyset_clear(struct mig_keyset *keyset)
{
    if (keyset == NULL)
        return;
    free(keyset->domains);
    *keyset = (struct mig_keyset){0};
}

static bool same_key(const struct mig_domain_key *a, const struct mig_domain_key *b)
{
    return a->curve == b->curve && a->key_len == b->key_len &&
           memcmp(a->key, b->key, a->key_len) == 0;
}

bool mig_keyset_is_equal(const struct mig_keyset *a, const struct mig_keyset *b)
{
    if (a->epoch != b->epoch || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct mig_domain_key *x = &a->domains[i], *y = &b->domains[i];
        if (x->domain != y->domain || x->attempt != y->attempt || !same_key(x, y))
            return false;
    }
    return true;
}

static uint8_t *put(uint8_t *out, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
    return out + bytes;
}

/* domain || attempt || curve || length || public key: the same bytes in the
 * digest and in the plaintext. */
enum { ENTRY_FIXED = 8 + 8 + 1 + 2, ENTRY_MAX = ENTRY_FIXED + MIG_GROUP_KEY_MAX };

static uint8_t *put_entry(uint8_t *out, const struct mig_domain_key *d)
{
    out = put(out, d->domain, 8);
    out = put(out, d->attempt, 8);
    out = put(out, (uint64_t)d->curve, 1);
    out = put(out, d->key_len, 2);
    memcpy(out, d->key, d->key_len);
    return out + d->key_len;
}

/* libsodium's SHA-256: it streams without allocating, so it cannot fail. */
void mig_keyset_digest(const char *contract, const struct mig_keyset *keyset,
                       uint8_t digest[MIG_DIGEST_LEN])
{
    crypto_hash_sha256_state state;
    uint8_t buf[ENTRY_MAX];
    size_t contract_len = strlen(contract);

    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, (const uint8_t *)LABEL, sizeof LABEL - 1);
    (void)put(buf, contract_len, 2);
    (void)crypto_hash_sha256_update(&state, buf, 2);
    (void)crypto_hash_sha256_update(&state, (const uint8_t *)contract, contract_len);
    (void)put(put(buf, keyset->epoch, 8), keyset->count, 4);
    (void)crypto_hash_sha256_update(&state, buf, 12);
    for (size_t i = 0; i < keyset->count; i++) {
        size_t len = (size_t)(put_entry(buf, &keyset->domains[i]) - buf);
        (void)crypto_hash_sha256_update(&state, buf, len);
    }
    (void)crypto_hash_sha256_final(&state, digest);
}

size_t mig_shares_plain_len(const struct mig_keyset *keyset)
{
    size_t len = 4;
    for (size_t i = 0; i < keyset->count; i++)
        len += keyset->domains[i].key_len + (size_t)(8 + ENTRY_FIXED + 4 + MIG_SHARE_LEN);
    return len;
}

enum mig_err mig_shares_encode(const struct mig_keyset *keyset,
                               const uint8_t (*shares)[MIG_SHARE_LEN], struct mig_secret *out,
                               size_t *out_len)
{
    *out_len = 0;
    size_t len = mig_shares_plain_len(keyset);
    if (keyset->count == 0 || keyset->count > MIG_DOMAINS_MAX || out->len < len)
        return MIG_ERR_BUG;
    for (size_t i = 0; i < keyset->count; i++)
        if (!mig_share_is_reduced(keyset->domains[i].curve, shares[i]))
            return MIG_ERR_MALFORMED;
    uint8_t *p = put(out->bytes, keyset->count, 4);
    for (size_t i = 0; i < keyset->count; i++) {
        p = put(p, keyset->epoch, 8);
        p = put_entry(p, &keyset->domains[i]);
        p = put(p, MIG_SHARE_LEN, 4);
        memcpy(p, shares[i], MIG_SHARE_LEN);
        p += MIG_SHARE_LEN;
    }
    *out_len = len;
    return MIG_OK;
}

/* What is left to read; `failed` sticks, so that one test at the end will do. */
struct reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static const uint8_t *take(struct reader *r, size_t len)
{
    static const uint8_t nothing[MIG_GROUP_KEY_MAX];
    if (r->failed || len > r->left) {
        r->failed = true;
        return nothing;
    }
    const uint8_t *at = r->at;
    r->at += len;
    r->left -= len;
    return at;
}

static uint64_t take_number(struct reader *r, size_t bytes)
{
    const uint8_t *at = take(r, bytes);
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | at[i];
    return v;
}

/* Reads one entry; `share` is borrowed from the plaintext. */
static bool take_entry(struct reader *r, uint64_t *epoch, struct mig_domain_key *d,
                       const uint8_t **share)
{
    *epoch = take_number(r, 8);
    d->domain = take_number(r, 8);
    d->attempt = take_number(r, 8);
    d->curve = (enum mig_curve)take_number(r, 1);
    d->key_len = (uint16_t)take_number(r, 2);
    if (r->failed || d->key_len == 0 || d->key_len != mig_group_key_len(d->curve))
        return false;
    memcpy(d->key, take(r, d->key_len), d->key_len);
    if (take_number(r, 4) != MIG_SHARE_LEN)
        return false;
    *share = take(r, MIG_SHARE_LEN);
    return !r->failed;
}

static enum mig_shares_verdict decode(const uint8_t *plain, size_t plain_len,
                                      const struct mig_keyset *keyset, uint8_t *shares)
{
    struct reader r = {plain, plain_len, false};
    enum mig_shares_verdict verdict = MIG_SHARES_MATCH;
    bool reduced = true;

    if (take_number(&r, 4) != keyset->count)
        return MIG_SHARES_INCOMPLETE;
    for (size_t i = 0; i < keyset->count; i++) {
        const struct mig_domain_key *want = &keyset->domains[i];
        struct mig_domain_key got;
        const uint8_t *share;
        uint64_t epoch;
        if (!take_entry(&r, &epoch, &got, &share) || epoch != keyset->epoch ||
            got.domain != want->domain || got.attempt != want->attempt)
            return MIG_SHARES_INCOMPLETE;
        if (!same_key(&got, want))
            verdict = MIG_SHARES_WRONG_KEY;
        reduced &= mig_share_is_reduced(got.curve, share);
        memcpy(shares + i * MIG_SHARE_LEN, share, MIG_SHARE_LEN);
    }
    if (r.left != 0)
        return MIG_SHARES_INCOMPLETE;
    return verdict == MIG_SHARES_MATCH && !reduced ? MIG_SHARES_INCOMPLETE : verdict;
}

enum mig_shares_verdict mig_shares_decode(const uint8_t *plain, size_t plain_len,
                                          const struct mig_keyset *keyset,
                                          struct mig_secret *shares)
{
    enum mig_shares_verdict verdict = MIG_SHARES_INCOMPLETE;
    mig_secret_wipe(shares);
    /* An empty keyset protects nothing: never served, never accepted. */
    if (keyset->count > 0 && shares->len / MIG_SHARE_LEN >= keyset->count)
        verdict = decode(plain, plain_len, keyset, shares->bytes);
    if (verdict != MIG_SHARES_MATCH)
        mig_secret_wipe(shares);
    return verdict;
}

/* Group orders, little-endian. */
static const uint8_t ORDER_SECP256K1[MIG_SHARE_LEN] = {
    0x41, 0x41, 0x36, 0xd0, 0x8c, 0x5e, 0xd2, 0xbf, 0x3b, 0xa0, 0x48, 0xaf, 0xe6, 0xdc, 0xae, 0xba,
    0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};
static const uint8_t ORDER_ED25519[MIG_SHARE_LEN] = {
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10,
};
static const uint8_t ORDER_BLS12381[MIG_SHARE_LEN] = {
    0x01, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xfe, 0x5b, 0xfe, 0xff, 0x02, 0xa4, 0xbd, 0x53,
    0x05, 0xd8, 0xa1, 0x09, 0x08, 0xd8, 0x39, 0x33, 0x48, 0x7d, 0x9d, 0x29, 0x53, 0xa7, 0xed, 0x73,
};

/* Subtracts without branching on the secret: it is below the order exactly
 * when the subtraction borrows. */
static bool is_below(const uint8_t *share, bool big_endian, const uint8_t *order)
{
    unsigned borrow = 0, any = 0;
    for (size_t i = 0; i < MIG_SHARE_LEN; i++) {
        unsigned byte = share[big_endian ? MIG_SHARE_LEN - 1 - i : i];
        any |= byte;
        borrow = (byte - order[i] - borrow) >> 8 & 1;
    }
    unsigned nonzero = (0u - any) >> 8 & 1;
    return (borrow & nonzero) != 0;
}

bool mig_share_is_reduced(enum mig_curve curve, const uint8_t share[MIG_SHARE_LEN])
{
    switch (curve) {
    case MIG_CURVE_SECP256K1:
        return is_below(share, true, ORDER_SECP256K1);
    case MIG_CURVE_ED25519:
        return is_below(share, false, ORDER_ED25519);
    case MIG_CURVE_BLS12381G2:
        return is_below(share, false, ORDER_BLS12381);
    }
    return false;
}
