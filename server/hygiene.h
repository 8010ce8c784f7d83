/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_HYGIENE_H
#define MIG_SERVER_HYGIENE_H
/*
 * The gate in front of everything: does this request head have exactly one
 * meaning? libmicrohttpd 0.9.75 accepts heads that another parser on the way
 * may read differently (two Host lines, two lengths, folded lines, NUL bytes,
 * "@method" as a name); none of them passes here. Pure, so a fuzzer holds it.
 * What the library overwrites while it parses cannot be judged afterwards: a
 * tab for the space after a colon, a NUL within a line's end.
 * Source: docs/protocol.md "Requests", RFC 9112 §§3, 5, 6.
 */
#include "auth/message.h"

enum {
    MIG_HEAD_FIELDS_MAX = 32,
    MIG_HEAD_SIZE_MAX = 16 * 1024, /* request line to the empty line */
    MIG_HEAD_TARGET_MAX = 512,
    MIG_HEAD_METHOD_MAX = 16,
};

/* A request head as the parser saw it. */
struct mig_head {
    struct mig_text method;
    struct mig_text target; /* raw, before any decoding */
    struct mig_text version;
    const struct mig_field *fields; /* in order of arrival */
    size_t field_count;             /* more than MIG_HEAD_FIELDS_MAX: only the count matters */
    size_t size;                    /* bytes from the method to the empty line, as received */
    bool adjacent;    /* mig_head_is_adjacent() of the slices, where they lie in one buffer */
    bool allow_query; /* the admin listener takes one '?' */
};

/* What the gate learnt on its way; valid for a clean head. */
struct mig_head_facts {
    struct mig_text host;
    int64_t content_length; /* -1: absent */
};

enum mig_hygiene {
    MIG_HYGIENE_CLEAN = 0,
    MIG_HYGIENE_SIZE,       /* 431: the head is too large */
    MIG_HYGIENE_FIELDS,     /* 431: too many fields */
    MIG_HYGIENE_VERSION,    /* not exactly HTTP/1.1 */
    MIG_HYGIENE_METHOD,     /* not a short token */
    MIG_HYGIENE_TARGET,     /* not origin-form of unreserved characters */
    MIG_HYGIENE_NAME,       /* a field name that is no token */
    MIG_HYGIENE_VALUE,      /* a byte that belongs in no field value */
    MIG_HYGIENE_HOST,       /* not exactly one, or not a host */
    MIG_HYGIENE_REPEATED,   /* a field that may come once came twice */
    MIG_HYGIENE_CODING,     /* Transfer-Encoding */
    MIG_HYGIENE_LENGTH,     /* Content-Length is not a plain number */
    MIG_HYGIENE_CONNECTION, /* Connection with anything but close, keep-alive */
    MIG_HYGIENE_BODY,       /* a body on GET or HEAD */
    MIG_HYGIENE_FRAMING,    /* the bytes received are not those of the parsed fields */
    MIG_HYGIENE_COUNT,
};

/* True when every slice lies exactly where `Name: value CR LF` lines put it,
 * relative to the one before. For parsers that work in place: two faults of
 * framing may cancel out in `size`, not here. The four bytes after each value
 * must be readable; the parser may have made NULs of a line's end. */
bool mig_head_is_adjacent(const struct mig_head *head);
/* The first fault found, or MIG_HYGIENE_CLEAN and the facts. */
enum mig_hygiene mig_hygiene_check(const struct mig_head *head,
                                   struct mig_head_facts *facts) MIG_MUST_USE;
/* 400 or 431; 0 for a clean head. */
unsigned mig_hygiene_status(enum mig_hygiene verdict);
/* A short word for metrics. Static. */
const char *mig_hygiene_text(enum mig_hygiene verdict);

#endif
