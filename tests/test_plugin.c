/* SPDX-License-Identifier: MIT */
/* The library as an embedder sees it: mpc_migration.h and nothing else of ours
 * but key files to start from. */
#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/key.h"
#include "include/mpc_migration.h"
#include "tests/harness.h"

static char identity[300], access_key[300], store_key[300], state_dir[300];
static struct mig_identity *node;
static unsigned concluded, changed, purged, jobs[8];

static void write_keys(void)
{
    static unsigned round;
    struct mig_identity *account = NULL;
    struct mig_secret *key = mig_secret_new(32);
    round++;
    (void)snprintf(identity, sizeof identity, "%s/identity%u", test_dir(), round);
    (void)snprintf(access_key, sizeof access_key, "%s/access%u", test_dir(), round);
    (void)snprintf(store_key, sizeof store_key, "%s/store%u.key", test_dir(), round);
    (void)snprintf(state_dir, sizeof state_dir, "%s/state%u", test_dir(), round);
    mig_identity_free(&node);
    CU_ASSERT_EQUAL_FATAL(mig_identity_generate(&node), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_identity_generate(&account), MIG_OK);
    mig_random(key->bytes, key->len);
    CU_ASSERT_EQUAL_FATAL(mig_identity_save(identity, node), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_identity_save(access_key, account), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_symmetric_key_save(store_key, key), MIG_OK);
    mig_identity_free(&account);
    mig_secret_free(&key);
}

static enum mig_err conclude(void *ctx, const struct mig_keyset *keyset)
{
    (void)ctx;
    (void)keyset;
    concluded++;
    return MIG_OK;
}

static enum mig_err participants_changed(void *ctx, const struct mig_change *change)
{
    (void)ctx;
    (void)change;
    __atomic_fetch_add(&changed, 1, __ATOMIC_RELAXED);
    return MIG_OK;
}

static enum mig_err purge_assets(void *ctx, const struct mig_change *change)
{
    (void)ctx;
    CU_ASSERT(change->purge_all);
    __atomic_fetch_add(&purged, 1, __ATOMIC_RELEASE);
    return MIG_OK;
}

static void job_changed(void *ctx, enum mig_job job)
{
    (void)ctx;
    __atomic_fetch_add(&jobs[job], 1, __ATOMIC_RELAXED);
}

static const struct mig_host host = {.conclude = conclude,
                                     .participants_changed = participants_changed,
                                     .purge_assets = purge_assets,
                                     .job_changed = job_changed};

static struct mig_config config(void)
{
    return (struct mig_config){
        .contract = "v1.signer",
        .account = "alice.near",
        .identity_key = identity,
        .state_dir = state_dir,
        .store_key = store_key,
        .listen = "127.0.0.1:0",
        .admin = "127.0.0.1:0",
    };
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A Running state in which alice's seat is `tls_key`'s. */
static void feed(struct mig_plugin *plugin, uint64_t height, const uint8_t tls_key[MIG_KEY_LEN])
{
    char state[2048], key[MIG_KEY_TEXT_MAX];
    mig_key_format(tls_key, key);
    (void)snprintf(state, sizeof state,
                   "{\"Running\":{\"domains\":{\"domains\":[{\"id\":0,\"protocol\":\"Frost\","
                   "\"reconstruction_threshold\":1,"
                   "\"purpose\":\"Sign\"}],\"next_domain_id\":1},\"keyset\":{\"epoch_id\":5,"
                   "\"domains\":[{\"domain_id\":0,\"key\":"
                   "{\"Ed25519\":{\"near_public_key_compressed\":\"ed25519:"
                   "GFRaCJ8UDCWt7ZawnTbQ83RGPo7o3viyyer68jysLmVM\","
                   "\"edwards_point\":[226,145,56,31,230,216,66,243,4,18,49,92,180,49,172,220,24,"
                   "160,44,186,208,98,22,94,134,63,"
                   "26,6,14,43,164,180]}},\"attempt\":2}]},\"parameters\":{\"participants\":{"
                   "\"next_id\":1,\"participants\":"
                   "[[\"alice.near\",0,{\"url\":\"http://"
                   "alice.example:80\",\"tls_public_key\":\"%s\"}]]},\"threshold\":1},"
                   "\"parameters_votes\":{\"proposal_by_account\":{}},\"add_domains_votes\":{"
                   "\"proposal_by_account\":{}}}}",
                   key);
    CU_ASSERT_EQUAL(mig_feed(plugin, MIG_FEED_STATE, height, now_ns(), state, strlen(state)),
                    MIG_OK);
    CU_ASSERT_EQUAL(mig_feed(plugin, MIG_FEED_MIGRATION, height, now_ns(), "{}", 2), MIG_OK);
}

/* GET over a new plain connection; the status code. */
static int get(const char *address, const char *target)
{
    char host_text[64], request[200], answer[256] = "";
    (void)snprintf(host_text, sizeof host_text, "%s", address);
    char *port = strrchr(host_text, ':');
    CU_ASSERT_PTR_NOT_NULL_FATAL(port);
    *port++ = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *at = NULL;
    CU_ASSERT_EQUAL_FATAL(getaddrinfo(host_text, port, &hints, &at), 0);
    int fd = socket(at->ai_family, SOCK_STREAM, 0);
    CU_ASSERT_EQUAL(connect(fd, at->ai_addr, at->ai_addrlen), 0);
    freeaddrinfo(at);
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", target);
    CU_ASSERT_EQUAL(write(fd, request, (size_t)n), n);
    CU_ASSERT(read(fd, answer, sizeof answer - 1) > 12);
    (void)close(fd);
    return atoi(answer + 9);
}

static size_t open_files(void)
{
    size_t count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d != NULL && readdir(d) != NULL)
        count++;
    if (d != NULL)
        (void)closedir(d);
    return count;
}

static void starts_answers_and_stops_without_a_trace(void)
{
    char why[MIG_WHY_MAX];
    write_keys();
    struct mig_config c = config();
    size_t before = open_files();
    for (int i = 0; i < 3; i++) {
        struct mig_plugin *plugin = NULL;
        CU_ASSERT_EQUAL_FATAL(mig_start(&c, &host, &plugin, why), MIG_OK);
        CU_ASSERT_EQUAL(get(mig_address(plugin, MIG_LISTENER_ADMIN), "/livez"), 200);
        CU_ASSERT_EQUAL(get(mig_address(plugin, MIG_LISTENER_ADMIN), "/readyz"), 503);
        mig_stop(&plugin, 1000);
        CU_ASSERT_PTR_NULL(plugin);
        mig_stop(&plugin, 1000);
    }
    CU_ASSERT_EQUAL(open_files(), before);
}

static void a_fed_view_moves_job_and_hooks(void)
{
    char why[MIG_WHY_MAX];
    struct mig_identity *other = NULL;
    struct mig_plugin *plugin = NULL;
    write_keys();
    changed = purged = 0;
    memset(jobs, 0, sizeof jobs);
    struct mig_config c = config();
    CU_ASSERT_EQUAL_FATAL(mig_identity_generate(&other), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_start(&c, &host, &plugin, why), MIG_OK);
    CU_ASSERT_EQUAL(mig_current_job(plugin), MIG_JOB_NONE);
    feed(plugin, 100, node->public_key);
    CU_ASSERT_EQUAL(mig_current_job(plugin), MIG_JOB_DONE);
    CU_ASSERT_EQUAL(jobs[MIG_JOB_DONE], 1);
    feed(plugin, 101, other->public_key);
    CU_ASSERT_EQUAL(mig_current_job(plugin), MIG_JOB_NONE);
    feed(plugin, 102, node->public_key);
    CU_ASSERT_EQUAL(mig_current_job(plugin), MIG_JOB_DONE);
    mig_stop(&plugin, 1000);
    /* The worker has told the first set at least, changed before purged. */
    CU_ASSERT(__atomic_load_n(&changed, __ATOMIC_RELAXED) >=
              __atomic_load_n(&purged, __ATOMIC_ACQUIRE));
    CU_ASSERT_EQUAL(concluded, 0);
    mig_identity_free(&other);
}

static void a_node_that_lacks_its_shares_is_not_ready(void)
{
    char why[MIG_WHY_MAX];
    struct mig_plugin *plugin = NULL;
    write_keys();
    struct mig_config c = config();
    CU_ASSERT_EQUAL_FATAL(mig_start(&c, &host, &plugin, why), MIG_OK);
    CU_ASSERT_FALSE(mig_is_ready(plugin));
    feed(plugin, 100, node->public_key);
    /* Looked up by the worker: from ready (not looked yet) or not, to not ready for good. */
    for (unsigned i = 0; i < 2000 && mig_is_ready(plugin); i++)
        feed(plugin, 101 + i, node->public_key);
    CU_ASSERT_FALSE(mig_is_ready(plugin));
    mig_stop(&plugin, 0);
}

/* ---- several threads at once ---- */

static struct mig_plugin *shared;
static char admin_at[64], migration_at[64];
static atomic_int inside, most_inside;

static int connect_to(const char *address)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    const char *port = strrchr(address, ':');
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)atoi(port + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static void learn_addresses(void)
{
    (void)snprintf(admin_at, sizeof admin_at, "%s", mig_address(shared, MIG_LISTENER_ADMIN));
    (void)snprintf(migration_at, sizeof migration_at, "%s",
                   mig_address(shared, MIG_LISTENER_MIGRATION));
}

/* Inside a page: holds it until the other listener is gone, if it goes first. */
static bool wait_for_the_other(void *ctx, enum mig_hook hook, struct mig_hook_stats *out)
{
    (void)ctx;
    (void)out;
    if (hook != 0)
        return false;
    atomic_store(&inside, 1);
    for (int i = 0; i < 30; i++) {
        int fd = connect_to(migration_at);
        if (fd < 0)
            break;
        (void)close(fd);
        (void)poll(NULL, 0, 10);
    }
    return false;
}

static void *ask_status(void *arg)
{
    static const char request[] = "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    char answer[64];
    int fd = connect_to(admin_at);
    (void)arg;
    if (fd < 0)
        return NULL;
    (void)!write(fd, request, sizeof request - 1);
    while (read(fd, answer, sizeof answer) > 0)
        ;
    (void)close(fd);
    return NULL;
}

static void a_page_that_is_being_made_outlives_nothing_it_tells_of(void)
{
    char why[MIG_WHY_MAX];
    pthread_t asker;
    struct mig_host curious = host;
    curious.hook_stats = wait_for_the_other;
    write_keys();
    struct mig_config c = config();
    c.listen_plain = true;
    CU_ASSERT_EQUAL_FATAL(mig_start(&c, &curious, &shared, why), MIG_OK);
    learn_addresses();
    atomic_store(&inside, 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&asker, NULL, ask_status, NULL), 0);
    while (atomic_load(&inside) == 0)
        (void)poll(NULL, 0, 1);
    mig_stop(&shared, 0);
    (void)pthread_join(asker, NULL);
}

static enum mig_err slow_receipt(void *ctx, const struct mig_keyset *keyset,
                                 struct mig_receipt *receipt)
{
    (void)ctx;
    (void)keyset;
    (void)receipt;
    int now = atomic_fetch_add(&inside, 1) + 1;
    if (now > atomic_load(&most_inside))
        atomic_store(&most_inside, now);
    (void)poll(NULL, 0, 2);
    atomic_fetch_sub(&inside, 1);
    return MIG_ERR_NOT_FOUND;
}

static void *ask_status_often(void *arg)
{
    for (int i = 0; i < 30; i++)
        (void)ask_status(arg);
    return NULL;
}

static void a_host_function_is_called_once_at_a_time(void)
{
    char why[MIG_WHY_MAX];
    pthread_t asker;
    struct mig_host slow = host;
    slow.load_receipt = slow_receipt;
    write_keys();
    struct mig_config c = config();
    CU_ASSERT_EQUAL_FATAL(mig_start(&c, &slow, &shared, why), MIG_OK);
    learn_addresses();
    feed(shared, 100, node->public_key);
    atomic_store(&inside, 0);
    atomic_store(&most_inside, 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&asker, NULL, ask_status_often, NULL), 0);
    for (int i = 0; i < 30; i++)
        (void)mig_is_ready(shared);
    (void)pthread_join(asker, NULL);
    CU_ASSERT_EQUAL(atomic_load(&most_inside), 1);
    mig_stop(&shared, 0);
}

static atomic_uint quarantines;

static void note_quarantine(void *ctx, enum mig_log_level level, const char *event,
                            const char *text)
{
    (void)ctx;
    (void)text;
    atomic_fetch_add(&quarantines,
                     level == MIG_LOG_ERROR && strcmp(event, "keyshares_quarantined") == 0);
}

static void a_damaged_keyshare_file_is_told_of(void)
{
    char why[MIG_WHY_MAX], path[512];
    struct mig_host noting = host;
    noting.log = note_quarantine;
    write_keys();
    struct mig_config c = config();
    CU_ASSERT_EQUAL_FATAL(mig_start(&c, &noting, &shared, why), MIG_OK);
    mig_stop(&shared, 0);
    CU_ASSERT_EQUAL(atomic_load(&quarantines), 0);
    (void)snprintf(path, sizeof path, "%s/keyshares/%064d.shares", state_dir, 0);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT_EQUAL(write(fd, "rubbish", 7), 7);
    (void)close(fd);
    CU_ASSERT_EQUAL_FATAL(mig_start(&c, &noting, &shared, why), MIG_OK);
    mig_stop(&shared, 0);
    CU_ASSERT_EQUAL(atomic_load(&quarantines), 1);
}

static void bad_feeds_change_nothing(void)
{
    char why[MIG_WHY_MAX];
    struct mig_plugin *plugin = NULL;
    write_keys();
    struct mig_config c = config();
    CU_ASSERT_EQUAL_FATAL(mig_start(&c, &host, &plugin, why), MIG_OK);
    CU_ASSERT_EQUAL(mig_feed(plugin, MIG_FEED_STATE, 1, now_ns(), "{\"Running\":{}}", 14),
                    MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_feed(plugin, MIG_FEED_MIGRATION, 1, now_ns(), "[]", 2), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_feed(plugin, (enum mig_feed)7, 1, now_ns(), "{}", 2), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_current_job(plugin), MIG_JOB_NONE);
    mig_stop(&plugin, 0);
}

static void a_second_owner_of_the_store_is_refused(void)
{
    char why[MIG_WHY_MAX] = "";
    struct mig_plugin *first = NULL, *second = NULL;
    write_keys();
    struct mig_config c = config();
    CU_ASSERT_EQUAL_FATAL(mig_start(&c, &host, &first, why), MIG_OK);
    CU_ASSERT_EQUAL(mig_start(&c, &host, &second, why), MIG_ERR_STATE);
    CU_ASSERT_PTR_NULL(second);
    CU_ASSERT(strlen(why) > 20);
    mig_stop(&first, 0);
    CU_ASSERT_EQUAL(mig_start(&c, &host, &second, why), MIG_OK);
    mig_stop(&second, 0);
}

/* Every refusal leaves nothing running and one sentence that names the thing. */
static void refuses(struct mig_config c, const struct mig_host *h, enum mig_err expected,
                    const char *names)
{
    char why[MIG_WHY_MAX] = "";
    struct mig_plugin *plugin = NULL;
    size_t before = open_files();
    enum mig_err err = mig_start(&c, h, &plugin, why);
    CU_ASSERT_EQUAL(err, expected);
    CU_ASSERT_PTR_NULL(plugin);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, names));
    CU_ASSERT_EQUAL(open_files(), before);
    if (err != expected || strstr(why, names) == NULL)
        (void)fprintf(stderr, "%s: %s\n", names, why);
    CU_ASSERT_EQUAL(mig_start(&c, h, &plugin, NULL), expected);
}

static void refuses_what_cannot_work(void)
{
    write_keys();
    struct mig_config c = config();
    c.contract = "Not An Account";
    refuses(c, &host, MIG_ERR_MALFORMED, "contract");
    c = config(), c.account = NULL;
    refuses(c, &host, MIG_ERR_MALFORMED, "node's account");
    c = config(), c.identity_key = NULL;
    refuses(c, &host, MIG_ERR_MALFORMED, "identity_key");
    c = config(), c.identity_key = "/nonexistent";
    refuses(c, &host, MIG_ERR_NOT_FOUND, "/nonexistent");
    c = config(), c.store_key = NULL;
    refuses(c, &host, MIG_ERR_MALFORMED, "store_key");
    c = config(), c.store_key = identity;
    refuses(c, &host, MIG_ERR_MALFORMED, "store_key");
    refuses(config(), NULL, MIG_ERR_MALFORMED, "access_key");
    c = config(), c.access_key = access_key;
    refuses(c, NULL, MIG_ERR_MALFORMED, "rpc");
    c = config(), c.access_key = identity, c.rpc = "http://127.0.0.1:1";
    refuses(c, NULL, MIG_ERR_MALFORMED, "access_key");
    c = config(), c.announce = MIG_CONFIG_ANNOUNCE_CONTRACT;
    refuses(c, &host, MIG_ERR_MALFORMED, "announce");
    c = config(), c.skew_s = 301;
    refuses(c, &host, MIG_ERR_MALFORMED, "skew");
    c = config(), c.listen = "nonsense";
    refuses(c, &host, MIG_ERR_MALFORMED, "nonsense");
    c = config(), c.listen = "192.0.2.1:0", c.listen_plain = true;
    refuses(c, &host, MIG_ERR_DENIED, "192.0.2.1");
    c = config(), c.access_key = access_key, c.rpc = "ftp://x";
    refuses(c, NULL, MIG_ERR_MALFORMED, "rpc");
    c.rpc = "http://127.0.0.1:1,http://127.0.0.1:1";
    refuses(c, NULL, MIG_ERR_MALFORMED, "rpc");
    c.rpc = "http://127.0.0.1:1,http://127.0.0.1:2", c.quorum = 3;
    refuses(c, NULL, MIG_ERR_MALFORMED, "quorum");
}

static void refuses_key_files_that_others_can_read(void)
{
    write_keys();
    (void)chmod(identity, 0644);
    refuses(config(), &host, MIG_ERR_DENIED, identity);
    (void)chmod(identity, 0600);
    (void)chmod(store_key, 0640);
    refuses(config(), &host, MIG_ERR_DENIED, store_key);
}

static void refuses_a_state_dir_that_others_can_enter(void)
{
    write_keys();
    CU_ASSERT_EQUAL_FATAL(mkdir(state_dir, 0755), 0);
    (void)chmod(state_dir, 0755);
    refuses(config(), &host, MIG_ERR_DENIED, state_dir);
}

static void check_starts_nothing(void)
{
    char why[MIG_WHY_MAX];
    write_keys();
    struct mig_config c = config();
    size_t before = open_files();
    CU_ASSERT_EQUAL(mig_check(&c, &host, why), MIG_OK);
    CU_ASSERT_EQUAL(access(state_dir, F_OK), -1);
    CU_ASSERT_EQUAL(open_files(), before);
    c.skew_s = 1000;
    CU_ASSERT_EQUAL(mig_check(&c, &host, why), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "skew"));
}

static void tells_its_version(void)
{
    unsigned a, b, c;
    CU_ASSERT_EQUAL(sscanf(mig_version(), "%u.%u.%u", &a, &b, &c), 3);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(starts_answers_and_stops_without_a_trace),
        TEST(a_fed_view_moves_job_and_hooks),
        TEST(a_node_that_lacks_its_shares_is_not_ready),
        TEST(a_page_that_is_being_made_outlives_nothing_it_tells_of),
        TEST(a_host_function_is_called_once_at_a_time),
        TEST(a_damaged_keyshare_file_is_told_of),
        TEST(bad_feeds_change_nothing),
        TEST(a_second_owner_of_the_store_is_refused),
        TEST(refuses_what_cannot_work),
        TEST(refuses_key_files_that_others_can_read),
        TEST(refuses_a_state_dir_that_others_can_enter),
        TEST(check_starts_nothing),
        TEST(tells_its_version),
    };
    int status = run_tests("plugin", tests, sizeof tests / sizeof *tests);
    mig_identity_free(&node);
    return status;
}
