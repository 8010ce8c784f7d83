/* SPDX-License-Identifier: MIT */
/* The first block: contract, accounts and keys from a JSON file (docs/devnet.md). */
#include "devnet/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/account.h"

static enum mig_err refuse(char *why, const char *what, const char *about)
{
    (void)snprintf(why, MIG_DEVNET_ERROR_MAX, "%s%s%.64s", what, about != NULL ? " of " : "",
                   about != NULL ? about : "");
    return MIG_ERR_MALFORMED;
}

static bool account_text(const json_t *value, char out[MIG_ACCOUNT_MAX + 1])
{
    const char *text = json_string_value(value);
    if (text == NULL || !mig_account_is_valid(text, strlen(text)))
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool amount_value(const json_t *value, unsigned __int128 *amount)
{
    const char *text = json_string_value(value);
    return text != NULL && mig_amount_parse(text, strlen(text), amount) == MIG_OK;
}

static bool method_names(const json_t *names, struct mig_devnet_key *key)
{
    size_t count = json_array_size(names);
    if (names != NULL && (!json_is_array(names) || count > MIG_DEVNET_KEY_METHODS))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name == NULL || strlen(name) > MIG_DEVNET_KEY_METHOD_MAX)
            return false;
        memcpy(key->methods[i], name, strlen(name) + 1);
    }
    key->method_count = count;
    return true;
}

static bool permission(const json_t *value, struct mig_devnet_key *key)
{
    const char *text = json_string_value(value);
    const json_t *call = json_object_get(value, "FunctionCall");
    const json_t *allowance = json_object_get(call, "allowance");
    key->full_access = value == NULL || (text != NULL && strcmp(text, "FullAccess") == 0);
    if (key->full_access)
        return true;
    key->has_allowance = allowance != NULL && !json_is_null(allowance);
    return json_is_object(call) &&
           (!key->has_allowance || amount_value(allowance, &key->allowance)) &&
           account_text(json_object_get(call, "receiver_id"), key->receiver) &&
           method_names(json_object_get(call, "method_names"), key);
}

static enum mig_err read_key(const json_t *value, const char *account,
                             struct mig_devnet_ledger *ledger, char *why)
{
    struct mig_devnet_key key = {0};
    const char *text = json_string_value(json_object_get(value, "public_key"));
    const json_t *nonce = json_object_get(value, "nonce");
    memcpy(key.account, account, strlen(account) + 1);
    if (text == NULL || mig_key_parse(text, strlen(text), key.public_key) != MIG_OK)
        return refuse(why, "not an ed25519 public_key", account);
    if (nonce != NULL && (!json_is_integer(nonce) || json_integer_value(nonce) < 0))
        return refuse(why, "not a nonce", account);
    key.nonce = (uint64_t)json_integer_value(nonce);
    if (!permission(json_object_get(value, "permission"), &key))
        return refuse(why, "not a permission", account);
    enum mig_err err = mig_devnet_key_add(ledger, &key);
    return err == MIG_ERR_CONFLICT ? refuse(why, "a key occurs twice", account) : err;
}

static enum mig_err read_account(const json_t *value, struct mig_devnet_ledger *ledger, char *why)
{
    char id[MIG_ACCOUNT_MAX + 1];
    unsigned __int128 balance;
    const json_t *keys = json_object_get(value, "keys");
    if (!account_text(json_object_get(value, "account_id"), id))
        return refuse(why, "an account without a valid account_id", NULL);
    if (!amount_value(json_object_get(value, "balance"), &balance))
        return refuse(why, "no balance (yocto, decimal, as a string)", id);
    struct mig_devnet_account *known = mig_devnet_account_find(ledger, id);
    enum mig_err err = MIG_OK;
    if (known == NULL)
        err = mig_devnet_account_add(ledger, id, balance);
    else
        known->balance = balance; /* the contract's account is there already */
    for (size_t i = 0; err == MIG_OK && i < json_array_size(keys); i++)
        err = read_key(json_array_get(keys, i), id, ledger, why);
    return err;
}

enum mig_err mig_devnet_accounts_read(const json_t *accounts, struct mig_devnet_ledger *ledger,
                                      char why[MIG_DEVNET_ERROR_MAX])
{
    enum mig_err err = MIG_OK;
    if (!json_is_array(accounts))
        return refuse(why, "accounts is not a list", NULL);
    for (size_t i = 0; err == MIG_OK && i < json_array_size(accounts); i++)
        err = read_account(json_array_get(accounts, i), ledger, why);
    return err;
}

static enum mig_err drive_genesis(struct mig_contract *contract, const json_t *object,
                                  uint64_t height, char *why)
{
    json_t *op = json_copy((json_t *)object);
    char *text = NULL;
    enum mig_err err = MIG_ERR_NOMEM;
    if (op != NULL && json_object_set_new(op, "op", json_string("genesis")) == 0)
        text = json_dumps(op, JSON_COMPACT);
    if (text != NULL)
        err = mig_contract_drive(contract, text, strlen(text), height, why);
    free(text);
    json_decref(op);
    return err;
}

/* An "contract" object without participants is a contract that waits for init. */
static enum mig_err read_contract(const struct mig_devnet *d, const json_t *root, uint64_t height,
                                  struct mig_devnet_ledger *ledger, char *why)
{
    const json_t *object = json_object_get(root, "contract");
    const char *dialect = json_string_value(json_object_get(root, "dialect"));
    enum mig_contract_version version = d->config.version;
    char id[MIG_ACCOUNT_MAX + 1];
    if (!account_text(json_object_get(object, "account_id"), id))
        return refuse(why, "contract has no valid account_id", NULL);
    if (!d->config.has_version &&
        (dialect == NULL || mig_contract_version_parse(dialect, &version) != MIG_OK))
        return refuse(why, "dialect is none of draft, 3.13.0, 3.14.1", NULL);
    enum mig_err err = mig_contract_new(id, version, &ledger->contract);
    if (err == MIG_OK)
        err = mig_devnet_account_add(ledger, id,
                                     (unsigned __int128)1000000000000 * 1000000000000 * 1000);
    if (err == MIG_OK && json_object_get(object, "participants") != NULL)
        err = drive_genesis(ledger->contract, object, height, why);
    return err;
}

enum mig_err mig_devnet_genesis(struct mig_devnet *d, char why[MIG_DEVNET_ERROR_MAX])
{
    json_error_t at;
    struct mig_devnet_ledger *ledger = NULL;
    json_t *root = json_loads(d->config.genesis, JSON_REJECT_DUPLICATES, &at);
    if (root == NULL) {
        (void)snprintf(why, MIG_DEVNET_ERROR_MAX, "genesis, line %d: %.120s", at.line, at.text);
        return MIG_ERR_MALFORMED;
    }
    const char *chain_id = json_string_value(json_object_get(root, "chain_id"));
    const json_t *height_value = json_object_get(root, "height");
    uint64_t height = height_value != NULL ? (uint64_t)json_integer_value(height_value) : 1000;
    enum mig_err err = MIG_OK;
    if (height == 0 || height > INT64_MAX / 2000000)
        err = refuse(why, "height is not a sensible block height", NULL);
    if (err == MIG_OK)
        err = mig_devnet_ledger_new(&ledger);
    if (err == MIG_OK)
        err = read_contract(d, root, height, ledger, why);
    if (err == MIG_OK)
        err = mig_devnet_accounts_read(json_object_get(root, "accounts"), ledger, why);
    if (err == MIG_OK) {
        err = mig_devnet_chain_init(&d->chain, chain_id != NULL ? chain_id : "mpc-devnet",
                                    d->config.final_lag, ledger);
        ledger = NULL;
    }
    if (err == MIG_OK) {
        d->chain.genesis_height = height;
        mig_devnet_block_make(&d->chain, height, mig_devnet_now_ns());
        memcpy(d->chain.genesis_hash, mig_devnet_head(&d->chain)->hash, MIG_DIGEST_LEN);
    }
    mig_devnet_ledger_release(&ledger);
    json_decref(root);
    return err;
}
