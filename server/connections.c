/* SPDX-License-Identifier: MIT */
#include "server/connections.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/address.h"
#include "server/late.h"

enum { HEADROOM = 64, NS_PER_S = 1000000000 };
static const uint64_t LOOK_NS = 500000000; /* between looks at who still owes a body */
static const uint64_t NS_PER_MS = 1000000;

static void lock(struct mig_connections *set)
{
    (void)pthread_mutex_lock(&set->lock);
}

static void unlock(struct mig_connections *set)
{
    (void)pthread_mutex_unlock(&set->lock);
}

uint32_t mig_connections_capacity(const struct mig_limits *limits)
{
    return limits->connections + HEADROOM;
}

enum mig_err mig_connections_init(struct mig_connections *set, const struct mig_limits *limits,
                                  bool plain, struct mig_reaper *reaper)
{
    *set = (struct mig_connections){.limits = *limits, .plain = plain, .reaper = reaper};
    set->capacity = mig_connections_capacity(limits);
    set->slots = calloc(set->capacity, sizeof *set->slots);
    if (set->slots == NULL)
        return MIG_ERR_NOMEM;
    for (size_t i = set->capacity; i-- > 0;) {
        set->slots[i].newer = set->unused;
        set->unused = &set->slots[i];
    }
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&set->quieter, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&set->lock, NULL);
    mig_reaper_watch(reaper, set);
    return MIG_OK;
}

void mig_connections_clear(struct mig_connections *set)
{
    if (set->slots == NULL)
        return;
    mig_reaper_unwatch(set->reaper, set);
    (void)pthread_mutex_destroy(&set->lock);
    (void)pthread_cond_destroy(&set->quieter);
    mig_view_release(&set->view);
    free(set->slots);
    set->slots = NULL;
}

/* ---- under the lock ---- */

static void append(struct mig_connections *set, struct mig_connection *c)
{
    c->older = set->newest;
    c->newer = NULL;
    *(set->newest != NULL ? &set->newest->newer : &set->oldest) = c;
    set->newest = c;
}

static void detach(struct mig_connections *set, struct mig_connection *c)
{
    *(c->older != NULL ? &c->older->newer : &set->oldest) = c->newer;
    *(c->newer != NULL ? &c->newer->older : &set->newest) = c->older;
}

static void cut(struct mig_connection *c, enum mig_reaped why)
{
    if (c->cut)
        return;
    c->cut = true;
    c->home->live--;
    c->home->reaped[why]++;
    (void)shutdown(c->fd, SHUT_RDWR);
}

/* The oldest that never carried an authenticated request; the newcomer is one
 * of them, so there is always one. `near` NULL: whatever its address. */
static void cut_oldest(struct mig_connections *set, const struct mig_address *near)
{
    for (struct mig_connection *c = set->oldest; c != NULL; c = c->newer) {
        if (c->cut || c->authenticated || (near != NULL && !mig_address_is_near(&c->peer, near)))
            continue;
        cut(c, MIG_REAPED_LIMIT);
        return;
    }
}

static uint32_t count_near(const struct mig_connections *set, const struct mig_address *near)
{
    uint32_t count = 0;
    for (const struct mig_connection *c = set->oldest; c != NULL; c = c->newer)
        count += !c->cut && mig_address_is_near(&c->peer, near);
    return count;
}

static void enforce_limits(struct mig_connections *set, const struct mig_address *newcomer)
{
    if (count_near(set, newcomer) > set->limits.per_address)
        cut_oldest(set, newcomer);
    if (set->live > set->limits.connections)
        cut_oldest(set, NULL);
}

/* ---- the listener's thread ---- */

struct mig_connection *mig_connection_open(struct mig_connections *set, int fd,
                                           const struct mig_address *peer)
{
    uint64_t deadline = mig_deadline_now() + set->limits.head_ms * NS_PER_MS;
    lock(set);
    struct mig_connection *c = set->unused;
    if (c != NULL) {
        set->unused = c->newer;
        c->home = set;
        c->fd = fd;
        c->phase = MIG_PHASE_HEAD;
        c->authenticated = c->cut = c->ended = c->begun = c->linger = false;
        c->deadline = deadline;
        c->exchange = NULL;
        c->peer = *peer;
        append(set, c);
        set->live++;
        set->accepted++;
        if (set->draining)
            cut(c, MIG_REAPED_LIMIT);
        enforce_limits(set, peer);
    }
    unlock(set);
    if (c != NULL)
        mig_reaper_expect(set->reaper, deadline);
    return c;
}

void mig_connection_close(struct mig_connection *connection)
{
    struct mig_connections *set = connection->home;
    lock(set);
    bool linger = connection->linger && !connection->cut;
    int fd = linger ? fcntl(connection->fd, F_DUPFD_CLOEXEC, 0) : -1;
    detach(set, connection);
    set->live -= !connection->cut;
    connection->newer = set->unused;
    set->unused = connection;
    (void)pthread_cond_signal(&set->quieter);
    unlock(set);
    if (fd >= 0)
        mig_reaper_linger(set->reaper, fd, mig_deadline_now() + set->limits.drain_ms * NS_PER_MS);
}

uint64_t mig_connection_begin(struct mig_connection *connection)
{
    struct mig_connections *set = connection->home;
    uint64_t now = mig_deadline_now();
    connection->begun = true;
    connection->began_at = now;
    lock(set);
    connection->phase = MIG_PHASE_ANSWER;
    connection->deadline = now + set->limits.request_ms * NS_PER_MS;
    uint64_t views = set->views;
    unlock(set);
    mig_reaper_expect(set->reaper, now + set->limits.request_ms * NS_PER_MS);
    return views;
}

void mig_connection_publish(struct mig_connection *connection, struct mig_exchange *exchange,
                            enum mig_phase phase, uint64_t views)
{
    struct mig_connections *set = connection->home;
    lock(set);
    connection->exchange = exchange;
    connection->phase = phase;
    connection->authenticated |= mig_exchange_is_authenticated(exchange);
    if (views != set->views && !mig_exchange_is_admitted(exchange, set->view))
        cut(connection, MIG_REAPED_CANCELLED);
    unlock(set);
    if (phase == MIG_PHASE_BODY)
        mig_reaper_expect(set->reaper, mig_deadline_now() + LOOK_NS);
}

bool mig_connection_enter(struct mig_connection *connection, enum mig_phase phase)
{
    struct mig_connections *set = connection->home;
    lock(set);
    bool alive = !connection->cut;
    connection->phase = phase;
    unlock(set);
    return alive;
}

struct mig_exchange *mig_connection_rest(struct mig_connection *connection)
{
    struct mig_connections *set = connection->home;
    uint64_t deadline = mig_deadline_now() + set->limits.head_ms * NS_PER_MS;
    connection->begun = false;
    lock(set);
    struct mig_exchange *exchange = connection->exchange;
    connection->exchange = NULL;
    connection->phase = MIG_PHASE_HEAD;
    connection->deadline = deadline;
    if (set->draining) {
        (void)shutdown(connection->fd, SHUT_RD);
        (void)pthread_cond_signal(&set->quieter);
    }
    unlock(set);
    mig_reaper_expect(set->reaper, deadline);
    return exchange;
}

/* ---- other threads ---- */

/* While a body is awaited libmicrohttpd sends nothing, and cannot be made to
 * answer before the body is whole; on a plain socket we can. */
static void expire(struct mig_connection *c)
{
    if (c->phase == MIG_PHASE_BODY && c->home->plain)
        mig_late_answer(c->fd, c->ended ? 400 : 408);
    cut(c, c->phase == MIG_PHASE_HEAD ? MIG_REAPED_HEAD : MIG_REAPED_REQUEST);
}

/* With epoll the library overlooks an end that comes together with the last
 * bytes, and the import would wait for its deadline. Two looks, for what was
 * read may still be on its way to the exchange. */
static bool is_left(struct mig_connection *c)
{
    char next;
    bool before = c->ended;
    c->ended = c->phase == MIG_PHASE_BODY && recv(c->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    return before && c->ended;
}

static uint64_t next_look(const struct mig_connection *c, uint64_t now)
{
    bool often = c->phase == MIG_PHASE_BODY && now + LOOK_NS < c->deadline;
    return often ? now + LOOK_NS : c->deadline;
}

uint64_t mig_connections_reap(struct mig_connections *set, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    lock(set);
    for (struct mig_connection *c = set->oldest; c != NULL; c = c->newer) {
        if (c->cut)
            continue;
        if (is_left(c) || c->deadline <= now)
            expire(c);
        else if (next_look(c, now) < next)
            next = next_look(c, now);
    }
    unlock(set);
    return next;
}

unsigned mig_connections_cancel(struct mig_connections *set, const struct mig_view *view)
{
    unsigned count = 0;
    const struct mig_view *kept = mig_view_ref(view);
    lock(set);
    const struct mig_view *before = set->view;
    set->view = kept;
    set->views++;
    for (struct mig_connection *c = set->oldest; c != NULL; c = c->newer) {
        if (c->cut || c->exchange == NULL || mig_exchange_is_admitted(c->exchange, view))
            continue;
        cut(c, MIG_REAPED_CANCELLED);
        count++;
    }
    unlock(set);
    mig_view_release(&before);
    return count;
}

static bool is_busy(const struct mig_connections *set)
{
    for (const struct mig_connection *c = set->oldest; c != NULL; c = c->newer) {
        if (c->phase != MIG_PHASE_HEAD && !c->cut)
            return true;
    }
    return false;
}

bool mig_connections_drain(struct mig_connections *set, uint64_t deadline)
{
    struct timespec until = {(time_t)(deadline / NS_PER_S), (long)(deadline % NS_PER_S)};
    int rc = 0;
    lock(set);
    set->draining = true;
    for (struct mig_connection *c = set->oldest; c != NULL; c = c->newer) {
        if (c->phase == MIG_PHASE_HEAD && !c->cut)
            (void)shutdown(c->fd, SHUT_RD);
    }
    while (rc == 0 && is_busy(set))
        rc = pthread_cond_timedwait(&set->quieter, &set->lock, &until);
    bool quiet = !is_busy(set);
    unlock(set);
    return quiet;
}

void mig_connections_stats(struct mig_connections *set, struct mig_connections_stats *out)
{
    lock(set);
    out->open = set->live;
    out->accepted = set->accepted;
    for (size_t i = 0; i < MIG_REAPED_COUNT; i++)
        out->reaped[i] = set->reaped[i];
    unlock(set);
}
