/* SPDX-License-Identifier: MIT */
#include "handlers/service.h"

#include <stdlib.h>
#include <string.h>

#include "handlers/inside.h"

enum {
    IDLE_EXCHANGES = 64,     /* kept for reuse: as many as connections */
    IDLE_SCRATCHES = 4,      /* one per listener thread */
    SCRATCH_DOMAINS = 16,    /* room to start with */
    KEPT_SEALED = 32 * 1024, /* larger buffers are not kept */
};

/* ---- the pools -------------------------------------------------------------- */

struct mig_exchange *mig_exchange_take(struct mig_service *service)
{
    (void)pthread_mutex_lock(&service->pool_lock);
    struct mig_exchange *x = service->exchanges;
    if (x != NULL) {
        service->exchanges = x->next;
        service->exchange_count--;
    }
    (void)pthread_mutex_unlock(&service->pool_lock);
    if (x == NULL && (x = calloc(1, sizeof *x)) == NULL)
        return NULL;
    x->service = service;
    x->endpoint = MIG_ENDPOINT_OTHER;
    return x;
}

/* Everything that outlives an exchange in its struct: the sealed buffer. The
 * large arrays are written before they are read and are left as they are. */
static void reset(struct mig_exchange *x)
{
    x->request = NULL;
    x->route = NULL;
    x->allow = NULL;
    x->stage = MIG_STAGE_JUDGING;
    x->retry_after = 0;
    x->authenticated = false;
    atomic_store(&x->holds, false);
    x->cancelled = x->imports = x->overrun = x->broken = false;
    x->received = 0;
    x->fence = MIG_PROBLEM_NONE;
    x->context_len = 0;
    if (x->sealed_cap > KEPT_SEALED) {
        free(x->sealed);
        x->sealed = NULL;
        x->sealed_cap = 0;
    }
}

static void free_exchange(struct mig_exchange *x)
{
    free(x->sealed);
    free(x);
}

void mig_exchange_give(struct mig_exchange *x)
{
    struct mig_service *service = x->service;
    reset(x);
    (void)pthread_mutex_lock(&service->pool_lock);
    bool keep = service->exchange_count < IDLE_EXCHANGES;
    if (keep) {
        x->next = service->exchanges;
        service->exchanges = x;
        service->exchange_count++;
    }
    (void)pthread_mutex_unlock(&service->pool_lock);
    if (!keep)
        free_exchange(x);
}

static void free_scratch(struct mig_scratch *scratch)
{
    if (scratch == NULL)
        return;
    mig_secret_free(&scratch->shares);
    mig_secret_free(&scratch->plain);
    mig_secret_free(&scratch->key);
    mig_ephemeral_clear(&scratch->pair);
    free(scratch);
}

/* Longest plaintext of so many domains. */
static size_t plain_room(size_t domains)
{
    return 4 + domains * (8 + 8 + 8 + 1 + 2 + MIG_GROUP_KEY_MAX + 4 + MIG_SHARE_LEN);
}

static struct mig_scratch *new_scratch(size_t domains)
{
    struct mig_scratch *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL)
        return NULL;
    scratch->domains = domains > SCRATCH_DOMAINS ? domains : SCRATCH_DOMAINS;
    scratch->shares = mig_secret_new(scratch->domains * MIG_SHARE_LEN);
    scratch->plain = mig_secret_new(plain_room(scratch->domains));
    scratch->key = mig_secret_new(MIG_SEALING_KEY_LEN);
    scratch->pair.secret = mig_secret_new(MIG_KEY_LEN);
    if (scratch->shares != NULL && scratch->plain != NULL && scratch->key != NULL &&
        scratch->pair.secret != NULL)
        return scratch;
    free_scratch(scratch);
    return NULL;
}

struct mig_scratch *mig_scratch_take(struct mig_service *service, size_t domains)
{
    (void)pthread_mutex_lock(&service->pool_lock);
    struct mig_scratch *scratch = service->scratches;
    if (scratch != NULL) {
        service->scratches = scratch->next;
        service->scratch_count--;
    }
    (void)pthread_mutex_unlock(&service->pool_lock);
    if (scratch != NULL && scratch->domains >= domains)
        return scratch;
    free_scratch(scratch);
    return new_scratch(domains);
}

void mig_scratch_give(struct mig_service *service, struct mig_scratch *scratch)
{
    mig_secret_wipe(scratch->shares);
    mig_secret_wipe(scratch->plain);
    mig_secret_wipe(scratch->key);
    mig_secret_wipe(scratch->pair.secret);
    (void)pthread_mutex_lock(&service->pool_lock);
    bool keep = service->scratch_count < IDLE_SCRATCHES;
    if (keep) {
        scratch->next = service->scratches;
        service->scratches = scratch;
        service->scratch_count++;
    }
    (void)pthread_mutex_unlock(&service->pool_lock);
    if (!keep)
        free_scratch(scratch);
}

/* ---- the one upload ----------------------------------------------------------- */

static bool init_upload(struct mig_upload *upload)
{
    atomic_flag_clear(&upload->taken);
    upload->body = mig_secret_new(MIG_SEALED_MAX);
    upload->plain = mig_secret_new(mig_sealed_capacity(MIG_SEALED_MAX));
    upload->shares = mig_secret_new((size_t)MIG_DOMAINS_MAX * MIG_SHARE_LEN);
    upload->key = mig_secret_new(MIG_SEALING_KEY_LEN);
    upload->pair.secret = mig_secret_new(MIG_KEY_LEN);
    return upload->body != NULL && upload->plain != NULL && upload->shares != NULL &&
           upload->key != NULL && upload->pair.secret != NULL &&
           mig_digest_new(&upload->digest) == MIG_OK;
}

static void clear_upload(struct mig_upload *upload)
{
    mig_secret_free(&upload->body);
    mig_secret_free(&upload->plain);
    mig_secret_free(&upload->shares);
    mig_secret_free(&upload->key);
    mig_ephemeral_clear(&upload->pair);
    mig_digest_free(&upload->digest);
}

bool mig_upload_take(struct mig_service *service)
{
    return !atomic_flag_test_and_set(&service->upload.taken);
}

void mig_upload_wipe(struct mig_upload *upload)
{
    mig_secret_wipe(upload->body);
    mig_secret_wipe(upload->plain);
    mig_secret_wipe(upload->shares);
    mig_secret_wipe(upload->key);
    mig_secret_wipe(upload->pair.secret);
}

void mig_upload_give(struct mig_service *service)
{
    mig_upload_wipe(&service->upload);
    atomic_flag_clear(&service->upload.taken);
}

/* ---- the service ----------------------------------------------------------------- */

static bool is_complete(const struct mig_service_config *c)
{
    return c->self.contract != NULL && c->self.account != NULL && c->identity != NULL &&
           c->host.load_keyshares != NULL && c->host.import_keyshares != NULL &&
           c->host.load_receipt != NULL && c->keeper.now_ns != NULL &&
           c->keeper.monotonic_ns != NULL && c->keeper.honoured_key != NULL &&
           c->keeper.job != NULL && c->keeper.seat_lost_at != NULL &&
           c->keeper.import_begin != NULL && c->keeper.import_end != NULL &&
           c->keeper.store_writable != NULL && c->keeper.backup_served != NULL &&
           c->keeper.backup_acknowledged != NULL && c->cache != NULL && c->replay != NULL &&
           c->budget != NULL && c->counters != NULL;
}

enum mig_err mig_service_new(const struct mig_service_config *config, struct mig_service **out)
{
    *out = NULL;
    if (!is_complete(config))
        return MIG_ERR_BUG;
    struct mig_service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return MIG_ERR_NOMEM;
    service->config = *config;
    (void)pthread_mutex_init(&service->host_lock, NULL);
    (void)pthread_mutex_init(&service->pool_lock, NULL);
    mig_served_init(&service->served);
    if (mig_offer_init(&service->offer) != MIG_OK || !init_upload(&service->upload) ||
        (service->scratches = new_scratch(SCRATCH_DOMAINS)) == NULL) {
        mig_service_free(&service);
        return MIG_ERR_NOMEM;
    }
    service->scratch_count = 1;
    *out = service;
    return MIG_OK;
}

void mig_service_free(struct mig_service **out)
{
    if (out == NULL || *out == NULL)
        return;
    struct mig_service *service = *out;
    *out = NULL;
    while (service->exchanges != NULL) {
        struct mig_exchange *x = service->exchanges;
        service->exchanges = x->next;
        free_exchange(x);
    }
    while (service->scratches != NULL) {
        struct mig_scratch *scratch = service->scratches;
        service->scratches = scratch->next;
        free_scratch(scratch);
    }
    clear_upload(&service->upload);
    mig_offer_clear(&service->offer);
    mig_served_clear(&service->served);
    (void)pthread_mutex_destroy(&service->host_lock);
    (void)pthread_mutex_destroy(&service->pool_lock);
    free(service);
}

void mig_service_view_changed(struct mig_service *service, const struct mig_view *view)
{
    const struct mig_keeper *keeper = &service->config.keeper;
    struct mig_offer_terms terms;
    uint8_t key[MIG_KEY_LEN];
    bool carries =
        keeper->honoured_key(keeper->ctx, view, key) && mig_offer_terms_of(view, key, &terms);
    mig_offer_drop_unless(&service->offer, carries ? &terms : NULL,
                          keeper->monotonic_ns(keeper->ctx));
}

void mig_service_log(const struct mig_service *service, enum mig_log_level level, const char *event,
                     const char *text)
{
    const struct mig_host *host = &service->config.host;
    if (host->log != NULL)
        host->log(host->ctx, level, event, text);
}
