/* SPDX-License-Identifier: MIT */
/*
 * Target: the text decoders. An attacker reaches them with every header field,
 * contract view and key string. What decodes must encode to the same text
 * (hex: to its lower case); what was never text must survive both ways.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypto/encoding.h"
#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

typedef enum mig_err decoder(const char *, size_t, uint8_t *, size_t, size_t *);
typedef enum mig_err encoder(const uint8_t *, size_t, char *, size_t);

enum { TEXT_MAX = 4096 };

static void one_spelling(decoder *decode, encoder *encode, const char *text, size_t len, int fold)
{
    static uint8_t bytes[TEXT_MAX];
    static char again[TEXT_MAX * 2 + 1];
    size_t n = 0;
    if (decode(text, len, bytes, sizeof bytes, &n) != MIG_OK) {
        require(n == 0);
        return;
    }
    require(encode(bytes, n, again, sizeof again) == MIG_OK);
    require(strlen(again) == len);
    require(fold ? strncasecmp(again, text, len) == 0 : memcmp(again, text, len) == 0);
    if (n > 0) /* one byte too little room is an error, not an overflow */
        require(decode(text, len, bytes, n - 1, &n) == MIG_ERR_MALFORMED);
}

static void survives(encoder *encode, decoder *decode, const uint8_t *bytes, size_t len)
{
    static char text[TEXT_MAX * 2 + 1];
    static uint8_t back[TEXT_MAX];
    size_t n = 0;
    require(encode(bytes, len, text, sizeof text) == MIG_OK);
    require(decode(text, strlen(text), back, sizeof back, &n) == MIG_OK);
    require(n == len && memcmp(back, bytes, len) == 0);
}

static void key_strings(const char *text, size_t len)
{
    uint8_t key[MIG_KEY_LEN];
    char again[MIG_KEY_TEXT_MAX], group[MIG_GROUP_KEY_TEXT_MAX];
    struct mig_domain_key domain;
    if (mig_key_parse(text, len, key) == MIG_OK) {
        mig_key_format(key, again);
        require(strlen(again) == len && memcmp(again, text, len) == 0);
    }
    if (mig_group_key_parse(text, len, &domain) == MIG_OK) {
        require(domain.key_len == mig_group_key_len(domain.curve));
        mig_group_key_format(&domain, group);
        require(strlen(group) == len && memcmp(group, text, len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    if (size > TEXT_MAX)
        return 0;
    if (mig_crypto_init() != MIG_OK)
        abort();
    one_spelling(mig_base58_decode, mig_base58_encode, text, size, 0);
    one_spelling(mig_base64_decode, mig_base64_encode, text, size, 0);
    one_spelling(mig_hex_decode, mig_hex_encode, text, size, 1);
    survives(mig_base58_encode, mig_base58_decode, data, size < 180 ? size : 180);
    survives(mig_base64_encode, mig_base64_decode, data, size);
    survives(mig_hex_encode, mig_hex_decode, data, size);
    key_strings(text, size);
    return 0;
}
