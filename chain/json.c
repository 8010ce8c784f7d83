/* SPDX-License-Identifier: MIT */
#include "chain/json.h"

#include <stdlib.h>
#include <string.h>

/* Where a member's name lies: in the text, or among the unescaped ones. */
struct mig_json_member_at {
    uint32_t at;
    uint32_t len : 31;
    uint32_t unescaped : 1;
};

void mig_json_fail(struct mig_json *j, enum mig_err err)
{
    if (j->err == MIG_OK)
        j->err = err;
    j->at = j->end;
}

void mig_json_init(struct mig_json *j, const char *text, size_t len)
{
    memset(j, 0, sizeof *j);
    j->text = j->at = text;
    j->end = text + len;
    if (len > MIG_JSON_MAX)
        mig_json_fail(j, MIG_ERR_MALFORMED);
}

static void skip_space(struct mig_json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t'))
        j->at++;
}

enum mig_err mig_json_end(struct mig_json *j)
{
    skip_space(j);
    if (j->at != j->end || j->depth != 0)
        mig_json_fail(j, MIG_ERR_MALFORMED);
    free(j->names);
    free(j->unescaped);
    j->names = NULL;
    j->unescaped = NULL;
    return j->err;
}

void mig_json_need(struct mig_json *j, bool holds)
{
    if (!holds)
        mig_json_fail(j, MIG_ERR_MALFORMED);
}

static bool take(struct mig_json *j, char c)
{
    skip_space(j);
    if (j->at == j->end || *j->at != c)
        return false;
    j->at++;
    return true;
}

enum mig_json_kind mig_json_peek(struct mig_json *j)
{
    skip_space(j);
    if (j->at == j->end)
        return MIG_JSON_NONE;
    switch (*j->at) {
    case '{':
        return MIG_JSON_OBJECT;
    case '[':
        return MIG_JSON_ARRAY;
    case '"':
        return MIG_JSON_STRING;
    case 't':
    case 'f':
        return MIG_JSON_BOOL;
    case 'n':
        return MIG_JSON_NULL;
    default:
        return *j->at == '-' || (*j->at >= '0' && *j->at <= '9') ? MIG_JSON_NUMBER : MIG_JSON_NONE;
    }
}

/* ---- strings ---- */

/* Where decoded bytes go; with `bytes` NULL they are only counted. */
struct sink {
    char *bytes;
    size_t cap, len;
    bool has_nul;
};

static void put(struct sink *s, unsigned char c)
{
    if (s->bytes != NULL && s->len < s->cap)
        s->bytes[s->len] = (char)c;
    s->len++;
    s->has_nul |= c == 0;
}

static void put_utf8(struct sink *s, uint32_t c)
{
    if (c < 0x80) {
        put(s, (unsigned char)c);
    } else if (c < 0x800) {
        put(s, (unsigned char)(0xc0 | c >> 6));
        put(s, (unsigned char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        put(s, (unsigned char)(0xe0 | c >> 12));
        put(s, (unsigned char)(0x80 | (c >> 6 & 0x3f)));
        put(s, (unsigned char)(0x80 | (c & 0x3f)));
    } else {
        put(s, (unsigned char)(0xf0 | c >> 18));
        put(s, (unsigned char)(0x80 | (c >> 12 & 0x3f)));
        put(s, (unsigned char)(0x80 | (c >> 6 & 0x3f)));
        put(s, (unsigned char)(0x80 | (c & 0x3f)));
    }
}

static uint32_t hex4(struct mig_json *j)
{
    uint32_t v = 0;
    if (j->end - j->at < 4) {
        mig_json_fail(j, MIG_ERR_MALFORMED);
        return 0;
    }
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)*j->at++;
        unsigned lower = c | 0x20u;
        if (c >= '0' && c <= '9') {
            v = v << 4 | (c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            v = v << 4 | (lower - 'a' + 10);
        } else {
            mig_json_fail(j, MIG_ERR_MALFORMED);
            return 0;
        }
    }
    return v;
}

/* Behind "\u". A surrogate counts only as half of a pair. */
static void unicode_escape(struct mig_json *j, struct sink *s)
{
    uint32_t c = hex4(j);
    if (c >= 0xd800 && c <= 0xdbff) {
        mig_json_need(j, j->end - j->at >= 2 && j->at[0] == '\\' && j->at[1] == 'u');
        if (j->err != MIG_OK)
            return;
        j->at += 2;
        uint32_t low = hex4(j);
        mig_json_need(j, low >= 0xdc00 && low <= 0xdfff);
        c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
    } else {
        mig_json_need(j, c < 0xdc00 || c > 0xdfff);
    }
    if (j->err == MIG_OK)
        put_utf8(s, c);
}

/* Behind a backslash. */
static void escape(struct mig_json *j, struct sink *s)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (j->at == j->end) {
        mig_json_fail(j, MIG_ERR_MALFORMED);
        return;
    }
    char c = *j->at++;
    if (c == 'u') {
        unicode_escape(j, s);
        return;
    }
    const char *hit = c != '\0' ? strchr(from, c) : NULL;
    if (hit == NULL)
        mig_json_fail(j, MIG_ERR_MALFORMED);
    else
        put(s, (unsigned char)to[hit - from]);
}

/* One character of two to four bytes: shortest form, no surrogates, nothing
 * above U+10FFFF. */
static void multibyte(struct mig_json *j, struct sink *s)
{
    const unsigned char *p = (const unsigned char *)j->at;
    size_t left = (size_t)(j->end - j->at), n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    uint32_t c = p[0] & (0xffu >> (n + 1));
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    bool good = p[0] >= 0xc2 && p[0] <= 0xf4 && left >= n;
    for (size_t i = 1; good && i < n; i++) {
        good = (p[i] & 0xc0) == 0x80;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (!good || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        mig_json_fail(j, MIG_ERR_MALFORMED);
        return;
    }
    for (size_t i = 0; i < n; i++)
        put(s, p[i]);
    j->at += n;
}

/* Takes a string, its decoded bytes into `s`. */
static void string(struct mig_json *j, struct sink *s)
{
    if (!take(j, '"')) {
        mig_json_fail(j, MIG_ERR_MALFORMED);
        return;
    }
    while (j->at < j->end) {
        unsigned char c = (unsigned char)*j->at;
        if (c == '"') {
            j->at++;
            return;
        }
        if (c < 0x20) {
            break;
        } else if (c >= 0x80) {
            multibyte(j, s);
        } else {
            j->at++;
            if (c == '\\')
                escape(j, s);
            else
                put(s, c);
        }
    }
    mig_json_fail(j, MIG_ERR_MALFORMED);
}

bool mig_json_string_fits(struct mig_json *j, char *out, size_t cap)
{
    struct sink s = {.bytes = out, .cap = cap - 1};
    string(j, &s);
    bool fits = j->err == MIG_OK && s.len <= s.cap && !s.has_nul;
    out[fits ? s.len : 0] = '\0';
    return fits;
}

void mig_json_string(struct mig_json *j, char *out, size_t cap)
{
    mig_json_need(j, mig_json_string_fits(j, out, cap));
}

int mig_json_choice(struct mig_json *j, const char *const *names)
{
    char text[64];
    mig_json_string(j, text, sizeof text);
    for (int i = 0; j->err == MIG_OK && names[i] != NULL; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    mig_json_fail(j, MIG_ERR_MALFORMED);
    return 0;
}

/* ---- containers ---- */

static void enter(struct mig_json *j, bool object)
{
    if (!take(j, object ? '{' : '[') || j->depth == MIG_JSON_DEPTH_MAX) {
        mig_json_fail(j, MIG_ERR_MALFORMED);
        return;
    }
    j->open[j->depth].object = object;
    j->open[j->depth].begun = false;
    j->open[j->depth].members = j->name_count;
    j->depth++;
}

void mig_json_object(struct mig_json *j)
{
    enter(j, true);
}

void mig_json_array(struct mig_json *j)
{
    enter(j, false);
}

static const char *name_text(const struct mig_json *j, const struct mig_json_member_at *m)
{
    return (m->unescaped ? j->unescaped : j->text) + m->at;
}

static int compare_names(const void *a, const void *b, void *reader)
{
    const struct mig_json_member_at *x = a, *y = b;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return memcmp(name_text(reader, x), name_text(reader, y), x->len);
}

/* At an object's end. Sorting instead of comparing all pairs keeps an object
 * with a million members cheap; exact comparison means that no choice of names
 * can make an honest document look wrong. */
static void refuse_duplicates(struct mig_json *j, uint32_t from)
{
    uint32_t n = j->name_count - from;
    if (n < 2) {
        j->name_count = from;
        return;
    }
    struct mig_json_member_at *m = &j->names[from];
    if (n > 8) {
        qsort_r(m, n, sizeof *m, compare_names, j);
        for (uint32_t i = 1; i < n; i++)
            mig_json_need(j, compare_names(&m[i - 1], &m[i], j) != 0);
    } else {
        for (uint32_t i = 1; i < n; i++)
            for (uint32_t k = 0; k < i; k++)
                mig_json_need(j, compare_names(&m[k], &m[i], j) != 0);
    }
    j->name_count = from;
}

/* Moves to the next item of the innermost container, which must be of this
 * kind; false at its end, which is taken. */
static bool next(struct mig_json *j, bool object)
{
    if (j->err != MIG_OK)
        return false;
    if (j->depth == 0 || j->open[j->depth - 1].object != object) {
        mig_json_fail(j, MIG_ERR_BUG);
        return false;
    }
    if (take(j, object ? '}' : ']')) {
        j->depth--;
        if (object)
            refuse_duplicates(j, j->open[j->depth].members);
        return false;
    }
    if (j->open[j->depth - 1].begun && !take(j, ','))
        mig_json_fail(j, MIG_ERR_MALFORMED);
    j->open[j->depth - 1].begun = true;
    return j->err == MIG_OK;
}

bool mig_json_item(struct mig_json *j)
{
    return next(j, false);
}

static bool reserve(struct mig_json *j, void **bytes, uint32_t *cap, size_t want, size_t size)
{
    if (want <= *cap)
        return true;
    size_t bigger = want < 32 ? 32 : want * 2;
    void *moved = realloc(*bytes, bigger * size);
    if (moved == NULL) {
        mig_json_fail(j, MIG_ERR_NOMEM);
        return false;
    }
    *bytes = moved;
    *cap = (uint32_t)bigger;
    return true;
}

/* A name without escapes stays where it is in the text. */
static void keep_name(struct mig_json *j, struct mig_json_member_at *m)
{
    skip_space(j);
    struct sink s = {0};
    const char *start = j->at;
    string(j, &s);
    if (j->err != MIG_OK)
        return;
    m->len = s.len & 0x7fffffff;
    m->unescaped = s.len != (size_t)(j->at - start) - 2;
    m->at = (uint32_t)(start + 1 - j->text);
    if (!m->unescaped)
        return;
    void **arena = (void **)&j->unescaped;
    if (!reserve(j, arena, &j->unescaped_cap, (size_t)j->unescaped_len + s.len, 1))
        return;
    m->at = j->unescaped_len;
    j->unescaped_len += (uint32_t)s.len;
    s = (struct sink){.bytes = j->unescaped + m->at, .cap = s.len};
    j->at = start;
    string(j, &s);
}

bool mig_json_member(struct mig_json *j, struct mig_json_name *name)
{
    *name = (struct mig_json_name){"", 0};
    if (!next(j, true))
        return false;
    if (!reserve(j, (void **)&j->names, &j->name_cap, (size_t)j->name_count + 1, sizeof *j->names))
        return false;
    struct mig_json_member_at *m = &j->names[j->name_count];
    keep_name(j, m);
    mig_json_need(j, take(j, ':'));
    if (j->err != MIG_OK)
        return false;
    j->name_count++;
    *name = (struct mig_json_name){name_text(j, m), m->len};
    return true;
}

bool mig_json_is(const struct mig_json_name *name, const char *text)
{
    return strlen(text) == name->len && memcmp(name->text, text, name->len) == 0;
}

int mig_json_field(struct mig_json *j, const char *const *fields, unsigned *seen)
{
    struct mig_json_name name;
    while (mig_json_member(j, &name)) {
        for (int i = 0; fields[i] != NULL; i++) {
            if (mig_json_is(&name, fields[i])) {
                *seen |= 1u << i;
                return i;
            }
        }
        mig_json_skip(j);
    }
    return -1;
}

/* ---- scalars ---- */

static bool is_digit(const struct mig_json *j)
{
    return j->at < j->end && *j->at >= '0' && *j->at <= '9';
}

static void digits(struct mig_json *j)
{
    mig_json_need(j, is_digit(j));
    while (is_digit(j))
        j->at++;
}

static void number(struct mig_json *j)
{
    if (*j->at == '-')
        j->at++;
    if (j->at < j->end && *j->at == '0')
        j->at++;
    else
        digits(j);
    if (j->at < j->end && *j->at == '.') {
        j->at++;
        digits(j);
    }
    if (j->at < j->end && (*j->at | 0x20) == 'e') {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-'))
            j->at++;
        digits(j);
    }
}

uint64_t mig_json_u64(struct mig_json *j)
{
    skip_space(j);
    uint64_t v = 0;
    const char *start = j->at;
    for (; is_digit(j); j->at++)
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*j->at - '0'), &v)) {
            mig_json_fail(j, MIG_ERR_MALFORMED);
            return 0;
        }
    size_t len = (size_t)(j->at - start);
    bool more = j->at < j->end && (*j->at == '.' || (*j->at | 0x20) == 'e');
    mig_json_need(j, len > 0 && (len == 1 || *start != '0') && !more);
    return j->err == MIG_OK ? v : 0;
}

uint32_t mig_json_u32(struct mig_json *j)
{
    uint64_t v = mig_json_u64(j);
    mig_json_need(j, v <= UINT32_MAX);
    return j->err == MIG_OK ? (uint32_t)v : 0;
}

static bool word(struct mig_json *j, const char *text)
{
    skip_space(j);
    size_t len = strlen(text);
    if ((size_t)(j->end - j->at) < len || memcmp(j->at, text, len) != 0)
        return false;
    j->at += len;
    return true;
}

bool mig_json_null(struct mig_json *j)
{
    return j->err == MIG_OK && word(j, "null");
}

bool mig_json_bool(struct mig_json *j)
{
    if (word(j, "true"))
        return j->err == MIG_OK;
    mig_json_need(j, word(j, "false"));
    return false;
}

void mig_json_bytes(struct mig_json *j, uint8_t *out, size_t cap, size_t *len)
{
    size_t n = 0;
    mig_json_array(j);
    while (mig_json_item(j)) {
        /* Nearly all of a large answer passes here: up to three digits and the
         * comma at one go, the general way for the rest. */
        while (j->end - j->at > 4 && n < cap) {
            const char *p = j->at;
            unsigned v = (unsigned)(*p - '0');
            if (v > 9)
                break;
            if (v != 0 && (unsigned)(p[1] - '0') <= 9) {
                v = v * 10 + (unsigned)(*++p - '0');
                if ((unsigned)(p[1] - '0') <= 9)
                    v = v * 10 + (unsigned)(*++p - '0');
            }
            if (p[1] != ',' || v > 255)
                break;
            out[n++] = (uint8_t)v;
            j->at = p + 2;
        }
        uint64_t v = mig_json_u64(j);
        mig_json_need(j, v <= 255 && n < cap);
        if (j->err == MIG_OK)
            out[n++] = (uint8_t)v;
    }
    *len = j->err == MIG_OK ? n : 0;
}

void mig_json_skip(struct mig_json *j)
{
    struct mig_json_name name;
    struct sink nowhere = {0};
    switch (mig_json_peek(j)) {
    case MIG_JSON_OBJECT:
        for (mig_json_object(j); mig_json_member(j, &name);)
            mig_json_skip(j);
        return;
    case MIG_JSON_ARRAY:
        for (mig_json_array(j); mig_json_item(j);)
            mig_json_skip(j);
        return;
    case MIG_JSON_STRING:
        string(j, &nowhere);
        return;
    case MIG_JSON_NUMBER:
        number(j);
        return;
    case MIG_JSON_BOOL:
        (void)mig_json_bool(j);
        return;
    case MIG_JSON_NULL:
        mig_json_need(j, mig_json_null(j));
        return;
    case MIG_JSON_NONE:
        mig_json_fail(j, MIG_ERR_MALFORMED);
        return;
    }
}

void mig_json_raw(struct mig_json *j, const char **text, size_t *len)
{
    skip_space(j);
    *text = j->at;
    mig_json_skip(j);
    *len = j->err == MIG_OK ? (size_t)(j->at - *text) : 0;
}
