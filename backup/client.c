/* SPDX-License-Identifier: MIT */
#include "backup/client.h"

#include <string.h>
#include <time.h>

enum mig_err mig_client_aim(struct mig_client *client, const char *url,
                            const uint8_t node[MIG_KEY_LEN], bool plain_anywhere, const char **why)
{
    enum mig_err err = mig_route_init(url, node, plain_anywhere, &client->route, why);
    client->peer.authority = client->route.authority;
    memcpy(client->peer.node, node, MIG_KEY_LEN);
    return err;
}

static struct mig_result local(enum mig_upshot upshot, const char *why)
{
    return (struct mig_result){.upshot = upshot, .why = why};
}

static uint64_t now(void)
{
    return (uint64_t)time(NULL);
}

/* Our own trouble in making an ask or keeping an answer. */
static struct mig_result local_error(enum mig_err err, const char *why)
{
    switch (err) {
    case MIG_ERR_CANCELLED:
        return local(MIG_UPSHOT_CANCELLED, "given up: what allowed it changed");
    case MIG_ERR_CONFLICT:
        return local(MIG_UPSHOT_BROKEN,
                     "the node's shares are not those the vault holds of this keyset");
    case MIG_ERR_NOMEM:
        return local(MIG_UPSHOT_FAILED, "out of (locked) memory");
    case MIG_OK:
    case MIG_ERR_MALFORMED:
    case MIG_ERR_DENIED:
    case MIG_ERR_STATE:
    case MIG_ERR_NOT_FOUND:
    case MIG_ERR_RETRY:
    case MIG_ERR_IO:
    case MIG_ERR_BUG:
        break;
    }
    return local(MIG_UPSHOT_FAILED, why);
}

/* OK when something came back; what it is worth is judged elsewhere. */
static struct mig_result carry(const struct mig_client *client, const struct mig_ask *ask,
                               struct mig_reply *reply)
{
    const char *why;
    enum mig_err err =
        mig_transport_send(client->transport, &client->route, ask, client->fence, reply, &why);
    switch (err) {
    case MIG_OK:
        return local(MIG_UPSHOT_OK, "");
    case MIG_ERR_RETRY:
    case MIG_ERR_DENIED:
    case MIG_ERR_MALFORMED:
        return local(MIG_UPSHOT_NO_ANSWER, why);
    case MIG_ERR_CANCELLED:
        return local(MIG_UPSHOT_CANCELLED, why);
    case MIG_ERR_STATE:
    case MIG_ERR_CONFLICT:
    case MIG_ERR_NOT_FOUND:
    case MIG_ERR_IO:
    case MIG_ERR_NOMEM:
    case MIG_ERR_BUG:
        break;
    }
    return local(MIG_UPSHOT_FAILED, why);
}

static bool announces_on_chain(const struct mig_client *client)
{
    return client->peer.announce == MIG_ANNOUNCE_CONTRACT;
}

static bool is_shown(const struct mig_client *client)
{
    return client->shown_own != NULL && client->shown_node != NULL;
}

/* A fresh pair, or the one that the contract shows. */
static enum mig_err choose_pair(const struct mig_client *client, struct mig_ephemeral *fresh,
                                const struct mig_ephemeral **own)
{
    *own = announces_on_chain(client) ? client->shown_own : fresh;
    return announces_on_chain(client) ? MIG_OK : mig_ephemeral_generate(fresh);
}

static struct mig_result fetch(const struct mig_client *client, const struct mig_keyset *keyset,
                               struct mig_secret *shares, char final[MIG_CONTEXT_MAX + 1])
{
    struct mig_ephemeral fresh = {0};
    const struct mig_ephemeral *own;
    struct mig_ask ask = {0};
    struct mig_reply reply = {0};
    struct mig_result result = local(MIG_UPSHOT_FAILED, "the request cannot be made");
    if (announces_on_chain(client) && !is_shown(client))
        return local(MIG_UPSHOT_RETRY, "the contract does not show the ephemeral keys yet");
    enum mig_err err = choose_pair(client, &fresh, &own);
    if (err == MIG_OK)
        err = mig_ask_fetch(&client->peer, keyset, own,
                            announces_on_chain(client) ? client->shown_node : NULL, now(), &ask);
    if (err != MIG_OK) {
        result = local_error(err, result.why);
        goto out;
    }
    result = carry(client, &ask, &reply);
    if (result.upshot == MIG_UPSHOT_OK)
        result = mig_judge_fetch(&client->peer, &ask, own, keyset, &reply, now(), shares, final);
out:
    mig_ephemeral_clear(&fresh);
    mig_reply_clear(&reply);
    mig_ask_clear(&ask);
    return result;
}

/* Durable, read back, and what the receipt needs remembered, in this order. */
static struct mig_result keep(const struct mig_client *client, const struct mig_keyset *keyset,
                              const struct mig_secret *shares, const char *final,
                              struct mig_note *note)
{
    struct mig_receipt receipt;
    const struct mig_vault *vault = client->vault;
    enum mig_err err = mig_vault_keep(vault, keyset, shares, now(), client->fence, &receipt);
    if (err != MIG_OK)
        return local_error(err,
                           "the vault cannot be written: is its disk full, read-only or failing?");
    *note = (struct mig_note){
        .state = MIG_NOTE_PENDING, .stored_at = receipt.imported_at, .read_back_at = now()};
    err = mig_note_set_context(note, final);
    if (err == MIG_OK)
        err = vault->save_note(vault->ctx, note);
    return err == MIG_OK
               ? local(MIG_UPSHOT_OK, "ok")
               : local_error(
                     err, "the vault cannot be written: is its disk full, read-only or failing?");
}

struct mig_result mig_client_backup(const struct mig_client *client,
                                    const struct mig_keyset *keyset, struct mig_note *note)
{
    char final[MIG_CONTEXT_MAX + 1];
    *note = (struct mig_note){0};
    struct mig_secret *shares = mig_secret_new(keyset->count * MIG_SHARE_LEN);
    if (shares == NULL)
        return local(MIG_UPSHOT_FAILED, "out of locked memory");
    struct mig_result result = fetch(client, keyset, shares, final);
    if (result.upshot == MIG_UPSHOT_OK) {
        struct mig_result kept = keep(client, keyset, shares, final, note);
        kept.status = result.status;
        kept.clock_skew = result.clock_skew;
        result = kept;
    }
    mig_secret_free(&shares);
    return result;
}

struct mig_result mig_client_receipt(const struct mig_client *client, struct mig_note *note)
{
    struct mig_ask ask = {0};
    struct mig_reply reply = {0};
    struct mig_acknowledgement ack;
    enum mig_err err = mig_ask_receipt(&client->peer, note->context, now(), &ask);
    struct mig_result result = err == MIG_OK ? carry(client, &ask, &reply)
                                             : local_error(err, "the request cannot be made");
    if (result.upshot == MIG_UPSHOT_OK)
        result = mig_judge_receipt(&client->peer, &ask, &reply, now(), &ack);
    if (result.upshot == MIG_UPSHOT_OK) {
        note->state = MIG_NOTE_ACKNOWLEDGED;
        note->acknowledged_at = now();
        err = client->vault->save_note(client->vault->ctx, note);
        if (err != MIG_OK)
            result = local_error(
                err, "the vault cannot be written: is its disk full, read-only or failing?");
    }
    mig_reply_clear(&reply);
    mig_ask_clear(&ask);
    return result;
}

static struct mig_result get_offer(const struct mig_client *client, const struct mig_keyset *keyset,
                                   struct mig_offered *offer)
{
    struct mig_ask ask = {0};
    struct mig_reply reply = {0};
    *offer = (struct mig_offered){0};
    enum mig_err err = mig_ask_offer(&client->peer, keyset, now(), &ask);
    struct mig_result result = err == MIG_OK ? carry(client, &ask, &reply)
                                             : local_error(err, "the request cannot be made");
    if (result.upshot == MIG_UPSHOT_OK)
        result = mig_judge_offer(&client->peer, &ask, &reply, now(), offer);
    mig_reply_clear(&reply);
    mig_ask_clear(&ask);
    return result;
}

static enum mig_err seal(const struct mig_client *client, const struct mig_keyset *keyset,
                         const uint8_t node_key[MIG_KEY_LEN], struct mig_ask *ask)
{
    struct mig_ephemeral fresh = {0};
    const struct mig_ephemeral *own;
    struct mig_secret *shares = mig_secret_new(keyset->count * MIG_SHARE_LEN);
    enum mig_err err = shares != NULL ? choose_pair(client, &fresh, &own) : MIG_ERR_NOMEM;
    if (err == MIG_OK)
        err = client->vault->get(client->vault->ctx, keyset,
                                 (uint8_t(*)[MIG_SHARE_LEN])shares->bytes);
    if (err == MIG_OK)
        err = mig_ask_upload(&client->peer, keyset, shares, own, node_key, now(), ask);
    mig_ephemeral_clear(&fresh);
    mig_secret_free(&shares);
    return err;
}

static struct mig_result upload(const struct mig_client *client, const struct mig_keyset *keyset,
                                const uint8_t node_key[MIG_KEY_LEN], struct mig_receipt *receipt)
{
    struct mig_ask ask = {0};
    struct mig_reply reply = {0};
    struct mig_result result = local(MIG_UPSHOT_FAILED, "");
    enum mig_err err = seal(client, keyset, node_key, &ask);
    if (err == MIG_ERR_MALFORMED)
        result = local(MIG_UPSHOT_BROKEN, "the node's ephemeral key is not usable");
    else if (err != MIG_OK)
        result = local_error(err, "the vault does not give the shares");
    else
        result = carry(client, &ask, &reply);
    if (result.upshot == MIG_UPSHOT_OK)
        result = mig_judge_upload(&client->peer, &ask, keyset->count, &reply, now(), receipt);
    mig_reply_clear(&reply);
    mig_ask_clear(&ask);
    return result;
}

struct mig_result mig_client_deliver(const struct mig_client *client,
                                     const struct mig_keyset *keyset, struct mig_handover *out)
{
    struct mig_offered offer;
    *out = (struct mig_handover){0};
    struct mig_result result = get_offer(client, keyset, &offer);
    if (result.upshot != MIG_UPSHOT_OK)
        return result;
    out->job = offer.job;
    out->receipt = offer.receipt;
    if (offer.job != MIG_JOB_WAITING)
        return result;
    /* The offer's key must be the one that the contract shows, or it is nobody's. */
    out->wants_key =
        announces_on_chain(client) &&
        (!is_shown(client) || memcmp(client->shown_node, offer.node_key, MIG_KEY_LEN) != 0);
    if (out->wants_key)
        return local(MIG_UPSHOT_RETRY, "the contract does not show the ephemeral keys yet");
    out->sealed = true;
    result = upload(client, keyset, offer.node_key, &out->receipt);
    if (result.upshot == MIG_UPSHOT_OK) {
        out->uploaded = true;
        out->job = MIG_JOB_IMPORTED;
    }
    return result;
}
