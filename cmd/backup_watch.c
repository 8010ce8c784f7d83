/* SPDX-License-Identifier: MIT */
/*
 * watch: the contract live. On a terminal one screen that is drawn anew; into
 * a pipe a paragraph at every change; with --json a line of JSON at every
 * block.
 */
#include "cmd/backup_app.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "chain/watch.h"
#include "cmd/process.h"
#include "crypto/key.h"

enum { TEXT_MAX = 600, TICK_MS = 1000 };
#define NS_PER_MS UINT64_C(1000000)

struct scene {
    const struct mig_app *app;
    struct mig_cache *cache;
    struct mig_watch *watch;
    int wake_fd;
    bool has_own;
    uint8_t own[MIG_KEY_LEN]; /* this service's key, when there is one */
    pthread_mutex_t lock;     /* protects said */
    char said[TEXT_MAX];      /* the last event of the endpoints */
};

static void wake(struct scene *s)
{
    uint64_t one = 1;
    (void)!write(s->wake_fd, &one, sizeof one);
}

static void on_view(void *ctx, const struct mig_view *view)
{
    (void)view;
    wake(ctx);
}

static void on_log(void *ctx, enum mig_log_level level, const char *event, const char *text)
{
    struct scene *s = ctx;
    if (level > MIG_LOG_NOTICE)
        return;
    (void)pthread_mutex_lock(&s->lock);
    (void)snprintf(s->said, sizeof s->said, "%s: %s", event, text);
    (void)pthread_mutex_unlock(&s->lock);
    wake(s);
}

static uint64_t age_ms(const struct mig_view *view)
{
    return mig_view_age_ns(view, mig_app_now_ns()) / NS_PER_MS;
}

static bool is_own(const struct scene *s, const struct mig_view *view)
{
    return s->has_own && view->has_service_key &&
           memcmp(s->own, view->service_key, MIG_KEY_LEN) == 0;
}

/* ---- JSON -------------------------------------------------------------- */

static json_t *big(uint64_t n)
{
    return json_sprintf("%" PRIu64, n);
}

static json_t *node_json(const struct scene *s, const struct mig_view *view)
{
    const struct mig_participant *p = mig_participants_find(&view->participants, s->app->account);
    if (p == NULL)
        return json_null();
    return json_pack("{s:I, s:s, s:s}", "id", (json_int_t)p->id, "url", p->url, "tls_key",
                     mig_app_key(p->tls_key));
}

static json_t *migration_json(const struct mig_view *view)
{
    const struct mig_destination *d = &view->destination;
    if (!view->has_destination)
        return json_null();
    return json_pack("{s:s, s:s, s:o, s:b}", "url", d->url, "tls_key", mig_app_key(d->tls_key),
                     "since", big(d->since), "active", d->active);
}

static json_t *endpoints_json(const struct scene *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < mig_watch_count(s->watch); i++) {
        struct mig_watch_stats e;
        mig_watch_stats(s->watch, i, &e);
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:o, s:s?, s:I, s:I, s:I}", "origin", e.origin, "agreement",
                            mig_agreement_text(e.agreement), "height", big(e.height), "failure",
                            e.reason[0] != '\0' ? e.reason : NULL, "polls", (json_int_t)e.polls,
                            "failures", (json_int_t)e.failures, "disagreements",
                            (json_int_t)e.disagreements));
    }
    return list;
}

static json_t *scene_json(const struct scene *s, const struct mig_view *view)
{
    return json_pack(
        "{s:s, s:s, s:b, s:I, s:o, s:o, s:s, s:o, s:I, s:I, s:o, s:o, s:b, s:o, s:I, s:o}",
        "contract", s->app->contract, "account", s->app->account, "fresh",
        age_ms(view) * NS_PER_MS <= mig_app_max_staleness_ns(s->app), "age_ms",
        (json_int_t)age_ms(view), "height", big(view->state_block.height), "generation",
        big(view->generation), "protocol", mig_protocol_text(view->protocol), "epoch",
        view->keyset.count > 0 ? big(view->keyset.epoch) : json_null(), "domains",
        (json_int_t)view->keyset.count, "participants", (json_int_t)view->participants.count,
        "node", node_json(s, view), "backup_service",
        view->has_service_key ? json_string(mig_app_key(view->service_key)) : json_null(),
        "is_this_service", is_own(s, view), "migration", migration_json(view), "quorum",
        (json_int_t)mig_watch_quorum(s->watch), "endpoints", endpoints_json(s));
}

static int print_line(const struct scene *s, const struct mig_view *view)
{
    json_t *root = scene_json(s, view);
    if (root == NULL)
        return mig_app_fail(MIG_EXIT_SOFTWARE, "out of memory");
    int failed = json_dumpf(root, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(root);
    (void)putchar('\n');
    return failed == 0 && fflush(stdout) == 0
               ? MIG_EXIT_OK
               : mig_app_fail(MIG_EXIT_IO, "cannot write to standard output");
}

/* ---- for people -------------------------------------------------------- */

static void print_contract(const struct scene *s, const struct mig_view *view)
{
    uint64_t ms = age_ms(view);
    bool fresh = ms * NS_PER_MS <= mig_app_max_staleness_ns(s->app);
    (void)printf("protocol    %s, epoch %" PRIu64 ", %zu domains, %zu participants\n",
                 mig_protocol_text(view->protocol), view->keyset.epoch, view->keyset.count,
                 view->participants.count);
    (void)printf("block       %" PRIu64 ", %" PRIu64 ".%" PRIu64 " s old%s, change %" PRIu64 "\n",
                 view->state_block.height, ms / 1000, ms % 1000 / 100, fresh ? "" : " (STALE)",
                 view->generation);
}

static void print_account(const struct scene *s, const struct mig_view *view)
{
    const struct mig_participant *p = mig_participants_find(&view->participants, s->app->account);
    if (p != NULL)
        (void)printf("our node    %s %s\n", mig_app_key(p->tls_key), p->url);
    else
        (void)printf("our node    not a participant\n");
    if (view->has_service_key)
        (void)printf("service     %s%s\n", mig_app_key(view->service_key),
                     is_own(s, view) ? " (this one)"
                     : s->has_own    ? " (NOT this one)"
                                     : "");
    else
        (void)printf("service     none registered\n");
    if (view->has_destination)
        (void)printf("migration   to %s %s%s\n", mig_app_key(view->destination.tls_key),
                     view->destination.url,
                     view->destination.active ? "" : " (a record that no longer counts)");
    else
        (void)printf("migration   none\n");
}

static void print_endpoints(const struct scene *s)
{
    size_t count = mig_watch_count(s->watch);
    for (size_t i = 0; i < count; i++) {
        struct mig_watch_stats e;
        mig_watch_stats(s->watch, i, &e);
        (void)printf("%s %s", i == 0 ? "endpoints  " : "           ", e.origin);
        if (count > 1)
            (void)printf(", %s", mig_agreement_text(e.agreement));
        if (e.reason[0] != '\0')
            (void)printf(", %s", e.reason);
        (void)printf(", block %" PRIu64 "\n", e.height);
    }
    if (count > 1)
        (void)printf("            %zu of %zu must agree\n", mig_watch_quorum(s->watch), count);
}

static int print_scene(struct scene *s, const struct mig_view *view, bool redraw)
{
    (void)printf("%s%s at %s\n\n", redraw ? "\033[H\033[2J" : "", s->app->account,
                 s->app->contract);
    if (view != NULL) {
        print_contract(s, view);
        print_account(s, view);
    } else {
        (void)printf("the contract has not been seen yet\n");
    }
    print_endpoints(s);
    (void)pthread_mutex_lock(&s->lock);
    if (s->said[0] != '\0')
        (void)printf("last event  %s\n", s->said);
    (void)pthread_mutex_unlock(&s->lock);
    (void)printf("\n");
    return fflush(stdout) == 0 ? MIG_EXIT_OK
                               : mig_app_fail(MIG_EXIT_IO, "cannot write to standard output");
}

/* ---- the loop ---------------------------------------------------------- */

struct shown {
    uint64_t height, generation;
    char said[TEXT_MAX];
};

static int show(struct scene *s, const struct mig_view *view, struct shown *shown)
{
    bool terminal = isatty(STDOUT_FILENO) != 0;
    uint64_t height = view != NULL ? view->state_block.height : 0;
    uint64_t generation = view != NULL ? view->generation : 0;
    (void)pthread_mutex_lock(&s->lock);
    bool said = strcmp(shown->said, s->said) != 0;
    memcpy(shown->said, s->said, sizeof shown->said);
    (void)pthread_mutex_unlock(&s->lock);
    bool moved = height != shown->height, changed = generation != shown->generation || said;
    shown->height = height;
    shown->generation = generation;
    if (s->app->json)
        return moved ? print_line(s, view) : MIG_EXIT_OK;
    return terminal || changed ? print_scene(s, view, terminal) : MIG_EXIT_OK;
}

/* Until a signal, or until nobody reads. */
static int follow(struct scene *s, int stop_fd)
{
    struct shown shown = {0};
    struct pollfd fds[] = {{.fd = stop_fd, .events = POLLIN}, {.fd = s->wake_fd, .events = POLLIN}};
    int status = MIG_EXIT_OK;
    while (status == MIG_EXIT_OK) {
        const struct mig_view *view = mig_cache_view(s->cache);
        status = show(s, view, &shown);
        mig_view_release(&view);
        (void)poll(fds, 2, TICK_MS);
        if (fds[0].revents != 0)
            break;
        uint64_t count;
        (void)!read(s->wake_fd, &count, sizeof count);
    }
    return status;
}

/* Not needed to watch; with it the screen can say whose key is registered. */
static void learn_own_key(struct scene *s)
{
    struct mig_identity *identity = NULL;
    const char *why = "";
    const char *path = mig_config_text(s->app->config, "service", "identity_key");
    if (path == NULL || mig_identity_load(path, &identity, &why) != MIG_OK)
        return;
    memcpy(s->own, identity->public_key, MIG_KEY_LEN);
    s->has_own = true;
    mig_identity_free(&identity);
}

static int watch_it(struct scene *s, int stop_fd)
{
    const struct mig_config_file *c = s->app->config;
    const struct mig_watch_options options = {
        .rpc_url = mig_config_text(c, "contract", "rpc"),
        .quorum = (uint32_t)mig_config_number(c, "contract", "quorum"),
        .contract = s->app->contract,
        .account = s->app->account,
        .dialect = mig_app_dialect(s->app),
        .poll_ms = (unsigned)mig_config_number(c, "contract", "poll_interval"),
        .cache = s->cache,
        .log = on_log,
        .log_ctx = s};
    mig_cache_on_view(s->cache, on_view, s);
    enum mig_err err = mig_watch_start(&options, &s->watch);
    if (err != MIG_OK)
        return mig_app_fail(mig_exit_of(err), "the contract cannot be watched: %s",
                            mig_err_text(err));
    int status = follow(s, stop_fd);
    mig_watch_stop(&s->watch);
    return status;
}

int mig_verb_watch(struct mig_app *app)
{
    struct scene s = {.app = app, .wake_fd = -1};
    int status = mig_app_open_config(app);
    if (status != MIG_EXIT_OK)
        return status;
    int stop_fd = mig_app_stop_fd();
    s.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&s.lock, NULL);
    learn_own_key(&s);
    enum mig_err err = mig_cache_new(app->contract, app->account, mig_app_dialect(app), &s.cache);
    if (err != MIG_OK || stop_fd < 0 || s.wake_fd < 0)
        status = mig_app_fail(MIG_EXIT_SOFTWARE, "out of memory or descriptors");
    else
        status = watch_it(&s, stop_fd);
    mig_cache_free(&s.cache);
    (void)pthread_mutex_destroy(&s.lock);
    if (s.wake_fd >= 0)
        (void)close(s.wake_fd);
    if (stop_fd >= 0)
        (void)close(stop_fd);
    return status;
}
