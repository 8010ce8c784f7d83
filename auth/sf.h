/* SPDX-License-Identifier: MIT */
#ifndef MIG_AUTH_SF_H
#define MIG_AUTH_SF_H
/*
 * Structured field values (RFC 9651): a total parser and the canonical
 * serialiser. Nothing is allocated: a value is a set of slices into the text,
 * in arrays the caller owns and thereby bounds. A caller that accepts only
 * canonical text formats what it parsed and compares the bytes.
 */
#include "auth/message.h"

enum mig_sf_type {
    MIG_SF_INTEGER = 1,
    MIG_SF_DECIMAL, /* number is in thousandths */
    MIG_SF_STRING,  /* text lies between the quotes, escapes kept */
    MIG_SF_TOKEN,
    MIG_SF_BYTES, /* text is the base64, as received */
    MIG_SF_BOOLEAN,
    MIG_SF_DATE,    /* number is in seconds */
    MIG_SF_DISPLAY, /* text lies between the quotes, percent-encoded */
};

enum mig_sf_kind { MIG_SF_ITEM = 1, MIG_SF_LIST, MIG_SF_DICTIONARY };

struct mig_sf_value {
    enum mig_sf_type type;
    int64_t number;
    struct mig_text text;
};

struct mig_sf_param {
    struct mig_text key;
    struct mig_sf_value value;
};

/* params[param] .. params[param + param_count - 1] are its parameters. */
struct mig_sf_item {
    struct mig_sf_value value;
    size_t param, param_count;
};

/* A member of a list or dictionary, or the one item. For an inner list,
 * items[first] .. items[first + count - 1] are its items and of `item` only
 * the parameters count. */
struct mig_sf_member {
    struct mig_text key;
    bool is_inner;
    struct mig_sf_item item;
    size_t first, count;
};

struct mig_sf {
    struct mig_sf_member *members;
    struct mig_sf_item *items;
    struct mig_sf_param *params;
    size_t member_cap, item_cap, param_cap;
    size_t member_count, item_count, param_count;
    /* A dictionary or parameter key came twice. By the RFC the last one counts,
     * in the first one's place; who signs things had better refuse. */
    bool has_duplicates;
};

/* The caller sets the arrays and their caps. MIG_ERR_MALFORMED for anything
 * that is not exactly one value of this kind, or more than the arrays hold. */
enum mig_err mig_sf_parse(enum mig_sf_kind kind, struct mig_text text, struct mig_sf *sf) MIG_MUST_USE;
/* Slices in `sf` must have the form that the parser accepts. Does not
 * NUL-terminate. MIG_ERR_BUG when `cap` is too small. */
enum mig_err mig_sf_format(enum mig_sf_kind kind, const struct mig_sf *sf, char *out, size_t cap,
                           size_t *len) MIG_MUST_USE;
/* Formats back into `scratch` and compares; text longer than that is not. */
bool mig_sf_is_canonical(enum mig_sf_kind kind, const struct mig_sf *sf, struct mig_text text,
                         char *scratch, size_t cap);

/* The octets of a display string's text, one by one: false at its end. */
bool mig_sf_display_next(struct mig_text text, size_t *at, uint8_t *octet);
/* a-z, 0-9, '_', '-', '.', '*', starting with a letter or '*'. */
bool mig_sf_is_key(struct mig_text text);

#endif
