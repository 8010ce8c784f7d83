/* SPDX-License-Identifier: MIT */
/*
 * What an operator does to the contract around a migration, with chain/ alone:
 * gives a node's key the one method it needs, attests a node (mock), starts a
 * migration, looks at a view.
 *
 *   operator grant  RPC CONTRACT ACCOUNT KEYFILE NODE-KEY
 *   operator attest RPC CONTRACT ACCOUNT NODE-KEYFILE TLS-KEY
 *   operator start  RPC CONTRACT ACCOUNT KEYFILE URL TLS-KEY NODE-KEY
 *   operator view   RPC CONTRACT METHOD
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/sender.h"
#include "chain/state.h"

static void must(enum mig_err err, const char *what, const char *why)
{
    if (err == MIG_OK)
        return;
    (void)fprintf(stderr, "operator: %s: %s (%s)\n", what, why, mig_err_text(err));
    exit(1);
}

static struct mig_rpc *connect_to(const char *url)
{
    struct mig_rpc *rpc = NULL;
    struct mig_rpc_options options = {.url = url};
    must(mig_rpc_new(&options, &rpc), "rpc", "not a URL");
    return rpc;
}

static struct mig_identity *load(const char *path)
{
    struct mig_identity *id = NULL;
    const char *why = "";
    must(mig_identity_load(path, &id, &why), path, why);
    return id;
}

static void key_of(const char *text, uint8_t key[MIG_KEY_LEN])
{
    must(mig_key_parse(text, strlen(text), key), text, "not a key");
}

static struct mig_speech speech_of(struct mig_rpc *rpc, const char *contract)
{
    struct mig_returned answer = {0};
    char version[MIG_VERSION_MAX + 1];
    must(mig_rpc_view(rpc, contract, MIG_VERSION_METHOD, "", NULL, &answer), "version",
         mig_rpc_error(rpc)->reason);
    must(mig_version_parse(answer.bytes, answer.len, version), "version", "not a version");
    mig_returned_clear(&answer);
    return mig_speech_pick(MIG_DIALECT_AUTO, version);
}

static int send(struct mig_rpc *rpc, char **argv, const struct mig_identity *key,
                struct mig_call *call)
{
    struct mig_sender *sender = NULL;
    struct mig_delivery delivery;
    struct mig_sender_options options = {
        .rpc = rpc, .key = key, .account = argv[4], .contract = argv[3]};
    must(mig_sender_new(&options, &sender), "sender", "cannot be made");
    must(mig_sender_send(sender, call, &delivery), call->method, delivery.reason);
    (void)printf("%s %s\n", call->method, delivery.hash);
    mig_sender_free(&sender);
    mig_call_clear(call);
    return 0;
}

/* AddKey: the node may conclude and attest, and nothing else. */
static int grant(struct mig_rpc *rpc, char **argv)
{
    static const char *const methods[] = {"conclude_node_migration", "conclude_recovery",
                                          "submit_participant_info", "publish_ephemeral_key"};
    struct mig_identity *key = load(argv[5]);
    struct mig_access_key access = {0};
    struct mig_tip tip;
    struct mig_outcome outcome;
    struct mig_action action = {.kind = MIG_ACTION_ADD_KEY,
                                .add_key = {.receiver = argv[3],
                                            .methods = methods,
                                            .method_count = sizeof methods / sizeof *methods}};
    struct mig_tx tx = {
        .signer = argv[4], .receiver = argv[4], .actions = &action, .action_count = 1};
    uint8_t *bytes = NULL, hash[MIG_DIGEST_LEN];
    size_t len = 0;
    key_of(argv[6], action.add_key.key);
    must(mig_rpc_access_key(rpc, argv[4], key->public_key, &access), "access key",
         mig_rpc_error(rpc)->reason);
    must(mig_rpc_final_block(rpc, &tip), "block", mig_rpc_error(rpc)->reason);
    must(mig_hash_parse(tip.hash, tx.block_hash), "block", "not a hash");
    tx.nonce = access.nonce + 1;
    must(mig_tx_sign(&tx, key, &bytes, &len, hash), "transaction", "cannot be signed");
    must(mig_rpc_send_tx(rpc, bytes, len, MIG_WAIT_FINAL, &outcome), "AddKey",
         mig_rpc_error(rpc)->reason);
    (void)printf("AddKey %s\n", argv[6]);
    free(bytes);
    mig_identity_free(&key);
    return 0;
}

static int attest(struct mig_rpc *rpc, char **argv)
{
    struct mig_speech speech = speech_of(rpc, argv[3]);
    struct mig_identity *key = load(argv[5]);
    struct mig_call call = {0};
    uint8_t tls[MIG_KEY_LEN];
    key_of(argv[6], tls);
    must(mig_call_attest_mock(&speech, tls, &call), "attest", "not in this dialect");
    int status = send(rpc, argv, key, &call);
    mig_identity_free(&key);
    return status;
}

static int start(struct mig_rpc *rpc, char **argv)
{
    struct mig_speech speech = speech_of(rpc, argv[3]);
    struct mig_identity *key = load(argv[5]);
    struct mig_call call = {0};
    uint8_t tls[MIG_KEY_LEN], node[MIG_KEY_LEN];
    key_of(argv[7], tls);
    key_of(argv[8], node);
    must(mig_call_start(&speech, argv[6], tls, node, &call), argv[6],
         "not a URL of the form http(s)://host:port");
    int status = send(rpc, argv, key, &call);
    mig_identity_free(&key);
    return status;
}

static int view(struct mig_rpc *rpc, char **argv)
{
    struct mig_returned answer = {0};
    must(mig_rpc_view(rpc, argv[3], argv[4], "", NULL, &answer), argv[4],
         mig_rpc_error(rpc)->reason);
    (void)printf("%s\n", answer.bytes);
    mig_returned_clear(&answer);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        int (*run)(struct mig_rpc *rpc, char **argv);
    } verbs[] = {
        {"grant", 7, grant}, {"attest", 7, attest}, {"start", 9, start}, {"view", 5, view}};
    must(mig_crypto_init(), "crypto", "does not start");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (argc != verbs[i].arguments || strcmp(argv[1], verbs[i].name) != 0)
            continue;
        struct mig_rpc *rpc = connect_to(argv[2]);
        int status = verbs[i].run(rpc, argv);
        mig_rpc_free(&rpc);
        return status;
    }
    (void)fprintf(
        stderr,
        "usage: operator grant|attest|start|view RPC CONTRACT ...; see examples/operator.c\n");
    return 64;
}
