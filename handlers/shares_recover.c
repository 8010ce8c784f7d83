/* SPDX-License-Identifier: MIT */
/*
 * GET /shares_recover: offer and status. PUT, POST /shares_recover: sealed
 * shares for this node, one import at a time. Admission is judged when the
 * headers are in, again when the body is, and last inside the commit.
 */
#include "handlers/inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    RECEIPT_MAX = 256,
    PUBLISHED_LIFETIME_S = 3600, /* of a key announced on chain */
};

/* ---- offer and status --------------------------------------------------------- */

struct status {
    enum mig_job job;
    bool has_receipt;
    struct mig_receipt receipt;
    bool has_node_key;
    uint8_t node_key[MIG_KEY_LEN];
    uint32_t expires_in;
};

static bool holds_seat(const struct mig_exchange *x)
{
    const struct mig_self *self = &x->service->config.self;
    return mig_view_current_seat(x->view, self->account, self->tls_key) == MIG_SEAT_HELD;
}

static enum mig_problem load_receipt(struct mig_exchange *x, struct status *status)
{
    struct mig_service *service = x->service;
    const struct mig_host *host = &service->config.host;

    (void)pthread_mutex_lock(&service->host_lock);
    enum mig_err err = host->load_receipt(host->ctx, &x->view->keyset, &status->receipt);
    (void)pthread_mutex_unlock(&service->host_lock);
    status->has_receipt = err == MIG_OK;
    return err == MIG_OK || err == MIG_ERR_NOT_FOUND ? MIG_PROBLEM_NONE
                                                     : MIG_PROBLEM_STORE_UNAVAILABLE;
}

/* A participant without a receipt was never a destination: it is told what an
 * upload would be told. */
static enum mig_problem find_job(struct mig_exchange *x, struct status *status)
{
    const struct mig_keeper *keeper = &x->service->config.keeper;
    enum mig_problem problem = load_receipt(x, status);
    if (problem != MIG_PROBLEM_NONE)
        return problem;
    if (holds_seat(x)) {
        status->job = MIG_JOB_DONE;
        return status->has_receipt ? MIG_PROBLEM_NONE
                                   : mig_exchange_judge(x, MIG_RESOURCE_UPLOAD, x->view, x->now_ns);
    }
    if (keeper->job(keeper->ctx) == MIG_JOB_IMPORTING)
        status->job = MIG_JOB_IMPORTING;
    else
        status->job = status->has_receipt ? MIG_JOB_IMPORTED : MIG_JOB_WAITING;
    return MIG_PROBLEM_NONE;
}

static enum mig_problem find_node_key(struct mig_exchange *x, struct status *status)
{
    const struct mig_service_config *config = &x->service->config;
    const struct mig_published *published = &x->view->published;
    struct mig_offer_terms terms;

    status->has_node_key = status->job == MIG_JOB_WAITING || status->job == MIG_JOB_IMPORTED;
    if (!status->has_node_key)
        return MIG_PROBLEM_NONE;
    if (config->self.announce == MIG_ANNOUNCE_CONTRACT) {
        memcpy(status->node_key, published->node, MIG_KEY_LEN);
        status->expires_in = PUBLISHED_LIFETIME_S;
        return published->has_node ? MIG_PROBLEM_NONE : MIG_PROBLEM_EPHEMERAL_UNPUBLISHED;
    }
    if (!mig_offer_terms_of(x->view, x->parsed.context.service, &terms))
        return MIG_PROBLEM_NO_MIGRATION;
    return mig_offer_get(&x->service->offer, &terms, x->started_ns,
                         (uint64_t)config->offer_lifetime_s * 1000000000u, status->node_key,
                         &status->expires_in) == MIG_OK
               ? MIG_PROBLEM_NONE
               : MIG_PROBLEM_STORE_UNAVAILABLE;
}

static const char *job_text(enum mig_job job)
{
    switch (job) {
    case MIG_JOB_IMPORTING:
        return "importing";
    case MIG_JOB_IMPORTED:
        return "imported";
    case MIG_JOB_DONE:
        return "done";
    case MIG_JOB_NONE:
    case MIG_JOB_WAITING:
        break;
    }
    return "waiting";
}

static void format_receipt(const struct mig_receipt *receipt, char *out, size_t cap)
{
    char keyset[MIG_BASE64_32];
    mig_base64_32(receipt->keyset, keyset);
    (void)snprintf(out, cap,
                   "{\"epoch\":\"%" PRIu64 "\",\"keyset\":\"%s\",\"shares\":%" PRIu32
                   ",\"imported_at\":%" PRIu64 "}",
                   receipt->epoch, keyset, receipt->shares, receipt->imported_at);
}

static void format_status(struct mig_exchange *x, const struct status *status)
{
    char keyset[MIG_BASE64_32], node_key[MIG_BASE64_32];
    char receipt[RECEIPT_MAX] = "null";
    const char *quote = status->has_node_key ? "\"" : "";

    mig_base64_32(x->view->keyset_digest, keyset);
    mig_base64_32(status->node_key, node_key);
    if (status->has_receipt)
        format_receipt(&status->receipt, receipt, sizeof receipt);
    (void)snprintf(x->json, sizeof x->json,
                   "{\"job\":\"%s\",\"epoch\":\"%" PRIu64
                   "\",\"keyset\":\"%s\",\"node_key\":%s%s%s,"
                   "\"expires_in\":%" PRIu32 ",\"receipt\":%s}",
                   job_text(status->job), x->view->keyset.epoch, keyset, quote,
                   status->has_node_key ? node_key : "null", quote, status->expires_in, receipt);
}

enum mig_problem mig_recover_show(struct mig_exchange *x)
{
    struct status status = {0};
    enum mig_problem problem = find_job(x, &status);
    if (problem == MIG_PROBLEM_NONE)
        problem = find_node_key(x, &status);
    if (problem == MIG_PROBLEM_NONE)
        problem = mig_exchange_recheck_if_moved(x);
    if (problem != MIG_PROBLEM_NONE)
        return problem;
    format_status(x, &status);
    mig_reply_json(x, 200);
    return MIG_PROBLEM_NONE;
}

/* ---- the upload: headers ------------------------------------------------------- */

static enum mig_problem take_import_lock(struct mig_exchange *x)
{
    const struct mig_keeper *keeper = &x->service->config.keeper;
    enum mig_err err = keeper->import_begin(keeper->ctx, x->view->keyset_digest);
    if (err != MIG_OK)
        return err == MIG_ERR_STATE ? MIG_PROBLEM_BUSY : MIG_PROBLEM_STORE_UNAVAILABLE;
    /* Ours is the memory; never two in it, whatever the keeper says. */
    if (!mig_upload_take(x->service)) {
        keeper->import_end(keeper->ctx, NULL);
        return MIG_PROBLEM_BUSY;
    }
    x->imports = true;
    return MIG_PROBLEM_NONE;
}

void mig_recover_release(struct mig_exchange *x, const struct mig_receipt *receipt)
{
    const struct mig_keeper *keeper = &x->service->config.keeper;
    atomic_store_explicit(&x->holds, false, memory_order_release);
    if (!x->imports)
        return;
    x->imports = false;
    mig_upload_give(x->service);
    keeper->import_end(keeper->ctx, receipt);
}

void mig_recover_abandon(struct mig_exchange *x)
{
    const struct mig_service_config *config = &x->service->config;
    const struct mig_view *view = mig_cache_view(config->cache);
    bool admitted = mig_exchange_is_admitted(x, view);

    mig_view_release(&view);
    mig_count(&config->counters->imports[admitted ? MIG_IMPORT_REFUSED : MIG_IMPORT_CANCELLED]);
    mig_recover_release(x, NULL);
}

static uint64_t monotonic_ns(const struct mig_exchange *x)
{
    const struct mig_keeper *keeper = &x->service->config.keeper;
    return keeper->monotonic_ns(keeper->ctx);
}

/* announce=contract: that the view shows the key was judged with admission. */
static enum mig_problem check_offer(struct mig_exchange *x)
{
    struct mig_offer_terms terms;
    if (x->service->config.self.announce == MIG_ANNOUNCE_CONTRACT)
        return MIG_PROBLEM_NONE;
    if (!mig_offer_terms_of(x->view, x->parsed.context.service, &terms) ||
        !mig_offer_is(&x->service->offer, &terms, x->started_ns, x->parsed.context.node_key))
        return MIG_PROBLEM_OFFER_UNKNOWN;
    return MIG_PROBLEM_NONE;
}

static enum mig_problem prepare(struct mig_exchange *x)
{
    const struct mig_keeper *keeper = &x->service->config.keeper;
    enum mig_problem problem = check_offer(x);
    if (problem != MIG_PROBLEM_NONE)
        return problem;
    if (keeper->store_writable(keeper->ctx) != MIG_OK ||
        mig_digest_reset(x->service->upload.digest) != MIG_OK)
        return MIG_PROBLEM_STORE_UNAVAILABLE;
    return MIG_PROBLEM_NONE;
}

enum mig_problem mig_recover_begin(struct mig_exchange *x)
{
    enum mig_problem problem = take_import_lock(x);
    if (problem != MIG_PROBLEM_NONE)
        return problem;
    problem = prepare(x);
    if (problem != MIG_PROBLEM_NONE) {
        mig_recover_release(x, NULL);
        return problem;
    }
    x->stage = MIG_STAGE_BODY;
    atomic_store_explicit(&x->holds, true, memory_order_release);
    return MIG_PROBLEM_NONE;
}

/* ---- the upload: body, and the commit -------------------------------------------- */

static enum mig_problem check_body(struct mig_exchange *x)
{
    uint8_t digest[MIG_DIGEST_LEN];
    if (x->overrun || x->received != (size_t)x->content_length)
        return MIG_PROBLEM_MALFORMED;
    if (x->broken || mig_digest_end(x->service->upload.digest, digest) != MIG_OK)
        return MIG_PROBLEM_STORE_UNAVAILABLE;
    return memcmp(digest, x->parsed.content_digest, MIG_DIGEST_LEN) == 0
               ? MIG_PROBLEM_NONE
               : MIG_PROBLEM_DIGEST_MISMATCH;
}

/* Whatever comes of the exchange made with it, the offer is gone. */
static enum mig_problem consume_offer(struct mig_exchange *x)
{
    struct mig_service *service = x->service;
    const struct mig_keeper *keeper = &service->config.keeper;
    const uint8_t *node_key = x->parsed.context.node_key;
    struct mig_ephemeral *pair = &service->upload.pair;
    struct mig_offer_terms terms;

    if (service->config.self.announce == MIG_ANNOUNCE_CONTRACT)
        return keeper->take_published != NULL && keeper->take_published(keeper->ctx, node_key, pair)
                   ? MIG_PROBLEM_NONE
                   : MIG_PROBLEM_EPHEMERAL_UNPUBLISHED;
    if (!mig_offer_terms_of(x->view, x->parsed.context.service, &terms) ||
        !mig_offer_take(&service->offer, &terms, monotonic_ns(x), node_key, pair))
        return MIG_PROBLEM_OFFER_UNKNOWN;
    return MIG_PROBLEM_NONE;
}

static enum mig_problem open_container(struct mig_exchange *x, size_t *plain_len)
{
    struct mig_upload *upload = &x->service->upload;
    struct mig_text context = x->parsed.context_text;
    enum mig_err err =
        mig_exchange(&upload->pair, MIG_ROLE_NODE, x->parsed.context.client_key, MIG_RECOVER,
                     context.at, context.len, x->service->config.operator_key, upload->key);
    mig_secret_wipe(upload->pair.secret);
    if (err == MIG_OK)
        err = mig_container_open(upload->key, upload->body->bytes, x->received, upload->plain,
                                 plain_len);
    mig_secret_wipe(upload->key);
    if (err == MIG_OK)
        return MIG_PROBLEM_NONE;
    return err == MIG_ERR_MALFORMED ? MIG_PROBLEM_MALFORMED : MIG_PROBLEM_STORE_UNAVAILABLE;
}

static enum mig_problem decode(struct mig_exchange *x, size_t plain_len)
{
    struct mig_upload *upload = &x->service->upload;
    enum mig_shares_verdict verdict =
        mig_shares_decode(upload->plain->bytes, plain_len, &x->view->keyset, upload->shares);
    mig_secret_wipe(upload->plain);
    switch (verdict) {
    case MIG_SHARES_MATCH:
        return MIG_PROBLEM_NONE;
    case MIG_SHARES_WRONG_KEY:
        return MIG_PROBLEM_WRONG_KEY;
    case MIG_SHARES_INCOMPLETE:
        break;
    }
    return MIG_PROBLEM_INCOMPLETE;
}

/* Once it holds, a change of view undoes nothing any more. */
static bool fence_holds(void *ctx)
{
    struct mig_exchange *x = ctx;
    x->fence = mig_exchange_recheck(x);
    if (x->fence == MIG_PROBLEM_NONE)
        atomic_store_explicit(&x->holds, false, memory_order_release);
    return x->fence == MIG_PROBLEM_NONE;
}

static enum mig_problem commit(struct mig_exchange *x, struct mig_receipt *receipt)
{
    const struct mig_host *host = &x->service->config.host;
    struct mig_fence fence = {fence_holds, x};
    /* The fence replaces x->view; the keyset of an admitted one is the same. */
    const struct mig_view *view = mig_view_ref(x->view);

    *receipt = (struct mig_receipt){.epoch = view->keyset.epoch,
                                    .shares = (uint32_t)view->keyset.count,
                                    .imported_at = mig_now_s(x)};
    memcpy(receipt->keyset, view->keyset_digest, MIG_DIGEST_LEN);
    enum mig_err err = host->import_keyshares(
        host->ctx, &view->keyset, (const uint8_t(*)[MIG_SHARE_LEN])x->service->upload.shares->bytes,
        mig_now_s(x), &fence, receipt);
    mig_view_release(&view);
    if (err == MIG_OK)
        return MIG_PROBLEM_NONE;
    if (x->fence != MIG_PROBLEM_NONE)
        return x->fence;
    return err == MIG_ERR_CONFLICT ? MIG_PROBLEM_SHARES_CONFLICT : MIG_PROBLEM_STORE_UNAVAILABLE;
}

static enum mig_problem import(struct mig_exchange *x, struct mig_receipt *receipt)
{
    size_t plain_len = 0;
    enum mig_problem problem = mig_exchange_recheck(x);
    if (problem == MIG_PROBLEM_NONE)
        problem = check_body(x);
    if (problem == MIG_PROBLEM_NONE)
        problem = consume_offer(x);
    if (problem == MIG_PROBLEM_NONE)
        problem = open_container(x, &plain_len);
    if (problem == MIG_PROBLEM_NONE)
        problem = decode(x, plain_len);
    if (problem == MIG_PROBLEM_NONE)
        problem = commit(x, receipt);
    return problem;
}

static void report(struct mig_exchange *x, enum mig_problem problem, bool repeated)
{
    struct mig_counters *counters = x->service->config.counters;
    if (problem == MIG_PROBLEM_NONE) {
        mig_count(&counters->imports[repeated ? MIG_IMPORT_REPEATED : MIG_IMPORT_STORED]);
        mig_service_log(x->service, MIG_LOG_NOTICE, "import_done",
                        repeated ? "the same shares were there already" : "shares are durable");
        return;
    }
    bool ours = mig_problem_info(problem)->status >= 500;
    enum mig_import_result result = x->cancelled ? MIG_IMPORT_CANCELLED
                                    : ours       ? MIG_IMPORT_FAILED
                                                 : MIG_IMPORT_REFUSED;
    mig_count(&counters->imports[result]);
    mig_service_log(x->service, ours && !x->cancelled ? MIG_LOG_ERROR : MIG_LOG_WARNING,
                    x->cancelled ? "import_cancelled" : "import_refused",
                    mig_problem_info(problem)->code);
}

enum mig_problem mig_recover_finish(struct mig_exchange *x)
{
    struct mig_receipt receipt = {0};
    enum mig_problem problem = import(x, &receipt);
    report(x, problem, receipt.repeated);
    mig_recover_release(x, problem == MIG_PROBLEM_NONE ? &receipt : NULL);
    if (problem != MIG_PROBLEM_NONE)
        return problem;
    format_receipt(&receipt, x->json, sizeof x->json);
    mig_reply_json(x, receipt.repeated ? 200 : 201);
    return MIG_PROBLEM_NONE;
}
