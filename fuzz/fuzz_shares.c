/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_shares_decode. A dishonest backup service reaches it with any
 * plaintext it likes. The plaintext is judged against a keyset of three curves
 * and against a keyset read from the plaintext itself; it matches exactly when
 * encoding the shares it gave, under that keyset, gives the same bytes.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keyset.h"
#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DOMAINS = 4, PLAIN_MAX = 4096 };

static struct mig_secret *shares, *again;

static void require(int condition)
{
    if (!condition)
        abort();
}

static void start(void)
{
    if (shares != NULL)
        return;
    require(mig_crypto_init() == MIG_OK);
    shares = mig_secret_new(DOMAINS * MIG_SHARE_LEN);
    again = mig_secret_new(PLAIN_MAX);
    require(shares != NULL && again != NULL);
}

static enum mig_shares_verdict judge(const uint8_t *data, size_t size,
                                     const struct mig_keyset *keyset)
{
    size_t len = 0;
    enum mig_shares_verdict verdict = mig_shares_decode(data, size, keyset, shares);
    if (verdict != MIG_SHARES_MATCH) {
        require(sodium_is_zero(shares->bytes, shares->len));
        return verdict;
    }
    require(mig_shares_encode(keyset, (const uint8_t(*)[MIG_SHARE_LEN])shares->bytes, again,
                              &len) == MIG_OK);
    require(len == size && memcmp(again->bytes, data, len) == 0);
    return verdict;
}

static uint64_t number(const uint8_t *in, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | in[i];
    return v;
}

/* What the plaintext says about itself, as far as it can be followed. */
static void keyset_of(const uint8_t *data, size_t size, struct mig_keyset *keyset)
{
    size_t at = 4;
    keyset->count = 0;
    while (keyset->count < DOMAINS && size - at >= 27) {
        struct mig_domain_key *d = &keyset->domains[keyset->count];
        keyset->epoch = number(data + at, 8);
        d->domain = number(data + at + 8, 8);
        d->attempt = number(data + at + 16, 8);
        d->curve = (enum mig_curve)data[at + 24];
        d->key_len = mig_group_key_len(d->curve);
        at += 27;
        if (d->key_len == 0 || size - at < (size_t)d->key_len + 36)
            return;
        memcpy(d->key, data + at, d->key_len);
        at += (size_t)d->key_len + 36;
        keyset->count++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mig_domain_key domains[DOMAINS] = {{0}};
    struct mig_keyset keyset = {.epoch = 5, .count = 3, .domains = domains};
    start();
    if (size > PLAIN_MAX)
        return 0;
    for (size_t i = 0; i < 3; i++) {
        domains[i].domain = i;
        domains[i].curve = (enum mig_curve)(i + 1);
        domains[i].key_len = mig_group_key_len(domains[i].curve);
    }
    (void)judge(data, size, &keyset);
    if (size < 4)
        return 0;
    keyset_of(data, size, &keyset);
    if (mig_keyset_normalise(&keyset) != MIG_OK)
        return 0;
    if (judge(data, size, &keyset) != MIG_SHARES_MATCH)
        return 0;
    /* The same plaintext under another attempt or key is no match. */
    domains[0].attempt ^= 1;
    require(judge(data, size, &keyset) == MIG_SHARES_INCOMPLETE);
    domains[0].attempt ^= 1;
    domains[0].key[0] ^= 1;
    require(judge(data, size, &keyset) == MIG_SHARES_WRONG_KEY);
    return 0;
}
