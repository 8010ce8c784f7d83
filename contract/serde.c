/* SPDX-License-Identifier: MIT */
#include "contract/serde.h"

#include <stdlib.h>
#include <string.h>

#include "contract/scan.h"
#include "crypto/encoding.h"

static bool deeper(struct mig_serde *s)
{
    if (s->depth >= MIG_SERDE_DEPTH) {
        mig_scan_fail_peek(s, "recursion limit exceeded");
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
        mig_scan_wrong_type(s, what);
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
    if (mig_scan_at_end(s)) {
        mig_scan_fail_peek(s, "EOF while parsing an object");
        return false;
    }
    if (c == '}')
        return false;
    if (!o->first) {
        if (c != ',') {
            mig_scan_fail_peek(s, "expected `,` or `}`");
            return false;
        }
        s->pos++;
        c = mig_serde_peek(s);
    }
    o->first = false;
    if (c == '"')
        return true;
    mig_scan_fail_peek(s, mig_scan_at_end(s) ? "EOF while parsing a value"
                          : c == '}'         ? "trailing comma"
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
        mig_scan_fail_peek(s, mig_scan_at_end(s) ? "EOF while parsing an object" : "expected `:`");
}

char *mig_serde_key(struct mig_serde *s, struct mig_serde_object *o)
{
    if (!next_member(s, o))
        return NULL;
    char *key = mig_scan_string(s);
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
        char *key = mig_scan_string(s);
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
        mig_scan_fail_peek(s, mig_scan_at_end(s) ? "EOF while parsing an object"
                                                 : "expected `,` or `}`");
    mig_scan_place(s);
}

/* Lists */

void mig_serde_enter_list(struct mig_serde *s, struct mig_serde_list *l, const char *what)
{
    *l = (struct mig_serde_list){.first = true};
    if (s->failed)
        return;
    if (mig_serde_peek(s) != '[') {
        mig_scan_wrong_type(s, what);
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
    if (mig_scan_at_end(s)) {
        mig_scan_fail_peek(s, "EOF while parsing a list");
        return false;
    }
    if (!l->first) {
        if (c != ',') {
            mig_scan_fail_peek(s, "expected `,` or `]`");
            return false;
        }
        s->pos++;
        c = mig_serde_peek(s);
        if (c == ']' || mig_scan_at_end(s)) {
            mig_scan_fail_peek(s, c == ']' ? "trailing comma" : "EOF while parsing a value");
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
        mig_scan_fail_peek(s,
                           mig_scan_at_end(s) ? "EOF while parsing a list" : "trailing characters");
    mig_scan_place(s);
}

/* Values */

char *mig_serde_string(struct mig_serde *s, const char *what)
{
    if (s->failed)
        return NULL;
    if (mig_serde_peek(s) == '"')
        return mig_scan_string(s);
    mig_scan_wrong_type(s, what);
    return NULL;
}

static uint64_t unsigned_value(struct mig_serde *s, uint64_t max, const char *what)
{
    uint64_t v = 0;
    if (s->failed)
        return 0;
    char c = mig_serde_peek(s);
    if (c != '-' && (c < '0' || c > '9')) {
        mig_scan_wrong_type(s, what);
        return 0;
    }
    enum mig_scan_kind kind = mig_scan_number(s, &v);
    if (kind == MIG_SCAN_U64 && v <= max)
        return v;
    if (kind == MIG_SCAN_U64)
        mig_serde_fail(s, "invalid value: integer `%llu`, expected %s", (unsigned long long)v,
                       what);
    else if (kind == MIG_SCAN_NEGATIVE)
        mig_serde_fail(s, "invalid value: integer `-%llu`, expected %s", (unsigned long long)v,
                       what);
    else if (kind == MIG_SCAN_FLOAT)
        mig_serde_fail(s, "invalid type: floating point, expected %s", what);
    mig_scan_place(s);
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
        return mig_scan_ident(s, "true");
    if (c == 'f')
        (void)mig_scan_ident(s, "false");
    else
        mig_scan_wrong_type(s, "a boolean");
    return false;
}

bool mig_serde_null(struct mig_serde *s)
{
    return !s->failed && mig_serde_peek(s) == 'n' && mig_scan_ident(s, "null");
}

static void skip_scalar(struct mig_serde *s)
{
    uint64_t v;
    struct mig_print ignored = {0};
    char c = mig_serde_peek(s);
    if (c == '"') {
        s->pos++;
        mig_scan_string_body(s, &ignored);
    } else if (c == '-' || (c >= '0' && c <= '9'))
        (void)mig_scan_number(s, &v);
    else if (c == 't' || c == 'f' || c == 'n')
        (void)mig_scan_ident(s, c == 't' ? "true" : c == 'f' ? "false" : "null");
    else
        mig_scan_fail_peek(s, mig_scan_at_end(s) ? "EOF while parsing a value" : "expected value");
    mig_print_clear(&ignored);
}

/* The key and the colon before an object's value. */
static void skip_key(struct mig_serde *s)
{
    if (mig_serde_peek(s) == '"')
        skip_scalar(s);
    else
        mig_scan_fail_peek(s, mig_scan_at_end(s) ? "EOF while parsing an object"
                                                 : "key must be a string");
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
            mig_scan_fail_peek(s, mig_scan_at_end(s) ? object ? "EOF while parsing an object"
                                                              : "EOF while parsing a list"
                                  : object           ? "expected `,` or `}`"
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
            mig_scan_fail_peek(s, "recursion limit exceeded");
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
        mig_scan_wrong_type(s, what);
        return -1;
    }
    *unit = c == '"';
    if (c == '{') {
        if (!deeper(s))
            return -1;
        s->pos++;
        c = mig_serde_peek(s);
        if (c != '"') {
            mig_scan_fail_peek(s,
                               mig_scan_at_end(s) ? "EOF while parsing a value" : "expected value");
            return -1;
        }
    }
    char *name = mig_scan_string(s);
    int i = name != NULL ? variant_index(s, name, names, count) : -1;
    free(name);
    mig_scan_place(s);
    if (i >= 0 && !*unit)
        colon(s);
    return s->failed ? -1 : i;
}

void mig_serde_variant_end(struct mig_serde *s)
{
    if (s->failed) {
        mig_scan_place(s);
        return;
    }
    s->depth--;
    if (mig_serde_peek(s) == '}')
        s->pos++;
    else
        mig_scan_fail_peek(s,
                           mig_scan_at_end(s) ? "EOF while parsing an object" : "expected value");
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
