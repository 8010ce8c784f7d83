/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_JSON_H
#define MIG_CHAIN_JSON_H
/*
 * A pull reader for JSON from the chain: RFC 8259, strict UTF-8, exact u64,
 * bounded depth, duplicate members refused (also inside what is skipped).
 * It builds no tree and allocates nothing per value; only the offsets of the
 * members of the objects that are open are kept.
 *
 * Errors stick: after the first one every call is harmless and yields nothing
 * (0, false, ""), loops end, and mig_json_end tells it. So a parser is written
 * straight down and looks at the verdict once, before anything is used.
 */
#include "include/mpc_migration.h"

enum {
    MIG_JSON_DEPTH_MAX = 32,          /* the deepest answer we read has 13 */
    MIG_JSON_MAX = 33 * 1024 * 1024, /* bytes of a document: a block of 32 MiB in its envelope */
};

enum mig_json_kind {
    MIG_JSON_NONE = 0, /* failed, or nothing left */
    MIG_JSON_OBJECT,
    MIG_JSON_ARRAY,
    MIG_JSON_STRING,
    MIG_JSON_NUMBER,
    MIG_JSON_BOOL,
    MIG_JSON_NULL,
};

/* A member's name, escapes resolved; valid until the next call. */
struct mig_json_name {
    const char *text;
    size_t len;
};

struct mig_json {
    const char *text, *at, *end;
    enum mig_err err; /* the first failure; MIG_OK so far */
    unsigned depth;
    struct {
        bool object;
        bool begun;       /* an item was read: the next one needs a comma */
        uint32_t members; /* index of its first entry in `names` */
    } open[MIG_JSON_DEPTH_MAX];
    struct mig_json_member_at *names; /* of the open objects, outermost first */
    uint32_t name_count, name_cap;
    char *unescaped; /* names that had escapes */
    uint32_t unescaped_len, unescaped_cap;
};

/* `text` must outlive the reader. */
void mig_json_init(struct mig_json *j, const char *text, size_t len);
/* Refuses anything but white space behind the value, releases what the reader
 * holds, and gives the verdict: MIG_OK, MIG_ERR_MALFORMED or MIG_ERR_NOMEM.
 * Must be called once, also after a failure. */
enum mig_err mig_json_end(struct mig_json *j) MIG_MUST_USE;

/* What comes next, without taking it. */
enum mig_json_kind mig_json_peek(struct mig_json *j);
/* Takes the next value, whatever it is, well-formed. */
void mig_json_skip(struct mig_json *j);
/* Fails the reader unless `holds`. */
void mig_json_need(struct mig_json *j, bool holds);
void mig_json_fail(struct mig_json *j, enum mig_err err);

/* Objects: enter, then take one value per member. mig_json_member is false
 * behind the last one. */
void mig_json_object(struct mig_json *j);
bool mig_json_member(struct mig_json *j, struct mig_json_name *name);
bool mig_json_is(const struct mig_json_name *name, const char *text);
/* The next member whose name is in `fields` (NULL-terminated, at most 32):
 * its index, the bit of which is set in *seen; other members are skipped. -1
 * behind the last one. */
int mig_json_field(struct mig_json *j, const char *const *fields, unsigned *seen);

/* Arrays: enter, then take one value per true of mig_json_item. */
void mig_json_array(struct mig_json *j);
bool mig_json_item(struct mig_json *j);

/* Integers without fraction, exponent or sign; out of range is a failure. */
uint64_t mig_json_u64(struct mig_json *j);
uint32_t mig_json_u32(struct mig_json *j);
bool mig_json_bool(struct mig_json *j);
/* True, and taken, when the next value is null. */
bool mig_json_null(struct mig_json *j);
/* A string of at most cap - 1 bytes without NUL, NUL-terminated. */
void mig_json_string(struct mig_json *j, char *out, size_t cap);
/* Likewise, but one that is too long or holds a NUL gives false and "". */
bool mig_json_string_fits(struct mig_json *j, char *out, size_t cap);
/* The index in `names` (NULL-terminated) of a string that must be one of them. */
int mig_json_choice(struct mig_json *j, const char *const *names);
/* An array of numbers 0..255, straight into `out`; more than `cap` is a failure. */
void mig_json_bytes(struct mig_json *j, uint8_t *out, size_t cap, size_t *len);
/* Takes the next value and gives its text as it stands. */
void mig_json_raw(struct mig_json *j, const char **text, size_t *len);

#endif
