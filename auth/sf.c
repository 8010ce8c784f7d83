/* SPDX-License-Identifier: MIT */
/*
 * Parsing follows RFC 9651 §4.2 step by step. It is one pass without
 * recursion: the deepest thing is a parameter of an item of an inner list.
 */
#include "auth/sf.h"

#include <string.h>

enum {
    INTEGER_DIGITS = 15,
    WHOLE_DIGITS = 12, /* of a decimal */
};

struct cursor {
    const char *at, *end;
    struct mig_sf *sf;
};

/* A class per octet: a table costs one load where ranges cost four compares. */
enum { KEY_START = 1, KEY = 2, TOKEN_START = 4, TOKEN = 8, DIGIT = 16, BASE64 = 32, QUOTABLE = 64 };

static uint8_t class_of(char c)
{
    enum {
        L = KEY_START | KEY | TOKEN_START | TOKEN | BASE64 | QUOTABLE, /* a-z */
        U = TOKEN_START | TOKEN | BASE64 | QUOTABLE,                   /* A-Z */
        D = KEY | TOKEN | DIGIT | BASE64 | QUOTABLE,                   /* 0-9 */
        S = KEY_START | KEY | TOKEN_START | TOKEN | QUOTABLE,          /* * */
        P = KEY | TOKEN | QUOTABLE,                                    /* _ - . */
        T = TOKEN | QUOTABLE,                                          /* ! # $ % & ' ^ ` | ~ : */
        B = TOKEN | BASE64 | QUOTABLE,                                 /* + / */
        Q = QUOTABLE,
    };
    static const uint8_t class[128] = {
        [' '] = Q, ['!'] = T, ['#'] = T, ['$'] = T, ['%'] = T, ['&'] = T, ['\''] = T, ['('] = Q,
        [')'] = Q, ['*'] = S, ['+'] = B, [','] = Q, ['-'] = P, ['.'] = P, ['/'] = B,  ['0'] = D,
        ['1'] = D, ['2'] = D, ['3'] = D, ['4'] = D, ['5'] = D, ['6'] = D, ['7'] = D,  ['8'] = D,
        ['9'] = D, [':'] = T, [';'] = Q, ['<'] = Q, ['='] = Q, ['>'] = Q, ['?'] = Q,  ['@'] = Q,
        ['A'] = U, ['B'] = U, ['C'] = U, ['D'] = U, ['E'] = U, ['F'] = U, ['G'] = U,  ['H'] = U,
        ['I'] = U, ['J'] = U, ['K'] = U, ['L'] = U, ['M'] = U, ['N'] = U, ['O'] = U,  ['P'] = U,
        ['Q'] = U, ['R'] = U, ['S'] = U, ['T'] = U, ['U'] = U, ['V'] = U, ['W'] = U,  ['X'] = U,
        ['Y'] = U, ['Z'] = U, ['['] = Q, [']'] = Q, ['^'] = T, ['_'] = P, ['`'] = T,  ['a'] = L,
        ['b'] = L, ['c'] = L, ['d'] = L, ['e'] = L, ['f'] = L, ['g'] = L, ['h'] = L,  ['i'] = L,
        ['j'] = L, ['k'] = L, ['l'] = L, ['m'] = L, ['n'] = L, ['o'] = L, ['p'] = L,  ['q'] = L,
        ['r'] = L, ['s'] = L, ['t'] = L, ['u'] = L, ['v'] = L, ['w'] = L, ['x'] = L,  ['y'] = L,
        ['z'] = L, ['{'] = Q, ['|'] = T, ['}'] = Q, ['~'] = T,
    };
    uint8_t u = (uint8_t)c;
    return u < sizeof class ? class[u] : 0;
}

static bool is(char c, unsigned classes)
{
    return (class_of(c) & classes) != 0;
}

static bool at_end(const struct cursor *c)
{
    return c->at == c->end;
}

static bool next_is(const struct cursor *c, char expected)
{
    return !at_end(c) && *c->at == expected;
}

static bool take(struct cursor *c, char expected)
{
    if (!next_is(c, expected))
        return false;
    c->at++;
    return true;
}

static void skip_spaces(struct cursor *c)
{
    while (take(c, ' ')) {
    }
}

static void skip_white(struct cursor *c)
{
    while (take(c, ' ') || take(c, '\t')) {
    }
}

static struct mig_text take_while(struct cursor *c, unsigned classes)
{
    struct mig_text text = {c->at, 0};
    while (!at_end(c) && is(*c->at, classes))
        c->at++;
    text.len = (size_t)(c->at - text.at);
    return text;
}

static enum mig_err parse_key(struct cursor *c, struct mig_text *key)
{
    if (at_end(c) || !is(*c->at, KEY_START))
        return MIG_ERR_MALFORMED;
    *key = take_while(c, KEY);
    return MIG_OK;
}

bool mig_sf_is_key(struct mig_text text)
{
    struct cursor c = {text.at, text.at + text.len, NULL};
    struct mig_text key;
    return text.len > 0 && parse_key(&c, &key) == MIG_OK && at_end(&c);
}

/* At most `max` digits, so that the sum stays far from overflow. */
static enum mig_err parse_digits(struct cursor *c, size_t max, int64_t *number, size_t *count)
{
    struct mig_text digits = take_while(c, DIGIT);
    *number = 0;
    *count = digits.len;
    if (digits.len == 0 || digits.len > max)
        return MIG_ERR_MALFORMED;
    for (size_t i = 0; i < digits.len; i++)
        *number = *number * 10 + (digits.at[i] - '0');
    return MIG_OK;
}

static enum mig_err parse_number(struct cursor *c, struct mig_sf_value *value)
{
    static const int scale[4] = {0, 100, 10, 1};
    int64_t whole = 0, fraction = 0;
    size_t digits = 0, places = 0;
    bool negative = take(c, '-');
    if (parse_digits(c, INTEGER_DIGITS, &whole, &digits) != MIG_OK)
        return MIG_ERR_MALFORMED;
    value->type = MIG_SF_INTEGER;
    if (take(c, '.')) {
        if (digits > WHOLE_DIGITS || parse_digits(c, 3, &fraction, &places) != MIG_OK)
            return MIG_ERR_MALFORMED;
        value->type = MIG_SF_DECIMAL;
        whole = whole * 1000 + fraction * scale[places];
    }
    value->number = negative ? -whole : whole;
    return MIG_OK;
}

static enum mig_err parse_string(struct cursor *c, struct mig_sf_value *value)
{
    value->type = MIG_SF_STRING;
    value->text.at = ++c->at;
    for (; !at_end(c); c->at++) {
        if (*c->at == '"') {
            value->text.len = (size_t)(c->at++ - value->text.at);
            return MIG_OK;
        }
        if (*c->at == '\\') {
            c->at++;
            if (!next_is(c, '"') && !next_is(c, '\\'))
                return MIG_ERR_MALFORMED;
        } else if (!is(*c->at, QUOTABLE)) {
            return MIG_ERR_MALFORMED;
        }
    }
    return MIG_ERR_MALFORMED;
}

/* Padding may be missing and the last bits may be anything, as the RFC asks of
 * parsers; the serialiser sets both right. */
static enum mig_err parse_bytes(struct cursor *c, struct mig_sf_value *value)
{
    c->at++;
    value->type = MIG_SF_BYTES;
    value->text = take_while(c, BASE64);
    size_t padding = 0;
    while (take(c, '='))
        padding++;
    size_t data = value->text.len;
    value->text.len += padding;
    bool fits = padding == 0 || (padding <= 2 && (data + padding) % 4 == 0);
    return data % 4 != 1 && fits && take(c, ':') ? MIG_OK : MIG_ERR_MALFORMED;
}

static enum mig_err parse_boolean(struct cursor *c, struct mig_sf_value *value)
{
    c->at++;
    value->type = MIG_SF_BOOLEAN;
    value->number = next_is(c, '1');
    return take(c, '0') || take(c, '1') ? MIG_OK : MIG_ERR_MALFORMED;
}

static enum mig_err parse_date(struct cursor *c, struct mig_sf_value *value)
{
    c->at++;
    if (parse_number(c, value) != MIG_OK || value->type != MIG_SF_INTEGER)
        return MIG_ERR_MALFORMED;
    value->type = MIG_SF_DATE;
    return MIG_OK;
}

/* How much of a UTF-8 sequence is still to come, and the range of its next
 * octet (narrowed after E0, ED, F0 and F4: no overlong forms, no surrogates). */
struct utf8 {
    unsigned left;
    uint8_t low, high;
};

static bool utf8_start(struct utf8 *u, uint8_t b)
{
    u->low = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
    u->high = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
    u->left = b < 0x80 ? 0 : b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3;
    return b < 0x80 || (b >= 0xc2 && b <= 0xf4);
}

static bool utf8_push(struct utf8 *u, uint8_t b)
{
    if (u->left == 0)
        return utf8_start(u, b);
    if (b < u->low || b > u->high)
        return false;
    u->low = 0x80;
    u->high = 0xbf;
    u->left--;
    return true;
}

/* Only lower case may stand in a display string. */
static int hex_digit(char c)
{
    if (is(c, DIGIT))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mig_sf_display_next(struct mig_text text, size_t *at, uint8_t *octet)
{
    if (*at >= text.len)
        return false;
    if (text.at[*at] == '%' && text.len - *at > 2) {
        *octet = (uint8_t)(hex_digit(text.at[*at + 1]) << 4 | hex_digit(text.at[*at + 2]));
        *at += 3;
    } else {
        *octet = (uint8_t)text.at[(*at)++];
    }
    return true;
}

static enum mig_err parse_display(struct cursor *c, struct mig_sf_value *value)
{
    struct utf8 utf8 = {0, 0, 0};
    c->at++;
    if (!take(c, '"'))
        return MIG_ERR_MALFORMED;
    value->type = MIG_SF_DISPLAY;
    value->text.at = c->at;
    while (!at_end(c) && *c->at != '"') {
        uint8_t octet = (uint8_t)*c->at;
        if (*c->at == '%') {
            if (c->end - c->at < 3 || hex_digit(c->at[1]) < 0 || hex_digit(c->at[2]) < 0)
                return MIG_ERR_MALFORMED;
            octet = (uint8_t)(hex_digit(c->at[1]) << 4 | hex_digit(c->at[2]));
            c->at += 2;
        } else if (!is(*c->at, QUOTABLE) && *c->at != '\\') {
            return MIG_ERR_MALFORMED;
        }
        c->at++;
        if (!utf8_push(&utf8, octet))
            return MIG_ERR_MALFORMED;
    }
    value->text.len = (size_t)(c->at - value->text.at);
    return take(c, '"') && utf8.left == 0 ? MIG_OK : MIG_ERR_MALFORMED;
}

static enum mig_err parse_value(struct cursor *c, struct mig_sf_value *value)
{
    *value = (struct mig_sf_value){0};
    if (at_end(c))
        return MIG_ERR_MALFORMED;
    switch (*c->at) {
    case '"':
        return parse_string(c, value);
    case ':':
        return parse_bytes(c, value);
    case '?':
        return parse_boolean(c, value);
    case '@':
        return parse_date(c, value);
    case '%':
        return parse_display(c, value);
    default:
        break;
    }
    if (!is(*c->at, TOKEN_START))
        return parse_number(c, value);
    value->type = MIG_SF_TOKEN;
    value->text = take_while(c, TOKEN);
    return MIG_OK;
}

static bool is_same(struct mig_text a, struct mig_text b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* The parameter of this key in the item, or a new one; NULL when full. */
static struct mig_sf_param *param_slot(struct mig_sf *sf, struct mig_sf_item *item,
                                       struct mig_text key)
{
    for (size_t i = 0; i < item->param_count; i++) {
        if (is_same(sf->params[item->param + i].key, key)) {
            sf->has_duplicates = true;
            return &sf->params[item->param + i];
        }
    }
    if (sf->param_count == sf->param_cap)
        return NULL;
    item->param_count++;
    return &sf->params[sf->param_count++];
}

static enum mig_err parse_params(struct cursor *c, struct mig_sf_item *item)
{
    item->param = c->sf->param_count;
    item->param_count = 0;
    while (take(c, ';')) {
        struct mig_text key;
        skip_spaces(c);
        if (parse_key(c, &key) != MIG_OK)
            return MIG_ERR_MALFORMED;
        struct mig_sf_param *param = param_slot(c->sf, item, key);
        if (param == NULL)
            return MIG_ERR_MALFORMED;
        param->key = key;
        param->value = (struct mig_sf_value){.type = MIG_SF_BOOLEAN, .number = 1};
        if (take(c, '=') && parse_value(c, &param->value) != MIG_OK)
            return MIG_ERR_MALFORMED;
    }
    return MIG_OK;
}

static enum mig_err parse_item(struct cursor *c, struct mig_sf_item *item)
{
    if (parse_value(c, &item->value) != MIG_OK)
        return MIG_ERR_MALFORMED;
    return parse_params(c, item);
}

static enum mig_err parse_inner(struct cursor *c, struct mig_sf_member *member)
{
    member->is_inner = true;
    member->first = c->sf->item_count;
    for (;;) {
        skip_spaces(c);
        if (take(c, ')'))
            break;
        if (c->sf->item_count == c->sf->item_cap ||
            parse_item(c, &c->sf->items[c->sf->item_count]) != MIG_OK)
            return MIG_ERR_MALFORMED;
        c->sf->item_count++;
        if (!next_is(c, ' ') && !next_is(c, ')'))
            return MIG_ERR_MALFORMED;
    }
    member->count = c->sf->item_count - member->first;
    return parse_params(c, &member->item);
}

static enum mig_err parse_member(struct cursor *c, struct mig_sf_member *member)
{
    if (take(c, '('))
        return parse_inner(c, member);
    return parse_item(c, &member->item);
}

static struct mig_sf_member *member_slot(struct mig_sf *sf, struct mig_text key)
{
    for (size_t i = 0; key.len > 0 && i < sf->member_count; i++) {
        if (is_same(sf->members[i].key, key)) {
            sf->has_duplicates = true;
            return &sf->members[i];
        }
    }
    return sf->member_count < sf->member_cap ? &sf->members[sf->member_count++] : NULL;
}

static enum mig_err parse_entry(struct cursor *c, enum mig_sf_kind kind)
{
    struct mig_text key = {NULL, 0};
    if (kind == MIG_SF_DICTIONARY && parse_key(c, &key) != MIG_OK)
        return MIG_ERR_MALFORMED;
    struct mig_sf_member *member = member_slot(c->sf, key);
    if (member == NULL)
        return MIG_ERR_MALFORMED;
    *member = (struct mig_sf_member){.key = key};
    if (kind != MIG_SF_DICTIONARY || take(c, '='))
        return parse_member(c, member);
    member->item.value = (struct mig_sf_value){.type = MIG_SF_BOOLEAN, .number = 1};
    return parse_params(c, &member->item);
}

static enum mig_err parse_entries(struct cursor *c, enum mig_sf_kind kind)
{
    while (!at_end(c)) {
        if (parse_entry(c, kind) != MIG_OK)
            return MIG_ERR_MALFORMED;
        skip_white(c);
        if (at_end(c))
            break;
        if (!take(c, ','))
            return MIG_ERR_MALFORMED;
        skip_white(c);
        if (at_end(c))
            return MIG_ERR_MALFORMED;
    }
    return MIG_OK;
}

static enum mig_err parse_single(struct cursor *c)
{
    struct mig_sf_member *member = member_slot(c->sf, (struct mig_text){NULL, 0});
    if (member == NULL)
        return MIG_ERR_MALFORMED;
    *member = (struct mig_sf_member){0};
    return parse_item(c, &member->item);
}

enum mig_err mig_sf_parse(enum mig_sf_kind kind, struct mig_text text, struct mig_sf *sf)
{
    struct cursor c = {text.at, text.at + text.len, sf};
    sf->member_count = sf->item_count = sf->param_count = 0;
    sf->has_duplicates = false;
    skip_spaces(&c);
    enum mig_err err = kind == MIG_SF_ITEM ? parse_single(&c) : parse_entries(&c, kind);
    skip_spaces(&c);
    return err == MIG_OK && at_end(&c) ? MIG_OK : MIG_ERR_MALFORMED;
}

/* Counts what does not fit as well, so that one check at the end is enough. */
struct sink {
    char *at;
    size_t len, cap;
};

static void put(struct sink *s, const char *bytes, size_t len)
{
    if (len <= s->cap && s->len <= s->cap - len && len > 0)
        memcpy(s->at + s->len, bytes, len);
    s->len += len;
}

static void put_char(struct sink *s, char c)
{
    put(s, &c, 1);
}

static void put_number(struct sink *s, int64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        put_char(s, '-');
    put(s, digits + at, sizeof digits - at);
}

static void put_decimal(struct sink *s, int64_t thousandths)
{
    uint64_t all = thousandths < 0 ? 0 - (uint64_t)thousandths : (uint64_t)thousandths;
    unsigned fraction = (unsigned)(all % 1000);
    const char digits[3] = {(char)('0' + fraction / 100), (char)('0' + fraction / 10 % 10),
                            (char)('0' + fraction % 10)};
    if (thousandths < 0)
        put_char(s, '-');
    put_number(s, (int64_t)(all / 1000));
    put_char(s, '.');
    put(s, digits, digits[2] != '0' ? 3 : digits[1] != '0' ? 2 : 1);
}

static unsigned base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (is(c, DIGIT))
        return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : 63;
}

/* Whole groups are canonical as they are; the last one gets its unused bits
 * cleared and its padding. */
static void put_bytes(struct sink *s, struct mig_text base64)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (base64.len > 0 && base64.at[base64.len - 1] == '=')
        base64.len--;
    size_t rest = base64.len % 4;
    put_char(s, ':');
    if (rest < 2) {
        put(s, base64.at, base64.len);
    } else {
        unsigned mask = rest == 2 ? 0x30 : 0x3c;
        put(s, base64.at, base64.len - 1);
        put_char(s, alphabet[base64_value(base64.at[base64.len - 1]) & mask]);
        put(s, "==", 4 - rest);
    }
    put_char(s, ':');
}

static void put_display(struct sink *s, struct mig_text text)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t octet;
    put(s, "%\"", 2);
    for (size_t at = 0; mig_sf_display_next(text, &at, &octet);) {
        if (octet == '%' || octet == '"' || octet < 0x20 || octet > 0x7e) {
            const char escaped[3] = {'%', hex[octet >> 4], hex[octet & 15]};
            put(s, escaped, sizeof escaped);
        } else {
            put_char(s, (char)octet);
        }
    }
    put_char(s, '"');
}

static void put_value(struct sink *s, const struct mig_sf_value *value)
{
    switch (value->type) {
    case MIG_SF_INTEGER:
        put_number(s, value->number);
        break;
    case MIG_SF_DECIMAL:
        put_decimal(s, value->number);
        break;
    case MIG_SF_STRING:
        put_char(s, '"');
        put(s, value->text.at, value->text.len);
        put_char(s, '"');
        break;
    case MIG_SF_TOKEN:
        put(s, value->text.at, value->text.len);
        break;
    case MIG_SF_BYTES:
        put_bytes(s, value->text);
        break;
    case MIG_SF_BOOLEAN:
        put(s, value->number != 0 ? "?1" : "?0", 2);
        break;
    case MIG_SF_DATE:
        put_char(s, '@');
        put_number(s, value->number);
        break;
    case MIG_SF_DISPLAY:
        put_display(s, value->text);
        break;
    }
}

static bool is_true(const struct mig_sf_value *value)
{
    return value->type == MIG_SF_BOOLEAN && value->number != 0;
}

static void put_params(struct sink *s, const struct mig_sf *sf, const struct mig_sf_item *item)
{
    for (size_t i = 0; i < item->param_count; i++) {
        const struct mig_sf_param *param = &sf->params[item->param + i];
        put_char(s, ';');
        put(s, param->key.at, param->key.len);
        if (!is_true(&param->value)) {
            put_char(s, '=');
            put_value(s, &param->value);
        }
    }
}

static void put_inner(struct sink *s, const struct mig_sf *sf, const struct mig_sf_member *member)
{
    put_char(s, '(');
    for (size_t i = 0; i < member->count; i++) {
        const struct mig_sf_item *item = &sf->items[member->first + i];
        if (i > 0)
            put_char(s, ' ');
        put_value(s, &item->value);
        put_params(s, sf, item);
    }
    put_char(s, ')');
}

static void put_member(struct sink *s, const struct mig_sf *sf, const struct mig_sf_member *member)
{
    bool is_bare = member->key.len > 0 && !member->is_inner && is_true(&member->item.value);
    put(s, member->key.at, member->key.len);
    if (member->key.len > 0 && !is_bare)
        put_char(s, '=');
    if (member->is_inner)
        put_inner(s, sf, member);
    else if (!is_bare)
        put_value(s, &member->item.value);
    put_params(s, sf, &member->item);
}

enum mig_err mig_sf_format(enum mig_sf_kind kind, const struct mig_sf *sf, char *out, size_t cap,
                           size_t *len)
{
    struct sink s = {out, 0, cap};
    for (size_t i = 0; i < sf->member_count; i++) {
        if (i > 0)
            put(&s, ", ", 2);
        put_member(&s, sf, &sf->members[i]);
    }
    *len = 0;
    if (s.len > cap || (kind == MIG_SF_ITEM && sf->member_count != 1))
        return MIG_ERR_BUG;
    *len = s.len;
    return MIG_OK;
}

bool mig_sf_is_canonical(enum mig_sf_kind kind, const struct mig_sf *sf, struct mig_text text,
                         char *scratch, size_t cap)
{
    size_t len;
    return mig_sf_format(kind, sf, scratch, cap, &len) == MIG_OK && len == text.len &&
           (len == 0 || memcmp(scratch, text.at, len) == 0);
}
