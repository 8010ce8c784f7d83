/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_PAGE_H
#define MIG_SERVER_PAGE_H
#include "auth/message.h"

/* A small answer to GET. `body` is malloc'd; the listener frees it. */
struct mig_page {
    unsigned status;
    const char *content_type; /* static */
    char *body;
    size_t body_len;
};

/* `target` may carry a query. False: there is no such page (404). Called on the
 * listener's thread. */
struct mig_pages {
    void *ctx;
    bool (*get)(void *ctx, struct mig_text target, struct mig_page *out);
};

#endif
