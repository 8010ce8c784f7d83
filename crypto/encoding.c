/* SPDX-License-Identifier: MIT */
#include "crypto/encoding.h"

#include <sodium.h>
#include <string.h>

#include "crypto/secret.h"

/*
 * base58 works on groups: five digits (58^5 < 2^30) and four bytes at a time
 * instead of one and one, which makes a key twenty times cheaper. Key files
 * bring secrets through here, so the working numbers are wiped.
 */
enum {
    GROUP_DIGITS = 5,
    GROUP = 58 * 58 * 58 * 58 * 58,
    WORDS_MAX = (MIG_BASE58_INPUT_MAX * 733 / 1000 + 1) / 4 + 1, /* log 58 / log 256 < 0.733 */
    DIGITS_MAX = MIG_BASE58_INPUT_MAX * 137 / 100 + 1,           /* log 256 / log 58 < 1.37 */
    GROUPS_MAX = DIGITS_MAX / GROUP_DIGITS + 1,
};

static const char BASE58[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/* Value of each character from '1' on; -1 for 0, I, O, l and all between. */
static int base58_digit(char c)
{
    static const int8_t values['z' - '1' + 1] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  -1, -1, -1, -1, -1, -1, -1, 9,  10, 11,
        12, 13, 14, 15, 16, -1, 17, 18, 19, 20, 21, -1, 22, 23, 24, 25, 26, 27, 28,
        29, 30, 31, 32, -1, -1, -1, -1, -1, -1, 33, 34, 35, 36, 37, 38, 39, 40, 41,
        42, 43, -1, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57,
    };
    return c < '1' || c > 'z' ? -1 : values[c - '1'];
}

/* number = number * factor + carry; words are least significant first. */
static size_t words_multiply_add(uint32_t *words, size_t count, uint32_t factor, uint32_t carry)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t t = (uint64_t)words[i] * factor + carry;
        words[i] = (uint32_t)t;
        carry = (uint32_t)(t >> 32);
    }
    if (carry != 0)
        words[count++] = carry;
    return count;
}

static enum mig_err base58_to_words(const char *in, size_t len, uint32_t *words, size_t *count)
{
    for (size_t pos = 0; pos < len;) {
        size_t n = (len - pos) % GROUP_DIGITS != 0 ? (len - pos) % GROUP_DIGITS : GROUP_DIGITS;
        uint32_t factor = 1, value = 0;
        for (size_t end = pos + n; pos < end; pos++) {
            int digit = base58_digit(in[pos]);
            if (digit < 0)
                return MIG_ERR_MALFORMED;
            value = value * 58 + (uint32_t)digit;
            factor *= 58;
        }
        *count = words_multiply_add(words, *count, factor, value);
    }
    return MIG_OK;
}

static size_t words_byte_len(const uint32_t *words, size_t count)
{
    size_t len = count * 4;
    while (len > 0 && (uint8_t)(words[(len - 1) / 4] >> 8 * ((len - 1) % 4)) == 0)
        len--;
    return len;
}

enum mig_err mig_base58_decode(const char *in, size_t in_len, uint8_t *out, size_t cap, size_t *len)
{
    enum mig_err err = MIG_ERR_MALFORMED;
    uint32_t words[WORDS_MAX] = {0};
    size_t count = 0, zeros = 0;

    *len = 0;
    if (in_len > MIG_BASE58_INPUT_MAX)
        return MIG_ERR_MALFORMED;
    while (zeros < in_len && in[zeros] == BASE58[0])
        zeros++;
    if (base58_to_words(in + zeros, in_len - zeros, words, &count) != MIG_OK)
        goto out;
    size_t bytes = words_byte_len(words, count);
    if (zeros + bytes > cap)
        goto out;
    memset(out, 0, zeros);
    for (size_t i = 0; i < bytes; i++)
        out[zeros + bytes - 1 - i] = (uint8_t)(words[i / 4] >> 8 * (i % 4));
    *len = zeros + bytes;
    err = MIG_OK;
out:
    mig_wipe(words, sizeof words);
    return err;
}

/* number = number * 2^(8n) + carry; groups are least significant first. */
static size_t groups_shift_add(uint32_t *groups, size_t count, size_t n, uint32_t value)
{
    uint64_t carry = value;
    for (size_t i = 0; i < count; i++) {
        uint64_t t = ((uint64_t)groups[i] << 8 * n) + carry;
        groups[i] = (uint32_t)(t % GROUP);
        carry = t / GROUP;
    }
    for (; carry != 0; carry /= GROUP)
        groups[count++] = (uint32_t)(carry % GROUP);
    return count;
}

static size_t groups_to_digits(const uint32_t *groups, size_t count, char *digits)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t rest = groups[i];
        for (int k = 0; k < GROUP_DIGITS; k++, rest /= 58)
            digits[n++] = BASE58[rest % 58];
    }
    while (n > 0 && digits[n - 1] == BASE58[0])
        n--;
    return n; /* least significant first */
}

enum mig_err mig_base58_encode(const uint8_t *in, size_t len, char *out, size_t cap)
{
    enum mig_err err = MIG_ERR_BUG;
    uint32_t groups[GROUPS_MAX] = {0};
    char digits[GROUPS_MAX * GROUP_DIGITS];
    size_t count = 0, zeros = 0;

    if (cap > 0)
        out[0] = '\0';
    if (len > MIG_BASE58_INPUT_MAX)
        return MIG_ERR_BUG;
    while (zeros < len && in[zeros] == 0)
        zeros++;
    for (size_t pos = zeros; pos < len;) {
        size_t n = (len - pos) % 4 != 0 ? (len - pos) % 4 : 4;
        uint32_t value = 0;
        for (size_t end = pos + n; pos < end; pos++)
            value = value << 8 | in[pos];
        count = groups_shift_add(groups, count, n, value);
    }
    size_t n = groups_to_digits(groups, count, digits);
    if (zeros + n >= cap)
        goto out;
    memset(out, BASE58[0], zeros);
    for (size_t i = 0; i < n; i++)
        out[zeros + i] = digits[n - 1 - i];
    out[zeros + n] = '\0';
    err = MIG_OK;
out:
    mig_wipe(groups, sizeof groups);
    mig_wipe(digits, sizeof digits);
    return err;
}

static enum mig_err base64_encode(const uint8_t *in, size_t len, char *out, size_t cap, int variant)
{
    if (cap > 0)
        out[0] = '\0';
    if (len > SIZE_MAX / 2)
        return MIG_ERR_BUG;
    size_t need = sodium_base64_encoded_len(len, variant);
    if (need > cap)
        return MIG_ERR_BUG;
    /* Exactly what is needed: libsodium zero-fills all that it is given. */
    (void)sodium_bin2base64(out, need, in, len, variant);
    return MIG_OK;
}

enum mig_err mig_base64_encode(const uint8_t *in, size_t len, char *out, size_t cap)
{
    return base64_encode(in, len, out, cap, sodium_base64_VARIANT_ORIGINAL);
}

enum mig_err mig_base64url_encode(const uint8_t *in, size_t len, char *out, size_t cap)
{
    return base64_encode(in, len, out, cap, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Not libsodium's decoder: it takes trailing bytes, and bytes above 127 for
 * digits where char is signed. */
enum mig_err mig_base64_decode(const char *in, size_t in_len, uint8_t *out, size_t cap, size_t *len)
{
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t n = 0, pad = 0;

    *len = 0;
    if (in_len % 4 != 0)
        return MIG_ERR_MALFORMED;
    while (pad < 2 && pad < in_len && in[in_len - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < in_len - pad; i++) {
        int digit = base64_digit(in[i]);
        if (digit < 0)
            return MIG_ERR_MALFORMED;
        acc = acc << 6 | (uint32_t)digit;
        bits += 6;
        if (bits < 8)
            continue;
        if (n == cap)
            return MIG_ERR_MALFORMED;
        bits -= 8;
        out[n++] = (uint8_t)(acc >> bits);
        acc &= (1u << bits) - 1;
    }
    if (acc != 0) /* pad bits that would be lost: a second spelling */
        return MIG_ERR_MALFORMED;
    *len = n;
    return MIG_OK;
}

enum mig_err mig_hex_encode(const uint8_t *in, size_t len, char *out, size_t cap)
{
    if (cap > 0)
        out[0] = '\0';
    if (cap == 0 || len > (cap - 1) / 2)
        return MIG_ERR_BUG;
    (void)sodium_bin2hex(out, MIG_HEX_LEN(len), in, len);
    return MIG_OK;
}

enum mig_err mig_hex_decode(const char *in, size_t in_len, uint8_t *out, size_t cap, size_t *len)
{
    *len = 0;
    size_t n = 0;
    if (sodium_hex2bin(out, cap, in, in_len, NULL, &n, NULL) != 0)
        return MIG_ERR_MALFORMED;
    *len = n;
    return MIG_OK;
}
