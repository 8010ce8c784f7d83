/* SPDX-License-Identifier: MIT */
#include "server/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/signature.h"
#include "chain/account.h"
#include "chain/endpoints.h"

enum {
    POLL_DEFAULT_MS = 1000,
    POLL_LEAST_MS = 10,
    STALENESS_DEFAULT_S = 30,
};

static enum mig_err refuse(char *why, const char *name, const char *sentence)
{
    (void)snprintf(why, MIG_WHY_MAX, "%s %s", name, sentence);
    return MIG_ERR_MALFORMED;
}

static bool is_account(const char *text)
{
    return text != NULL && mig_account_is_valid(text, strlen(text));
}

/* What can be judged without touching a file. */
static enum mig_err check_values(const struct mig_config *c, const struct mig_host *host, char *why)
{
    bool host_stores = host != NULL && host->load_keyshares != NULL &&
                       host->import_keyshares != NULL && host->load_receipt != NULL;
    bool host_concludes = host != NULL && host->conclude != NULL;
    if (!is_account(c->contract))
        return refuse(why, "the contract's account", "is not a NEAR account id");
    if (!is_account(c->account))
        return refuse(why, "the node's account", "is not a NEAR account id");
    if (c->identity_key == NULL)
        return refuse(why, "identity_key",
                      "is missing: the node's ed25519 TLS key, a NEAR key file");
    if (c->state_dir == NULL || c->listen == NULL)
        return refuse(why, c->state_dir == NULL ? "state_dir" : "listen", "is missing");
    if (!host_stores && c->store_key == NULL)
        return refuse(why, "store_key",
                      "is missing: a file with 64 hex digits that seals the keyshare store");
    if (!host_concludes && (c->access_key == NULL || c->rpc == NULL))
        return refuse(why, c->access_key == NULL ? "access_key" : "rpc",
                      "is missing: without it nobody can conclude a migration");
    if (c->announce == MIG_CONFIG_ANNOUNCE_CONTRACT && (c->access_key == NULL || c->rpc == NULL))
        return refuse(why, "announce=contract",
                      "needs access_key and rpc: keys are published by transaction");
    if (c->skew_s > MIG_SKEW_MAX)
        return refuse(why, "skew", "is at most 300 seconds");
    if (c->poll_interval_ms != 0 && c->poll_interval_ms < POLL_LEAST_MS)
        return refuse(why, "poll_interval", "is at least 10 ms");
    return MIG_OK;
}

/* The endpoints, and how many must agree. */
static enum mig_err check_rpc(const struct mig_config *c, char *why)
{
    struct mig_endpoints list;
    if (c->rpc == NULL)
        return MIG_OK;
    if (mig_endpoints_parse(c->rpc, &list) != MIG_OK)
        return refuse(why, "rpc",
                      "is not a list of at most 8 different URLs of the form "
                      "http(s)://host[:port][/path][?query], separated by commas");
    if (mig_endpoints_quorum(list.count, c->quorum) == 0)
        return refuse(why, "quorum", "is more than there are endpoints in rpc");
    return MIG_OK;
}

static char *copy(const char *text, bool *failed)
{
    if (text == NULL)
        return NULL;
    char *own = strdup(text);
    *failed = *failed || own == NULL;
    return own;
}

static enum mig_err copy_values(const struct mig_config *c, struct mig_settings *out)
{
    bool failed = false;
    out->contract = copy(c->contract, &failed);
    out->account = copy(c->account, &failed);
    out->state_dir = copy(c->state_dir, &failed);
    out->rpc = copy(c->rpc, &failed);
    out->listen = copy(c->listen, &failed);
    out->admin = copy(c->admin, &failed);
    out->dialect = (enum mig_dialect)c->dialect;
    out->quorum = c->quorum;
    out->poll_interval_ms = c->poll_interval_ms != 0 ? c->poll_interval_ms : POLL_DEFAULT_MS;
    out->max_staleness_s = c->max_staleness_s != 0 ? c->max_staleness_s : STALENESS_DEFAULT_S;
    out->key_delay_s = c->key_delay_s;
    out->skew_s = c->skew_s != 0 ? c->skew_s : MIG_SKEW_DEFAULT;
    out->plain = c->listen_plain;
    out->plain_anywhere = c->listen_plain_anywhere;
    return failed ? MIG_ERR_NOMEM : MIG_OK;
}
_Static_assert((int)MIG_CONFIG_DIALECT_AUTO == (int)MIG_DIALECT_AUTO &&
                   (int)MIG_CONFIG_DIALECT_DRAFT == (int)MIG_DIALECT_DRAFT &&
                   (int)MIG_CONFIG_DIALECT_DEPLOYED == (int)MIG_DIALECT_DEPLOYED,
               "the public and the inner dialects are the same numbers");

static enum mig_err load_identity(const char *name, const char *path, struct mig_identity **out,
                                  char *why)
{
    const char *reason = "";
    enum mig_err err = mig_identity_load(path, out, &reason);
    if (err != MIG_OK)
        (void)snprintf(why, MIG_WHY_MAX, "%s (%s): %s", name, path, reason);
    return err;
}

static enum mig_err load_symmetric(const char *name, const char *path, struct mig_secret **out,
                                   char *why)
{
    const char *reason = "";
    if (path == NULL)
        return MIG_OK;
    enum mig_err err = mig_symmetric_key_load(path, out, &reason);
    if (err != MIG_OK)
        (void)snprintf(why, MIG_WHY_MAX, "%s (%s): %s", name, path, reason);
    return err;
}

static enum mig_err load_keys(const struct mig_config *c, struct mig_settings *out, char *why)
{
    enum mig_err err = load_identity("identity_key", c->identity_key, &out->identity, why);
    if (err == MIG_OK && c->access_key != NULL)
        err = load_identity("access_key", c->access_key, &out->access, why);
    if (err == MIG_OK)
        err = load_symmetric("operator_key", c->operator_key, &out->operator_key, why);
    if (err == MIG_OK)
        err = load_symmetric("store_key", c->store_key, &out->store_key, why);
    if (err == MIG_OK && out->access != NULL &&
        memcmp(out->access->public_key, out->identity->public_key, MIG_KEY_LEN) == 0)
        err = refuse(why, "access_key", "and identity_key are the same key; they must differ");
    return err;
}

static void fill_self(const struct mig_config *c, struct mig_settings *s)
{
    s->self = (struct mig_self){
        .contract = s->contract,
        .account = s->account,
        .announce = c->announce == MIG_CONFIG_ANNOUNCE_CONTRACT ? MIG_ANNOUNCE_CONTRACT
                                                                : MIG_ANNOUNCE_HEADER,
        .has_operator_tag = s->operator_key != NULL,
        .max_staleness_ns = (uint64_t)s->max_staleness_s * 1000000000u,
    };
    memcpy(s->self.tls_key, s->identity->public_key, MIG_KEY_LEN);
    if (s->operator_key != NULL)
        mig_operator_tag(s->operator_key, s->self.operator_tag);
}

enum mig_err mig_settings_load(const struct mig_config *config, const struct mig_host *host,
                               struct mig_settings *out, char *why)
{
    memset(out, 0, sizeof *out);
    (void)snprintf(why, MIG_WHY_MAX,
                   "out of memory, or it cannot be locked: raise RLIMIT_MEMLOCK (LimitMEMLOCK=)");
    enum mig_err err = mig_crypto_init();
    if (err == MIG_OK)
        err = check_values(config, host, why);
    if (err == MIG_OK)
        err = check_rpc(config, why);
    if (err == MIG_OK)
        err = copy_values(config, out);
    if (err == MIG_OK)
        err = load_keys(config, out, why);
    if (err == MIG_OK) {
        fill_self(config, out);
        why[0] = '\0';
    } else {
        mig_settings_clear(out);
    }
    return err;
}

void mig_settings_clear(struct mig_settings *s)
{
    mig_identity_free(&s->identity);
    mig_identity_free(&s->access);
    mig_secret_free(&s->operator_key);
    mig_secret_free(&s->store_key);
    free(s->contract);
    free(s->account);
    free(s->state_dir);
    free(s->rpc);
    free(s->listen);
    free(s->admin);
    memset(s, 0, sizeof *s);
}
