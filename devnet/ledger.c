/* SPDX-License-Identifier: MIT */
#include "devnet/ledger.h"

#include <stdlib.h>
#include <string.h>

enum mig_err mig_devnet_ledger_new(struct mig_devnet_ledger **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return MIG_ERR_NOMEM;
    (*out)->references = 1;
    return MIG_OK;
}

struct mig_devnet_ledger *mig_devnet_ledger_ref(struct mig_devnet_ledger *ledger)
{
    ledger->references++;
    return ledger;
}

void mig_devnet_ledger_release(struct mig_devnet_ledger **ledger)
{
    struct mig_devnet_ledger *l = *ledger;
    *ledger = NULL;
    if (l == NULL || --l->references > 0)
        return;
    free(l->accounts);
    free(l->keys);
    mig_contract_free(&l->contract);
    free(l);
}

static void *duplicate(const void *list, size_t count, size_t size)
{
    void *copy = malloc(count == 0 ? size : count * size);
    if (copy != NULL && count > 0)
        memcpy(copy, list, count * size);
    return copy;
}

enum mig_err mig_devnet_ledger_copy(const struct mig_devnet_ledger *from,
                                    struct mig_devnet_ledger **out)
{
    struct mig_devnet_ledger *l;
    *out = NULL;
    enum mig_err err = mig_devnet_ledger_new(&l);
    if (err != MIG_OK)
        return err;
    l->accounts = duplicate(from->accounts, from->account_count, sizeof *l->accounts);
    l->keys = duplicate(from->keys, from->key_count, sizeof *l->keys);
    if (l->accounts == NULL || l->keys == NULL)
        err = MIG_ERR_NOMEM;
    l->account_count = from->account_count;
    l->key_count = from->key_count;
    if (err == MIG_OK)
        err = mig_contract_copy(from->contract, &l->contract);
    if (err != MIG_OK) {
        mig_devnet_ledger_release(&l);
        return err;
    }
    *out = l;
    return MIG_OK;
}

struct mig_devnet_account *mig_devnet_account_find(const struct mig_devnet_ledger *ledger,
                                                   const char *id)
{
    for (size_t i = 0; i < ledger->account_count; i++)
        if (strcmp(ledger->accounts[i].id, id) == 0)
            return &ledger->accounts[i];
    return NULL;
}

enum mig_err mig_devnet_account_add(struct mig_devnet_ledger *ledger, const char *id,
                                    unsigned __int128 balance)
{
    if (mig_devnet_account_find(ledger, id) != NULL)
        return MIG_ERR_CONFLICT;
    if (strlen(id) > MIG_ACCOUNT_MAX || ledger->account_count >= MIG_DEVNET_ACCOUNTS_MAX)
        return MIG_ERR_MALFORMED;
    struct mig_devnet_account *list =
        realloc(ledger->accounts, (ledger->account_count + 1) * sizeof *list);
    if (list == NULL)
        return MIG_ERR_NOMEM;
    ledger->accounts = list;
    struct mig_devnet_account *a = &list[ledger->account_count++];
    *a = (struct mig_devnet_account){.balance = balance};
    memcpy(a->id, id, strlen(id) + 1);
    return MIG_OK;
}

struct mig_devnet_key *mig_devnet_key_find(const struct mig_devnet_ledger *ledger,
                                           const char *account, const uint8_t key[MIG_KEY_LEN])
{
    for (size_t i = 0; i < ledger->key_count; i++)
        if (strcmp(ledger->keys[i].account, account) == 0 &&
            memcmp(ledger->keys[i].public_key, key, MIG_KEY_LEN) == 0)
            return &ledger->keys[i];
    return NULL;
}

enum mig_err mig_devnet_key_add(struct mig_devnet_ledger *ledger, const struct mig_devnet_key *key)
{
    if (mig_devnet_key_find(ledger, key->account, key->public_key) != NULL)
        return MIG_ERR_CONFLICT;
    if (ledger->key_count >= MIG_DEVNET_KEYS_MAX)
        return MIG_ERR_MALFORMED;
    struct mig_devnet_key *list = realloc(ledger->keys, (ledger->key_count + 1) * sizeof *list);
    if (list == NULL)
        return MIG_ERR_NOMEM;
    ledger->keys = list;
    list[ledger->key_count++] = *key;
    return MIG_OK;
}

enum mig_err mig_devnet_key_delete(struct mig_devnet_ledger *ledger, const char *account,
                                   const uint8_t key[MIG_KEY_LEN])
{
    struct mig_devnet_key *k = mig_devnet_key_find(ledger, account, key);
    if (k == NULL)
        return MIG_ERR_NOT_FOUND;
    size_t after = ledger->key_count - (size_t)(k - ledger->keys) - 1;
    memmove(k, k + 1, after * sizeof *k);
    ledger->key_count--;
    return MIG_OK;
}
