/* SPDX-License-Identifier: MIT */
#include "devnet/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t mig_devnet_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

enum mig_err mig_devnet_settle(struct mig_devnet *d)
{
    enum mig_err err = MIG_OK;
    for (unsigned i = 0; err == MIG_OK && d->config.block_ms == 0 && i < d->chain.final_lag; i++)
        err = mig_devnet_produce(&d->chain, mig_devnet_now_ns(), false);
    if (err == MIG_OK)
        err = mig_devnet_save(d);
    (void)pthread_cond_broadcast(&d->changed);
    return err;
}

/* Blocks at fixed distances from the start, however long each one took. */
static void *tick(void *cls)
{
    struct mig_devnet *d = cls;
    struct timespec next;
    (void)clock_gettime(CLOCK_MONOTONIC, &next);
    (void)pthread_mutex_lock(&d->lock);
    while (!d->is_stopping) {
        uint64_t ns = (uint64_t)next.tv_nsec + (uint64_t)d->config.block_ms * 1000000;
        next.tv_sec += (time_t)(ns / 1000000000);
        next.tv_nsec = (long)(ns % 1000000000);
        int late = 0;
        while (!d->is_stopping && late == 0)
            late = pthread_cond_timedwait(&d->changed, &d->lock, &next);
        /* Out of memory for one block: the next tick tries again. */
        if (!d->is_stopping && mig_devnet_produce(&d->chain, mig_devnet_now_ns(), false) == MIG_OK)
            (void)pthread_cond_broadcast(&d->changed);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return NULL;
}

static enum mig_err init_lock(struct mig_devnet *d)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return MIG_ERR_NOMEM;
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&d->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (failed != 0)
        return MIG_ERR_NOMEM;
    if (pthread_mutex_init(&d->lock, NULL) == 0)
        return MIG_OK;
    (void)pthread_cond_destroy(&d->changed);
    return MIG_ERR_NOMEM;
}

static enum mig_err load_or_begin(struct mig_devnet *d, char *why)
{
    enum mig_err err = mig_devnet_load(d, why);
    if (err != MIG_ERR_NOT_FOUND)
        return err;
    if (d->config.genesis != NULL)
        return mig_devnet_genesis(d, why);
    (void)snprintf(why, MIG_DEVNET_ERROR_MAX, "there is neither a genesis nor a state file");
    return err;
}

static enum mig_err check_version(const struct mig_devnet *d, char *why)
{
    char *dump;
    char wanted[48];
    enum mig_err err = MIG_OK;
    if (!d->config.has_version)
        return MIG_OK;
    if (mig_contract_dump(d->chain.tip->contract, &dump) != MIG_OK)
        return MIG_ERR_NOMEM;
    (void)snprintf(wanted, sizeof wanted, ",\"version\":\"%s\",",
                   mig_contract_version_text(d->config.version));
    if (strstr(dump, wanted) == NULL) {
        (void)snprintf(why, MIG_DEVNET_ERROR_MAX,
                       "the state file holds a contract of another dialect");
        err = MIG_ERR_CONFLICT;
    }
    free(dump);
    return err;
}

static enum mig_err begin(struct mig_devnet *d, char *why)
{
    if (d->config.state_path != NULL && (d->state_path = strdup(d->config.state_path)) == NULL)
        return MIG_ERR_NOMEM;
    enum mig_err err = load_or_begin(d, why);
    if (err == MIG_OK)
        err = check_version(d, why);
    if (err == MIG_OK && (err = mig_devnet_save(d)) != MIG_OK)
        (void)snprintf(why, MIG_DEVNET_ERROR_MAX, "cannot write the state file");
    if (err == MIG_OK)
        err = mig_devnet_listen(d, why);
    if (err == MIG_OK && d->config.block_ms > 0) {
        d->has_thread = pthread_create(&d->thread, NULL, tick, d) == 0;
        err = d->has_thread ? MIG_OK : MIG_ERR_NOMEM;
    }
    return err;
}

enum mig_err mig_devnet_start(const struct mig_devnet_config *config, struct mig_devnet **out,
                              char why[MIG_DEVNET_ERROR_MAX])
{
    *out = NULL;
    why[0] = '\0';
    struct mig_devnet *d = calloc(1, sizeof *d);
    if (d == NULL || init_lock(d) != MIG_OK) {
        free(d);
        return MIG_ERR_NOMEM;
    }
    d->config = *config;
    d->started_ns = mig_devnet_now_ns();
    enum mig_err err = begin(d, why);
    if (err != MIG_OK) {
        if (why[0] == '\0')
            (void)snprintf(why, MIG_DEVNET_ERROR_MAX, "%s", mig_err_text(err));
        free(d->state_path);
        d->state_path = NULL; /* what is on disk stays as it is */
        mig_devnet_stop(&d);
        return err;
    }
    d->config.genesis = d->config.state_path = d->config.address = NULL;
    *out = d;
    return MIG_OK;
}

void mig_devnet_stop(struct mig_devnet **devnet)
{
    struct mig_devnet *d = *devnet;
    *devnet = NULL;
    if (d == NULL)
        return;
    (void)pthread_mutex_lock(&d->lock);
    d->is_stopping = true;
    (void)pthread_cond_broadcast(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
    if (d->has_thread)
        (void)pthread_join(d->thread, NULL);
    mig_devnet_unlisten(d);
    /* Every change is saved already; this only keeps the height. */
    if (d->state_path != NULL && mig_devnet_save(d) != MIG_OK)
        d->is_stopping = true;
    mig_devnet_chain_clear(&d->chain);
    free(d->state_path);
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

uint64_t mig_devnet_height(struct mig_devnet *d)
{
    (void)pthread_mutex_lock(&d->lock);
    uint64_t height = mig_devnet_head(&d->chain)->height;
    (void)pthread_mutex_unlock(&d->lock);
    return height;
}

uint64_t mig_devnet_final_height(struct mig_devnet *d)
{
    (void)pthread_mutex_lock(&d->lock);
    uint64_t height = mig_devnet_block_back(&d->chain, d->chain.final_lag)->height;
    (void)pthread_mutex_unlock(&d->lock);
    return height;
}

enum mig_err mig_devnet_scenario(struct mig_devnet *d, const char *op,
                                 char why[MIG_DEVNET_ERROR_MAX])
{
    (void)pthread_mutex_lock(&d->lock);
    enum mig_err err = mig_devnet_operate(d, op, strlen(op), why);
    (void)pthread_mutex_unlock(&d->lock);
    return err;
}

enum mig_err mig_devnet_dump(struct mig_devnet *d, char **json)
{
    struct mig_print t = {0};
    char *contract = NULL;
    (void)pthread_mutex_lock(&d->lock);
    enum mig_err err = mig_contract_dump(d->chain.tip->contract, &contract);
    mig_print_printf(&t,
                     "{\"height\":%" PRIu64 ",\"final_height\":%" PRIu64
                     ",\"frozen\":%s,\"pending\":%zu,\"accounts\":",
                     mig_devnet_head(&d->chain)->height,
                     mig_devnet_block_back(&d->chain, d->chain.final_lag)->height,
                     d->chain.frozen ? "true" : "false", d->chain.pending_count);
    mig_devnet_accounts_format(&t, d->chain.tip);
    (void)pthread_mutex_unlock(&d->lock);
    mig_print_put(&t, ",\"contract\":");
    mig_print_put(&t, contract != NULL ? contract : "null");
    mig_print_put(&t, "}\n");
    free(contract);
    *json = mig_print_take(&t);
    return err != MIG_OK ? err : *json != NULL ? MIG_OK : MIG_ERR_NOMEM;
}
