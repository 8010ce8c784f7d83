/* SPDX-License-Identifier: MIT */
/* The draft dialect's methods: the original design's names and rules (docs/contract.md). */
#include "contract/method.h"

#include <stdlib.h>
#include <string.h>

static void log_call(struct mig_frame *f)
{
    struct mig_print line = {0};
    mig_frame_begin_log(f, &line);
    mig_frame_log(f, &line);
}

static struct mig_migration *record(struct mig_frame *f)
{
    struct mig_migration *m = mig_migration_get(f->c, f->call->signer);
    if (m == NULL)
        mig_frame_nomem(f);
    return m;
}

static void backup_service(struct mig_serde *s, uint8_t key[MIG_KEY_LEN])
{
    static const char *const names[] = {"public_key"};
    struct mig_serde_object o;
    mig_serde_enter(s, &o, "struct BackupService", names, 1, 1);
    while (mig_serde_field(s, &o) >= 0)
        mig_serde_ed25519(s, key);
    mig_serde_leave(s, &o);
}

void mig_method_set_backup_service(struct mig_frame *f)
{
    static const char *const names[] = {"backup_service"};
    struct mig_serde_object o;
    uint8_t key[MIG_KEY_LEN] = {0};
    mig_serde_enter(&f->args, &o, "struct Input", names, 1, 1);
    while (mig_serde_field(&f->args, &o) >= 0)
        backup_service(&f->args, key);
    mig_serde_leave(&f->args, &o);
    if (!mig_frame_args_end(f) || !mig_frame_is_signer(f))
        return;
    log_call(f);
    struct mig_migration *m = mig_frame_may_join(f) ? record(f) : NULL;
    if (m == NULL)
        return;
    m->has_service = true;
    memcpy(m->service, key, MIG_KEY_LEN);
}

static void new_node(struct mig_serde *s, struct mig_migration *m)
{
    static const char *const names[] = {"url", "tls_public_key", "node_account_public_key"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct ParticipantInfo", names, 3, 7);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            mig_read_text(s, m->url, sizeof m->url, "url");
        else
            mig_serde_ed25519(s, field == 1 ? m->tls_key : m->signer_key);
    }
    mig_serde_leave(s, &o);
}

void mig_method_swap_node(struct mig_frame *f)
{
    static const char *const names[] = {"participant_info"};
    struct mig_serde_object o;
    struct mig_migration wanted = {0};
    mig_serde_enter(&f->args, &o, "struct Input", names, 1, 1);
    while (mig_serde_field(&f->args, &o) >= 0)
        new_node(&f->args, &wanted);
    mig_serde_leave(&f->args, &o);
    if (!mig_frame_args_end(f) || !mig_frame_is_signer(f))
        return;
    log_call(f);
    if (!mig_frame_is_running(f) || !mig_frame_is_participant(f))
        return;
    struct mig_migration *m = record(f);
    if (m == NULL)
        return;
    m->has_destination = true;
    m->epoch = f->c->protocol.keyset.epoch;
    memcpy(m->signer_key, wanted.signer_key, MIG_KEY_LEN);
    memcpy(m->tls_key, wanted.tls_key, MIG_KEY_LEN);
    memcpy(m->url, wanted.url, sizeof m->url);
}

/* conclude_recovery */

static void key_event_id(struct mig_serde *s, struct mig_domain_key *key, uint64_t *epoch)
{
    static const char *const names[] = {"epoch_id", "domain_id", "attempt_id"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct KeyEventId", names, 3, 7);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        uint64_t v = mig_serde_u64(s);
        *(field == 0 ? epoch : field == 1 ? &key->domain : &key->attempt) = v;
    }
    mig_serde_leave(s, &o);
}

static void public_key_pair(struct mig_serde *s, struct mig_domain_key *key, uint64_t *epoch)
{
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a tuple of size 2");
    if (mig_serde_item(s, &l))
        key_event_id(s, key, epoch);
    if (mig_serde_item(s, &l))
        mig_read_group_key(s, key);
    if (!s->failed && l.count != 2)
        mig_serde_fail(s, "invalid length %zu, expected a tuple of size 2", l.count);
    mig_serde_leave_list(s, &l);
}

/* A pair of another epoch cannot be the contract's, whatever else it says:
 * remembered in *epochs_agree, so that the answer is a mismatch. */
static void public_keys(struct mig_serde *s, struct mig_keyset *keyset, bool *epochs_agree)
{
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a sequence");
    while (mig_serde_item(s, &l)) {
        struct mig_domain_key key = {0};
        uint64_t epoch = 0;
        public_key_pair(s, &key, &epoch);
        if (l.count > 1 && epoch != keyset->epoch)
            *epochs_agree = false;
        keyset->epoch = epoch;
        if (!s->failed && mig_contract_keyset_add(keyset, &key) != MIG_OK)
            mig_serde_fail(s, "too many keys");
    }
    mig_serde_leave_list(s, &l);
}

static int by_domain(const void *a, const void *b)
{
    const struct mig_domain_key *x = a;
    const struct mig_domain_key *y = b;
    return (x->domain > y->domain) - (x->domain < y->domain);
}

/* As sets: a domain named twice makes the counts, or a pair, differ. */
static bool keys_match(const struct mig_contract *c, struct mig_keyset *found)
{
    struct mig_keyset expected = c->protocol.keyset;
    struct mig_domain_key *sorted = NULL;
    bool same =
        expected.count == found->count && (found->count == 0 || found->epoch == expected.epoch);
    if (same && found->count > 0) {
        sorted = malloc(expected.count * sizeof *sorted);
        same = sorted != NULL;
    }
    if (sorted != NULL) {
        memcpy(sorted, expected.domains, expected.count * sizeof *sorted);
        qsort(sorted, expected.count, sizeof *sorted, by_domain);
        qsort(found->domains, found->count, sizeof *sorted, by_domain);
        expected.domains = sorted;
        same = mig_contract_keyset_is_same(found, &expected);
    }
    free(sorted);
    return same;
}

/* Same id, same epoch; the record and the exchange's keys have served. */
static void move_in(struct mig_frame *f, struct mig_migration *m)
{
    struct mig_participant *p = mig_council_find(&f->c->protocol.council, f->call->signer);
    memcpy(p->url, m->url, sizeof p->url);
    memcpy(p->tls_key, m->tls_key, MIG_KEY_LEN);
    m->has_destination = m->has_node_ephemeral = m->has_service_ephemeral = false;
    mig_migration_sweep(f->c);
}

static void conclude(struct mig_frame *f, struct mig_keyset *keyset, bool epochs_agree)
{
    if (!mig_frame_args_end(f) || !mig_frame_is_signer(f))
        return;
    log_call(f);
    if (!mig_frame_is_running(f) || !mig_frame_is_participant(f))
        return;
    struct mig_migration *m = mig_migration_find(f->c, f->call->signer);
    if (!epochs_agree || !keys_match(f->c, keyset))
        mig_frame_panic(f, "The submitted keys differ from the contract's keyset");
    else if (m == NULL || !m->has_destination)
        mig_frame_panic(f, "Node does not have an ongoing recovery");
    else if (m->epoch != f->c->protocol.keyset.epoch)
        mig_frame_panic(f, "The recovery belongs to another epoch");
    else if (memcmp(m->signer_key, f->call->signer_key, MIG_KEY_LEN) != 0)
        mig_frame_panic(f, "The transaction was not signed with the recovering node's account key");
    else if (mig_frame_is_attested(f, m->tls_key))
        move_in(f, m);
}

void mig_method_conclude_recovery(struct mig_frame *f)
{
    static const char *const names[] = {"public_keys"};
    struct mig_serde_object o;
    struct mig_keyset keyset = {0};
    bool epochs_agree = true;
    mig_serde_enter(&f->args, &o, "struct Input", names, 1, 1);
    while (mig_serde_field(&f->args, &o) >= 0)
        public_keys(&f->args, &keyset, &epochs_agree);
    mig_serde_leave(&f->args, &o);
    conclude(f, &keyset, epochs_agree);
    free(keyset.domains);
}

/* publish_ephemeral_key */

/* The node's account keys: attested with the participant's TLS key, or named
 * in the account's recovery. */
static bool is_node_key(const struct mig_frame *f)
{
    const struct mig_participant *p = mig_council_find(&f->c->protocol.council, f->call->signer);
    const struct mig_attestation *a = p != NULL ? mig_attestation_find(f->c, p->tls_key) : NULL;
    const struct mig_migration *m = mig_migration_find(f->c, f->call->signer);
    const uint8_t *key = f->call->signer_key;
    return (a != NULL && a->has_account_key && memcmp(a->account_key, key, MIG_KEY_LEN) == 0) ||
           (m != NULL && m->has_destination && memcmp(m->signer_key, key, MIG_KEY_LEN) == 0);
}

static void publish(struct mig_frame *f, bool node, const uint8_t key[MIG_KEY_LEN])
{
    static const uint8_t zero[MIG_KEY_LEN];
    if (memcmp(key, zero, MIG_KEY_LEN) == 0)
        mig_frame_panic(f, "The ephemeral key is zero");
    else if (node != is_node_key(f))
        mig_frame_panic(f, node ? "Only the node's account key may publish for the node"
                                : "The node's account key may not publish for the service");
    struct mig_migration *m = f->over ? NULL : record(f);
    if (m == NULL)
        return;
    *(node ? &m->has_node_ephemeral : &m->has_service_ephemeral) = true;
    memcpy(node ? m->node_ephemeral : m->service_ephemeral, key, MIG_KEY_LEN);
}

void mig_method_publish_ephemeral_key(struct mig_frame *f)
{
    static const char *const names[] = {"role", "public_key"};
    static const char *const roles[] = {"node", "service"};
    struct mig_serde_object o;
    uint8_t key[MIG_KEY_LEN] = {0};
    int role = 0;
    int field;
    bool unit = true;
    mig_serde_enter(&f->args, &o, "struct Input", names, 2, 3);
    while ((field = mig_serde_field(&f->args, &o)) >= 0) {
        if (field == 0)
            role = mig_serde_variant(&f->args, "a role", roles, 2, &unit);
        else
            mig_read_x25519(&f->args, key);
        if (!unit)
            mig_serde_fail(&f->args, "invalid type: map, expected a role");
    }
    mig_serde_leave(&f->args, &o);
    if (!mig_frame_args_end(f) || !mig_frame_is_signer(f))
        return;
    log_call(f);
    if (mig_frame_is_running(f) && mig_frame_is_participant(f))
        publish(f, role == 0, key);
}
