/* SPDX-License-Identifier: MIT */
#include "chain/dialect.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/account.h"
#include "crypto/encoding.h"
#include "crypto/key.h"

enum meaning { REGISTER, START, CONCLUDE, CANCEL, PUBLISH, ATTEST, MEANINGS };

static const char *const methods[][MEANINGS] = {
    [MIG_DIALECT_DRAFT] =
        {
            [REGISTER] = "set_backup_service",
            [START] = "swap_node",
            [CONCLUDE] = "conclude_recovery",
            [PUBLISH] = "publish_ephemeral_key",
            [ATTEST] = "submit_participant_info",
        },
    [MIG_DIALECT_DEPLOYED] =
        {
            [REGISTER] = "register_backup_service",
            [START] = "start_node_migration",
            [CONCLUDE] = "conclude_node_migration",
            [CANCEL] = "cancel_node_migration",
            [ATTEST] = "submit_participant_info",
        },
};

static const char *const views[][3] = {
    [MIG_DIALECT_DRAFT] =
        {
            [MIG_PART_STATE] = "state",
            [MIG_PART_MIGRATION] = "recovery_info",
            [MIG_PART_EPHEMERAL] = "ephemeral_keys",
        },
    [MIG_DIALECT_DEPLOYED] =
        {
            [MIG_PART_STATE] = "state",
            [MIG_PART_MIGRATION] = "migration_info",
        },
};

const char *mig_view_method(enum mig_dialect dialect, enum mig_part part)
{
    return views[dialect][part];
}

/* ---- which dialect ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

/* Up to 3.13 the operator's methods refuse a deposit; what does not read as a
 * version counts as newer. */
static bool wants_deposit(const char *version)
{
    char *end;
    unsigned long major = strtoul(version, &end, 10);
    if (end == version || *end != '.')
        return true;
    return major > 3 || (major == 3 && strtoul(end + 1, NULL, 10) >= 14);
}

struct mig_speech mig_speech_pick(enum mig_dialect forced, const char *version)
{
    struct mig_speech speech = {.dialect = forced};
    if (forced == MIG_DIALECT_AUTO)
        speech.dialect = version != NULL && ends_with(version, "-draft") ? MIG_DIALECT_DRAFT
                                                                         : MIG_DIALECT_DEPLOYED;
    if (speech.dialect == MIG_DIALECT_DEPLOYED)
        speech.deposit = version != NULL ? wants_deposit(version) : forced == MIG_DIALECT_DEPLOYED;
    return speech;
}

/* ---- calls ---- */

void mig_call_clear(struct mig_call *call)
{
    free(call->args);
    memset(call, 0, sizeof *call);
}

__attribute__((format(printf, 4, 5))) static enum mig_err make(const struct mig_speech *speech,
                                                               enum meaning meaning,
                                                               struct mig_call *out,
                                                               const char *format, ...)
{
    const char *method = methods[speech->dialect][meaning];
    memset(out, 0, sizeof *out);
    if (method == NULL)
        return MIG_ERR_NOT_FOUND;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&out->args, format, args);
    va_end(args);
    if (n < 0) {
        out->args = NULL;
        return MIG_ERR_NOMEM;
    }
    bool operators = meaning == REGISTER || meaning == START || meaning == CANCEL;
    out->method = method;
    out->gas = (uint64_t)MIG_CALL_TGAS * 1000000000000u;
    out->deposit = operators ? speech->deposit : 0;
    return MIG_OK;
}

enum mig_err mig_call_register(const struct mig_speech *speech,
                               const uint8_t service_key[MIG_KEY_LEN], struct mig_call *out)
{
    char key[MIG_KEY_TEXT_MAX];
    mig_key_format(service_key, key);
    const char *name =
        speech->dialect == MIG_DIALECT_DRAFT ? "backup_service" : "backup_service_info";
    return make(speech, REGISTER, out, "{\"%s\":{\"public_key\":\"%s\"}}", name, key);
}

enum mig_err mig_call_start(const struct mig_speech *speech, const char *url,
                            const uint8_t tls_key[MIG_KEY_LEN],
                            const uint8_t signer_key[MIG_KEY_LEN], struct mig_call *out)
{
    struct mig_url parts;
    char tls[MIG_KEY_TEXT_MAX], signer[MIG_KEY_TEXT_MAX];
    memset(out, 0, sizeof *out);
    if (mig_url_parse(url, strlen(url), &parts) != MIG_OK)
        return MIG_ERR_MALFORMED; /* what parses needs no escapes in JSON */
    mig_key_format(tls_key, tls);
    mig_key_format(signer_key, signer);
    if (speech->dialect == MIG_DIALECT_DRAFT)
        return make(speech, START, out,
                    "{\"participant_info\":{\"url\":\"%s\",\"tls_public_key\":\"%s\","
                    "\"node_account_public_key\":\"%s\"}}",
                    url, tls, signer);
    return make(speech, START, out,
                "{\"destination_node_info\":{\"signer_account_pk\":\"%s\","
                "\"destination_node_info\":{\"url\":\"%s\",\"tls_public_key\":\"%s\"}}}",
                signer, url, tls);
}

/* [[{epoch_id, domain_id, attempt_id}, key], ...] */
static char *key_pairs(const struct mig_keyset *keyset)
{
    char *text = NULL, key[MIG_GROUP_KEY_TEXT_MAX];
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (f == NULL)
        return NULL;
    for (size_t i = 0; i < keyset->count; i++) {
        const struct mig_domain_key *d = &keyset->domains[i];
        mig_group_key_format(d, key);
        (void)fprintf(f, "%s[{\"epoch_id\":%llu,\"domain_id\":%llu,\"attempt_id\":%llu},\"%s\"]",
                      i == 0 ? "" : ",", (unsigned long long)keyset->epoch,
                      (unsigned long long)d->domain, (unsigned long long)d->attempt, key);
    }
    bool good = ferror(f) == 0;
    if (fclose(f) != 0 || !good) {
        free(text);
        return NULL;
    }
    return text;
}

enum mig_err mig_call_conclude(const struct mig_speech *speech, const struct mig_view *view,
                               struct mig_call *out)
{
    memset(out, 0, sizeof *out);
    if (view->protocol != MIG_PROTOCOL_RUNNING || view->keyset_json == NULL)
        return MIG_ERR_STATE;
    if (speech->dialect == MIG_DIALECT_DEPLOYED)
        return make(speech, CONCLUDE, out, "{\"keyset\":%s}", view->keyset_json);
    char *pairs = key_pairs(&view->keyset);
    if (pairs == NULL)
        return MIG_ERR_NOMEM;
    enum mig_err err = make(speech, CONCLUDE, out, "{\"public_keys\":[%s]}", pairs);
    free(pairs);
    return err;
}

enum mig_err mig_call_cancel(const struct mig_speech *speech, struct mig_call *out)
{
    return make(speech, CANCEL, out, "{}");
}

enum mig_err mig_call_publish(const struct mig_speech *speech, enum mig_role role,
                              const uint8_t key[MIG_KEY_LEN], struct mig_call *out)
{
    char text[MIG_KEY_TEXT_MAX];
    enum mig_err err = mig_base58_encode(key, MIG_KEY_LEN, text, sizeof text);
    if (err != MIG_OK)
        return err;
    return make(speech, PUBLISH, out, "{\"role\":\"%s\",\"public_key\":\"x25519:%s\"}",
                role == MIG_ROLE_NODE ? "node" : "service", text);
}

enum mig_err mig_call_attest_mock(const struct mig_speech *speech,
                                  const uint8_t tls_key[MIG_KEY_LEN], struct mig_call *out)
{
    char key[MIG_KEY_TEXT_MAX];
    mig_key_format(tls_key, key);
    return make(
        speech, ATTEST, out,
        "{\"proposed_participant_attestation\":{\"Mock\":\"Valid\"},\"tls_public_key\":\"%s\"}",
        key);
}

/* ---- keys ---- */

size_t mig_role_methods(enum mig_dialect dialect, enum mig_role role, bool publishes,
                        const char *out[MIG_ROLE_METHODS_MAX])
{
    size_t count = 0;
    const char *publish = methods[dialect][PUBLISH];
    if (role == MIG_ROLE_NODE)
        out[count++] = methods[dialect][CONCLUDE];
    if (publish != NULL && (publishes || role == MIG_ROLE_SERVICE))
        out[count++] = publish;
    return count;
}

/* ---- near-cli ---- */

static bool is_network(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= 32 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == len;
}

char *mig_call_near_cli(const struct mig_call *call, const char *account, const char *contract,
                        const char *network)
{
    char deposit[40], *text = NULL;
    /* Nothing of it may leave its quotes in a shell. */
    if (!mig_account_is_valid(account, strlen(account)) || !is_network(network) ||
        !mig_account_is_valid(contract, strlen(contract)) || strchr(call->args, '\'') != NULL)
        return NULL;
    (void)snprintf(deposit, sizeof deposit, "%llu yoctoNEAR", (unsigned long long)call->deposit);
    if (asprintf(&text,
                 "near contract call-function as-transaction %s %s json-args '%s' "
                 "prepaid-gas '%u.0 Tgas' attached-deposit '%s' sign-as %s network-config %s "
                 "sign-with-keychain send",
                 contract, call->method, call->args, (unsigned)MIG_CALL_TGAS,
                 call->deposit == 0 ? "0 NEAR" : deposit, account, network) < 0)
        return NULL;
    return text;
}

char *mig_key_near_cli(const uint8_t key[MIG_KEY_LEN], const char *const *names, size_t count,
                       const char *account, const char *contract, const char *network)
{
    char key_text[MIG_KEY_TEXT_MAX], list[160] = "", *text = NULL;
    if (!mig_account_is_valid(account, strlen(account)) || !is_network(network) ||
        !mig_account_is_valid(contract, strlen(contract)) || count == 0)
        return NULL;
    for (size_t i = 0, len = 0; i < count && len < sizeof list; i++)
        len +=
            (size_t)snprintf(list + len, sizeof list - len, "%s%s", i == 0 ? "" : ", ", names[i]);
    mig_key_format(key, key_text);
    if (asprintf(&text,
                 "near account add-key %s grant-function-call-access --allowance '%d NEAR' "
                 "--contract-account-id %s --function-names '%s' "
                 "use-manually-provided-public-key %s network-config %s sign-with-keychain send",
                 account, MIG_KEY_ALLOWANCE_NEAR, contract, list, key_text, network) < 0)
        return NULL;
    return text;
}
