/* SPDX-License-Identifier: MIT */
#include "contract/operation.h"

#include <stdlib.h>
#include <string.h>

const char *const mig_operation_members[MIG_OP_MEMBERS] = {
    "op",
    "participants",
    "threshold",
    "domains",
    "epoch_id",
    "domain_id",
    "attempt",
    "public_key",
    "tls_public_key",
    "account_id",
    "account_public_key",
    "valid",
    "expires",
    "hash",
    "state",
    "per_domain_thresholds",
};

static void read_seat(struct mig_serde *s, struct mig_operation_seat *seat)
{
    static const char *const names[] = {"account_id", "id", "url", "tls_public_key",
                                        "account_public_key"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "a participant", names, 5, 1);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            mig_read_text(s, seat->who.account, sizeof seat->who.account, "account id");
        else if (field == 1)
            seat->who.id = mig_serde_u32(s);
        else if (field == 2)
            mig_read_text(s, seat->who.url, sizeof seat->who.url, "url");
        else if (field == 3)
            mig_serde_ed25519(s, seat->who.tls_key);
        else
            mig_serde_ed25519(s, seat->account_key);
    }
    if (!s->failed && (o.seen & 12) != 0 && (o.seen & 12) != 12)
        mig_serde_fail(s, "url and tls_public_key belong together");
    seat->has_id = (o.seen & 2) != 0;
    seat->has_info = (o.seen & 12) == 12;
    seat->has_account_key = (o.seen & 16) != 0;
    mig_serde_leave(s, &o);
}

static void read_seats(struct mig_serde *s, struct mig_operation *op)
{
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a list of participants");
    while (mig_serde_item(s, &l)) {
        struct mig_operation_seat *list =
            l.count <= MIG_COUNCIL_MAX ? realloc(op->seats, l.count * sizeof *list) : NULL;
        if (list == NULL) {
            mig_serde_fail(s, "too many participants, or out of memory");
            break;
        }
        op->seats = list;
        list[op->seat_count] = (struct mig_operation_seat){0};
        read_seat(s, &list[op->seat_count++]);
    }
    mig_serde_leave_list(s, &l);
}

static int choose(struct mig_serde *s, const char *what, const char *const *names, unsigned count)
{
    bool unit;
    int i = mig_serde_variant(s, what, names, count, &unit);
    if (i >= 0 && !unit)
        mig_serde_fail(s, "expected %s as a string", what);
    return s->failed ? 0 : i;
}

static void read_new_domain(struct mig_serde *s, struct mig_operation_domain *d)
{
    static const char *const names[] = {"protocol", "reconstruction_threshold", "purpose",
                                        "public_key", "attempt"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "a domain", names, 5, 1);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            d->domain.scheme = (enum mig_scheme)choose(s, "a protocol", mig_scheme_names, 4);
        else if (field == 1)
            d->domain.threshold = mig_serde_u64(s);
        else if (field == 2)
            d->domain.purpose = (enum mig_purpose)choose(s, "a purpose", mig_purpose_names, 3);
        else if (field == 3)
            mig_read_group_key(s, &d->key);
        else
            d->key.attempt = mig_serde_u64(s);
    }
    d->has_threshold = (o.seen & 2) != 0;
    d->has_key = (o.seen & 8) != 0;
    if ((o.seen & 4) == 0)
        d->domain.purpose =
            d->domain.scheme == MIG_CONFIDENTIAL ? MIG_PURPOSE_CKD : MIG_PURPOSE_SIGN;
    if (!s->failed && d->has_key && d->key.curve != mig_scheme_curve(d->domain.scheme))
        mig_serde_fail(s, "the public key's curve is not the protocol's");
    mig_serde_leave(s, &o);
}

static void read_new_domains(struct mig_serde *s, struct mig_operation *op)
{
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a list of domains");
    while (mig_serde_item(s, &l)) {
        struct mig_operation_domain *list =
            l.count <= MIG_DOMAINS_MAX ? realloc(op->domains, l.count * sizeof *list) : NULL;
        if (list == NULL) {
            mig_serde_fail(s, "too many domains, or out of memory");
            break;
        }
        op->domains = list;
        list[op->domain_count] = (struct mig_operation_domain){0};
        read_new_domain(s, &list[op->domain_count++]);
    }
    mig_serde_leave_list(s, &l);
}

static void read_member(struct mig_serde *s, enum mig_operation_member m, struct mig_operation *op)
{
    switch (m) {
    case MIG_OP_NAME:
        mig_read_text(s, op->op, sizeof op->op, "op");
        break;
    case MIG_OP_PARTICIPANTS:
        read_seats(s, op);
        break;
    case MIG_OP_THRESHOLD:
        op->threshold = mig_serde_u64(s);
        break;
    case MIG_OP_DOMAINS:
        read_new_domains(s, op);
        break;
    case MIG_OP_EPOCH:
        op->epoch = mig_serde_u64(s);
        break;
    case MIG_OP_DOMAIN_ID:
        op->domain_id = mig_serde_u64(s);
        break;
    case MIG_OP_ATTEMPT:
        op->attempt = mig_serde_u64(s);
        break;
    case MIG_OP_PUBLIC_KEY:
        mig_read_group_key(s, &op->key);
        memcpy(op->public_key, op->key.key, MIG_KEY_LEN);
        break;
    case MIG_OP_TLS_KEY:
        mig_serde_ed25519(s, op->tls_key);
        break;
    case MIG_OP_ACCOUNT:
        mig_read_text(s, op->account, sizeof op->account, "account id");
        break;
    case MIG_OP_ACCOUNT_KEY:
        mig_serde_ed25519(s, op->account_key);
        break;
    case MIG_OP_VALID:
        op->valid = mig_serde_bool(s);
        break;
    case MIG_OP_EXPIRES:
        op->expires = mig_serde_u64(s);
        break;
    case MIG_OP_HASH:
        mig_read_hex(s, op->hash);
        break;
    case MIG_OP_STATE:
        mig_read_protocol(s, &op->state);
        break;
    case MIG_OP_PER_DOMAIN:
        mig_read_thresholds(s, &op->override);
        break;
    case MIG_OP_MEMBERS:
        break;
    }
}

void mig_operation_read(struct mig_serde *s, struct mig_operation *op)
{
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "an operation", mig_operation_members, MIG_OP_MEMBERS,
                    1u << MIG_OP_NAME);
    while ((field = mig_serde_field(s, &o)) >= 0)
        read_member(s, (enum mig_operation_member)field, op);
    mig_serde_leave(s, &o);
    mig_serde_end(s);
    op->seen = o.seen;
}

void mig_operation_clear(struct mig_operation *op)
{
    free(op->seats);
    free(op->domains);
    mig_protocol_clear(&op->state);
    mig_protocol_clear(&op->override);
}
