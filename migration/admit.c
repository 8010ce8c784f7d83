/* SPDX-License-Identifier: MIT */
#include "migration/admit.h"

#include <string.h>

static bool is_backup(enum mig_resource resource)
{
    return resource == MIG_RESOURCE_BACKUP || resource == MIG_RESOURCE_RECEIPT;
}

static enum mig_verdict check_address(const struct mig_self *self,
                                      const struct mig_context *context)
{
    bool mine = strcmp(context->contract, self->contract) == 0 &&
                strcmp(context->account, self->account) == 0 &&
                memcmp(context->node, self->tls_key, MIG_KEY_LEN) == 0;
    return mine ? MIG_ADMITTED : MIG_REFUSED_MISDIRECTED;
}

static enum mig_verdict check_backup_role(enum mig_seat seat, const struct mig_self *self)
{
    if (seat == MIG_SEAT_HELD)
        return MIG_ADMITTED;
    return self->seat_lost_at > 0 ? MIG_REFUSED_DECOMMISSIONED : MIG_REFUSED_NOT_PARTICIPANT;
}

/* A node that lost its seat comes back only by a record made after that. */
static enum mig_verdict check_record(const struct mig_view *view, const struct mig_self *self)
{
    const struct mig_destination *record = &view->destination;
    bool there = view->has_destination && record->active;
    bool mine = there && memcmp(record->tls_key, self->tls_key, MIG_KEY_LEN) == 0;
    if (self->seat_lost_at > 0 && (!mine || record->since <= self->seat_lost_at))
        return MIG_REFUSED_DECOMMISSIONED;
    if (!there)
        return MIG_REFUSED_NO_MIGRATION;
    return mine ? MIG_ADMITTED : MIG_REFUSED_NOT_DESTINATION;
}

static enum mig_verdict check_recover_role(const struct mig_view *view, enum mig_seat seat,
                                           const struct mig_self *self, enum mig_resource resource)
{
    if (seat == MIG_SEAT_HELD && resource == MIG_RESOURCE_OFFER)
        return MIG_ADMITTED; /* so that a lost 201 can be learnt */
    enum mig_verdict verdict = check_record(view, self);
    /* The record names us, but there is no seat to take over: it is ours
     * already, or the account has none. */
    if (verdict == MIG_ADMITTED && seat != MIG_SEAT_STANDBY)
        return MIG_REFUSED_NO_MIGRATION;
    return verdict;
}

static enum mig_verdict check_keyset(const struct mig_view *view, const struct mig_context *context)
{
    bool same = view->keyset.count > 0 && context->epoch == view->keyset.epoch &&
                memcmp(context->keyset, view->keyset_digest, MIG_DIGEST_LEN) == 0;
    return same ? MIG_ADMITTED : MIG_REFUSED_KEYSET;
}

static bool operator_tag_fits(const struct mig_self *self, const struct mig_context *context)
{
    if (self->has_operator_tag != context->has_operator_tag)
        return false;
    return !self->has_operator_tag ||
           memcmp(self->operator_tag, context->operator_tag, MIG_OPERATOR_TAG_LEN) == 0;
}

/* Keys that go into an exchange must be the published ones, of both sides. */
static bool ephemerals_fit(const struct mig_view *view, enum mig_resource resource,
                           const struct mig_context *context)
{
    const struct mig_published *published = &view->published;
    if (context->announce != MIG_ANNOUNCE_CONTRACT)
        return true;
    if (resource != MIG_RESOURCE_BACKUP && resource != MIG_RESOURCE_UPLOAD)
        return true;
    return published->has_service && context->has_client_key &&
           memcmp(published->service, context->client_key, MIG_KEY_LEN) == 0 &&
           published->has_node && context->has_node_key &&
           memcmp(published->node, context->node_key, MIG_KEY_LEN) == 0;
}

enum mig_verdict mig_admit(const struct mig_view *view, const struct mig_self *self,
                           enum mig_resource resource, const struct mig_context *context,
                           uint64_t now_ns)
{
    if (view == NULL)
        return MIG_REFUSED_NO_VIEW;
    enum mig_verdict verdict = check_address(self, context);
    if (verdict != MIG_ADMITTED)
        return verdict;
    if (context->direction != (is_backup(resource) ? MIG_BACKUP : MIG_RECOVER))
        return MIG_REFUSED_DIRECTION;
    if (mig_view_age_ns(view, now_ns) > self->max_staleness_ns)
        return MIG_REFUSED_STALE;
    if (view->protocol != MIG_PROTOCOL_RUNNING)
        return MIG_REFUSED_NOT_RUNNING;
    enum mig_seat seat = mig_view_current_seat(view, self->account, self->tls_key);
    verdict = is_backup(resource) ? check_backup_role(seat, self)
                                  : check_recover_role(view, seat, self, resource);
    if (verdict == MIG_ADMITTED)
        verdict = check_keyset(view, context);
    if (verdict != MIG_ADMITTED)
        return verdict;
    if (context->announce != self->announce)
        return MIG_REFUSED_ANNOUNCE;
    if (!operator_tag_fits(self, context))
        return MIG_REFUSED_OPERATOR_KEY;
    return ephemerals_fit(view, resource, context) ? MIG_ADMITTED : MIG_REFUSED_EPHEMERAL;
}
