/* SPDX-License-Identifier: MIT */
#include "contract/scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mig_serde_init(struct mig_serde *s, const char *text, size_t len)
{
    *s = (struct mig_serde){.text = text, .len = len};
}

/* Line and column count the bytes before `index`. */
static void place(struct mig_serde *s, size_t index)
{
    size_t line = 1;
    size_t column = 0;
    for (size_t i = 0; i < index; i++) {
        bool newline = s->text[i] == '\n';
        line += newline;
        column = newline ? 0 : column + 1;
    }
    size_t used = strlen(s->error);
    (void)snprintf(s->error + used, sizeof s->error - used, " at line %zu column %zu", line,
                   column);
    s->placed = true;
}

void mig_scan_place(struct mig_serde *s)
{
    if (s->failed && !s->placed)
        place(s, s->pos);
}

void mig_serde_fail(struct mig_serde *s, const char *format, ...)
{
    if (s->failed)
        return;
    va_list ap;
    va_start(ap, format);
    /* Leaves room for the position. */
    (void)vsnprintf(s->error, sizeof s->error - 56, format, ap);
    va_end(ap);
    s->failed = true;
}

void mig_scan_fail(struct mig_serde *s, const char *what)
{
    mig_serde_fail(s, "%s", what);
    mig_scan_place(s);
}

/* A complaint about the next byte, which is not consumed. */
void mig_scan_fail_peek(struct mig_serde *s, const char *what)
{
    mig_serde_fail(s, "%s", what);
    if (!s->placed)
        place(s, s->pos < s->len ? s->pos + 1 : s->len);
}

char mig_serde_peek(struct mig_serde *s)
{
    while (s->pos < s->len && memchr(" \n\t\r", s->text[s->pos], 4) != NULL)
        s->pos++;
    return s->pos < s->len ? s->text[s->pos] : '\0';
}

void mig_serde_end(struct mig_serde *s)
{
    if (s->failed)
        return;
    (void)mig_serde_peek(s);
    if (s->pos < s->len)
        mig_scan_fail_peek(s, "trailing characters");
}

bool mig_scan_at_end(const struct mig_serde *s)
{
    return s->pos >= s->len;
}

/* Strings */

static int hex4(const char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static int escape_unit(struct mig_serde *s)
{
    if (s->len - s->pos < 4) {
        s->pos = s->len;
        mig_scan_fail(s, "EOF while parsing a string");
        return -1;
    }
    int unit = hex4(s->text + s->pos);
    if (unit < 0) {
        mig_scan_fail(s, "invalid escape");
        return -1;
    }
    s->pos += 4;
    return unit;
}

static void put_utf8(struct mig_print *t, uint32_t code)
{
    char out[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1;) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(lead[n] | code);
    mig_print_add(t, out, n);
}

static void unicode_escape(struct mig_serde *s, struct mig_print *t)
{
    int unit = escape_unit(s);
    if (unit < 0)
        return;
    uint32_t code = (uint32_t)unit;
    if (code >= 0xdc00 && code <= 0xdfff) {
        mig_scan_fail(s, "lone leading surrogate in hex escape");
        return;
    }
    if (code >= 0xd800 && code <= 0xdbff) {
        if (s->len - s->pos < 2 || memcmp(s->text + s->pos, "\\u", 2) != 0) {
            mig_scan_fail(s, "unexpected end of hex escape");
            return;
        }
        s->pos += 2;
        int low = escape_unit(s);
        if (low < 0)
            return;
        if (low < 0xdc00 || low > 0xdfff) {
            mig_scan_fail(s, "lone leading surrogate in hex escape");
            return;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    }
    put_utf8(t, code);
}

static void escape(struct mig_serde *s, struct mig_print *t)
{
    if (mig_scan_at_end(s)) {
        mig_scan_fail(s, "EOF while parsing a string");
        return;
    }
    char c = s->text[s->pos++];
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *known = c == '\0' ? NULL : strchr(from, c);
    if (known != NULL)
        mig_print_add(t, &to[known - from], 1);
    else if (c == 'u')
        unicode_escape(s, t);
    else
        mig_scan_fail(s, "invalid escape");
}

/* Bytes of the well-formed UTF-8 sequence at `at`, 0 when it is none. */
static size_t utf8_len(const uint8_t *at, size_t len)
{
    uint8_t c = at[0];
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (n == 0 || n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c == 0xe0 && at[1] < 0xa0) || (c == 0xf0 && at[1] < 0x90);
    bool beyond = (c == 0xed && at[1] > 0x9f) || (c == 0xf4 && at[1] > 0x8f);
    return overlong || beyond ? 0 : n;
}

/* The opening quote is consumed; reads through the closing one. */
void mig_scan_string_body(struct mig_serde *s, struct mig_print *t)
{
    while (!s->failed) {
        if (mig_scan_at_end(s)) {
            mig_scan_fail(s, "EOF while parsing a string");
            return;
        }
        uint8_t c = (uint8_t)s->text[s->pos];
        if (c == '"') {
            s->pos++;
            return;
        }
        if (c == '\\') {
            s->pos++;
            escape(s, t);
            continue;
        }
        if (c < 0x20) {
            s->pos++;
            mig_scan_fail(s, "control character (\\u0000-\\u001F) found while parsing a string");
            return;
        }
        size_t n = utf8_len((const uint8_t *)s->text + s->pos, s->len - s->pos);
        if (n == 0) {
            mig_scan_fail(s, "invalid unicode code point");
            return;
        }
        mig_print_add(t, s->text + s->pos, n);
        s->pos += n;
    }
}

char *mig_scan_string(struct mig_serde *s)
{
    struct mig_print t = {0};
    s->pos++;
    mig_scan_string_body(s, &t);
    if (!s->failed && t.len > 0 && memchr(t.s, '\0', t.len) != NULL)
        mig_serde_fail(s, "a NUL character is not accepted");
    if (s->failed) {
        mig_print_clear(&t);
        return NULL;
    }
    char *out = mig_print_take(&t);
    if (out == NULL) {
        s->nomem = true;
        mig_serde_fail(s, "out of memory");
    }
    return out;
}

/* Numbers */

/* Consumes a number by JSON's grammar; `*value` is set for MIG_SCAN_U64. */
enum mig_scan_kind mig_scan_number(struct mig_serde *s, uint64_t *value)
{
    bool negative = s->text[s->pos] == '-';
    s->pos += negative;
    if (mig_scan_at_end(s)) {
        mig_scan_fail(s, "EOF while parsing a value");
        return MIG_SCAN_NONE;
    }
    char c = s->text[s->pos];
    if (c < '0' || c > '9') {
        mig_scan_fail_peek(s, "invalid number");
        return MIG_SCAN_NONE;
    }
    uint64_t v = 0;
    bool big = false;
    size_t start = s->pos;
    while (!mig_scan_at_end(s) && s->text[s->pos] >= '0' && s->text[s->pos] <= '9') {
        unsigned digit = (unsigned)(s->text[s->pos] - '0');
        big = big || v > (UINT64_MAX - digit) / 10;
        v = v * 10 + digit;
        s->pos++;
    }
    if (s->text[start] == '0' && s->pos - start > 1) {
        s->pos = start + 1;
        mig_scan_fail_peek(s, "invalid number");
        return MIG_SCAN_NONE;
    }
    bool fraction = !mig_scan_at_end(s) && s->text[s->pos] == '.';
    if (fraction) {
        size_t dot = ++s->pos;
        while (!mig_scan_at_end(s) && s->text[s->pos] >= '0' && s->text[s->pos] <= '9')
            s->pos++;
        if (s->pos == dot) {
            mig_scan_fail_peek(s,
                               mig_scan_at_end(s) ? "EOF while parsing a value" : "invalid number");
            return MIG_SCAN_NONE;
        }
    }
    bool exponent = !mig_scan_at_end(s) && (s->text[s->pos] == 'e' || s->text[s->pos] == 'E');
    if (exponent) {
        s->pos++;
        if (!mig_scan_at_end(s) && (s->text[s->pos] == '+' || s->text[s->pos] == '-'))
            s->pos++;
        size_t digits = s->pos;
        while (!mig_scan_at_end(s) && s->text[s->pos] >= '0' && s->text[s->pos] <= '9')
            s->pos++;
        if (s->pos == digits) {
            mig_scan_fail_peek(s,
                               mig_scan_at_end(s) ? "EOF while parsing a value" : "invalid number");
            return MIG_SCAN_NONE;
        }
    }
    *value = v;
    return fraction || exponent || big ? MIG_SCAN_FLOAT
           : negative                  ? MIG_SCAN_NEGATIVE
                                       : MIG_SCAN_U64;
}

bool mig_scan_ident(struct mig_serde *s, const char *word)
{
    size_t n = strlen(word);
    size_t have = s->len - s->pos;
    if (have >= n && memcmp(s->text + s->pos, word, n) == 0) {
        s->pos += n;
        return true;
    }
    bool eof = have < n && memcmp(s->text + s->pos, word, have) == 0;
    s->pos = eof ? s->len : s->pos + 1;
    mig_scan_fail(s, eof ? "EOF while parsing a value" : "expected ident");
    return false;
}

/* The next value has the wrong type: consumes a scalar and says what it was. */
void mig_scan_wrong_type(struct mig_serde *s, const char *what)
{
    uint64_t v = 0;
    size_t start = s->pos;
    char c = mig_serde_peek(s);
    if (c == '"') {
        char *got = mig_scan_string(s);
        if (got != NULL)
            mig_serde_fail(s, "invalid type: string, expected %s", what);
        free(got);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        enum mig_scan_kind kind = mig_scan_number(s, &v);
        if (kind == MIG_SCAN_U64)
            mig_serde_fail(s, "invalid type: integer `%llu`, expected %s", (unsigned long long)v,
                           what);
        else if (kind != MIG_SCAN_NONE)
            mig_serde_fail(s, "invalid type: %s, expected %s",
                           kind == MIG_SCAN_FLOAT ? "floating point" : "integer", what);
    } else if (c == 't' || c == 'f') {
        if (mig_scan_ident(s, c == 't' ? "true" : "false"))
            mig_serde_fail(s, "invalid type: boolean `%s`, expected %s",
                           c == 't' ? "true" : "false", what);
    } else if (c == 'n') {
        if (mig_scan_ident(s, "null"))
            mig_serde_fail(s, "invalid type: null, expected %s", what);
    } else if (c == '[' || c == '{') {
        s->pos = start;
        mig_serde_fail(s, "invalid type: %s, expected %s", c == '[' ? "sequence" : "map", what);
    } else
        mig_scan_fail_peek(s, mig_scan_at_end(s) ? "EOF while parsing a value" : "expected value");
    mig_scan_place(s);
}
