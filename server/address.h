/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_ADDRESS_H
#define MIG_SERVER_ADDRESS_H
/*
 * "host:port" to a bound, listening socket, and socket addresses to the form
 * that limits count by.
 */
#include <netinet/in.h>

#include "auth/bucket.h"

enum { MIG_ADDRESS_TEXT_MAX = 64 }; /* "[v6]:port" + NUL */

struct mig_bound {
    int fd;                             /* listening, non-blocking, close-on-exec */
    bool is_loopback;                   /* reachable from this machine only */
    char address[MIG_ADDRESS_TEXT_MAX]; /* the real one: port 0 is resolved */
};

/* `address` is "1.2.3.4:80", "[::1]:80" or "name:80"; a name is resolved, its
 * first usable address taken. An IPv6 socket takes IPv6 only. `loopback_only`
 * refuses (MIG_ERR_DENIED) any other. MIG_ERR_MALFORMED (not host:port),
 * _NOT_FOUND (name), _IO (in use, not ours; errno tells). The caller closes. */
enum mig_err mig_bind(const char *address, bool loopback_only, struct mig_bound *out) MIG_MUST_USE;

/* The peer as limits see it: IPv4 mapped into IPv6. Anything else: zeros. */
void mig_address_of(const struct sockaddr *from, struct mig_address *out);
/* The same peer for a limit: one IPv4 address, or one IPv6 /64. */
bool mig_address_is_near(const struct mig_address *a, const struct mig_address *b);

#endif
