/* SPDX-License-Identifier: MIT */
#ifndef MIG_DEVNET_LEDGER_H
#define MIG_DEVNET_LEDGER_H
/*
 * Everything the chain's state holds: accounts, access keys, the contract. A
 * ledger that a block refers to never changes: whoever changes it makes a copy
 * first. References are counted without a lock: the devnet's own lock holds.
 */
#include "contract/contract.h"
#include "devnet/transaction.h"

enum {
    MIG_DEVNET_ACCOUNTS_MAX = 10000,
    MIG_DEVNET_KEYS_MAX = 20000,
};

struct mig_devnet_account {
    char id[MIG_ACCOUNT_MAX + 1];
    unsigned __int128 balance;
};

struct mig_devnet_ledger {
    unsigned references;
    size_t account_count;
    struct mig_devnet_account *accounts;
    size_t key_count;
    struct mig_devnet_key *keys;
    struct mig_contract *contract;
};

enum mig_err mig_devnet_ledger_new(struct mig_devnet_ledger **out) MIG_MUST_USE;
enum mig_err mig_devnet_ledger_copy(const struct mig_devnet_ledger *from,
                                    struct mig_devnet_ledger **out) MIG_MUST_USE;
struct mig_devnet_ledger *mig_devnet_ledger_ref(struct mig_devnet_ledger *ledger);
void mig_devnet_ledger_release(struct mig_devnet_ledger **ledger);

struct mig_devnet_account *mig_devnet_account_find(const struct mig_devnet_ledger *ledger,
                                                   const char *id);
/* MIG_ERR_CONFLICT when there is one already. */
enum mig_err mig_devnet_account_add(struct mig_devnet_ledger *ledger, const char *id,
                                    unsigned __int128 balance) MIG_MUST_USE;
struct mig_devnet_key *mig_devnet_key_find(const struct mig_devnet_ledger *ledger,
                                           const char *account, const uint8_t key[MIG_KEY_LEN]);
/* `key->account` names the owner. MIG_ERR_CONFLICT when it has this key already. */
enum mig_err mig_devnet_key_add(struct mig_devnet_ledger *ledger,
                                const struct mig_devnet_key *key) MIG_MUST_USE;
enum mig_err mig_devnet_key_delete(struct mig_devnet_ledger *ledger, const char *account,
                                   const uint8_t key[MIG_KEY_LEN]) MIG_MUST_USE;

#endif
