/* SPDX-License-Identifier: MIT */
#include "cmd/wipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chain/poll.h"
#include "cmd/process.h"
#include "crypto/encoding.h"
#include "crypto/key.h"
#include "store/keystore.h"
#include "store/wipe.h"

enum { CONFIRM_MIN = 8, LINE_MAX_LEN = 128, TIMEOUT_MS = 10000 };

#define WITHOUT_DIGEST "damaged" /* confirms when no keyset has a readable name */

struct job {
    const struct mig_config *config;
    uint8_t tls_key[MIG_KEY_LEN];
    struct mig_wipe wipe;
    size_t files;
    struct mig_keystore_entry *entries;
    size_t count;
    const struct mig_view *view; /* NULL: offline */
    char confirmation[MIG_HEX_LEN(MIG_DIGEST_LEN)];
};

static int fail(int status, const char *what, const char *why)
{
    (void)fprintf(stderr, "mpc-migrationd wipe: %s: %s\n", what, why);
    return status;
}

static int refuse(const char *why)
{
    return fail(MIG_EXIT_NO, "refused, nothing was touched", why);
}

static uint64_t unix_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- what is there -------------------------------------------------------- */

static int load_identity(struct job *job)
{
    struct mig_identity *identity = NULL;
    const char *why = "";
    enum mig_err err = mig_identity_load(job->config->identity_key, &identity, &why);
    if (err != MIG_OK)
        return fail(mig_exit_of(err), job->config->identity_key, why);
    memcpy(job->tls_key, identity->public_key, MIG_KEY_LEN);
    mig_identity_free(&identity);
    return MIG_EXIT_OK;
}

static int list(struct job *job, const char *folder)
{
    struct mig_secret *key = NULL;
    struct mig_keystore *store = NULL;
    const char *why = "";
    enum mig_err err = mig_symmetric_key_load(job->config->store_key, &key, &why);
    if (err != MIG_OK)
        return fail(mig_exit_of(err), job->config->store_key, why);
    err = mig_keystore_open(folder, MIG_KEYSTORE_READER, key, job->config->contract, &store, &why);
    if (err == MIG_OK)
        err = mig_keystore_list(store, &job->entries, &job->count);
    mig_keystore_close(&store);
    mig_secret_free(&key);
    return err == MIG_OK ? MIG_EXIT_OK
                         : fail(mig_exit_of(err), folder, why != NULL ? why : "cannot be listed");
}

/* The newest that reads; what is damaged only when there is nothing else. */
static enum mig_err choose_confirmation(struct job *job)
{
    const struct mig_keystore_entry *chosen = NULL;
    for (size_t i = 0; i < job->count; i++)
        if (chosen == NULL || job->entries[i].current)
            chosen = &job->entries[i];
    (void)snprintf(job->confirmation, sizeof job->confirmation, "%s", WITHOUT_DIGEST);
    return chosen == NULL ? MIG_OK
                          : mig_hex_encode(chosen->receipt.keyset, MIG_DIGEST_LEN,
                                           job->confirmation, sizeof job->confirmation);
}

static void show_entry(const struct job *job, const struct mig_keystore_entry *e)
{
    char digest[MIG_HEX_LEN(MIG_DIGEST_LEN)], when[32] = "unknown";
    time_t at = (time_t)e->receipt.imported_at;
    struct tm utc;
    if (at != 0 && gmtime_r(&at, &utc) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (mig_hex_encode(e->receipt.keyset, MIG_DIGEST_LEN, digest, sizeof digest) != MIG_OK)
        return;
    bool in_contract = job->view != NULL &&
                       memcmp(job->view->keyset_digest, e->receipt.keyset, MIG_DIGEST_LEN) == 0;
    if (e->readable)
        (void)printf("  %s  epoch %llu, %u shares, imported %s%s\n", digest,
                     (unsigned long long)e->receipt.epoch, e->receipt.shares, when,
                     in_contract ? ", the contract's keyset" : "");
    else
        (void)printf("  %s  damaged\n", digest);
}

static void show(const struct job *job, const char *folder)
{
    char key[MIG_KEY_TEXT_MAX];
    mig_key_format(job->tls_key, key);
    (void)printf("node      %s of %s\n", key, job->config->account);
    if (job->view != NULL) {
        const struct mig_participant *p =
            mig_participants_find(&job->view->participants, job->config->account);
        if (p != NULL)
            mig_key_format(p->tls_key, key);
        (void)printf("contract  %s, %s, block %llu: the seat is %s\n", job->config->contract,
                     mig_protocol_text(job->view->protocol),
                     (unsigned long long)job->view->state_block.height,
                     p != NULL ? key : "nobody's");
    } else {
        (void)printf("contract  %s: NOT ASKED (--offline); this node may hold the seat\n",
                     job->config->contract);
    }
    (void)printf("to wipe   %s, %zu files:\n", folder, job->files);
    for (size_t i = 0; i < job->count; i++)
        show_entry(job, &job->entries[i]);
    (void)fflush(stdout);
}

/* ---- what the contract says -------------------------------------------------- */

static int look(struct job *job, struct mig_rpc *rpc, struct mig_cache *cache,
                enum mig_dialect dialect)
{
    struct mig_poller poller;
    enum mig_err err = mig_poller_init(&poller, rpc, cache, job->config->contract, dialect);
    if (err == MIG_OK)
        err = mig_poll(&poller, unix_ns());
    if (err == MIG_OK)
        job->view = mig_cache_view(cache);
    if (job->view == NULL)
        return fail(MIG_EXIT_UNAVAILABLE, "the contract cannot be read, nothing was touched",
                    poller.reason);
    uint64_t most = (job->config->max_staleness_s > 0 ? job->config->max_staleness_s : 30) *
                    (uint64_t)1000000000;
    return mig_view_age_ns(job->view, unix_ns()) <= most
               ? MIG_EXIT_OK
               : fail(MIG_EXIT_UNAVAILABLE, "nothing was touched",
                      "the newest block of the endpoint is stale");
}

static int ask_contract(struct job *job)
{
    static const enum mig_dialect dialects[] = {MIG_DIALECT_AUTO, MIG_DIALECT_DRAFT,
                                                MIG_DIALECT_DEPLOYED};
    struct mig_rpc_options options = {.url = job->config->rpc, .timeout_ms = TIMEOUT_MS};
    struct mig_rpc *rpc = NULL;
    struct mig_cache *cache = NULL;
    enum mig_dialect dialect = dialects[job->config->dialect];
    enum mig_err err = mig_rpc_new(&options, &rpc);
    if (err == MIG_OK)
        err = mig_cache_new(job->config->contract, job->config->account, dialect, &cache);
    int status = err == MIG_OK ? look(job, rpc, cache, dialect)
                               : fail(MIG_EXIT_CONFIG, "[contract]", "rpc or account is wrong");
    mig_rpc_free(&rpc);
    mig_cache_free(&cache);
    return status;
}

static int judge(const struct job *job)
{
    const struct mig_view *v = job->view;
    const char *account = job->config->account;
    if (v->protocol == MIG_PROTOCOL_NOT_INITIALIZED)
        return refuse("the contract does not tell who holds the seats");
    if (mig_view_current_seat(v, account, job->tls_key) == MIG_SEAT_HELD ||
        mig_view_seat(v, account, job->tls_key) == MIG_SEAT_HELD)
        return refuse("this node holds the seat");
    if (v->has_destination && memcmp(v->destination.tls_key, job->tls_key, MIG_KEY_LEN) == 0)
        return refuse("this node is the destination of a migration");
    return MIG_EXIT_OK;
}

/* ---- the person ------------------------------------------------------------------ */

static bool is_confirmed(const struct job *job, const char *said)
{
    size_t len = strlen(said), all = strlen(job->confirmation);
    size_t least = all < CONFIRM_MIN ? all : CONFIRM_MIN;
    return len >= least && len <= all && strncmp(said, job->confirmation, len) == 0;
}

static int confirm(const struct job *job, const char *digest)
{
    char line[LINE_MAX_LEN] = "";
    if (digest == NULL) {
        if (!isatty(STDIN_FILENO))
            return refuse("no terminal to ask on: give --yes-i-know=DIGEST");
        (void)printf("This cannot be undone. Type the first %d digits of %s digest to go on: ",
                     CONFIRM_MIN, job->count > 1 ? "the newest keyset's" : "the");
        (void)fflush(stdout);
        if (fgets(line, sizeof line, stdin) == NULL)
            line[0] = '\0';
        line[strcspn(line, "\r\n")] = '\0';
        digest = line;
    }
    return is_confirmed(job, digest)
               ? MIG_EXIT_OK
               : refuse("not confirmed: at least the first 8 digits of the newest keyset's digest "
                        "(without a readable name: the word \"" WITHOUT_DIGEST "\")");
}

static int destroy(struct job *job)
{
    size_t wiped = 0;
    enum mig_err err = mig_wipe_run(&job->wipe, &wiped);
    (void)printf("wiped     %zu of %zu files: overwritten, unlinked, synced\n", wiped, job->files);
    return err == MIG_OK ? MIG_EXIT_OK
                         : fail(MIG_EXIT_IO, "not all could be wiped",
                                "the disk refused; the same command may be repeated");
}

static int proceed(struct job *job, const char *folder, const char *digest, bool offline)
{
    int status = load_identity(job);
    if (status == MIG_EXIT_OK)
        status = list(job, folder);
    if (status == MIG_EXIT_OK && mig_wipe_count(&job->wipe, &job->files) != MIG_OK)
        status = fail(MIG_EXIT_IO, folder, "cannot be listed");
    if (status == MIG_EXIT_OK && choose_confirmation(job) != MIG_OK)
        status = fail(MIG_EXIT_SOFTWARE, folder, "a digest cannot be shown");
    if (status == MIG_EXIT_OK && !offline)
        status = ask_contract(job);
    if (status != MIG_EXIT_OK)
        return status;
    show(job, folder);
    if (job->view != NULL)
        status = judge(job);
    if (status != MIG_EXIT_OK || job->files == 0)
        return status;
    status = confirm(job, digest);
    return status == MIG_EXIT_OK ? destroy(job) : status;
}

int mig_wipe_command(const struct mig_config *config, const char *digest, bool offline)
{
    char folder[4096];
    const char *why = "";
    struct job job = {.config = config, .wipe = {-1, -1}};
    if ((size_t)snprintf(folder, sizeof folder, "%s/keyshares", config->state_dir) >= sizeof folder)
        return fail(MIG_EXIT_CONFIG, "[store] path", "too long");
    enum mig_err err = mig_crypto_init();
    if (err == MIG_OK)
        err = mig_wipe_begin(folder, &job.wipe, &why);
    if (err == MIG_ERR_NOT_FOUND) {
        (void)printf("nothing to wipe: %s does not exist\n", folder);
        return MIG_EXIT_OK;
    }
    int status = err == MIG_OK ? proceed(&job, folder, digest, offline)
                               : fail(mig_exit_of(err), folder, why);
    mig_view_release(&job.view);
    free(job.entries);
    mig_wipe_end(&job.wipe);
    return status;
}
