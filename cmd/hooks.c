/* SPDX-License-Identifier: MIT */
#include "cmd/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/encoding.h"
#include "crypto/key.h"

extern char **environ;

enum { PAUSE_FIRST_MS = 1000, PAUSE_LAST_MS = 60000, NEWS_MAX = 256 };

/* What there is to tell one program; only the newest counts. */
struct news {
    struct mig_hooks *hooks;
    enum mig_hook which;
    bool has_thread;
    pthread_t thread;
    pthread_cond_t moved; /* on CLOCK_MONOTONIC */
    char json[NEWS_MAX];
    uint64_t asked, told; /* counts of events */
};

struct mig_hooks {
    struct mig_hooks_config config;
    pthread_mutex_t lock; /* protects what follows, and all but the first four of news */
    struct mig_hook_stats stats[MIG_HOOK_COUNT];
    struct news news[MIG_HOOK_COUNT]; /* of those that have no answer */
    bool stopping;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Milliseconds left, for poll. */
static int left(uint64_t until)
{
    uint64_t now = now_ms();
    return now < until ? (int)(until - now) : 0;
}

static enum mig_err start(const char *program, int input, pid_t *child)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    char *argv[] = {(char *)program, NULL};
    sigset_t none, defaults;
    if (posix_spawn_file_actions_init(&files) != 0)
        return MIG_ERR_NOMEM;
    if (posix_spawnattr_init(&attr) != 0) {
        (void)posix_spawn_file_actions_destroy(&files);
        return MIG_ERR_NOMEM;
    }
    /* The daemon blocks and ignores signals; its children shall not. Nor shall they
     * hold what libraries open without O_CLOEXEC: libcurl's connections are. */
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    int failed = posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO) |
                 posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) |
                 posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0) |
                 posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1) |
                 posix_spawnattr_setsigmask(&attr, &none) |
                 posix_spawnattr_setsigdefault(&attr, &defaults) |
                 posix_spawnattr_setpgroup(&attr, 0) |
                 posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                     POSIX_SPAWN_SETPGROUP);
    if (failed == 0)
        failed = posix_spawn(child, program, &files, &attr, argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&files);
    return failed == 0 ? MIG_OK : MIG_ERR_IO;
}

/* A program may exit without reading: a closed pipe is no failure. */
static bool feed(int fd, const char *json, uint64_t until)
{
    size_t len = strlen(json), done = 0;
    while (done < len) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (poll(&p, 1, left(until)) <= 0)
            return false;
        ssize_t n = write(fd, json + done, len - done);
        if (n < 0 && errno == EPIPE)
            return true;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool ends_well(pid_t child, uint64_t until)
{
    int status = 0;
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    bool ended = fd >= 0 && poll(&p, 1, left(until)) == 1;
    if (fd >= 0)
        (void)close(fd);
    if (!ended)
        (void)kill(-child, SIGKILL);
    (void)waitpid(child, &status, 0);
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

enum mig_err mig_hook_run(const char *program, const char *json, uint32_t deadline_ms)
{
    uint64_t until = now_ms() + deadline_ms;
    int ends[2];
    pid_t child = -1;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return MIG_ERR_IO;
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    enum mig_err err = start(program, ends[0], &child);
    (void)close(ends[0]);
    if (err != MIG_OK) {
        (void)close(ends[1]);
        return err;
    }
    bool fed = feed(ends[1], json, until);
    (void)close(ends[1]);
    if (!fed)
        (void)kill(-child, SIGKILL);
    return ends_well(child, until) && fed ? MIG_OK : MIG_ERR_RETRY;
}

/* ---- what they are told ---------------------------------------------------- */

static json_t *participants_json(const struct mig_participants *set)
{
    json_t *list = json_array();
    for (size_t i = 0; set != NULL && i < set->count; i++) {
        char key[MIG_KEY_TEXT_MAX];
        mig_key_format(set->list[i].tls_key, key);
        (void)json_array_append_new(
            list, json_pack("{s:I,s:s,s:s,s:s}", "id", (json_int_t)set->list[i].id, "account",
                            set->list[i].account, "tls_key", key, "url", set->list[i].url));
    }
    return list;
}

static char *change_json(const char *event, const struct mig_change *change)
{
    char before[24], after[24];
    (void)snprintf(before, sizeof before, "%llu", (unsigned long long)change->epoch_before);
    (void)snprintf(after, sizeof after, "%llu", (unsigned long long)change->epoch_after);
    json_t *gone = json_array();
    for (size_t i = 0; i < change->gone_count; i++)
        (void)json_array_append_new(gone, json_integer(change->gone[i]));
    json_t *root = json_pack("{s:s,s:s,s:s,s:b,s:b,s:o,s:o,s:o}", "event", event, "epoch_before",
                             before, "epoch_after", after, "active", change->active ? 1 : 0,
                             "purge_all", change->purge_all ? 1 : 0, "gone", gone,
                             "participants_before", participants_json(change->before),
                             "participants", participants_json(change->after));
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

/* Runs the program of a hook and keeps count. */
static enum mig_err run_hook(struct mig_hooks *hooks, enum mig_hook which, const char *json)
{
    struct mig_hook_stats *s = &hooks->stats[which];
    uint64_t began = now_ms();
    (void)pthread_mutex_lock(&hooks->lock);
    s->runs++;
    s->pending = true;
    (void)pthread_mutex_unlock(&hooks->lock);
    enum mig_err err = mig_hook_run(hooks->config.program[which], json, hooks->config.deadline_ms);
    (void)pthread_mutex_lock(&hooks->lock);
    s->failures = err == MIG_OK ? 0 : s->failures + 1;
    s->pending = err != MIG_OK;
    s->last_ms = now_ms() - began;
    (void)pthread_mutex_unlock(&hooks->lock);
    return err;
}

bool mig_hooks_stats(void *ctx, enum mig_hook hook, struct mig_hook_stats *out)
{
    struct mig_hooks *hooks = ctx;
    const struct news *n = &hooks->news[hook];
    (void)pthread_mutex_lock(&hooks->lock);
    *out = hooks->stats[hook];
    out->pending = out->pending || n->told != n->asked;
    (void)pthread_mutex_unlock(&hooks->lock);
    return hooks->config.program[hook] != NULL;
}

static enum mig_err run_change(struct mig_hooks *hooks, enum mig_hook which, const char *event,
                               const struct mig_change *change)
{
    if (hooks->config.program[which] == NULL)
        return MIG_OK;
    char *json = change_json(event, change);
    if (json == NULL)
        return MIG_ERR_NOMEM;
    enum mig_err err = run_hook(hooks, which, json);
    free(json);
    return err;
}

enum mig_err mig_hooks_participants_changed(void *ctx, const struct mig_change *change)
{
    return run_change(ctx, MIG_HOOK_PARTICIPANTS_CHANGED, "participants_changed", change);
}

enum mig_err mig_hooks_purge_assets(void *ctx, const struct mig_change *change)
{
    return run_change(ctx, MIG_HOOK_PURGE_ASSETS, "purge_assets", change);
}

const char *mig_job_text(enum mig_job job)
{
    switch (job) {
    case MIG_JOB_NONE:
        return "none";
    case MIG_JOB_WAITING:
        return "waiting";
    case MIG_JOB_IMPORTING:
        return "importing";
    case MIG_JOB_IMPORTED:
        return "imported";
    case MIG_JOB_DONE:
        return "done";
    }
    return "unknown";
}

/* ---- news, each on its own thread ------------------------------------------- */

/* With the lock held. */
static void pause_for(struct news *n, uint64_t ms)
{
    uint64_t until = now_ms() + ms, asked = n->asked;
    struct timespec t = {.tv_sec = (time_t)(until / 1000),
                         .tv_nsec = (long)(until % 1000) * 1000000};
    while (!n->hooks->stopping && n->asked == asked && now_ms() < until)
        (void)pthread_cond_timedwait(&n->moved, &n->hooks->lock, &t);
}

static void *tell(void *arg)
{
    struct news *n = arg;
    struct mig_hooks *hooks = n->hooks;
    uint64_t pause = PAUSE_FIRST_MS;
    (void)pthread_mutex_lock(&hooks->lock);
    while (!hooks->stopping) {
        if (n->told == n->asked) {
            (void)pthread_cond_wait(&n->moved, &hooks->lock);
            continue;
        }
        uint64_t telling = n->asked;
        char json[NEWS_MAX];
        memcpy(json, n->json, sizeof json);
        (void)pthread_mutex_unlock(&hooks->lock);
        enum mig_err err = run_hook(hooks, n->which, json);
        (void)pthread_mutex_lock(&hooks->lock);
        if (err == MIG_OK)
            n->told = telling;
        if (err == MIG_OK || n->asked != telling) {
            pause = PAUSE_FIRST_MS;
            continue;
        }
        pause_for(n, pause);
        pause = pause * 2 < PAUSE_LAST_MS ? pause * 2 : PAUSE_LAST_MS;
    }
    (void)pthread_mutex_unlock(&hooks->lock);
    return NULL;
}

static void announce(struct mig_hooks *hooks, enum mig_hook which, const char *json)
{
    struct news *n = &hooks->news[which];
    if (!n->has_thread)
        return;
    (void)pthread_mutex_lock(&hooks->lock);
    (void)snprintf(n->json, sizeof n->json, "%s", json);
    n->asked++;
    (void)pthread_cond_signal(&n->moved);
    (void)pthread_mutex_unlock(&hooks->lock);
}

void mig_hooks_job_changed(void *ctx, enum mig_job job)
{
    char json[NEWS_MAX];
    (void)snprintf(json, sizeof json, "{\"event\":\"job_changed\",\"job\":\"%s\"}",
                   mig_job_text(job));
    announce(ctx, MIG_HOOK_JOB_CHANGED, json);
}

void mig_hooks_backup_served(void *ctx, uint64_t epoch, const uint8_t keyset[MIG_DIGEST_LEN])
{
    char json[NEWS_MAX], digest[MIG_HEX_LEN(MIG_DIGEST_LEN)];
    if (mig_hex_encode(keyset, MIG_DIGEST_LEN, digest, sizeof digest) != MIG_OK)
        return;
    (void)snprintf(json, sizeof json,
                   "{\"event\":\"backup_served\",\"epoch\":\"%llu\",\"keyset\":\"%s\"}",
                   (unsigned long long)epoch, digest);
    announce(ctx, MIG_HOOK_BACKUP_SERVED, json);
}

void mig_hooks_recovered(void *ctx, const struct mig_receipt *receipt)
{
    char json[NEWS_MAX], digest[MIG_HEX_LEN(MIG_DIGEST_LEN)];
    if (mig_hex_encode(receipt->keyset, MIG_DIGEST_LEN, digest, sizeof digest) != MIG_OK)
        return;
    (void)snprintf(json, sizeof json,
                   "{\"event\":\"recovered\",\"epoch\":\"%llu\",\"keyset\":\"%s\",\"shares\":%u,"
                   "\"imported_at\":%llu,\"repeated\":%s}",
                   (unsigned long long)receipt->epoch, digest, receipt->shares,
                   (unsigned long long)receipt->imported_at, receipt->repeated ? "true" : "false");
    announce(ctx, MIG_HOOK_RECOVERED, json);
}

static bool is_news(enum mig_hook which)
{
    return which == MIG_HOOK_JOB_CHANGED || which == MIG_HOOK_BACKUP_SERVED ||
           which == MIG_HOOK_RECOVERED;
}

enum mig_err mig_hooks_new(const struct mig_hooks_config *config, struct mig_hooks **out)
{
    pthread_condattr_t attr;
    *out = NULL;
    struct mig_hooks *hooks = calloc(1, sizeof *hooks);
    if (hooks == NULL)
        return MIG_ERR_NOMEM;
    hooks->config = *config;
    (void)pthread_mutex_init(&hooks->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    bool all = true;
    for (unsigned i = 0; i < MIG_HOOK_COUNT; i++) {
        struct news *n = &hooks->news[i];
        n->hooks = hooks;
        n->which = (enum mig_hook)i;
        (void)pthread_cond_init(&n->moved, &attr);
        if (config->program[i] == NULL || !is_news(n->which))
            continue;
        n->has_thread = pthread_create(&n->thread, NULL, tell, n) == 0;
        all = all && n->has_thread;
    }
    (void)pthread_condattr_destroy(&attr);
    if (!all) {
        mig_hooks_free(&hooks);
        return MIG_ERR_NOMEM;
    }
    *out = hooks;
    return MIG_OK;
}

void mig_hooks_free(struct mig_hooks **hooks)
{
    struct mig_hooks *h = *hooks;
    if (h == NULL)
        return;
    (void)pthread_mutex_lock(&h->lock);
    h->stopping = true;
    for (unsigned i = 0; i < MIG_HOOK_COUNT; i++)
        (void)pthread_cond_signal(&h->news[i].moved);
    (void)pthread_mutex_unlock(&h->lock);
    for (unsigned i = 0; i < MIG_HOOK_COUNT; i++) {
        if (h->news[i].has_thread)
            (void)pthread_join(h->news[i].thread, NULL);
        (void)pthread_cond_destroy(&h->news[i].moved);
    }
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
    *hooks = NULL;
}
