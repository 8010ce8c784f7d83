/* SPDX-License-Identifier: MIT */
#ifndef MIG_AUTH_MESSAGE_H
#define MIG_AUTH_MESSAGE_H
/*
 * An HTTP message as signatures see it: borrowed slices of what was received
 * (or will be sent), no library's types. The server has already refused what
 * its hygiene gate bans; auth/ does not rely on it and is total on any bytes.
 */
#include "include/mpc_migration.h"

struct mig_text {
    const char *at;
    size_t len;
};
#define MIG_TEXT(literal) ((struct mig_text){(literal), sizeof(literal) - 1})
bool mig_text_is(struct mig_text text, const char *other); /* exact bytes */

struct mig_field {
    struct mig_text name; /* any case */
    struct mig_text value; /* surrounding white space is not part of it */
};

/* A request has method, target and authority; a response has a status and the
 * request it answers. */
struct mig_message {
    struct mig_text method;
    struct mig_text target;    /* the raw request target, origin-form */
    struct mig_text authority; /* value of Host, as received */
    unsigned status;
    const struct mig_field *fields;
    size_t field_count;
    const struct mig_message *request;
};

/* Without leading and trailing spaces and tabs. */
struct mig_text mig_text_trim(struct mig_text text);
/* `name` is lower-case; compared without case (ASCII only). */
bool mig_field_is(const struct mig_field *field, struct mig_text name);

/* How many fields have this lower-case name (compared without case); *value is
 * the first one's. */
size_t mig_message_field(const struct mig_message *message, const char *name, struct mig_text *value);

#endif
