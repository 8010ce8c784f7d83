/* SPDX-License-Identifier: MIT */
#ifndef MIG_TESTS_VECTORS_HTTP_H
#define MIG_TESTS_VECTORS_HTTP_H
/* A message of the vectors as auth/ sees it; slices borrow from the JSON. */
#include <jansson.h>

#include "auth/message.h"

enum { HTTP_FIELDS_MAX = 16 };

struct http {
    struct mig_message message;
    struct mig_field fields[HTTP_FIELDS_MAX];
    struct mig_message request; /* of a response */
    struct mig_field request_fields[HTTP_FIELDS_MAX];
};

/* `asked`: the request that a response answers, else NULL. Points into *out:
 * do not copy. */
bool http_read(const json_t *message, const json_t *asked, struct http *out);
/* The signature base over the message's own Signature-Input; NULL: none. */
json_t *http_base(const json_t *message, const json_t *asked);
/* A copy with the members of `change` put in; in `fields` one by one, null
 * takes one away. */
json_t *http_changed(const json_t *message, const json_t *change);

#endif
