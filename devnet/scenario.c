/* SPDX-License-Identifier: MIT */
/* What a test may do to the chain from outside (docs/devnet.md, "Scenario"). */
#include "devnet/node.h"
#include "devnet/requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADVANCE_MAX = 100000, OVERSIZE_MAX = 2 * 1024 * 1024 };

static enum mig_err refuse(char *why, enum mig_err err, const char *what)
{
    (void)snprintf(why, MIG_DEVNET_ERROR_MAX, "%s", what);
    return err;
}

static bool number(const json_t *op, const char *name, uint64_t otherwise, uint64_t max,
                   uint64_t *out)
{
    const json_t *value = json_object_get(op, name);
    *out = value == NULL ? otherwise : (uint64_t)json_integer_value(value);
    return (value == NULL || (json_is_integer(value) && json_integer_value(value) >= 0)) &&
           *out <= max;
}

static enum mig_err advance(struct mig_devnet *d, const json_t *op, char *why)
{
    uint64_t blocks;
    enum mig_err err = MIG_OK;
    if (!number(op, "blocks", 1, ADVANCE_MAX, &blocks))
        return refuse(why, MIG_ERR_MALFORMED, "blocks is not a number up to 100000");
    for (uint64_t i = 0; err == MIG_OK && i < blocks; i++)
        err = mig_devnet_produce(&d->chain, mig_devnet_now_ns(), true);
    return err;
}

static enum mig_err freeze(struct mig_devnet *d, const json_t *op, char *why)
{
    const json_t *on = json_object_get(op, "on");
    if (on != NULL && !json_is_boolean(on))
        return refuse(why, MIG_ERR_MALFORMED, "on is not a boolean");
    d->chain.frozen = on == NULL || json_is_true(on);
    return mig_devnet_produce(&d->chain, mig_devnet_now_ns(), false);
}

static enum mig_err fork_chain(struct mig_devnet *d, const json_t *op, char *why)
{
    uint64_t blocks;
    if (!number(op, "blocks", 1, ADVANCE_MAX, &blocks))
        return refuse(why, MIG_ERR_MALFORMED, "blocks is not a number up to 100000");
    enum mig_err err = mig_devnet_fork(&d->chain, blocks, mig_devnet_now_ns());
    return err == MIG_ERR_STATE ? refuse(why, err,
                                         "final blocks stay, and a transaction is undone as a "
                                         "whole or not at all")
                                : err;
}

static enum mig_err skip(struct mig_devnet *d, const json_t *op, char *why)
{
    uint64_t heights;
    if (!number(op, "heights", 1, ADVANCE_MAX, &heights))
        return refuse(why, MIG_ERR_MALFORMED, "heights is not a number up to 100000");
    mig_devnet_block_make(&d->chain, mig_devnet_head(&d->chain)->height + 1 + heights,
                          mig_devnet_now_ns());
    return MIG_OK;
}

static enum mig_err archive(struct mig_devnet *d, const json_t *op, char *why)
{
    uint64_t height, blocks;
    enum mig_err err = MIG_OK;
    const json_t *header = json_object_get(op, "header");
    if (!number(op, "height", 0, UINT64_MAX, &height) ||
        !number(op, "blocks", 1, ADVANCE_MAX, &blocks) ||
        (header != NULL && !json_is_boolean(header)))
        return refuse(why, MIG_ERR_MALFORMED, "height and blocks are numbers, header a boolean");
    for (uint64_t i = 0; err == MIG_OK && i < blocks; i++)
        if (mig_devnet_block_at(&d->chain, height + i) == NULL)
            err = MIG_ERR_NOT_FOUND;
    for (uint64_t i = 0; err == MIG_OK && i < blocks; i++)
        err = mig_devnet_block_archive(&d->chain, height + i, json_is_true(header));
    return err == MIG_ERR_NOT_FOUND ? refuse(why, err, "there is no such block") : err;
}

static enum mig_err complete(struct mig_devnet *d, const json_t *op, char *why)
{
    uint64_t count;
    const json_t *fails = json_object_get(op, "fails");
    if (!number(op, "count", 1, MIG_DEVNET_YIELDS_MAX, &count) ||
        (fails != NULL && !json_is_boolean(fails)))
        return refuse(why, MIG_ERR_MALFORMED, "count is a number, fails a boolean");
    enum mig_err err =
        mig_devnet_complete(&d->chain, count, json_is_true(fails), mig_devnet_now_ns());
    return err == MIG_ERR_STATE ? refuse(why, err, "fewer requests are waiting") : err;
}

static enum mig_err fault(struct mig_devnet *d, const json_t *op, char *why)
{
    const char *kind = json_string_value(json_object_get(op, "kind"));
    struct mig_devnet_faults *f = &d->faults;
    uint64_t value;
    if (kind == NULL || !number(op, "value", 0, OVERSIZE_MAX, &value))
        return refuse(why, MIG_ERR_MALFORMED, "a fault needs a kind, and a value in range");
    if (strcmp(kind, "none") == 0)
        *f = (struct mig_devnet_faults){0};
    else if (strcmp(kind, "freeze_views") == 0) {
        f->is_pinned = true;
        f->pinned = mig_devnet_head(&d->chain)->height;
    } else if (strcmp(kind, "height_back") == 0)
        f->back = value;
    else if (strcmp(kind, "oversize") == 0)
        f->oversize = value != 0 ? value : 200000;
    else if (strcmp(kind, "slow") == 0)
        f->slow_ms = value;
    else if (strcmp(kind, "http") == 0)
        f->http_status = (unsigned)value;
    else if (strcmp(kind, "garbage") == 0)
        f->garbage = true;
    else if (strcmp(kind, "wrong_type") == 0)
        f->wrong_type = true;
    else if (strcmp(kind, "wrong_value") == 0)
        f->wrong_value = true;
    else
        return refuse(why, MIG_ERR_NOT_FOUND, "unknown kind of fault");
    return MIG_OK;
}

/* An account as in genesis; one that is there already gets the new keys. */
static enum mig_err add_account(struct mig_devnet *d, const json_t *op, char *why)
{
    struct mig_devnet_ledger *l = NULL;
    struct mig_devnet_ledger *tip;
    json_t *list = json_array();
    enum mig_err err =
        list != NULL && json_array_append(list, (json_t *)op) == 0 ? MIG_OK : MIG_ERR_NOMEM;
    if (err == MIG_OK)
        err = mig_devnet_ledger_copy(d->chain.tip, &l);
    if (err == MIG_OK)
        err = mig_devnet_accounts_read(list, l, why);
    if (err == MIG_OK) {
        tip = d->chain.tip;
        d->chain.tip = l;
        l = tip;
        err = mig_devnet_produce(&d->chain, mig_devnet_now_ns(), false);
    }
    mig_devnet_ledger_release(&l);
    json_decref(list);
    return err;
}

static enum mig_err delete_key(struct mig_devnet *d, const json_t *op, char *why)
{
    struct mig_devnet_ledger *l;
    const char *account = json_string_value(json_object_get(op, "account_id"));
    const char *text = json_string_value(json_object_get(op, "public_key"));
    uint8_t key[MIG_KEY_LEN];
    if (account == NULL || text == NULL || mig_key_parse(text, strlen(text), key) != MIG_OK)
        return refuse(why, MIG_ERR_MALFORMED, "account_id and public_key are needed");
    enum mig_err err = mig_devnet_tip_edit(&d->chain, &l);
    if (err == MIG_OK)
        err = mig_devnet_key_delete(l, account, key);
    if (err == MIG_ERR_NOT_FOUND)
        return refuse(why, err, "the account has no such key");
    return err != MIG_OK ? err : mig_devnet_produce(&d->chain, mig_devnet_now_ns(), false);
}

static enum mig_err drive(struct mig_devnet *d, const char *text, size_t len, char *why)
{
    struct mig_devnet_ledger *l;
    enum mig_err err = mig_devnet_tip_edit(&d->chain, &l);
    if (err == MIG_OK)
        err =
            mig_contract_drive(l->contract, text, len, mig_devnet_head(&d->chain)->height + 1, why);
    return err != MIG_OK ? err : mig_devnet_produce(&d->chain, mig_devnet_now_ns(), false);
}

enum mig_err mig_devnet_operate(struct mig_devnet *d, const char *text, size_t len,
                                char why[MIG_DEVNET_ERROR_MAX])
{
    static const struct {
        const char *name;
        enum mig_err (*run)(struct mig_devnet *d, const json_t *op, char *why);
    } own[] = {
        {"advance", advance},
        {"freeze", freeze},
        {"fault", fault},
        {"add_account", add_account},
        {"delete_key", delete_key},
        {"fork", fork_chain},
        {"skip", skip},
        {"archive", archive},
        {"complete", complete},
    };
    why[0] = '\0';
    json_t *op = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(op, "op"));
    size_t i = 0;
    while (name != NULL && i < sizeof own / sizeof *own && strcmp(own[i].name, name) != 0)
        i++;
    enum mig_err err;
    if (name == NULL)
        err = refuse(why, MIG_ERR_MALFORMED, "not an object with a member op");
    else if (i < sizeof own / sizeof *own)
        err = own[i].run(d, op, why);
    else
        err = drive(d, text, len, why);
    json_decref(op);
    if (err == MIG_OK)
        err = mig_devnet_settle(d);
    if (err != MIG_OK && why[0] == '\0')
        (void)snprintf(why, MIG_DEVNET_ERROR_MAX, "%s", mig_err_text(err));
    return err;
}
