/* SPDX-License-Identifier: MIT */
/*
 * GET /shares_backup: the node's shares of the contract's current keyset,
 * sealed to the caller. POST /shares_backup: the caller's receipt for one.
 */
#include "handlers/inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum mig_problem load(struct mig_exchange *x, struct mig_scratch *scratch, size_t *plain_len)
{
    struct mig_service *service = x->service;
    const struct mig_host *host = &service->config.host;
    const struct mig_keyset *keyset = &x->view->keyset;
    uint8_t(*shares)[MIG_SHARE_LEN] = (uint8_t(*)[MIG_SHARE_LEN])scratch->shares->bytes;

    (void)pthread_mutex_lock(&service->host_lock);
    enum mig_err err = host->load_keyshares(host->ctx, keyset, shares);
    (void)pthread_mutex_unlock(&service->host_lock);
    /* A share that is zero or not reduced is none. */
    if (err == MIG_OK &&
        mig_shares_encode(keyset, (const uint8_t(*)[MIG_SHARE_LEN])scratch->shares->bytes,
                          scratch->plain, plain_len) != MIG_OK)
        err = MIG_ERR_NOT_FOUND;
    if (err == MIG_OK)
        return MIG_PROBLEM_NONE;
    mig_service_log(service, MIG_LOG_ERROR, "backup_impossible",
                    err == MIG_ERR_NOT_FOUND ? "the node lacks shares of the current keyset"
                                             : "the shares cannot be read");
    return err == MIG_ERR_NOT_FOUND ? MIG_PROBLEM_SHARES_MISSING : MIG_PROBLEM_STORE_UNAVAILABLE;
}

/* The request's, byte for byte, and our key unless it is there already. */
static bool form_final_context(struct mig_exchange *x, const uint8_t node_key[MIG_KEY_LEN])
{
    static const char MEMBER[] = ", node-key=:";
    char *at = x->context;
    struct mig_text asked = x->parsed.context_text;

    if (asked.len + sizeof MEMBER + MIG_BASE64_32 + 1 > sizeof x->context)
        return false;
    memcpy(at, asked.at, asked.len);
    at += asked.len;
    if (!x->parsed.context.has_node_key) {
        memcpy(at, MEMBER, sizeof MEMBER - 1);
        at += sizeof MEMBER - 1;
        mig_base64_32(node_key, at);
        at += MIG_BASE64_32 - 1;
        *at++ = ':';
    }
    *at = '\0';
    x->context_len = (size_t)(at - x->context);
    return true;
}

/* Our half of the exchange: a fresh one, or the one published on chain. */
static enum mig_problem obtain_pair(const struct mig_exchange *x, struct mig_ephemeral *pair)
{
    const struct mig_keeper *keeper = &x->service->config.keeper;
    const struct mig_context *context = &x->parsed.context;

    if (context->announce == MIG_ANNOUNCE_CONTRACT)
        return keeper->take_published != NULL &&
                       keeper->take_published(keeper->ctx, context->node_key, pair)
                   ? MIG_PROBLEM_NONE
                   : MIG_PROBLEM_EPHEMERAL_UNPUBLISHED;
    return mig_ephemeral_generate(pair) == MIG_OK ? MIG_PROBLEM_NONE
                                                  : MIG_PROBLEM_STORE_UNAVAILABLE;
}

static enum mig_problem agree(struct mig_exchange *x, struct mig_scratch *scratch)
{
    enum mig_problem problem = obtain_pair(x, &scratch->pair);
    if (problem != MIG_PROBLEM_NONE)
        return problem;
    if (!form_final_context(x, scratch->pair.public_key))
        return MIG_PROBLEM_MALFORMED;
    enum mig_err err =
        mig_exchange(&scratch->pair, MIG_ROLE_NODE, x->parsed.context.client_key, MIG_BACKUP,
                     x->context, x->context_len, x->service->config.operator_key, scratch->key);
    if (err == MIG_OK)
        return MIG_PROBLEM_NONE;
    return err == MIG_ERR_MALFORMED ? MIG_PROBLEM_MALFORMED : MIG_PROBLEM_STORE_UNAVAILABLE;
}

static bool reserve_sealed(struct mig_exchange *x, size_t len)
{
    if (len <= x->sealed_cap)
        return true;
    free(x->sealed);
    x->sealed = malloc(len);
    x->sealed_cap = x->sealed != NULL ? len : 0;
    return x->sealed != NULL;
}

static enum mig_problem seal(struct mig_exchange *x, const struct mig_scratch *scratch,
                             size_t plain_len, size_t *sealed_len)
{
    size_t len = mig_sealed_len(plain_len);
    if (!reserve_sealed(x, len) ||
        mig_container_seal(scratch->key, scratch->plain->bytes, plain_len, x->sealed, x->sealed_cap,
                           sealed_len) != MIG_OK)
        return MIG_PROBLEM_STORE_UNAVAILABLE;
    return MIG_PROBLEM_NONE;
}

static void note_served(struct mig_exchange *x)
{
    const struct mig_service_config *config = &x->service->config;
    uint8_t hash[MIG_DIGEST_LEN];

    mig_sha256(x->context, x->context_len, hash);
    mig_served_put(&x->service->served, hash);
    atomic_store_explicit(&config->counters->last_backup_served_epoch, x->view->keyset.epoch,
                          memory_order_relaxed);
    atomic_store_explicit(&config->counters->last_backup_served_at, mig_now_s(x),
                          memory_order_relaxed);
    config->keeper.backup_served(config->keeper.ctx, &x->view->keyset);
}

enum mig_problem mig_backup_serve(struct mig_exchange *x)
{
    struct mig_service *service = x->service;
    size_t plain_len = 0, sealed_len = 0;
    struct mig_scratch *scratch = mig_scratch_take(service, x->view->keyset.count);
    if (scratch == NULL)
        return MIG_PROBLEM_STORE_UNAVAILABLE;

    enum mig_problem problem = load(x, scratch, &plain_len);
    if (problem == MIG_PROBLEM_NONE)
        problem = agree(x, scratch);
    if (problem == MIG_PROBLEM_NONE)
        problem = seal(x, scratch, plain_len, &sealed_len);
    mig_scratch_give(service, scratch);
    /* The commit: from here on the shares are on their way. */
    atomic_store_explicit(&x->holds, problem == MIG_PROBLEM_NONE, memory_order_release);
    if (problem == MIG_PROBLEM_NONE)
        problem = mig_exchange_recheck_if_moved(x);
    if (problem != MIG_PROBLEM_NONE) {
        atomic_store_explicit(&x->holds, false, memory_order_release);
        return problem;
    }
    note_served(x);
    mig_reply_sealed(x, sealed_len);
    return MIG_PROBLEM_NONE;
}

/* ---- the receipt ------------------------------------------------------------ */

static void note_acknowledged(struct mig_exchange *x)
{
    struct mig_counters *counters = x->service->config.counters;
    atomic_store_explicit(&counters->last_backup_acknowledged_epoch, x->parsed.context.epoch,
                          memory_order_relaxed);
    atomic_store_explicit(&counters->last_backup_acknowledged_at, mig_now_s(x),
                          memory_order_relaxed);
}

static void format_acknowledgement(struct mig_exchange *x, const uint8_t hash[MIG_DIGEST_LEN],
                                   bool known)
{
    char keyset[MIG_BASE64_32], context[MIG_BASE64_32];
    mig_base64_32(x->parsed.context.keyset, keyset);
    mig_base64_32(hash, context);
    (void)snprintf(x->json, sizeof x->json,
                   "{\"epoch\":\"%" PRIu64 "\",\"keyset\":\"%s\",\"context\":\"%s\","
                   "\"recorded_at\":%" PRIu64 ",\"known\":%s}",
                   x->parsed.context.epoch, keyset, context, mig_now_s(x),
                   known ? "true" : "false");
}

enum mig_problem mig_backup_acknowledge(struct mig_exchange *x)
{
    struct mig_service *service = x->service;
    const struct mig_keeper *keeper = &service->config.keeper;
    const struct mig_context *context = &x->parsed.context;
    uint8_t hash[MIG_DIGEST_LEN];

    mig_sha256(x->parsed.context_text.at, x->parsed.context_text.len, hash);
    bool known = mig_served_has(&service->served, hash);
    enum mig_problem problem = mig_exchange_recheck_if_moved(x);
    if (problem != MIG_PROBLEM_NONE)
        return problem;
    if (keeper->backup_acknowledged(keeper->ctx, context->epoch, context->keyset, hash,
                                    mig_now_s(x), known) != MIG_OK) {
        mig_service_log(service, MIG_LOG_ERROR, "receipt_not_recorded",
                        "the receipt of a backup cannot be stored");
        return MIG_PROBLEM_STORE_UNAVAILABLE;
    }
    note_acknowledged(x);
    format_acknowledgement(x, hash, known);
    mig_reply_json(x, 200);
    return MIG_PROBLEM_NONE;
}
