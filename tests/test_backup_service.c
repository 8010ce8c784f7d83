/* SPDX-License-Identifier: MIT */
/* The unattended loop: what it gives up, and when it takes it up again. */
#include "backup/service.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness.h"
#include "tests/rig.h"

/* A node that takes requests and never answers, the service, and its log. */
struct scene {
    struct rig rig;
    struct mig_vault vault;
    struct mig_backup_service *service;
    pthread_t thread, node;
    int stop[2], listener;
    char url[64];
    bool covered;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned requests;
    char log[32][160];
    size_t logged;
};

/* ---- a vault that holds or lacks everything --------------------------------- */

static enum mig_err vault_keyset(void *ctx, const uint8_t digest[MIG_DIGEST_LEN],
                                 struct mig_keyset *out)
{
    struct scene *s = ctx;
    (void)digest;
    if (!s->covered)
        return MIG_ERR_NOT_FOUND;
    rig_keyset(&s->rig, out);
    return MIG_OK;
}

static enum mig_err vault_note(void *ctx, const uint8_t digest[MIG_DIGEST_LEN],
                               struct mig_note *out)
{
    (void)ctx;
    (void)digest;
    (void)out;
    return MIG_ERR_NOT_FOUND;
}

static enum mig_err vault_list(void *ctx, struct mig_vault_entry **list, size_t *count)
{
    (void)ctx;
    *list = NULL;
    *count = 0;
    return MIG_OK;
}

static enum mig_err vault_lease(void *ctx, uint64_t now, uint32_t seconds)
{
    (void)ctx;
    (void)now;
    (void)seconds;
    return MIG_OK;
}

/* ---- events ------------------------------------------------------------------- */

static void note_line(void *ctx, enum mig_log_level level, const char *event, const char *text)
{
    struct scene *s = ctx;
    (void)level;
    (void)pthread_mutex_lock(&s->lock);
    if (s->logged < sizeof s->log / sizeof *s->log)
        (void)snprintf(s->log[s->logged++], sizeof *s->log, "%s: %.120s", event, text);
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
}

static bool has_line(const struct scene *s, const char *start)
{
    for (size_t i = 0; i < s->logged; i++)
        if (strncmp(s->log[i], start, strlen(start)) == 0)
            return true;
    return false;
}

/* Until there is such a line and so many requests came; ten seconds at most. */
static void await(struct scene *s, const char *start, unsigned requests)
{
    struct timespec until;
    int timed_out = 0;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    (void)pthread_mutex_lock(&s->lock);
    while (timed_out == 0 && (!has_line(s, start) || s->requests < requests))
        timed_out = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    CU_ASSERT_EQUAL(timed_out, 0);
    (void)pthread_mutex_unlock(&s->lock);
}

static void *hold_requests(void *arg)
{
    struct scene *s = arg;
    for (int c; (c = accept(s->listener, NULL, NULL)) >= 0; (void)close(c)) {
        char bytes[4096];
        bool counted = false;
        while (read(c, bytes, sizeof bytes) > 0) {
            (void)pthread_mutex_lock(&s->lock);
            s->requests += !counted;
            counted = true;
            (void)pthread_cond_broadcast(&s->changed);
            (void)pthread_mutex_unlock(&s->lock);
        }
    }
    return NULL;
}

static void on_view(void *ctx, const struct mig_view *view)
{
    (void)view;
    mig_backup_service_wake(((struct scene *)ctx)->service);
}

static void *run(void *arg)
{
    struct scene *s = arg;
    mig_backup_service_run(s->service, s->stop[0]);
    return NULL;
}

static void start_node(struct scene *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
    CU_ASSERT_EQUAL_FATAL(listen(s->listener, 4), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(s->listener, (struct sockaddr *)&a, &size), 0);
    (void)snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", ntohs(a.sin_port));
    CU_ASSERT_EQUAL_FATAL(pthread_create(&s->node, NULL, hold_requests, s), 0);
}

static void start(struct scene *s, bool covered)
{
    *s = (struct scene){.covered = covered};
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->changed, NULL);
    rig_open(&s->rig);
    start_node(s);
    s->vault = (struct mig_vault){.ctx = s,
                                  .keyset = vault_keyset,
                                  .load_note = vault_note,
                                  .list = vault_list,
                                  .lease = vault_lease};
    const struct mig_backup_config config = {.contract = "v1.signer",
                                             .account = "alice.near",
                                             .service = s->rig.backup,
                                             .announce = MIG_ANNOUNCE_HEADER,
                                             .node_url = s->url,
                                             .recover_url = s->url,
                                             .max_staleness_ns = UINT64_MAX,
                                             .cache = s->rig.cache,
                                             .vault = &s->vault,
                                             .log = note_line,
                                             .log_ctx = s};
    CU_ASSERT_EQUAL_FATAL(pipe(s->stop), 0);
    CU_ASSERT_EQUAL_FATAL(mig_backup_service_new(&config, &s->service), MIG_OK);
    mig_cache_on_view(s->rig.cache, on_view, s);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&s->thread, NULL, run, s), 0);
}

static void end(struct scene *s)
{
    CU_ASSERT_EQUAL(write(s->stop[1], "x", 1), 1);
    (void)pthread_join(s->thread, NULL);
    (void)shutdown(s->listener, SHUT_RDWR);
    (void)pthread_join(s->node, NULL);
    (void)close(s->listener);
    mig_backup_service_free(&s->service);
    rig_close(&s->rig);
    (void)close(s->stop[0]);
    (void)close(s->stop[1]);
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->lock);
}

static void forget_log(struct scene *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->logged = 0;
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- the tests ------------------------------------------------------------------ */

static void gives_up_a_backup_when_the_protocol_leaves_running(void)
{
    struct scene s;
    start(&s, false);
    await(&s, "not_covered", 1);
    s.rig.world.protocol = MIG_PROTOCOL_RESHARING;
    rig_tell(&s.rig);
    await(&s, "backup: cancelled", 1);
    await(&s, "not_running", 1);
    /* And takes it up again. */
    s.rig.world.protocol = MIG_PROTOCOL_RUNNING;
    rig_tell(&s.rig);
    await(&s, "not_covered", 2);
    end(&s);
}

static void gives_up_when_its_key_is_replaced(void)
{
    struct scene s;
    start(&s, false);
    await(&s, "not_covered", 1);
    s.rig.world.service = s.rig.rotated;
    rig_tell(&s.rig);
    await(&s, "backup: cancelled", 1);
    await(&s, "other_key", 1);
    end(&s);
}

static void goes_on_when_nothing_that_matters_changes(void)
{
    struct scene s;
    start(&s, false);
    await(&s, "not_covered", 1);
    for (int i = 0; i < 5; i++)
        rig_tell(&s.rig);
    CU_ASSERT_FALSE(has_line(&s, "backup: cancelled"));
    end(&s);
    CU_ASSERT_EQUAL(s.requests, 1);
}

static void turns_from_one_delivery_to_another_when_the_record_changes(void)
{
    struct scene s;
    start(&s, true);
    await(&s, "unconfirmed", 1);
    s.rig.world.destination = s.rig.other;
    rig_tell(&s.rig);
    await(&s, "backup: cancelled", 1);
    await(&s, "delivery_due", 2);
    s.rig.world.destination = s.rig.rotated;
    rig_tell(&s.rig);
    await(&s, "delivery: cancelled", 3);
    forget_log(&s);
    s.rig.world.destination = NULL;
    rig_tell(&s.rig);
    await(&s, "delivery: cancelled", 4);
    end(&s);
}

static void stops_in_the_middle_of_a_transfer(void)
{
    struct scene s;
    start(&s, false);
    await(&s, "not_covered", 1);
    end(&s); /* would wait for the transfer's thirty seconds */
    CU_ASSERT_TRUE(has_line(&s, "backup: cancelled"));
}

int main(void)
{
    static const struct test tests[] = {
        TEST(gives_up_a_backup_when_the_protocol_leaves_running),
        TEST(gives_up_when_its_key_is_replaced),
        TEST(goes_on_when_nothing_that_matters_changes),
        TEST(turns_from_one_delivery_to_another_when_the_record_changes),
        TEST(stops_in_the_middle_of_a_transfer),
    };
    return run_tests("backup service", tests, sizeof tests / sizeof *tests);
}
