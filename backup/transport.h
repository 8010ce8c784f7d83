/* SPDX-License-Identifier: MIT */
#ifndef MIG_BACKUP_TRANSPORT_H
#define MIG_BACKUP_TRANSPORT_H
/*
 * Carries one request at a time to a node over libcurl and brings back exactly
 * what it answered. https pins the node's own ed25519 key, which the contract
 * names, so no authority is asked; plain http goes to loopback only unless
 * asked for. No redirects, no proxies, no other protocols, everything bounded.
 */
#include "backup/ask.h"
#include "backup/http_reply.h"

enum { MIG_TRANSPORT_TIMEOUT_MS = 30000, MIG_TRANSPORT_CONNECT_MS = 10000 };

struct mig_transport;

/* Where to go; `authority` is what calls must be signed with. */
struct mig_route {
    char url[600]; /* scheme, host, port; no path */
    char authority[300];
    bool tls;
    uint8_t pin[MIG_KEY_LEN]; /* the node's TLS identity */
};
/* From a URL as participants publish it. `plain_anywhere`: http beyond
 * loopback was asked for. MIG_ERR_MALFORMED, or _DENIED for plain http. *why: a static sentence. */
enum mig_err mig_route_init(const char *url, const uint8_t node[MIG_KEY_LEN], bool plain_anywhere,
                            struct mig_route *out, const char **why) MIG_MUST_USE;

enum mig_err mig_transport_new(struct mig_transport **out) MIG_MUST_USE;
void mig_transport_free(struct mig_transport **transport);

/* Sends and receives; *reply is cleared first and the caller's to clear. While
 * it runs, `fence` (may be NULL) is asked on this thread, at least twice a
 * second: when it does not hold, the transfer is abandoned. MIG_ERR_RETRY: unreachable, timed out,
 * cut. MIG_ERR_DENIED: the server's key is not the pinned one. MIG_ERR_MALFORMED: not an answer of
 * HTTP within our limits. MIG_ERR_CANCELLED: the fence fell. *why: a static sentence. */
enum mig_err mig_transport_send(struct mig_transport *transport, const struct mig_route *route,
                                const struct mig_ask *ask, const struct mig_fence *fence,
                                struct mig_reply *reply, const char **why) MIG_MUST_USE;

/* Sleeps up to `ms`, until a wake, or until `fd` (unless -1) is readable. */
void mig_transport_wait(struct mig_transport *transport, int fd, uint64_t ms);
/* Ends a wait, or makes a running send ask its fence now. Any thread. */
void mig_transport_wake(struct mig_transport *transport);

#endif
