/* SPDX-License-Identifier: MIT */
/*
 * Dispatch: which method exists in which version, what the contract's framework
 * checks before the method's own first line, and the rule that only a method
 * that returns changes anything.
 */
#include "contract/method.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IN_DRAFT = 1 << MIG_CONTRACT_DRAFT,
    IN_3_13_0 = 1 << MIG_CONTRACT_3_13_0,
    IN_3_14_1 = 1 << MIG_CONTRACT_3_14_1,
    IN_DEPLOYED = IN_3_13_0 | IN_3_14_1,
    IN_ALL = IN_DRAFT | IN_DEPLOYED,
};

enum method_kind { VIEW, CALL, PRIVATE, INIT };

struct method {
    const char *name;
    unsigned versions;
    enum method_kind kind;
    unsigned payable; /* versions in which it accepts a deposit */
    void (*run)(struct mig_frame *f);
};

static const struct method methods[] = {
    {"state", IN_ALL, VIEW, 0, mig_method_state},
    {"version", IN_ALL, VIEW, 0, mig_method_version},
    {"migration_info", IN_DEPLOYED, VIEW, 0, mig_method_migration_info},
    {"recovery_info", IN_DRAFT, VIEW, 0, mig_method_recovery_info},
    {"ephemeral_keys", IN_DRAFT, VIEW, 0, mig_method_ephemeral_keys},
    {"get_tee_accounts", IN_ALL, VIEW, 0, mig_method_get_tee_accounts},
    {"get_attestation", IN_ALL, VIEW, 0, mig_method_get_attestation},
    {"allowed_docker_image_hashes", IN_ALL, VIEW, 0, mig_method_image_hashes},
    {"allowed_launcher_compose_hashes", IN_ALL, VIEW, 0, mig_method_launcher_hashes},
    {"init", IN_ALL, INIT, 0, mig_method_init},
    {"submit_participant_info", IN_ALL, CALL, IN_ALL, mig_method_submit_participant_info},
    {"register_backup_service", IN_DEPLOYED, CALL, IN_3_14_1, mig_method_register_backup_service},
    {"start_node_migration", IN_DEPLOYED, CALL, IN_3_14_1, mig_method_start_node_migration},
    {"cancel_node_migration", IN_3_14_1, CALL, IN_3_14_1, mig_method_cancel_node_migration},
    {"conclude_node_migration", IN_DEPLOYED, CALL, 0, mig_method_conclude_node_migration},
    {"update_participant_url", IN_DEPLOYED, CALL, IN_3_14_1, mig_method_update_participant_url},
    {"cleanup_orphaned_node_migrations", IN_DEPLOYED, PRIVATE, 0, mig_method_cleanup},
    {"set_backup_service", IN_DRAFT, CALL, 0, mig_method_set_backup_service},
    {"swap_node", IN_DRAFT, CALL, 0, mig_method_swap_node},
    {"conclude_recovery", IN_DRAFT, CALL, 0, mig_method_conclude_recovery},
    {"publish_ephemeral_key", IN_DRAFT, CALL, 0, mig_method_publish_ephemeral_key},
};

void mig_contract_outcome_clear(struct mig_contract_outcome *outcome)
{
    free(outcome->text);
    for (size_t i = 0; i < outcome->log_count; i++)
        free(outcome->logs[i]);
    free(outcome->logs);
    *outcome = (struct mig_contract_outcome){0};
}

void mig_frame_nomem(struct mig_frame *f)
{
    f->nomem = true;
    f->over = true;
}

static void finish(struct mig_frame *f, enum mig_contract_verdict verdict, struct mig_print *text)
{
    char *s = mig_print_take(text);
    if (f->over || s == NULL) {
        free(s);
        if (!f->over)
            mig_frame_nomem(f);
        return;
    }
    f->out->verdict = verdict;
    f->out->text = s;
    f->over = true;
}

void mig_frame_panic_text(struct mig_frame *f, struct mig_print *text)
{
    finish(f, MIG_CONTRACT_PANICKED, text);
}

void mig_frame_panic(struct mig_frame *f, const char *format, ...)
{
    char line[1024];
    struct mig_print text = {0};
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    mig_print_put(&text, line);
    mig_frame_panic_text(f, &text);
}

void mig_frame_return(struct mig_frame *f, struct mig_print *json)
{
    finish(f, MIG_CONTRACT_RETURNED, json);
}

void mig_frame_return_null(struct mig_frame *f)
{
    struct mig_print text = {0};
    mig_print_put(&text, "null");
    mig_frame_return(f, &text);
}

void mig_frame_log(struct mig_frame *f, struct mig_print *line)
{
    char *s = mig_print_take(line);
    char **logs = s != NULL ? realloc(f->out->logs, (f->out->log_count + 1) * sizeof *logs) : NULL;
    if (logs == NULL) {
        free(s);
        mig_frame_nomem(f);
        return;
    }
    f->out->logs = logs;
    f->out->logs[f->out->log_count++] = s;
}

void mig_frame_begin_log(const struct mig_frame *f, struct mig_print *line)
{
    mig_print_printf(line, "%s: signer=AccountId(", f->call->method);
    mig_print_debug(line, f->call->signer);
    mig_print_put(line, ")");
}

void mig_debug_signer_key(struct mig_print *t, const uint8_t key[MIG_KEY_LEN])
{
    uint8_t typed[MIG_KEY_LEN + 1] = {0}; /* type 0: ed25519 */
    memcpy(typed + 1, key, MIG_KEY_LEN);
    mig_print_put(t, "PublicKey { data: ");
    mig_print_bytes(t, typed, sizeof typed);
    mig_print_put(t, " }");
}

/* Checks */

bool mig_frame_args_end(struct mig_frame *f)
{
    mig_serde_end(&f->args);
    if (f->args.nomem)
        mig_frame_nomem(f);
    else if (f->args.failed)
        mig_frame_panic(f, "Failed to deserialize input from JSON. Error: `%s`", f->args.error);
    return !f->over;
}

/* The deployed contract asserts this, so its panic carries a source position. */
bool mig_frame_is_signer(struct mig_frame *f)
{
    const char *signer = f->call->signer;
    const char *predecessor = f->call->predecessor;
    if (strcmp(signer, predecessor) != 0)
        mig_frame_panic(
            f,
            "panicked at crates/contract/src/lib.rs:2596:9:\nassertion `left == right` failed: "
            "Caller "
            "must be the signer account (signer: %s, predecessor: %s)\n  left: AccountId(\"%s\")\n "
            "right: AccountId(\"%s\")",
            signer, predecessor, signer, predecessor);
    return !f->over;
}

bool mig_frame_is_running(struct mig_frame *f)
{
    if (f->c->protocol.phase != MIG_PHASE_RUNNING)
        mig_frame_panic(f, "The protocol is not Running.");
    return !f->over;
}

bool mig_frame_is_participant(struct mig_frame *f)
{
    if (mig_council_find(&f->c->protocol.council, f->call->signer) == NULL)
        mig_frame_panic(f, "Not a participant: %s", f->call->signer);
    return !f->over;
}

bool mig_contract_may_join(const struct mig_contract *c, const char *account)
{
    const struct mig_contract_protocol *p = &c->protocol;
    switch (p->phase) {
    case MIG_PHASE_NOT_INITIALIZED:
        return false;
    case MIG_PHASE_RUNNING:
        return mig_council_find(&p->council, account) != NULL;
    case MIG_PHASE_INITIALIZING:
        return mig_council_find(&p->event.council, account) != NULL;
    case MIG_PHASE_RESHARING:
        return mig_council_find(&p->council, account) != NULL ||
               mig_council_find(&p->event.council, account) != NULL;
    }
    return false;
}

bool mig_frame_may_join(struct mig_frame *f)
{
    if (f->c->protocol.phase == MIG_PHASE_NOT_INITIALIZED)
        mig_frame_panic(f, "Unexpected protocol state: NotInitialized");
    else if (!mig_contract_may_join(f->c, f->call->signer))
        mig_frame_panic(f, "Not a participant: %s", f->call->signer);
    return !f->over;
}

bool mig_frame_is_attested(struct mig_frame *f, const uint8_t tls_key[MIG_KEY_LEN])
{
    const struct mig_attestation *a = mig_attestation_find(f->c, tls_key);
    if (a == NULL || !mig_attestation_is_valid(a, f->call->time_ns))
        mig_frame_panic(f, "Invalid TEE Remote Attestation: destination node TEE quote is invalid");
    return !f->over;
}

bool mig_frame_takes_deposit(struct mig_frame *f)
{
    if (f->c->version == MIG_CONTRACT_3_13_0)
        return true; /* not payable there: the deposit is zero */
    if (f->call->deposit < 1) {
        mig_frame_panic(f, "Attached deposit is lower than required. Attached: 0, required: 1");
        return false;
    }
    f->out->refund = f->call->deposit - 1;
    mig_account_set(f->out->refund_to, f->call->predecessor);
    if (f->out->refund > 0) {
        struct mig_print line = {0};
        mig_print_put(&line, "refund ");
        mig_print_near(&line, f->out->refund);
        mig_print_printf(&line, " to %s", f->call->predecessor);
        mig_frame_log(f, &line);
    }
    return !f->over;
}

/* Dispatch */

static const struct method *find(const struct mig_contract *c, const char *name)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i].name, name) == 0 && (methods[i].versions & (1u << c->version)) != 0)
            return &methods[i];
    return NULL;
}

/* In a view, a method that writes stops at the first host function that has no meaning there. */
static void prohibit(struct mig_frame *f, const char *host_function)
{
    struct mig_print text = {0};
    mig_print_put(&text, host_function);
    finish(f, MIG_CONTRACT_PROHIBITED, &text);
}

static void before(struct mig_frame *f, const struct method *m)
{
    bool payable = (m->payable & (1u << f->c->version)) != 0;
    if (m->kind == VIEW) {
        if (!f->c->initialised)
            mig_frame_panic(f, "Calling default not allowed.");
        return;
    }
    if (f->call->is_view)
        prohibit(f, payable ? "signer_account_id" : "attached_deposit");
    else if (!payable && f->call->deposit != 0)
        mig_frame_panic(f, "Method %s doesn't accept deposit", m->name);
    else if (m->kind == PRIVATE && strcmp(f->call->predecessor, f->c->account) != 0)
        mig_frame_panic(f, "Method %s is private", m->name);
    else if (m->kind == INIT && f->c->initialised)
        mig_frame_panic(f, "The contract has already been initialized");
    else if (m->kind != INIT && !f->c->initialised)
        mig_frame_panic(f, "Calling default not allowed.");
}

static enum mig_err missing(struct mig_contract_outcome *out)
{
    out->verdict = MIG_CONTRACT_NO_METHOD;
    out->text = strdup("");
    return out->text != NULL ? MIG_OK : MIG_ERR_NOMEM;
}

enum mig_err mig_contract_run(struct mig_contract *c, const struct mig_contract_call *call,
                              struct mig_contract_outcome *out)
{
    *out = (struct mig_contract_outcome){0};
    const struct method *m = find(c, call->method);
    if (m == NULL)
        return missing(out);
    struct mig_contract *work = NULL;
    if (m->kind != VIEW) {
        enum mig_err err = mig_contract_copy(c, &work);
        if (err != MIG_OK)
            return err;
    }
    struct mig_frame f = {.c = work != NULL ? work : c, .call = call, .out = out};
    mig_serde_init(&f.args, call->args, call->args_len);
    before(&f, m);
    if (!f.over)
        m->run(&f);
    if (!f.over)
        mig_frame_return_null(&f);
    enum mig_err err = f.nomem ? MIG_ERR_NOMEM : MIG_OK;
    if (err == MIG_OK && out->verdict == MIG_CONTRACT_RETURNED && work != NULL) {
        struct mig_contract old = *c;
        *c = *work;
        *work = old;
    }
    if (err == MIG_OK && out->verdict != MIG_CONTRACT_RETURNED)
        out->refund = 0; /* the whole deposit goes back instead */
    if (err != MIG_OK)
        mig_contract_outcome_clear(out);
    mig_contract_free(&work);
    return err;
}
