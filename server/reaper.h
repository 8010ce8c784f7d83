/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_REAPER_H
#define MIG_SERVER_REAPER_H
/*
 * One thread that ends what takes too long. libmicrohttpd knows inactivity
 * only, so a client that sends a byte a second would stay for ever; here every
 * connection has a point in time at which it is cut. Also drains, for a
 * moment, what clients still send after they were refused, so that the answer
 * is not lost to a connection reset.
 */
#include "include/mpc_migration.h"

struct mig_reaper;
struct mig_connections;

enum { MIG_REAPER_LINGERING_MAX = 64 };

/* Nanoseconds of the clock that deadlines are on (CLOCK_MONOTONIC). */
uint64_t mig_deadline_now(void);

/* Starts the thread (all signals blocked). MIG_ERR_NOMEM, MIG_ERR_IO. */
enum mig_err mig_reaper_new(struct mig_reaper **out) MIG_MUST_USE;
/* Ends the thread; nothing may be watched any more. */
void mig_reaper_free(struct mig_reaper **reaper);

/* Connections are looked after from now on / no longer when it returns. */
void mig_reaper_watch(struct mig_reaper *reaper, struct mig_connections *connections);
void mig_reaper_unwatch(struct mig_reaper *reaper, struct mig_connections *connections);

/* Something watched now ends at `deadline`. Any thread; cheap when it is not
 * the next thing to happen. */
void mig_reaper_expect(struct mig_reaper *reaper, uint64_t deadline);

/* Takes a connection whose answer is sent: reads and drops until the peer is
 * done or `deadline`, then closes it. With too many of them, closes at once. */
void mig_reaper_linger(struct mig_reaper *reaper, int fd, uint64_t deadline);

#endif
