/* SPDX-License-Identifier: MIT */
#include "server/reaper.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/connections.h"

enum { NS_PER_S = 1000000000 };

struct lingering {
    int fd;
    uint64_t deadline;
};

struct mig_reaper {
    pthread_t thread;
    int wake; /* eventfd */
    _Atomic uint64_t next;
    atomic_bool stop;
    pthread_mutex_t lock; /* protects the rest; taken before any connections' lock */
    struct mig_connections *watched;
    size_t lingering_count;
    struct lingering lingering[MIG_REAPER_LINGERING_MAX];
};

uint64_t mig_deadline_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void wake(struct mig_reaper *reaper)
{
    uint64_t one = 1;
    (void)!write(reaper->wake, &one, sizeof one);
}

void mig_reaper_expect(struct mig_reaper *reaper, uint64_t deadline)
{
    if (deadline < atomic_load(&reaper->next))
        wake(reaper);
}

/* True when there is nothing more to wait for. A few pieces a time: who sends
 * as fast as we drop must not keep the thread from everybody's deadlines. */
static bool drain(int fd)
{
    enum { PIECES = 16 };
    char dropped[16 * 1024];
    ssize_t n = sizeof dropped;
    for (int i = 0; i < PIECES && n == (ssize_t)sizeof dropped; i++)
        n = recv(fd, dropped, sizeof dropped, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static uint64_t sweep_lingering(struct mig_reaper *reaper, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < reaper->lingering_count;) {
        struct lingering *l = &reaper->lingering[i];
        if (drain(l->fd) || l->deadline <= now) {
            (void)close(l->fd);
            *l = reaper->lingering[--reaper->lingering_count];
            continue;
        }
        if (l->deadline < next)
            next = l->deadline;
        i++;
    }
    return next;
}

/* Cuts what is due and says what to wait for. `next` is open while looking, so
 * that a deadline set meanwhile wakes the thread again. */
static uint64_t sweep(struct mig_reaper *reaper, struct pollfd *polled, nfds_t *count)
{
    atomic_store(&reaper->next, UINT64_MAX);
    (void)pthread_mutex_lock(&reaper->lock);
    uint64_t now = mig_deadline_now();
    uint64_t next = sweep_lingering(reaper, now);
    for (struct mig_connections *c = reaper->watched; c != NULL; c = c->next_watched) {
        uint64_t theirs = mig_connections_reap(c, now);
        if (theirs < next)
            next = theirs;
    }
    polled[0] = (struct pollfd){.fd = reaper->wake, .events = POLLIN};
    for (size_t i = 0; i < reaper->lingering_count; i++)
        polled[i + 1] = (struct pollfd){.fd = reaper->lingering[i].fd, .events = POLLIN};
    *count = reaper->lingering_count + 1;
    (void)pthread_mutex_unlock(&reaper->lock);
    atomic_store(&reaper->next, next);
    return next;
}

static void wait(struct pollfd *polled, nfds_t count, uint64_t next)
{
    uint64_t now = mig_deadline_now();
    uint64_t ns = next > now ? next - now : 0;
    struct timespec timeout = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    (void)ppoll(polled, count, next == UINT64_MAX ? NULL : &timeout, NULL);
    uint64_t count_of_wakes;
    if ((polled[0].revents & POLLIN) != 0)
        (void)!read(polled[0].fd, &count_of_wakes, sizeof count_of_wakes);
}

static void *run(void *arg)
{
    struct mig_reaper *reaper = arg;
    struct pollfd polled[MIG_REAPER_LINGERING_MAX + 1];
    nfds_t count;
    while (!atomic_load(&reaper->stop)) {
        uint64_t next = sweep(reaper, polled, &count);
        wait(polled, count, next);
    }
    return NULL;
}

enum mig_err mig_reaper_new(struct mig_reaper **out)
{
    *out = NULL;
    struct mig_reaper *reaper = calloc(1, sizeof *reaper);
    if (reaper == NULL)
        return MIG_ERR_NOMEM;
    atomic_init(&reaper->next, 0);
    (void)pthread_mutex_init(&reaper->lock, NULL);
    reaper->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = reaper->wake >= 0 && pthread_create(&reaper->thread, NULL, run, reaper) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!ok) {
        if (reaper->wake >= 0)
            (void)close(reaper->wake);
        free(reaper);
        return MIG_ERR_IO;
    }
    *out = reaper;
    return MIG_OK;
}

void mig_reaper_free(struct mig_reaper **reaper)
{
    struct mig_reaper *r = *reaper;
    if (r == NULL)
        return;
    atomic_store(&r->stop, true);
    wake(r);
    (void)pthread_join(r->thread, NULL);
    for (size_t i = 0; i < r->lingering_count; i++)
        (void)close(r->lingering[i].fd);
    (void)close(r->wake);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
    *reaper = NULL;
}

void mig_reaper_watch(struct mig_reaper *reaper, struct mig_connections *connections)
{
    (void)pthread_mutex_lock(&reaper->lock);
    connections->next_watched = reaper->watched;
    reaper->watched = connections;
    (void)pthread_mutex_unlock(&reaper->lock);
    wake(reaper);
}

void mig_reaper_unwatch(struct mig_reaper *reaper, struct mig_connections *connections)
{
    (void)pthread_mutex_lock(&reaper->lock);
    struct mig_connections **at = &reaper->watched;
    while (*at != NULL && *at != connections)
        at = &(*at)->next_watched;
    if (*at != NULL)
        *at = connections->next_watched;
    (void)pthread_mutex_unlock(&reaper->lock);
}

void mig_reaper_linger(struct mig_reaper *reaper, int fd, uint64_t deadline)
{
    (void)shutdown(fd, SHUT_WR);
    (void)pthread_mutex_lock(&reaper->lock);
    bool room = reaper->lingering_count < MIG_REAPER_LINGERING_MAX;
    if (room)
        reaper->lingering[reaper->lingering_count++] = (struct lingering){fd, deadline};
    (void)pthread_mutex_unlock(&reaper->lock);
    if (room)
        wake(reaper);
    else
        (void)close(fd);
}
