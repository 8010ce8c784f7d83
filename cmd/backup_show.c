/* SPDX-License-Identifier: MIT */
/* list, verify and status: what there is, whether it reads, whether it is enough. */
#include "cmd/backup_app.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"

/* ---- list -------------------------------------------------------------- */

static bool is_acknowledged(const struct mig_vault_entry *entry)
{
    return entry->has_note && entry->note.state == MIG_NOTE_ACKNOWLEDGED;
}

static json_t *entry_json(const struct mig_vault_entry *e)
{
    json_t *o =
        json_pack("{s:s, s:o, s:I, s:b, s:I, s:b}", "keyset", mig_app_hex(e->receipt.keyset),
                  "epoch", json_sprintf("%" PRIu64, e->receipt.epoch), "shares",
                  (json_int_t)e->receipt.shares, "readable", e->readable, "stored_at",
                  (json_int_t)e->receipt.imported_at, "acknowledged", is_acknowledged(e));
    if (o != NULL && e->has_note)
        (void)json_object_set_new(o, "node", json_string(mig_app_key(e->note.parsed.node)));
    return o;
}

static void print_entry(const struct mig_vault_entry *e)
{
    (void)printf("%s  %8" PRIu64 "  %6u  %s  %s\n", mig_app_hex(e->receipt.keyset),
                 e->receipt.epoch, e->receipt.shares, mig_app_time(e->receipt.imported_at),
                 !e->readable         ? "DAMAGED"
                 : is_acknowledged(e) ? "acknowledged"
                                      : "not acknowledged");
}

static int print_entries(const struct mig_app *app, const struct mig_vault_entry *entries,
                         size_t count)
{
    if (app->json) {
        json_t *array = json_array();
        for (size_t i = 0; i < count; i++)
            (void)json_array_append_new(array, entry_json(&entries[i]));
        return mig_app_print_json(array);
    }
    if (count == 0)
        (void)printf("the vault is empty\n");
    else
        (void)printf("%-64s  %8s  %6s  %-20s  %s\n", "keyset", "epoch", "shares", "stored", "node");
    for (size_t i = 0; i < count; i++)
        print_entry(&entries[i]);
    return MIG_EXIT_OK;
}

int mig_verb_list(struct mig_app *app)
{
    struct mig_vault_entry *entries = NULL;
    size_t count = 0;
    int status = mig_app_open_vault(app, MIG_VAULT_READER);
    if (status != MIG_EXIT_OK)
        return status;
    if (app->vault.ctx != NULL) {
        enum mig_err err = app->vault.list(app->vault.ctx, &entries, &count);
        if (err != MIG_OK)
            return mig_app_fail(MIG_EXIT_IO, "the vault cannot be listed: %s", mig_err_text(err));
    }
    status = print_entries(app, entries, count);
    free(entries);
    return status;
}

/* ---- verify ------------------------------------------------------------ */

static size_t named(const struct mig_vault_report *r)
{
    return r->damaged < MIG_VAULT_NAMED ? r->damaged : MIG_VAULT_NAMED;
}

static int print_report_json(const struct mig_vault_report *r)
{
    json_t *damaged = json_array();
    for (size_t i = 0; i < named(r); i++)
        (void)json_array_append_new(damaged, json_string(mig_app_hex(r->named[i])));
    return mig_app_print_json(json_pack("{s:b, s:I, s:I, s:I, s:o}", "good", r->damaged == 0,
                                        "keysets", (json_int_t)r->entries, "damaged",
                                        (json_int_t)r->damaged, "shares", (json_int_t)r->shares,
                                        "damaged_keysets", damaged));
}

static int print_report(const struct mig_vault_report *r)
{
    (void)printf("%zu keysets, %zu shares read and decrypted, %zu damaged\n", r->entries, r->shares,
                 r->damaged);
    for (size_t i = 0; i < named(r); i++)
        (void)printf("damaged: %s\n", mig_app_hex(r->named[i]));
    if (r->damaged > named(r))
        (void)printf("and others\n");
    return MIG_EXIT_OK;
}

int mig_verb_verify(struct mig_app *app)
{
    struct mig_vault_report r = {0};
    enum mig_err err = MIG_OK;
    int status = mig_app_open_vault(app, MIG_VAULT_READER);
    if (status != MIG_EXIT_OK)
        return status;
    if (app->vault.ctx != NULL)
        err = mig_vault_verify(&app->vault, &r);
    if (err != MIG_OK && err != MIG_ERR_CONFLICT)
        return mig_app_fail(MIG_EXIT_IO, "the vault cannot be read: %s", mig_err_text(err));
    status = app->json ? print_report_json(&r) : print_report(&r);
    if (err == MIG_OK || status != MIG_EXIT_OK)
        return status;
    return mig_app_fail(MIG_EXIT_DATA, "what is damaged is not backed up: check the disk; "
                                       "`mpc-backup run` (or `backup`) fetches the contract's "
                                       "keyset again while its node serves it");
}

/* ---- status ------------------------------------------------------------ */

struct verdict {
    struct mig_plan plan;
    struct mig_facts facts;
    struct mig_note note;
    size_t kept, pending,
        damaged; /* keysets in the vault; of them not acknowledged; not readable */
};

/* What an operator does about it; NULL: nothing. */
static const char *advice(enum mig_reason reason)
{
    switch (reason) {
    case MIG_REASON_NO_VIEW:
    case MIG_REASON_STALE:
        return "check [contract] rpc, or use another endpoint, and this machine's clock";
    case MIG_REASON_NOT_REGISTERED:
    case MIG_REASON_OTHER_KEY:
        return "mpc-backup register; a key that is not yours there is an alarm";
    case MIG_REASON_NOT_PARTICIPANT:
        return "check [node] account and [contract] account";
    case MIG_REASON_NOT_COVERED:
    case MIG_REASON_LOST_WITH_NODE:
    case MIG_REASON_UNCONFIRMED:
    case MIG_REASON_RECEIPT_DUE:
        return "mpc-backup run does it and says why not; by hand: mpc-backup backup";
    case MIG_REASON_DELIVERY_DUE:
        return "mpc-backup run does it and says why not; by hand: mpc-backup restore";
    case MIG_REASON_NOT_RUNNING:
    case MIG_REASON_NO_KEYSET:
        return "wait; the network decides";
    case MIG_REASON_SAFE:
    case MIG_REASON_COUNT:
        break;
    }
    return NULL;
}

/* Lost with the node today, or not? The plan's reason may be something to wait
 * for (a resharing) while the current keyset is safe. */
static bool is_safe(const struct verdict *v)
{
    switch (v->plan.reason) {
    case MIG_REASON_NO_VIEW:
    case MIG_REASON_STALE:
    case MIG_REASON_NOT_REGISTERED:
    case MIG_REASON_OTHER_KEY:
    case MIG_REASON_NO_KEYSET:
    case MIG_REASON_NOT_PARTICIPANT:
        return false;
    case MIG_REASON_NOT_RUNNING:
    case MIG_REASON_NOT_COVERED:
    case MIG_REASON_LOST_WITH_NODE:
    case MIG_REASON_UNCONFIRMED:
    case MIG_REASON_RECEIPT_DUE:
    case MIG_REASON_DELIVERY_DUE:
    case MIG_REASON_SAFE:
    case MIG_REASON_COUNT:
        break;
    }
    return v->facts.covered;
}

static int count_vault(const struct mig_app *app, struct verdict *v)
{
    struct mig_vault_entry *entries = NULL;
    if (app->vault.ctx == NULL)
        return MIG_EXIT_OK;
    enum mig_err err = app->vault.list(app->vault.ctx, &entries, &v->kept);
    if (err != MIG_OK)
        return mig_app_fail(MIG_EXIT_IO, "the vault cannot be listed: %s", mig_err_text(err));
    for (size_t i = 0; i < v->kept; i++) {
        v->pending += !is_acknowledged(&entries[i]);
        v->damaged += !entries[i].readable;
    }
    free(entries);
    return MIG_EXIT_OK;
}

static json_t *status_json(const struct mig_app *app, const struct verdict *v)
{
    const struct mig_view *view = v->facts.view;
    bool acknowledged = v->facts.note != NULL && v->note.state == MIG_NOTE_ACKNOWLEDGED;
    json_t *o = json_pack(
        "{s:b, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:b, s:b, s:I, s:I, s:I, s:o}", "safe",
        is_safe(v), "reason", mig_reason_word(v->plan.reason), "text",
        mig_reason_text(v->plan.reason), "contract", app->contract, "account", app->account,
        "protocol", mig_protocol_text(view->protocol), "epoch",
        json_sprintf("%" PRIu64, view->keyset.epoch), "keyset", mig_app_hex(view->keyset_digest),
        "covered", v->facts.covered, "acknowledged", acknowledged, "keysets_kept",
        (json_int_t)v->kept, "keysets_unacknowledged", (json_int_t)v->pending, "keysets_damaged",
        (json_int_t)v->damaged, "height", json_sprintf("%" PRIu64, view->state_block.height));
    if (o == NULL)
        return NULL;
    (void)json_object_set_new(o, "service_key", json_string(mig_app_key(v->facts.service_key)));
    (void)json_object_set_new(o, "registered_key",
                              view->has_service_key ? json_string(mig_app_key(view->service_key))
                                                    : json_null());
    (void)json_object_set_new(
        o, "destination",
        view->has_destination ? json_string(mig_app_key(view->destination.tls_key)) : json_null());
    return o;
}

static void print_status(const struct mig_app *app, const struct verdict *v)
{
    const struct mig_view *view = v->facts.view;
    bool acknowledged = v->facts.note != NULL && v->note.state == MIG_NOTE_ACKNOWLEDGED;
    (void)printf("%s: %s\n\n", is_safe(v) ? "SAFE" : "NOT SAFE", mig_reason_text(v->plan.reason));
    (void)printf("account      %s at %s\n", app->account, app->contract);
    (void)printf("protocol     %s, epoch %" PRIu64 ", block %" PRIu64 "\n",
                 mig_protocol_text(view->protocol), view->keyset.epoch, view->state_block.height);
    (void)printf("keyset       %s (%zu domains)\n", mig_app_hex(view->keyset_digest),
                 view->keyset.count);
    (void)printf("in the vault %s%s\n", v->facts.covered ? "yes" : "NO",
                 v->facts.covered ? (acknowledged ? ", acknowledged by the node"
                                                  : ", not acknowledged by the node")
                                  : "");
    (void)printf("our key      %s\n", mig_app_key(v->facts.service_key));
    (void)printf("registered   %s\n",
                 view->has_service_key ? mig_app_key(view->service_key) : "none");
    (void)printf("migration    %s\n", !view->has_destination ? "none"
                                      : view->destination.active
                                          ? mig_app_key(view->destination.tls_key)
                                          : "a record that no longer counts");
    (void)printf("vault        %zu keysets, %zu of them not acknowledged, %zu damaged\n", v->kept,
                 v->pending, v->damaged);
    if (advice(v->plan.reason) != NULL)
        (void)printf("\nnext: %s\n", advice(v->plan.reason));
}

static int judge(struct mig_app *app, struct mig_look *look)
{
    struct verdict v = {0};
    const struct mig_view *view = NULL;
    int status = mig_look_now(look, &view);
    if (status != MIG_EXIT_OK)
        return status;
    v.plan = mig_app_plan(app, view, &v.facts, &v.note);
    status = count_vault(app, &v);
    if (status == MIG_EXIT_OK && app->json)
        status = mig_app_print_json(status_json(app, &v));
    else if (status == MIG_EXIT_OK)
        print_status(app, &v);
    mig_view_release(&view);
    if (status != MIG_EXIT_OK)
        return status;
    return is_safe(&v) ? MIG_EXIT_OK : MIG_EXIT_NO;
}

int mig_verb_status(struct mig_app *app)
{
    struct mig_look look;
    int status = mig_app_open_identity(app);
    if (status == MIG_EXIT_OK)
        status = mig_app_open_vault(app, MIG_VAULT_READER);
    if (status != MIG_EXIT_OK)
        return status;
    status = mig_look_open(app, &look);
    if (status == MIG_EXIT_OK)
        status = judge(app, &look);
    mig_look_close(&look);
    return status;
}
