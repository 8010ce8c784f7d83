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

#include "crypto/key.h"

extern char **environ;

enum { PAUSE_FIRST_MS = 1000, PAUSE_LAST_MS = 60000 };

struct mig_hooks {
    struct mig_hooks_config config;
    bool has_thread;
    pthread_t thread;
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t moved; /* on CLOCK_MONOTONIC */
    enum mig_job job;
    uint64_t asked, told; /* counts of job changes */
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
    /* The daemon blocks and ignores signals; its children shall not. */
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    int failed = posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO) |
                 posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) |
                 posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0) |
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

static enum mig_err run_change(const struct mig_hooks *hooks, enum mig_hook which,
                               const char *event, const struct mig_change *change)
{
    const char *program = hooks->config.program[which];
    if (program == NULL)
        return MIG_OK;
    char *json = change_json(event, change);
    if (json == NULL)
        return MIG_ERR_NOMEM;
    enum mig_err err = mig_hook_run(program, json, hooks->config.deadline_ms);
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

/* ---- job_changed, on its own thread ------------------------------------------ */

static enum mig_err tell_job(const struct mig_hooks *hooks, enum mig_job job)
{
    char json[96];
    (void)snprintf(json, sizeof json, "{\"event\":\"job_changed\",\"job\":\"%s\"}",
                   mig_job_text(job));
    return mig_hook_run(hooks->config.program[MIG_HOOK_JOB_CHANGED], json,
                        hooks->config.deadline_ms);
}

static void pause_for(struct mig_hooks *hooks, uint64_t ms)
{
    uint64_t until = now_ms() + ms, asked = hooks->asked;
    struct timespec t = {.tv_sec = (time_t)(until / 1000),
                         .tv_nsec = (long)(until % 1000) * 1000000};
    while (!hooks->stopping && hooks->asked == asked && now_ms() < until)
        (void)pthread_cond_timedwait(&hooks->moved, &hooks->lock, &t);
}

static void *tell_jobs(void *arg)
{
    struct mig_hooks *hooks = arg;
    uint64_t pause = PAUSE_FIRST_MS;
    (void)pthread_mutex_lock(&hooks->lock);
    while (!hooks->stopping) {
        if (hooks->told == hooks->asked) {
            (void)pthread_cond_wait(&hooks->moved, &hooks->lock);
            continue;
        }
        uint64_t telling = hooks->asked;
        enum mig_job job = hooks->job;
        (void)pthread_mutex_unlock(&hooks->lock);
        enum mig_err err = tell_job(hooks, job);
        (void)pthread_mutex_lock(&hooks->lock);
        if (err == MIG_OK) {
            hooks->told = telling;
            pause = PAUSE_FIRST_MS;
        } else if (hooks->asked == telling) {
            pause_for(hooks, pause);
            pause = pause * 2 < PAUSE_LAST_MS ? pause * 2 : PAUSE_LAST_MS;
        }
    }
    (void)pthread_mutex_unlock(&hooks->lock);
    return NULL;
}

void mig_hooks_job_changed(void *ctx, enum mig_job job)
{
    struct mig_hooks *hooks = ctx;
    if (!hooks->has_thread)
        return;
    (void)pthread_mutex_lock(&hooks->lock);
    hooks->job = job;
    hooks->asked++;
    (void)pthread_cond_signal(&hooks->moved);
    (void)pthread_mutex_unlock(&hooks->lock);
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
    (void)pthread_cond_init(&hooks->moved, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (config->program[MIG_HOOK_JOB_CHANGED] != NULL)
        hooks->has_thread = pthread_create(&hooks->thread, NULL, tell_jobs, hooks) == 0;
    if (config->program[MIG_HOOK_JOB_CHANGED] != NULL && !hooks->has_thread) {
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
    if (h->has_thread) {
        (void)pthread_mutex_lock(&h->lock);
        h->stopping = true;
        (void)pthread_cond_signal(&h->moved);
        (void)pthread_mutex_unlock(&h->lock);
        (void)pthread_join(h->thread, NULL);
    }
    (void)pthread_cond_destroy(&h->moved);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
    *hooks = NULL;
}
