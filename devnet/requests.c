/* SPDX-License-Identifier: MIT */
#include "devnet/requests.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *request, *completion;
} methods[] = {
    {"sign", "return_signature_and_clean_state_on_success"},
    {"request_app_private_key", "return_ck_and_clean_state_on_success"},
    {"verify_foreign_transaction", "return_verify_foreign_tx_and_clean_state_on_success"},
};

int mig_devnet_request_kind(const char *method)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i].request, method) == 0)
            return (int)i;
    return -1;
}

enum mig_err mig_devnet_request_run(const struct mig_contract_call *call,
                                    struct mig_contract_outcome *out)
{
    json_t *args = json_loadb(call->args, call->args_len, JSON_REJECT_DUPLICATES, NULL);
    bool good = json_is_object(args);
    json_decref(args);
    out->verdict = good ? MIG_CONTRACT_RETURNED : MIG_CONTRACT_PANICKED;
    out->text = strdup(good ? "" : "Failed to deserialize input from JSON.");
    return out->text != NULL ? MIG_OK : MIG_ERR_NOMEM;
}

enum mig_err mig_devnet_yield_add(struct mig_devnet_chain *chain, const uint8_t id[MIG_DIGEST_LEN],
                                  int kind, uint64_t height)
{
    size_t size = sizeof *chain->yields;
    if (chain->yields == NULL && (chain->yields = calloc(MIG_DEVNET_YIELDS_MAX, size)) == NULL)
        return MIG_ERR_NOMEM;
    if (chain->yield_count == MIG_DEVNET_YIELDS_MAX)
        memmove(chain->yields, chain->yields + 1, --chain->yield_count * size);
    struct mig_devnet_yield *y = &chain->yields[chain->yield_count++];
    *y = (struct mig_devnet_yield){.kind = kind, .created = height};
    memcpy(y->id, id, MIG_DIGEST_LEN);
    return MIG_OK;
}

static void completion(struct mig_print *t, const struct mig_devnet_chain *chain,
                       const struct mig_devnet_yield *y, bool fails)
{
    const char *contract = mig_contract_account(chain->tip->contract);
    mig_print_put(t, t->len == 0 ? "" : ",");
    mig_print_put(t, "{\"execution_outcome\":{\"proof\":[],\"block_hash\":");
    mig_devnet_base58(t, mig_devnet_head(chain)->hash, MIG_DIGEST_LEN);
    mig_print_put(t, ",\"id\":");
    mig_devnet_base58(t, y->id, MIG_DIGEST_LEN);
    mig_print_put(t, ",\"outcome\":{\"logs\":[],\"receipt_ids\":[],\"gas_burnt\":5000000000000,"
                     "\"tokens_burnt\":\"0\",\"executor_id\":");
    mig_print_json(t, contract);
    mig_print_printf(t, ",\"status\":%s,\"metadata\":{\"version\":3,\"gas_profile\":[]}}},",
                     fails ? "{\"Failure\":{\"ActionError\":{\"index\":0,\"kind\":{"
                             "\"FunctionCallError\":{\"ExecutionError\":\"Smart contract panicked: "
                             "Request has timed out.\"}}}}}"
                           : "{\"SuccessValue\":\"e30=\"}");
    mig_print_put(t, "\"receipt\":{\"predecessor_id\":");
    mig_print_json(t, contract);
    mig_print_put(t, ",\"receiver_id\":");
    mig_print_json(t, contract);
    mig_print_put(t, ",\"receipt_id\":");
    mig_devnet_base58(t, y->id, MIG_DIGEST_LEN);
    mig_print_put(t, ",\"priority\":0,\"receipt\":{\"Action\":{\"signer_id\":");
    mig_print_json(t, contract);
    mig_print_printf(t,
                     ",\"signer_public_key\":\"ed25519:11111111111111111111111111111111\","
                     "\"gas_price\":\"100000000\",\"actions\":[{\"FunctionCall\":{\"method_name\":"
                     "\"%s\",\"args\":\"e30=\",\"gas\":10000000000000,\"deposit\":\"0\"}}],"
                     "\"input_data_ids\":[],\"output_data_receivers\":[],\"is_promise_yield\":true}"
                     "}}}",
                     methods[y->kind].completion);
}

enum mig_err mig_devnet_complete(struct mig_devnet_chain *chain, uint64_t count, bool fails,
                                 uint64_t now_ns)
{
    uint64_t waiting = 0;
    struct mig_print executed = {0};
    for (size_t i = 0; i < chain->yield_count; i++)
        waiting += chain->yields[i].completed == 0;
    if (count == 0 || waiting < count)
        return MIG_ERR_STATE;
    mig_devnet_block_make(chain, mig_devnet_head(chain)->height + 1, now_ns);
    uint64_t height = mig_devnet_head(chain)->height;
    for (size_t i = 0; count > 0; i++) {
        struct mig_devnet_yield *y = &chain->yields[i];
        if (y->completed != 0)
            continue;
        completion(&executed, chain, y, fails);
        y->completed = height;
        count--;
    }
    char *text = mig_print_take(&executed);
    mig_devnet_block_note(chain, height, NULL, text, NULL);
    return text != NULL ? MIG_OK : MIG_ERR_NOMEM;
}
