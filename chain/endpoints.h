/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_ENDPOINTS_H
#define MIG_CHAIN_ENDPOINTS_H
/* The list of JSON-RPC endpoints as it is configured: "url, url, url". Pure. */
#include "include/mpc_migration.h"

enum {
    MIG_ENDPOINTS_MAX = 8,
    MIG_ENDPOINT_URL_MAX = 1024,
    MIG_ENDPOINT_ORIGIN_MAX = 280, /* "https://" host ":" port, with the NUL */
};

struct mig_endpoints {
    size_t count;
    char url[MIG_ENDPOINTS_MAX][MIG_ENDPOINT_URL_MAX + 1];
};

/* MIG_ERR_MALFORMED: one that is not http(s)://host[:port][/path][?query], none
 * between two commas, too many, or one that is there twice and would count
 * twice. A comma inside a URL is written %2C. */
enum mig_err mig_endpoints_parse(const char *list, struct mig_endpoints *out) MIG_MUST_USE;
/* How many must agree: `configured`, or with 0 the one there is or more than
 * half. 0 when `configured` is more than there are. */
size_t mig_endpoints_quorum(size_t count, uint32_t configured);
/* Scheme, host and port, all that may be shown of a URL. */
bool mig_endpoint_origin(const char *url, char out[MIG_ENDPOINT_ORIGIN_MAX]);

#endif
