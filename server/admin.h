/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_ADMIN_H
#define MIG_SERVER_ADMIN_H
/*
 * The admin listener: plain HTTP for people, probes and Prometheus. It has no
 * authentication, says nothing secret and changes nothing.
 *
 *     /livez    200 while the process answers at all
 *     /readyz   200 or 503; ?verbose says why, one reason a line
 *     /metrics  Prometheus text format
 *     /status   JSON
 */
#include "server/status.h"

/* Where the numbers come from; called on the admin listener's thread. */
struct mig_admin {
    void *ctx;
    void (*status)(void *ctx, struct mig_status *out);
};

/* The pages, for a listener; `admin` is borrowed as long as they are served. */
struct mig_pages mig_admin_pages(struct mig_admin *admin);

/* A listener for them, with limits of its own; stop it with mig_listener_stop.
 * Any address is allowed: whoever configures another than loopback means it. */
enum mig_err mig_admin_start(const char *address, struct mig_admin *admin,
                             struct mig_reaper *reaper, const struct mig_host *log,
                             struct mig_listener **out, char *why) MIG_MUST_USE;

#endif
