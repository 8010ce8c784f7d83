/* SPDX-License-Identifier: MIT */
#include "contract/serde.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/encoding.h"

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

static void place_here(struct mig_serde *s)
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

static void syntax(struct mig_serde *s, const char *what)
{
    mig_serde_fail(s, "%s", what);
    place_here(s);
}

/* A complaint about the next byte, which is not consumed. */
static void syntax_peek(struct mig_serde *s, const char *what)
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
        syntax_peek(s, "trailing characters");
}

static bool at_end(const struct mig_serde *s)
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
        syntax(s, "EOF while parsing a string");
        return -1;
    }
    int unit = hex4(s->text + s->pos);
    if (unit < 0) {
        syntax(s, "invalid escape");
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
        syntax(s, "lone leading surrogate in hex escape");
        return;
    }
    if (code >= 0xd800 && code <= 0xdbff) {
        if (s->len - s->pos < 2 || memcmp(s->text + s->pos, "\\u", 2) != 0) {
            syntax(s, "unexpected end of hex escape");
            return;
        }
        s->pos += 2;
        int low = escape_unit(s);
        if (low < 0)
            return;
        if (low < 0xdc00 || low > 0xdfff) {
            syntax(s, "lone leading surrogate in hex escape");
            return;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    }
    put_utf8(t, code);
}

static void escape(struct mig_serde *s, struct mig_print *t)
{
    if (at_end(s)) {
        syntax(s, "EOF while parsing a string");
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
        syntax(s, "invalid escape");
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
static void string_body(struct mig_serde *s, struct mig_print *t)
{
    while (!s->failed) {
        if (at_end(s)) {
            syntax(s, "EOF while parsing a string");
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
            syntax(s, "control character (\\u0000-\\u001F) found while parsing a string");
            return;
        }
        size_t n = utf8_len((const uint8_t *)s->text + s->pos, s->len - s->pos);
        if (n == 0) {
            syntax(s, "invalid unicode code point");
            return;
        }
        mig_print_add(t, s->text + s->pos, n);
        s->pos += n;
    }
}

static char *take_string(struct mig_serde *s)
{
    struct mig_print t = {0};
    s->pos++;
    string_body(s, &t);
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

enum number { NUMBER_NONE, NUMBER_U64, NUMBER_NEGATIVE, NUMBER_FLOAT };

/* Consumes a number by JSON's grammar; `*value` is set for NUMBER_U64. */
static enum number number(struct mig_serde *s, uint64_t *value)
{
    bool negative = s->text[s->pos] == '-';
    s->pos += negative;
    if (at_end(s)) {
        syntax(s, "EOF while parsing a value");
        return NUMBER_NONE;
    }
    char c = s->text[s->pos];
    if (c < '0' || c > '9') {
        syntax_peek(s, "invalid number");
        return NUMBER_NONE;
    }
    uint64_t v = 0;
    bool big = false;
    size_t start = s->pos;
    while (!at_end(s) && s->text[s->pos] >= '0' && s->text[s->pos] <= '9') {
        unsigned digit = (unsigned)(s->text[s->pos] - '0');
        big = big || v > (UINT64_MAX - digit) / 10;
        v = v * 10 + digit;
        s->pos++;
    }
    if (s->text[start] == '0' && s->pos - start > 1) {
        s->pos = start + 1;
        syntax_peek(s, "invalid number");
        return NUMBER_NONE;
    }
    bool fraction = !at_end(s) && s->text[s->pos] == '.';
    if (fraction) {
        size_t dot = ++s->pos;
        while (!at_end(s) && s->text[s->pos] >= '0' && s->text[s->pos] <= '9')
            s->pos++;
        if (s->pos == dot) {
            syntax_peek(s, at_end(s) ? "EOF while parsing a value" : "invalid number");
            return NUMBER_NONE;
        }
    }
    bool exponent = !at_end(s) && (s->text[s->pos] == 'e' || s->text[s->pos] == 'E');
    if (exponent) {
        s->pos++;
        if (!at_end(s) && (s->text[s->pos] == '+' || s->text[s->pos] == '-'))
            s->pos++;
        size_t digits = s->pos;
        while (!at_end(s) && s->text[s->pos] >= '0' && s->text[s->pos] <= '9')
            s->pos++;
        if (s->pos == digits) {
            syntax_peek(s, at_end(s) ? "EOF while parsing a value" : "invalid number");
            return NUMBER_NONE;
        }
    }
    *value = v;
    return fraction || exponent || big ? NUMBER_FLOAT : negative ? NUMBER_NEGATIVE : NUMBER_U64;
}

static bool ident(struct mig_serde *s, const char *word)
{
    size_t n = strlen(word);
    size_t have = s->len - s->pos;
    if (have >= n && memcmp(s->text + s->pos, word, n) == 0) {
        s->pos += n;
        return true;
    }
    bool eof = have < n && memcmp(s->text + s->pos, word, have) == 0;
    s->pos = eof ? s->len : s->pos + 1;
    syntax(s, eof ? "EOF while parsing a value" : "expected ident");
    return false;
}

/* The next value has the wrong type: consumes a scalar and says what it was. */
static void wrong_type(struct mig_serde *s, const char *what)
{
    uint64_t v = 0;
    size_t start = s->pos;
    char c = mig_serde_peek(s);
    if (c == '"') {
        char *got = take_string(s);
        if (got != NULL)
            mig_serde_fail(s, "invalid type: string, expected %s", what);
        free(got);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        enum number kind = number(s, &v);
        if (kind == NUMBER_U64)
            mig_serde_fail(s, "invalid type: integer `%llu`, expected %s", (unsigned long long)v,
                           what);
        else if (kind != NUMBER_NONE)
            mig_serde_fail(s, "invalid type: %s, expected %s",
                           kind == NUMBER_FLOAT ? "floating point" : "integer", what);
    } else if (c == 't' || c == 'f') {
        if (ident(s, c == 't' ? "true" : "false"))
            mig_serde_fail(s, "invalid type: boolean `%s`, expected %s",
                           c == 't' ? "true" : "false", what);
    } else if (c == 'n') {
        if (ident(s, "null"))
            mig_serde_fail(s, "invalid type: null, expected %s", what);
    } else if (c == '[' || c == '{') {
        s->pos = start;
        mig_serde_fail(s, "invalid type: %s, expected %s", c == '[' ? "sequence" : "map", what);
    } else
        syntax_peek(s, at_end(s) ? "EOF while parsing a value" : "expected value");
    place_here(s);
}

/* Objects */

static bool deeper(struct mig_serde *s)
{
    if (s->depth >= MIG_SERDE_DEPTH) {
        syntax_peek(s, "recursion limit exceeded");
        return false;
    }
    s->depth++;
    return true;
}

void mig_serde_enter(struct mig_serde *s, struct mig_serde_object *o, const char *what,
                     const char *const *names, unsigned count, uint32_t required)
{
    *o = (struct mig_serde_object){
        .names = names, .count = count, .required = required, .first = true};
    if (s->failed)
        return;
    if (mig_serde_peek(s) != '{') {
        wrong_type(s, what);
        return;
    }
    if (!deeper(s))
        return;
    s->pos++;
    o->inside = true;
}

/* Moves to the next member's key; false at the end or after a failure. */
static bool next_member(struct mig_serde *s, struct mig_serde_object *o)
{
    if (s->failed || !o->inside)
        return false;
    char c = mig_serde_peek(s);
    if (at_end(s)) {
        syntax_peek(s, "EOF while parsing an object");
        return false;
    }
    if (c == '}')
        return false;
    if (!o->first) {
        if (c != ',') {
            syntax_peek(s, "expected `,` or `}`");
            return false;
        }
        s->pos++;
        c = mig_serde_peek(s);
    }
    o->first = false;
    if (c == '"')
        return true;
    syntax_peek(s, at_end(s)  ? "EOF while parsing a value"
                   : c == '}' ? "trailing comma"
                              : "key must be a string");
    return false;
}

static void colon(struct mig_serde *s)
{
    if (s->failed)
        return;
    char c = mig_serde_peek(s);
    if (c == ':')
        s->pos++;
    else
        syntax_peek(s, at_end(s) ? "EOF while parsing an object" : "expected `:`");
}

char *mig_serde_key(struct mig_serde *s, struct mig_serde_object *o)
{
    if (!next_member(s, o))
        return NULL;
    char *key = take_string(s);
    colon(s);
    if (s->failed) {
        free(key);
        return NULL;
    }
    return key;
}

static void missing(struct mig_serde *s, const struct mig_serde_object *o)
{
    for (unsigned i = 0; i < o->count; i++)
        if ((o->required & ~o->seen & (1u << i)) != 0) {
            mig_serde_fail(s, "missing field `%s`", o->names[i]);
            return;
        }
}

static int index_of(const struct mig_serde_object *o, const char *key)
{
    for (unsigned i = 0; i < o->count; i++)
        if (strcmp(o->names[i], key) == 0)
            return (int)i;
    return -1;
}

int mig_serde_field(struct mig_serde *s, struct mig_serde_object *o)
{
    while (next_member(s, o)) {
        char *key = take_string(s);
        if (key == NULL)
            return -1;
        int i = index_of(o, key);
        free(key);
        if (i >= 0 && (o->seen & (1u << i)) != 0) {
            mig_serde_fail(s, "duplicate field `%s`", o->names[i]);
            return -1;
        }
        colon(s);
        if (s->failed)
            return -1;
        if (i >= 0) {
            o->seen |= 1u << i;
            return i;
        }
        mig_serde_skip(s);
    }
    if (!s->failed)
        missing(s, o);
    return -1;
}

void mig_serde_leave(struct mig_serde *s, struct mig_serde_object *o)
{
    if (!o->inside)
        return;
    o->inside = false;
    s->depth--;
    if (s->placed)
        return;
    /* The original closes the object before it notes where it failed. */
    if (mig_serde_peek(s) == '}')
        s->pos++;
    else if (!s->failed)
        syntax_peek(s, at_end(s) ? "EOF while parsing an object" : "expected `,` or `}`");
    place_here(s);
}

/* Lists */

void mig_serde_enter_list(struct mig_serde *s, struct mig_serde_list *l, const char *what)
{
    *l = (struct mig_serde_list){.first = true};
    if (s->failed)
        return;
    if (mig_serde_peek(s) != '[') {
        wrong_type(s, what);
        return;
    }
    if (!deeper(s))
        return;
    s->pos++;
    l->inside = true;
}

bool mig_serde_item(struct mig_serde *s, struct mig_serde_list *l)
{
    if (s->failed || !l->inside)
        return false;
    char c = mig_serde_peek(s);
    if (c == ']')
        return false;
    if (at_end(s)) {
        syntax_peek(s, "EOF while parsing a list");
        return false;
    }
    if (!l->first) {
        if (c != ',') {
            syntax_peek(s, "expected `,` or `]`");
            return false;
        }
        s->pos++;
        c = mig_serde_peek(s);
        if (c == ']' || at_end(s)) {
            syntax_peek(s, c == ']' ? "trailing comma" : "EOF while parsing a value");
            return false;
        }
    }
    l->first = false;
    l->count++;
    return true;
}

void mig_serde_leave_list(struct mig_serde *s, struct mig_serde_list *l)
{
    if (!l->inside)
        return;
    l->inside = false;
    s->depth--;
    if (s->placed)
        return;
    char c = mig_serde_peek(s);
    if (c == ']')
        s->pos++;
    else if (!s->failed)
        syntax_peek(s, at_end(s) ? "EOF while parsing a list" : "trailing characters");
    place_here(s);
}

/* Values */

char *mig_serde_string(struct mig_serde *s, const char *what)
{
    if (s->failed)
        return NULL;
    if (mig_serde_peek(s) == '"')
        return take_string(s);
    wrong_type(s, what);
    return NULL;
}

static uint64_t unsigned_value(struct mig_serde *s, uint64_t max, const char *what)
{
    uint64_t v = 0;
    if (s->failed)
        return 0;
    char c = mig_serde_peek(s);
    if (c != '-' && (c < '0' || c > '9')) {
        wrong_type(s, what);
        return 0;
    }
    enum number kind = number(s, &v);
    if (kind == NUMBER_U64 && v <= max)
        return v;
    if (kind == NUMBER_U64)
        mig_serde_fail(s, "invalid value: integer `%llu`, expected %s", (unsigned long long)v,
                       what);
    else if (kind == NUMBER_NEGATIVE)
        mig_serde_fail(s, "invalid value: integer `-%llu`, expected %s", (unsigned long long)v,
                       what);
    else if (kind == NUMBER_FLOAT)
        mig_serde_fail(s, "invalid type: floating point, expected %s", what);
    place_here(s);
    return 0;
}

uint64_t mig_serde_u64(struct mig_serde *s)
{
    return unsigned_value(s, UINT64_MAX, "u64");
}

uint32_t mig_serde_u32(struct mig_serde *s)
{
    return (uint32_t)unsigned_value(s, UINT32_MAX, "u32");
}

bool mig_serde_bool(struct mig_serde *s)
{
    if (s->failed)
        return false;
    char c = mig_serde_peek(s);
    if (c == 't')
        return ident(s, "true");
    if (c == 'f')
        (void)ident(s, "false");
    else
        wrong_type(s, "a boolean");
    return false;
}

bool mig_serde_null(struct mig_serde *s)
{
    return !s->failed && mig_serde_peek(s) == 'n' && ident(s, "null");
}

static void skip_scalar(struct mig_serde *s)
{
    uint64_t v;
    struct mig_print ignored = {0};
    char c = mig_serde_peek(s);
    if (c == '"') {
        s->pos++;
        string_body(s, &ignored);
    } else if (c == '-' || (c >= '0' && c <= '9'))
        (void)number(s, &v);
    else if (c == 't' || c == 'f' || c == 'n')
        (void)ident(s, c == 't' ? "true" : c == 'f' ? "false" : "null");
    else
        syntax_peek(s, at_end(s) ? "EOF while parsing a value" : "expected value");
    mig_print_clear(&ignored);
}

/* The key and the colon before an object's value. */
static void skip_key(struct mig_serde *s)
{
    if (mig_serde_peek(s) == '"')
        skip_scalar(s);
    else
        syntax_peek(s, at_end(s) ? "EOF while parsing an object" : "key must be a string");
    colon(s);
}

/* Closes what ends here; true when the whole value is over, otherwise the next
 * value (and its key) follows. */
static bool skip_closing(struct mig_serde *s, const char *open, unsigned *depth)
{
    while (!s->failed && *depth > 0) {
        bool object = open[*depth - 1] == '{';
        char c = mig_serde_peek(s);
        if (c == (object ? '}' : ']')) {
            s->pos++;
            --*depth;
            continue;
        }
        if (c != ',') {
            syntax_peek(s, at_end(s)
                               ? object ? "EOF while parsing an object" : "EOF while parsing a list"
                           : object ? "expected `,` or `}`"
                                    : "expected `,` or `]`");
            return true;
        }
        s->pos++;
        if (object)
            skip_key(s);
        return false;
    }
    return true;
}

/* Iterative, so that an ignored member cannot exhaust the stack. */
void mig_serde_skip(struct mig_serde *s)
{
    char open[MIG_SERDE_SKIP_DEPTH];
    unsigned depth = 0;
    while (!s->failed) {
        char c = mig_serde_peek(s);
        if (c != '[' && c != '{') {
            skip_scalar(s);
            if (skip_closing(s, open, &depth))
                return;
            continue;
        }
        if (depth == MIG_SERDE_SKIP_DEPTH) {
            syntax_peek(s, "recursion limit exceeded");
            return;
        }
        s->pos++;
        open[depth++] = c;
        char next = mig_serde_peek(s);
        if (next == (c == '{' ? '}' : ']')) {
            if (skip_closing(s, open, &depth))
                return;
        } else if (c == '{')
            skip_key(s);
    }
}

/* Enums */

static int variant_index(struct mig_serde *s, const char *name, const char *const *names,
                         unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    struct mig_print list = {0};
    for (unsigned i = 0; i < count; i++)
        mig_print_printf(&list, "%s`%s`", i == 0 ? "" : ", ", names[i]);
    mig_serde_fail(s, "unknown variant `%.40s`, expected one of %s", name,
                   list.s != NULL ? list.s : "");
    mig_print_clear(&list);
    return -1;
}

int mig_serde_variant(struct mig_serde *s, const char *what, const char *const *names,
                      unsigned count, bool *unit)
{
    *unit = false;
    if (s->failed)
        return -1;
    char c = mig_serde_peek(s);
    if (c != '"' && c != '{') {
        wrong_type(s, what);
        return -1;
    }
    *unit = c == '"';
    if (c == '{') {
        if (!deeper(s))
            return -1;
        s->pos++;
        c = mig_serde_peek(s);
        if (c != '"') {
            syntax_peek(s, at_end(s) ? "EOF while parsing a value" : "expected value");
            return -1;
        }
    }
    char *name = take_string(s);
    int i = name != NULL ? variant_index(s, name, names, count) : -1;
    free(name);
    place_here(s);
    if (i >= 0 && !*unit)
        colon(s);
    return s->failed ? -1 : i;
}

void mig_serde_variant_end(struct mig_serde *s)
{
    if (s->failed) {
        place_here(s);
        return;
    }
    s->depth--;
    if (mig_serde_peek(s) == '}')
        s->pos++;
    else
        syntax_peek(s, at_end(s) ? "EOF while parsing an object" : "expected value");
}

/* Keys */

void mig_serde_ed25519(struct mig_serde *s, uint8_t key[MIG_KEY_LEN])
{
    memset(key, 0, MIG_KEY_LEN);
    char *text = mig_serde_string(s, "a string");
    if (text == NULL)
        return;
    char *colon_at = strchr(text, ':');
    uint8_t bytes[MIG_BASE58_INPUT_MAX];
    size_t len = 0;
    if (colon_at == NULL)
        mig_serde_fail(s, "missing ':' separator");
    else if (colon_at - text != 7 || memcmp(text, "ed25519", 7) != 0)
        mig_serde_fail(s, "wrong prefix");
    else if (mig_base58_decode(colon_at + 1, strlen(colon_at + 1), bytes, sizeof bytes, &len) !=
                 MIG_OK &&
             strlen(colon_at + 1) > 0)
        mig_serde_fail(s, strlen(colon_at + 1) > MIG_BASE58_INPUT_MAX ? "invalid key length"
                                                                      : "invalid bs58 encoding");
    else if (len != MIG_KEY_LEN)
        mig_serde_fail(s, "invalid key length");
    else
        memcpy(key, bytes, MIG_KEY_LEN);
    free(text);
}
