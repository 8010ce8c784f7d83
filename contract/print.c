/* SPDX-License-Identifier: MIT */
#include "contract/print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mig_print_clear(struct mig_print *t)
{
    free(t->s);
    *t = (struct mig_print){0};
}

static bool reserve(struct mig_print *t, size_t more)
{
    if (t->failed || more > MIG_PRINT_MAX - t->len) {
        t->failed = true;
        return false;
    }
    size_t need = t->len + more + 1;
    if (need <= t->cap)
        return true;
    size_t cap = t->cap == 0 ? 256 : t->cap;
    while (cap < need)
        cap *= 2;
    char *s = realloc(t->s, cap);
    if (s == NULL) {
        t->failed = true;
        return false;
    }
    t->s = s;
    t->cap = cap;
    return true;
}

void mig_print_add(struct mig_print *t, const char *s, size_t len)
{
    if (!reserve(t, len))
        return;
    if (len > 0)
        memcpy(t->s + t->len, s, len);
    t->len += len;
    t->s[t->len] = '\0';
}

void mig_print_put(struct mig_print *t, const char *s)
{
    mig_print_add(t, s, strlen(s));
}

void mig_print_printf(struct mig_print *t, const char *format, ...)
{
    va_list ap;
    va_list again;
    va_start(ap, format);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0)
        t->failed = true;
    else if (reserve(t, (size_t)n)) {
        (void)vsnprintf(t->s + t->len, (size_t)n + 1, format, again);
        t->len += (size_t)n;
    }
    va_end(again);
}

char *mig_print_take(struct mig_print *t)
{
    mig_print_add(t, "", 0);
    char *s = t->failed ? NULL : t->s;
    if (s == NULL)
        free(t->s);
    *t = (struct mig_print){0};
    return s;
}

void mig_print_json(struct mig_print *t, const char *s)
{
    mig_print_put(t, "\"");
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            mig_print_printf(t, "\\%c", c);
        else if (c == '\n')
            mig_print_put(t, "\\n");
        else if (c == '\r')
            mig_print_put(t, "\\r");
        else if (c == '\t')
            mig_print_put(t, "\\t");
        else if (c < 0x20)
            mig_print_printf(t, "\\u%04x", c);
        else
            mig_print_add(t, s, 1);
    }
    mig_print_put(t, "\"");
}

void mig_print_debug(struct mig_print *t, const char *s)
{
    mig_print_put(t, "\"");
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            mig_print_printf(t, "\\%c", c);
        else if (c == '\n')
            mig_print_put(t, "\\n");
        else if (c == '\r')
            mig_print_put(t, "\\r");
        else if (c == '\t')
            mig_print_put(t, "\\t");
        else if (c < 0x20 || c == 0x7f)
            mig_print_printf(t, "\\u{%x}", c);
        else
            mig_print_add(t, s, 1);
    }
    mig_print_put(t, "\"");
}

static void list(struct mig_print *t, const uint8_t *bytes, size_t len, const char *separator)
{
    mig_print_put(t, "[");
    for (size_t i = 0; i < len; i++) {
        /* By hand: a view's answer is hundreds of thousands of these. */
        char digits[3] = {(char)('0' + bytes[i] / 100), (char)('0' + bytes[i] / 10 % 10),
                          (char)('0' + bytes[i] % 10)};
        size_t skip = bytes[i] >= 100 ? 0 : bytes[i] >= 10 ? 1 : 2;
        if (i > 0)
            mig_print_put(t, separator);
        mig_print_add(t, digits + skip, sizeof digits - skip);
    }
    mig_print_put(t, "]");
}

void mig_print_bytes(struct mig_print *t, const uint8_t *bytes, size_t len)
{
    list(t, bytes, len, ", ");
}

void mig_print_numbers(struct mig_print *t, const uint8_t *bytes, size_t len)
{
    list(t, bytes, len, ",");
}

void mig_amount_format(unsigned __int128 amount, char out[MIG_AMOUNT_MAX])
{
    char digits[MIG_AMOUNT_MAX];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + (int)(amount % 10));
        amount /= 10;
    } while (amount != 0);
    memcpy(out, digits + at, sizeof digits - at);
}

enum mig_err mig_amount_parse(const char *text, size_t len, unsigned __int128 *amount)
{
    const unsigned __int128 max = ~(unsigned __int128)0;
    *amount = 0;
    if (len == 0 || len >= MIG_AMOUNT_MAX || (len > 1 && text[0] == '0'))
        return MIG_ERR_MALFORMED;
    unsigned __int128 value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return MIG_ERR_MALFORMED;
        unsigned digit = (unsigned)(text[i] - '0');
        if (value > (max - digit) / 10)
            return MIG_ERR_MALFORMED;
        value = value * 10 + digit;
    }
    *amount = value;
    return MIG_OK;
}

/* Both roundings go up, as the original's do. */
void mig_print_near(struct mig_print *t, unsigned __int128 amount)
{
    const unsigned __int128 milli = (unsigned __int128)1000000000000 * 1000000000;
    if (amount == 0)
        mig_print_put(t, "0 NEAR");
    else if (amount < milli)
        mig_print_put(t, "<0.001 NEAR");
    else if (amount <= 999 * milli)
        mig_print_printf(t, "0.%03u NEAR", (unsigned)((amount + milli - 1) / milli));
    else {
        unsigned __int128 cent = milli * 10;
        unsigned long long cents =
            (unsigned long long)(amount / cent + (amount % cent != 0 ? 1 : 0));
        mig_print_printf(t, "%llu.%02llu NEAR", cents / 100, cents % 100);
    }
}
