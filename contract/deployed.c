/* SPDX-License-Identifier: MIT */
/* The deployed dialect's methods; logs and panics are the recorded ones. */
#include "contract/method.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/exchange.h"

/* init */

static void put_u32(struct mig_print *t, uint32_t v)
{
    char bytes[4] = {(char)v, (char)(v >> 8), (char)(v >> 16), (char)(v >> 24)};
    mig_print_add(t, bytes, sizeof bytes);
}

static void put_text(struct mig_print *t, const char *s)
{
    put_u32(t, (uint32_t)strlen(s));
    mig_print_put(t, s);
}

/* SHA-256 over the borsh form, as the log of init shows it. */
static bool council_digest(const struct mig_council *council, uint8_t digest[MIG_DIGEST_LEN])
{
    struct mig_print t = {0};
    put_u32(&t, council->next_id);
    put_u32(&t, (uint32_t)council->count);
    for (size_t i = 0; i < council->count; i++) {
        const struct mig_participant *p = &council->list[i];
        put_text(&t, p->account);
        put_u32(&t, p->id);
        put_text(&t, p->url);
        mig_print_add(&t, (const char *)p->tls_key, MIG_KEY_LEN);
    }
    put_u32(&t, (uint32_t)council->threshold);
    put_u32(&t, (uint32_t)(council->threshold >> 32));
    bool ok = !t.failed;
    if (ok)
        mig_sha256(t.s, t.len, digest);
    mig_print_clear(&t);
    return ok;
}

static void init_log(struct mig_frame *f, const struct mig_council *council)
{
    uint8_t digest[MIG_DIGEST_LEN];
    struct mig_print line = {0};
    if (!council_digest(council, digest)) {
        mig_frame_nomem(f);
        return;
    }
    mig_print_printf(&line,
                     "init: signer=%s, num_participants=%zu, parameters_hash=", f->call->signer,
                     council->count);
    mig_print_bytes(&line, digest, sizeof digest);
    mig_print_put(&line, ", init_config=None");
    mig_frame_log(f, &line);
}

static void init_attestations(struct mig_frame *f)
{
    const struct mig_council *council = &f->c->protocol.council;
    for (size_t i = 0; i < council->count; i++) {
        struct mig_attestation *a = mig_attestation_get(f->c, council->list[i].tls_key);
        if (a == NULL) {
            mig_frame_nomem(f);
            return;
        }
        memcpy(a->account, council->list[i].account, sizeof a->account);
        a->valid = true;
    }
}

void mig_method_init(struct mig_frame *f)
{
    static const char *const names[] = {"parameters", "init_config"};
    struct mig_serde_object o;
    struct mig_council *council = &f->c->protocol.council;
    int field;
    mig_serde_enter(&f->args, &o, "struct Input", names, 2, 1);
    while ((field = mig_serde_field(&f->args, &o)) >= 0) {
        if (field == 0)
            mig_read_council(&f->args, council);
        else
            mig_serde_skip(&f->args);
    }
    mig_serde_leave(&f->args, &o);
    if (!mig_frame_args_end(f))
        return;
    init_log(f, council);
    if (council->threshold < 2)
        mig_frame_panic(f, "Threshold does not meet the minimum absolute requirement");
    else if (council->threshold > council->count)
        mig_frame_panic(f,
                        "Threshold must not exceed number of participants: max %zu, found %" PRIu64,
                        council->count, council->threshold);
    if (f->over)
        return;
    f->c->protocol.phase = MIG_PHASE_RUNNING;
    f->c->initialised = true;
    init_attestations(f);
    struct mig_print nothing = {0};
    mig_frame_return(f, &nothing);
}

/* register_backup_service, start_node_migration, cancel_node_migration */

static void key_struct(struct mig_serde *s, const char *what, uint8_t key[MIG_KEY_LEN])
{
    static const char *const names[] = {"public_key"};
    struct mig_serde_object o;
    mig_serde_enter(s, &o, what, names, 1, 1);
    while (mig_serde_field(s, &o) >= 0)
        mig_serde_ed25519(s, key);
    mig_serde_leave(s, &o);
}

void mig_method_register_backup_service(struct mig_frame *f)
{
    static const char *const names[] = {"backup_service_info"};
    struct mig_serde_object o;
    uint8_t key[MIG_KEY_LEN] = {0};
    mig_serde_enter(&f->args, &o, "struct Input", names, 1, 1);
    while (mig_serde_field(&f->args, &o) >= 0)
        key_struct(&f->args, "struct BackupServiceInfo", key);
    mig_serde_leave(&f->args, &o);
    if (!mig_frame_args_end(f) || !mig_frame_is_signer(f))
        return;
    struct mig_print line = {0};
    mig_frame_begin_log(f, &line);
    mig_print_put(&line, ", backup_service_info=BackupServiceInfo { public_key: ");
    mig_debug_key(&line, key);
    mig_print_put(&line, " }");
    mig_frame_log(f, &line);
    if (!mig_frame_may_join(f) || !mig_frame_takes_deposit(f))
        return;
    struct mig_migration *m = mig_migration_get(f->c, f->call->signer);
    if (m == NULL) {
        mig_frame_nomem(f);
        return;
    }
    m->has_service = true;
    memcpy(m->service, key, MIG_KEY_LEN);
}

static void destination(struct mig_serde *s, struct mig_migration *m)
{
    static const char *const names[] = {"signer_account_pk", "destination_node_info"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct DestinationNodeInfo", names, 2, 3);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            mig_serde_ed25519(s, m->signer_key);
        else
            mig_read_info(s, m->url, m->tls_key);
    }
    mig_serde_leave(s, &o);
}

static void destination_log(struct mig_frame *f, const struct mig_migration *m)
{
    struct mig_print line = {0};
    mig_frame_begin_log(f, &line);
    mig_print_put(&line, ", destination_node_info=DestinationNodeInfo { signer_account_pk: ");
    mig_debug_key(&line, m->signer_key);
    mig_print_put(&line, ", destination_node_info: ");
    mig_debug_info(&line, m->url, m->tls_key);
    mig_print_put(&line, " }");
    mig_frame_log(f, &line);
}

void mig_method_start_node_migration(struct mig_frame *f)
{
    static const char *const names[] = {"destination_node_info"};
    struct mig_serde_object o;
    struct mig_migration wanted = {0};
    mig_serde_enter(&f->args, &o, "struct Input", names, 1, 1);
    while (mig_serde_field(&f->args, &o) >= 0)
        destination(&f->args, &wanted);
    mig_serde_leave(&f->args, &o);
    if (!mig_frame_args_end(f) || !mig_frame_is_signer(f))
        return;
    destination_log(f, &wanted);
    if (!mig_frame_is_running(f) || !mig_frame_is_participant(f) || !mig_frame_takes_deposit(f))
        return;
    struct mig_migration *m = mig_migration_get(f->c, f->call->signer);
    if (m == NULL) {
        mig_frame_nomem(f);
        return;
    }
    m->has_destination = true;
    m->epoch = f->c->protocol.keyset.epoch;
    memcpy(m->signer_key, wanted.signer_key, MIG_KEY_LEN);
    memcpy(m->tls_key, wanted.tls_key, MIG_KEY_LEN);
    memcpy(m->url, wanted.url, sizeof m->url);
}

static void remove_destination(struct mig_contract *c, struct mig_migration *m)
{
    m->has_destination = false;
    mig_migration_sweep(c);
}

void mig_method_cancel_node_migration(struct mig_frame *f)
{
    if (!mig_frame_is_signer(f))
        return;
    struct mig_print line = {0};
    mig_frame_begin_log(f, &line);
    mig_frame_log(f, &line);
    if (!mig_frame_takes_deposit(f))
        return;
    struct mig_migration *m = mig_migration_find(f->c, f->call->signer);
    if (m == NULL || !m->has_destination)
        mig_frame_panic(f, "Node does not have an ongoing recovery");
    else
        remove_destination(f->c, m);
}

/* conclude_node_migration */

static void conclude_log(struct mig_frame *f, const struct mig_keyset *keyset)
{
    struct mig_print line = {0};
    mig_frame_begin_log(f, &line);
    mig_print_put(&line, ", signer_pk=");
    mig_debug_signer_key(&line, f->call->signer_key);
    mig_print_put(&line, " keyset=");
    mig_debug_keyset(&line, keyset);
    mig_frame_log(f, &line);
}

static bool keyset_matches(struct mig_frame *f, const struct mig_keyset *found)
{
    const struct mig_keyset *expected = &f->c->protocol.keyset;
    if (mig_contract_keyset_is_same(found, expected))
        return true;
    struct mig_print text = {0};
    mig_print_put(&text, "The submitted keyset differs from the expected keyset. Found: ");
    mig_debug_keyset(&text, found);
    mig_print_put(&text, ", expected: ");
    mig_debug_keyset(&text, expected);
    mig_frame_panic_text(f, &text);
    return false;
}

static bool signer_key_matches(struct mig_frame *f, const struct mig_migration *m)
{
    if (memcmp(m->signer_key, f->call->signer_key, MIG_KEY_LEN) == 0)
        return true;
    struct mig_print text = {0};
    mig_print_put(&text,
                  "The transaction was submitted by a different public key than expected. Found: ");
    mig_debug_signer_key(&text, f->call->signer_key);
    mig_print_put(&text, ", expected: ");
    mig_debug_signer_key(&text, m->signer_key);
    mig_frame_panic_text(f, &text);
    return false;
}

/* Same id, same place, same epoch: only where the node is and who it is. */
static void move_in(struct mig_frame *f, struct mig_migration *m)
{
    struct mig_participant *p = mig_council_find(&f->c->protocol.council, f->call->signer);
    struct mig_print line = {0};
    mig_print_put(&line, "Moving Account AccountId(");
    mig_print_debug(&line, f->call->signer);
    mig_print_put(&line, ") to ");
    mig_debug_info(&line, m->url, m->tls_key);
    mig_frame_log(f, &line);
    memcpy(p->url, m->url, sizeof p->url);
    memcpy(p->tls_key, m->tls_key, MIG_KEY_LEN);
    remove_destination(f->c, m);
    mig_print_put(&line, "Skipping available foreign chains recomputation");
    mig_frame_log(f, &line);
}

static void conclude(struct mig_frame *f, const struct mig_keyset *keyset)
{
    if (!mig_frame_args_end(f) || !mig_frame_is_signer(f))
        return;
    conclude_log(f, keyset);
    if (!mig_frame_is_running(f) || !mig_frame_is_participant(f) || !keyset_matches(f, keyset))
        return;
    struct mig_migration *m = mig_migration_find(f->c, f->call->signer);
    if (m == NULL || !m->has_destination) {
        mig_frame_panic(f, "Node does not have an ongoing recovery");
        return;
    }
    if (signer_key_matches(f, m) && mig_frame_is_attested(f, m->tls_key))
        move_in(f, m);
}

void mig_method_conclude_node_migration(struct mig_frame *f)
{
    static const char *const names[] = {"keyset"};
    struct mig_serde_object o;
    struct mig_keyset keyset = {0};
    mig_serde_enter(&f->args, &o, "struct Input", names, 1, 1);
    while (mig_serde_field(&f->args, &o) >= 0)
        mig_read_keyset(&f->args, &keyset);
    mig_serde_leave(&f->args, &o);
    conclude(f, &keyset);
    free(keyset.domains);
}

void mig_method_update_participant_url(struct mig_frame *f)
{
    static const char *const names[] = {"url"};
    struct mig_serde_object o;
    char url[MIG_URL_MAX + 1] = "";
    mig_serde_enter(&f->args, &o, "struct Input", names, 1, 1);
    while (mig_serde_field(&f->args, &o) >= 0)
        mig_read_text(&f->args, url, sizeof url, "url");
    mig_serde_leave(&f->args, &o);
    if (!mig_frame_args_end(f) || !mig_frame_is_signer(f))
        return;
    struct mig_print line = {0};
    mig_frame_begin_log(f, &line);
    mig_print_put(&line, ", url=");
    mig_print_debug(&line, url);
    mig_frame_log(f, &line);
    if (mig_frame_is_running(f) && mig_frame_is_participant(f) && mig_frame_takes_deposit(f))
        memcpy(mig_council_find(&f->c->protocol.council, f->call->signer)->url, url, sizeof url);
}

void mig_contract_clean_orphans(struct mig_contract *c)
{
    for (size_t i = 0; i < c->migration_count; i++) {
        struct mig_migration *m = &c->migrations[i];
        if (m->has_service && !mig_contract_may_join(c, m->account))
            m->has_service = m->has_destination = false;
    }
    mig_migration_sweep(c);
}

void mig_method_cleanup(struct mig_frame *f)
{
    struct mig_print line = {0};
    mig_print_printf(&line, "%s signer=AccountId(", f->call->method);
    mig_print_debug(&line, f->call->signer);
    mig_print_put(&line, ")");
    mig_frame_log(f, &line);
    mig_contract_clean_orphans(f->c);
}

/* submit_participant_info */

bool mig_attestation_is_valid(const struct mig_attestation *a, uint64_t time_ns)
{
    return a->valid && (a->expires == 0 || time_ns / 1000000000 < a->expires);
}

static void constraints(struct mig_serde *s, struct mig_attestation *a)
{
    static const char *const names[] = {"expiry_timestamp_seconds"};
    struct mig_serde_object o;
    mig_serde_enter(s, &o, "struct variant MockAttestation::WithConstraints", names, 1, 0);
    while (mig_serde_field(s, &o) >= 0)
        a->expires = mig_serde_null(s) ? 0 : mig_serde_u64(s);
    mig_serde_leave(s, &o);
    a->valid = true;
}

static void mock(struct mig_serde *s, struct mig_attestation *a)
{
    static const char *const names[] = {"Valid", "Invalid", "WithConstraints"};
    bool unit;
    int variant = mig_serde_variant(s, "enum MockAttestation", names, 3, &unit);
    if (variant < 0)
        return;
    if (unit != (variant < 2)) {
        mig_serde_fail(s, "invalid type: %s variant", unit ? "unit" : "newtype");
        return;
    }
    a->valid = variant == 0;
    if (!unit) {
        constraints(s, a);
        mig_serde_variant_end(s);
    }
}

/* Real quotes need Intel's collateral and are beyond a devnet. */
static void attestation(struct mig_serde *s, struct mig_attestation *a)
{
    static const char *const names[] = {"Mock"};
    bool unit;
    if (mig_serde_variant(s, "enum Attestation", names, 1, &unit) < 0)
        return;
    if (unit) {
        mig_serde_fail(s, "invalid type: unit variant, expected newtype variant");
        return;
    }
    mock(s, a);
    mig_serde_variant_end(s);
}

static void submit_log(struct mig_frame *f, const struct mig_attestation *a)
{
    struct mig_print line = {0};
    mig_print_printf(&line,
                     "submit_participant_info: signer=%s, "
                     "proposed_participant_attestation=Mock(%s), account_key=",
                     f->call->signer,
                     a->expires != 0 ? "WithConstraints"
                     : a->valid      ? "Valid"
                                     : "Invalid");
    mig_debug_signer_key(&line, f->call->signer_key);
    mig_frame_log(f, &line);
}

static void store_attestation(struct mig_frame *f, const struct mig_attestation *wanted)
{
    struct mig_attestation *a = mig_attestation_get(f->c, wanted->tls_key);
    if (a == NULL) {
        mig_frame_nomem(f);
        return;
    }
    if (a->account[0] != '\0' && strcmp(a->account, f->call->signer) != 0) {
        mig_frame_panic(f,
                        "Invalid TEE Remote Attestation: the TLS key belongs to another account");
        return;
    }
    *a = *wanted;
    mig_account_set(a->account, f->call->signer);
    a->has_account_key = true;
    memcpy(a->account_key, f->call->signer_key, MIG_KEY_LEN);
    f->out->refund = f->call->deposit;
    mig_account_set(f->out->refund_to, f->call->predecessor);
}

void mig_method_submit_participant_info(struct mig_frame *f)
{
    static const char *const names[] = {"proposed_participant_attestation", "tls_public_key"};
    struct mig_serde_object o;
    struct mig_attestation wanted = {0};
    int field;
    mig_serde_enter(&f->args, &o, "struct Input", names, 2, 3);
    while ((field = mig_serde_field(&f->args, &o)) >= 0) {
        if (field == 0)
            attestation(&f->args, &wanted);
        else
            mig_serde_ed25519(&f->args, wanted.tls_key);
    }
    mig_serde_leave(&f->args, &o);
    if (!mig_frame_args_end(f) || !mig_frame_is_signer(f))
        return;
    submit_log(f, &wanted);
    if (!mig_attestation_is_valid(&wanted, f->call->time_ns))
        mig_frame_panic(
            f, "Invalid TEE Remote Attestation: the submitted attestation failed verification");
    else
        store_attestation(f, &wanted);
}
