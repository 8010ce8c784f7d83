/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_contract_run and mig_contract_drive, several steps on one contract.
 * Reached by: whoever may send a transaction or a view to the devnet (or, one
 * day, to a contract built from these sources).
 * Holds: what does not return changes nothing; whatever happened, the store
 * dumps, loads and dumps to the same text, and the views print JSON.
 */
#include "contract/contract.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY_A "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB"
#define KEY_B "ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"

static const char genesis[] =
    "{\"op\":\"genesis\",\"epoch_id\":5,\"threshold\":2,\"participants\":["
    "{\"account_id\":\"alice.near\",\"url\":\"http://a:80\",\"tls_public_key\":\"" KEY_A "\"},"
    "{\"account_id\":\"bob.near\",\"url\":\"http://b:80\",\"tls_public_key\":\"" KEY_B "\"}],"
    "\"domains\":[{\"protocol\":\"CaitSith\"},{\"protocol\":\"Frost\",\"attempt\":2}]}";

static const char *const methods[] = {
    "init",
    "register_backup_service",
    "start_node_migration",
    "conclude_node_migration",
    "cancel_node_migration",
    "update_participant_url",
    "submit_participant_info",
    "cleanup_orphaned_node_migrations",
    "set_backup_service",
    "swap_node",
    "conclude_recovery",
    "publish_ephemeral_key",
    "get_attestation",
    "state",
    "",
};
enum { METHODS = sizeof methods / sizeof *methods };

static char *dump(const struct mig_contract *c)
{
    char *text;
    if (mig_contract_dump(c, &text) != MIG_OK)
        abort();
    return text;
}

static void step(struct mig_contract *c, uint8_t select, const char *args, size_t len)
{
    char why[MIG_CONTRACT_WHY_MAX];
    struct mig_contract_outcome out;
    char *before = dump(c);
    bool changed_nothing;
    if ((select & 0x0f) == 0x0f)
        changed_nothing = mig_contract_drive(c, args, len, 1000, why) != MIG_OK;
    else {
        struct mig_contract_call call = {
            .method = methods[(select & 0x0f) % METHODS],
            .signer = (select & 0x10) != 0 ? "bob.near" : "alice.near",
            .predecessor = (select & 0x20) != 0 ? "v1.signer" : "alice.near",
            .deposit = (select & 0x40) != 0 ? 5 : 0,
            .is_view = (select & 0x80) != 0,
            .args = args,
            .args_len = len,
            .height = 1000,
        };
        if (mig_contract_run(c, &call, &out) != MIG_OK)
            abort();
        changed_nothing = out.verdict != MIG_CONTRACT_RETURNED;
        mig_contract_outcome_clear(&out);
    }
    char *after = dump(c);
    if (changed_nothing && strcmp(before, after) != 0)
        abort();
    free(before);
    free(after);
}

static void check_views(struct mig_contract *c)
{
    static const char *const views[] = {"state", "migration_info", "recovery_info",
                                        "ephemeral_keys", "get_tee_accounts"};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        struct mig_contract_call call = {.method = views[i], .args = "", .is_view = true};
        struct mig_contract_outcome out;
        if (mig_contract_run(c, &call, &out) != MIG_OK)
            abort();
        json_t *value = out.verdict == MIG_CONTRACT_RETURNED
                            ? json_loads(out.text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL)
                            : NULL;
        /* Numbers above 2^63 are the one thing jansson cannot read. */
        if (out.verdict == MIG_CONTRACT_RETURNED && value == NULL &&
            strpbrk(out.text, "9") == NULL && strstr(out.text, "18") == NULL)
            abort();
        json_decref(value);
        mig_contract_outcome_clear(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[MIG_CONTRACT_WHY_MAX];
    struct mig_contract *c;
    struct mig_contract *copy;
    if (size == 0)
        return 0;
    if (mig_contract_new("v1.signer", (enum mig_contract_version)(data[0] % 3), &c) != MIG_OK)
        abort();
    if ((data[0] & 0x80) == 0 &&
        mig_contract_drive(c, genesis, sizeof genesis - 1, 1000, why) != MIG_OK)
        abort();
    size_t at = 1;
    for (unsigned steps = 0; at < size && steps < 8; steps++) {
        const uint8_t *end = memchr(data + at, '\0', size - at);
        size_t next = end != NULL ? (size_t)(end - data) : size;
        step(c, data[at], (const char *)data + at + 1, next > at ? next - at - 1 : 0);
        at = next + 1;
    }
    check_views(c);
    char *text = dump(c);
    if (mig_contract_load(text, strlen(text), &copy, why) != MIG_OK)
        abort();
    char *again = dump(copy);
    if (strcmp(text, again) != 0)
        abort();
    free(text);
    free(again);
    mig_contract_free(&copy);
    mig_contract_free(&c);
    return 0;
}
