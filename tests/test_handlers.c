/* SPDX-License-Identifier: MIT */
/* The order of checks, who is let in, and the life of an exchange; what the
 * resources do behind that is in test_shares_backup and test_shares_recover. */
#include "tests/rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlers/inside.h"
#include "tests/harness.h"

static struct rig rig;

static void expect(unsigned status, const char *code, bool is_signed)
{
    CU_ASSERT_EQUAL(rig_status(&rig), status);
    CU_ASSERT_STRING_EQUAL(rig_code(&rig), code);
    CU_ASSERT_EQUAL(rig.answer->is_signed, is_signed);
    CU_ASSERT_EQUAL(rig_is_signed(&rig), is_signed);
    CU_ASSERT_EQUAL(rig_field(&rig, "signature") != NULL, is_signed);
    CU_ASSERT_STRING_EQUAL(rig_field(&rig, "cache-control"), "no-store");
}

/* ---- every reason to refuse an upload, in the order of docs/protocol.md -------- */

static const char NONCE[] = "AAECAwQFBgcICQoLDA0ODw";

static void bad_target(void)
{
    rig.ask.target = "/shares_recover?x";
}
static void unknown_path(void)
{
    rig.ask.target = "/shares";
}
static void bad_method(void)
{
    rig.ask.method = "DELETE";
}
static void add_transfer_encoding(void)
{
    rig_set_field(&rig, "Transfer-Encoding", "chunked");
}
static void no_length(void)
{
    rig.ask.content_length = -2;
}
static void too_large(void)
{
    rig.ask.content_length = MIG_SEALED_MAX + 1;
}
static void wrong_type(void)
{
    rig.ask.content_type = "application/octet-stream";
}
static void add_coding(void)
{
    rig_set_field(&rig, "Content-Encoding", "gzip");
}
static void add_expect(void)
{
    rig_set_field(&rig, "Expect", "the-unexpected");
}
static void break_signature_field(void)
{
    rig_set_field(&rig, "Signature", "sig=:AAAA:");
}
static void drop_signature(void)
{
    rig_set_field(&rig, "Signature", NULL);
    rig_set_field(&rig, "Signature-Input", NULL);
}
static void no_node_key(void)
{
    rig.ask.context.has_node_key = false;
}
static void spend_everything(void)
{
    while (mig_budget_take(rig.budget, &rig.peer, rig.mono_ns))
        ;
}
static void unregister(void)
{
    rig.world.service = NULL;
}
static void other_key(void)
{
    rig.ask.signer = rig.rotated;
    memcpy(rig.ask.context.service, rig.rotated->public_key, MIG_KEY_LEN);
}
static void too_old(void)
{
    rig.ask.created = rig.wall_ns / 1000000000u - 31;
}
static void forge(void)
{
    char *at = strchr(rig.signature.signature, ':');
    if (at != NULL)
        at[5] = at[5] == 'A' ? 'B' : 'A';
}
static void repeat_nonce(void)
{
    strcpy(rig.ask.nonce, NONCE);
}
static void misdirect(void)
{
    strcpy(rig.ask.context.account, "bob.near");
}
static void other_direction(void)
{
    rig.ask.context.direction = MIG_BACKUP;
}
static void reshare(void)
{
    rig.world.protocol = MIG_PROTOCOL_RESHARING;
}
static void record_names_another(void)
{
    rig.world.destination = rig.rotated;
}
static void no_record(void)
{
    rig.world.destination = NULL;
}
static void other_epoch(void)
{
    rig.ask.context.epoch++;
}
static void other_announce(void)
{
    rig.ask.context.announce = MIG_ANNOUNCE_CONTRACT;
}
static void unwanted_operator_key(void)
{
    rig.ask.context.has_operator_tag = true;
}
static void import_runs(void)
{
    rig.import_taken = true;
}
static void other_offer(void)
{
    rig.ask.context.node_key[0] ^= 1;
}
static void disk_full(void)
{
    rig.writable_err = MIG_ERR_IO;
}

enum slot {
    FREE,
    TARGET,
    METHOD,
    LENGTH,
    TYPE,
    CODING,
    EXPECT,
    SIGNATURE,
    KEYS,
    WORLD,
    SIGNER,
    CLOCK,
    START
};
enum moment { AT_OPEN, IN_WORLD, IN_ASK, AFTER_COMPOSE, AFTER_SIGN };

static const struct defect {
    const char *name;
    enum slot slot; /* two of one slot do not go together */
    enum moment moment;
    void (*apply)(void);
    unsigned status;
    const char *code;
    bool is_signed;
    int failure; /* enum mig_auth_failure, or -1 */
} DEFECTS[] = {
    {"query", TARGET, IN_ASK, bad_target, 400, "malformed", false, -1},
    {"path", TARGET, IN_ASK, unknown_path, 404, "not_found", false, -1},
    {"method", METHOD, IN_ASK, bad_method, 405, "method_not_allowed", false, -1},
    {"no view", WORLD, AT_OPEN, NULL, 503, "stale_view", false, -1},
    {"transfer coding", LENGTH, AFTER_SIGN, add_transfer_encoding, 400, "malformed", false, -1},
    {"no length", LENGTH, IN_ASK, no_length, 411, "length_required", false, -1},
    {"too large", LENGTH, IN_ASK, too_large, 413, "too_large", false, -1},
    {"type", TYPE, IN_ASK, wrong_type, 415, "unsupported_type", false, -1},
    {"coding", CODING, AFTER_SIGN, add_coding, 415, "unsupported_type", false, -1},
    {"expect", EXPECT, AFTER_SIGN, add_expect, 417, "expectation_failed", false, -1},
    {"signature form", SIGNATURE, AFTER_SIGN, break_signature_field, 400, "malformed", false,
     MIG_AUTH_MALFORMED},
    {"no signature", SIGNATURE, AFTER_SIGN, drop_signature, 401, "unauthorized", false,
     MIG_AUTH_NO_SIGNATURE},
    {"no node key", KEYS, IN_ASK, no_node_key, 400, "malformed", false, MIG_AUTH_MALFORMED},
    {"budget", FREE, IN_ASK, spend_everything, 429, "rate_limited", false, MIG_AUTH_RATE},
    {"no key", WORLD, IN_WORLD, unregister, 401, "unauthorized", false, MIG_AUTH_NO_KEY},
    {"keyid", SIGNER, IN_ASK, other_key, 401, "unauthorized", false, MIG_AUTH_KEYID},
    {"time", CLOCK, IN_ASK, too_old, 401, "unauthorized", false, MIG_AUTH_TIME},
    {"forged", SIGNATURE, AFTER_SIGN, forge, 401, "unauthorized", false, MIG_AUTH_SIGNATURE},
    {"replay", START, IN_ASK, repeat_nonce, 401, "unauthorized", false, MIG_AUTH_REPLAY},
    {"restart", START, AT_OPEN, NULL, 503, "restarting", false, -1},
    {"account", FREE, IN_ASK, misdirect, 421, "misdirected", true, -1},
    {"direction", FREE, IN_ASK, other_direction, 400, "malformed", true, -1},
    {"stale", FREE, AT_OPEN, NULL, 503, "stale_view", true, -1},
    {"resharing", WORLD, IN_WORLD, reshare, 503, "not_running", true, -1},
    {"another's record", WORLD, IN_WORLD, record_names_another, 403, "not_destination", true, -1},
    {"no record", WORLD, IN_WORLD, no_record, 409, "no_migration", true, -1},
    {"epoch", FREE, IN_ASK, other_epoch, 409, "keyset_mismatch", true, -1},
    {"announce", FREE, IN_ASK, other_announce, 409, "announce_mismatch", true, -1},
    {"operator key", FREE, IN_ASK, unwanted_operator_key, 409, "operator_key", true, -1},
    {"busy", FREE, IN_ASK, import_runs, 409, "busy", true, -1},
    {"offer", KEYS, IN_ASK, other_offer, 409, "offer_unknown", true, -1},
    {"disk", FREE, IN_ASK, disk_full, 503, "store_unavailable", true, -1},
};
enum { DEFECT_COUNT = sizeof DEFECTS / sizeof DEFECTS[0] };

static bool is_named(const struct defect *d, const char *name)
{
    return strcmp(d->name, name) == 0;
}

/* Two defects of the world go together when both are told. */
static bool go_together(const struct defect *a, const struct defect *b)
{
    if (a->slot == WORLD && b->slot == WORLD)
        return a->moment == IN_WORLD && b->moment == IN_WORLD &&
               !(a->apply == record_names_another && b->apply == no_record);
    /* By the time the view is stale, the start is forgotten. */
    if (is_named(a, "restart") && is_named(b, "stale"))
        return false;
    return a->slot == FREE || a->slot != b->slot;
}

static void apply(const struct defect *const d[2], enum moment moment)
{
    for (int i = 0; i < 2; i++)
        if (d[i] != NULL && d[i]->moment == moment && d[i]->apply != NULL)
            d[i]->apply();
}

static void upload_with(const struct defect *a, const struct defect *b)
{
    const struct defect *const d[2] = {a, b};
    bool untold = false, stale = false;
    struct rig_options options = {.is_destination = true};
    for (int i = 0; i < 2 && d[i] != NULL; i++) {
        untold = untold || is_named(d[i], "no view");
        stale = stale || is_named(d[i], "stale");
        options.distrusts_start = options.distrusts_start || is_named(d[i], "restart");
    }
    options.untold = untold;
    rig_open_with(&rig, &options);
    rig_ask(&rig, MIG_RESOURCE_OFFER);
    strcpy(rig.ask.nonce, NONCE);
    rig_send_offer(&rig);
    apply(d, IN_WORLD);
    if (!untold)
        rig_tell(&rig);
    if (stale)
        rig_wait(&rig, 31);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    apply(d, IN_ASK);
    rig_compose(&rig);
    apply(d, AFTER_COMPOSE);
    rig_sign(&rig);
    apply(d, AFTER_SIGN);
    CU_ASSERT_EQUAL(rig_begin(&rig), MIG_STEP_RESPOND);
}

static void each_defect_is_told_as_the_protocol_says(void)
{
    for (size_t i = 0; i < DEFECT_COUNT; i++) {
        const struct defect *d = &DEFECTS[i];
        upload_with(d, NULL);
        expect(d->status, d->code, d->is_signed);
        for (int f = 0; f < MIG_AUTH_FAILURE_COUNT; f++)
            CU_ASSERT_EQUAL(rig.counters.auth_failures[f], f == d->failure);
        CU_ASSERT_EQUAL(mig_exchange_is_authenticated(rig.exchange), d->is_signed);
        if (rig_status(&rig) != d->status || strcmp(rig_code(&rig), d->code) != 0)
            fprintf(stderr, "%s: %u %s\n", d->name, rig_status(&rig), rig_code(&rig));
        CU_ASSERT_FALSE(rig.has_receipt);
        rig.import_taken = false;
        rig_close(&rig);
    }
}

static void of_two_defects_the_earlier_is_told(void)
{
    for (size_t i = 0; i < DEFECT_COUNT; i++) {
        for (size_t j = i + 1; j < DEFECT_COUNT; j++) {
            const struct defect *a = &DEFECTS[i], *b = &DEFECTS[j];
            if (!go_together(a, b))
                continue;
            upload_with(a, b);
            CU_ASSERT_EQUAL(rig_status(&rig), a->status);
            CU_ASSERT_STRING_EQUAL(rig_code(&rig), a->code);
            CU_ASSERT_EQUAL(rig_is_signed(&rig), a->is_signed);
            if (a->failure >= 0)
                CU_ASSERT_EQUAL(rig.counters.auth_failures[a->failure], 1);
            if (rig_status(&rig) != a->status || strcmp(rig_code(&rig), a->code) != 0)
                fprintf(stderr, "%s + %s: %u %s\n", a->name, b->name, rig_status(&rig),
                        rig_code(&rig));
            rig.import_taken = false;
            rig_close(&rig);
        }
    }
}

/* ---- 401 -------------------------------------------------------------------------- */

static size_t flatten(char *out, size_t cap)
{
    size_t len = 0;
    for (size_t i = 0; i < rig.answer->field_count; i++) {
        const struct mig_field *f = &rig.answer->fields[i];
        len += (size_t)snprintf(out + len, cap - len, "%.*s: %.*s\n", (int)f->name.len, f->name.at,
                                (int)f->value.len, f->value.at);
    }
    memcpy(out + len, rig.answer->body, rig.answer->body_len);
    return len + rig.answer->body_len;
}

static void all_unauthorized_answers_are_the_same_bytes(void)
{
    static char first[4096], next[4096];
    size_t first_len = 0, seen = 0;
    for (size_t i = 0; i < DEFECT_COUNT; i++) {
        if (DEFECTS[i].status != 401)
            continue;
        upload_with(&DEFECTS[i], NULL);
        size_t len = flatten(seen == 0 ? first : next, sizeof first);
        if (seen++ == 0)
            first_len = len;
        else
            CU_ASSERT(len == first_len && memcmp(first, next, len) == 0);
        rig_close(&rig);
    }
    CU_ASSERT_EQUAL(seen, 6);
}

/* ---- routes and forms -------------------------------------------------------------- */

static void other_methods_are_405_and_name_the_allowed(void)
{
    static const char *const METHODS[] = {"HEAD", "DELETE", "get", "OPTIONS", "PATCH", ""};
    rig_open(&rig);
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++) {
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        rig.ask.method = METHODS[i];
        rig_compose(&rig);
        (void)rig_begin(&rig);
        expect(405, "method_not_allowed", false);
        CU_ASSERT_STRING_EQUAL(rig_field(&rig, "allow"), "GET, POST");
        rig.ask.target = "/shares_recover";
        rig_compose(&rig);
        (void)rig_begin(&rig);
        CU_ASSERT_STRING_EQUAL(rig_field(&rig, "allow"), "GET, POST, PUT");
    }
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig.ask.method = "PUT";
    rig_send(&rig);
    expect(405, "method_not_allowed", false);
    rig_close(&rig);
}

static void the_path_is_compared_byte_for_byte(void)
{
    static const struct {
        const char *target;
        unsigned status;
    } CASES[] = {
        {"", 400},
        {"shares_backup", 400},
        {"http://node.example/shares_backup", 400},
        {"*", 400},
        {"/shares_backup?", 400},
        {"/?/shares_backup", 400},
        {"/", 404},
        {"/shares_backup/", 404},
        {"//shares_backup", 404},
        {"/Shares_backup", 404},
        {"/shares%5Fbackup", 404},
        {"/shares_backup#x", 404},
        {"/shares_backu", 404},
    };
    rig_open(&rig);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        rig.ask.target = CASES[i].target;
        rig_compose(&rig);
        (void)rig_begin(&rig);
        CU_ASSERT_EQUAL(rig_status(&rig), CASES[i].status);
        CU_ASSERT_PTR_NULL(rig_field(&rig, "allow"));
    }
    CU_ASSERT_EQUAL(rig.counters.requests[MIG_ENDPOINT_OTHER][400 - MIG_STATUS_MIN], 6);
    CU_ASSERT_EQUAL(rig.counters.requests[MIG_ENDPOINT_OTHER][404 - MIG_STATUS_MIN], 7);
    rig_close(&rig);
}

static void a_body_where_none_belongs_is_400(void)
{
    static const enum mig_resource NONE[] = {MIG_RESOURCE_BACKUP, MIG_RESOURCE_RECEIPT,
                                             MIG_RESOURCE_OFFER};
    rig_open(&rig);
    for (size_t i = 0; i < 3; i++) {
        rig_ask(&rig, NONE[i]);
        rig.ask.content_length = 1;
        rig_send(&rig);
        expect(400, "malformed", false);
        rig_ask(&rig, NONE[i]);
        rig.ask.content_length = 0;
        rig_send(&rig);
        CU_ASSERT_NOT_EQUAL(rig_status(&rig), 400);
        CU_ASSERT(rig_is_signed(&rig));
    }
    rig_close(&rig);
}

static void a_get_may_not_be_coded_either(void)
{
    rig_open(&rig);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig.ask.extra[0] = (struct mig_field){MIG_TEXT("content-encoding"), MIG_TEXT("identity")};
    rig.ask.extra_count = 1;
    rig_send(&rig);
    expect(415, "unsupported_type", false);
    rig_close(&rig);
}

static void a_type_is_needed_once(void)
{
    rig_open_with(&rig, &(struct rig_options){.is_destination = true});
    rig_get_offer(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.ask.extra[0] = (struct mig_field){MIG_TEXT("Content-Type"), MIG_TEXT(MIG_SEALED_TYPE)};
    rig.ask.extra_count = 1;
    rig_send(&rig);
    expect(415, "unsupported_type", false);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig_compose(&rig);
    rig_sign(&rig);
    rig_set_field(&rig, "Content-Type", NULL);
    (void)rig_begin(&rig);
    expect(415, "unsupported_type", false);
    rig_close(&rig);
}

static void only_100_continue_can_be_expected(void)
{
    static const struct {
        const char *value;
        bool fine;
    } CASES[] = {{"100-continue", true},     {"100-Continue", true},
                 {"100-continue, x", false}, {"", false},
                 {"100-continu", false},     {"200-continue", false}};
    rig_open(&rig);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        rig.ask.extra[0] =
            (struct mig_field){MIG_TEXT("Expect"), {CASES[i].value, strlen(CASES[i].value)}};
        rig.ask.extra_count = 1;
        rig_send(&rig);
        CU_ASSERT_EQUAL(rig_status(&rig), CASES[i].fine ? 200 : 417);
    }
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig.ask.extra[0] = rig.ask.extra[1] =
        (struct mig_field){MIG_TEXT("Expect"), MIG_TEXT("100-continue")};
    rig.ask.extra_count = 2;
    rig_send(&rig);
    expect(417, "expectation_failed", false);
    rig_close(&rig);
}

static void keys_that_do_not_belong_are_400(void)
{
    /* Per resource: client-key, node-key as they must be. */
    static const struct {
        enum mig_resource resource;
        bool client, node;
    } WANT[] = {{MIG_RESOURCE_BACKUP, true, false},
                {MIG_RESOURCE_RECEIPT, true, true},
                {MIG_RESOURCE_OFFER, false, false},
                {MIG_RESOURCE_UPLOAD, true, true}};
    rig_open(&rig);
    for (size_t i = 0; i < 4; i++) {
        for (unsigned keys = 0; keys < 4; keys++) {
            bool client = keys & 1, node = keys & 2;
            rig_ask(&rig, WANT[i].resource);
            rig.ask.context.has_client_key = client;
            rig.ask.context.has_node_key = node;
            rig_send(&rig);
            bool fine = client == WANT[i].client && node == WANT[i].node;
            CU_ASSERT_EQUAL(rig_status(&rig) != 400, fine);
            CU_ASSERT_EQUAL(rig_is_signed(&rig), fine);
        }
    }
    rig_close(&rig);
}

/* ---- who is let in -------------------------------------------------------------------- */

static unsigned backup_created_at(int64_t offset)
{
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig.ask.created = (uint64_t)((int64_t)(rig.wall_ns / 1000000000u) + offset);
    rig_send(&rig);
    return rig_status(&rig);
}

static void a_clock_may_be_30_seconds_off_not_31(void)
{
    rig_open(&rig);
    rig_wait(&rig, 5);
    CU_ASSERT_EQUAL(backup_created_at(-30), 200);
    CU_ASSERT_EQUAL(backup_created_at(30), 200);
    CU_ASSERT_EQUAL(backup_created_at(-31), 401);
    CU_ASSERT_EQUAL(backup_created_at(31), 401);
    CU_ASSERT_EQUAL(rig.counters.auth_failures[MIG_AUTH_TIME], 2);
    rig_close(&rig);
}

static void missing_coverage_parameter_and_tag_are_401(void)
{
    static const struct {
        const char *from, *to;
        enum mig_auth_failure failure;
    } CASES[] = {
        {"\"@path\" ", "", MIG_AUTH_COVERAGE},
        {";tag=\"mpc-migration-v1\"", ";tag=\"mpc-migration-v2\"", MIG_AUTH_TAG},
        {";tag=\"mpc-migration-v1\"", "", MIG_AUTH_PARAMETER},
    };
    rig_open(&rig);
    for (size_t i = 0; i < 3; i++) {
        char input[2048];
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        rig_compose(&rig);
        rig_sign(&rig);
        char *at = strstr(rig.signature.input, CASES[i].from);
        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        (void)snprintf(input, sizeof input, "%.*s%s%s", (int)(at - rig.signature.input),
                       rig.signature.input, CASES[i].to, at + strlen(CASES[i].from));
        rig_set_field(&rig, "Signature-Input", input);
        (void)rig_begin(&rig);
        CU_ASSERT_EQUAL(rig_status(&rig), 401);
        CU_ASSERT_EQUAL(rig.counters.auth_failures[CASES[i].failure], 1);
    }
    rig_close(&rig);
}

static void a_replay_never_gets_a_second_signed_answer(void)
{
    rig_open(&rig);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_send(&rig);
    expect(200, "", true);
    for (int i = 0; i < 3; i++) {
        (void)rig_begin(&rig);
        expect(401, "unauthorized", false);
        rig_wait(&rig, 13);
        rig_tell(&rig);
    }
    /* The nonce of an answered error is spent as well. */
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    misdirect();
    rig_send(&rig);
    expect(421, "misdirected", true);
    (void)rig_begin(&rig);
    expect(401, "unauthorized", false);
    rig_close(&rig);
}

static void a_restart_cannot_be_used_to_replay(void)
{
    char journal[512];
    struct mig_message message;
    (void)snprintf(journal, sizeof journal, "%s/nonces", test_dir());
    rig_open_with(&rig, &(struct rig_options){.journal = journal});
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_send(&rig);
    expect(200, "", true);
    message = rig.message;
    rig_restart(&rig, journal);
    rig.message = message;
    (void)rig_begin(&rig);
    CU_ASSERT_FALSE(rig.answer->is_signed);
    CU_ASSERT(rig_status(&rig) == 401);
    /* With the journal gone the node distrusts everything from before. */
    CU_ASSERT_EQUAL(remove(journal), 0);
    rig_restart(&rig, journal);
    rig.message = message;
    (void)rig_begin(&rig);
    expect(503, "restarting", false);
    CU_ASSERT_PTR_NOT_NULL(rig_field(&rig, "retry-after"));
    rig_close(&rig);
}

static void who_authenticates_gets_the_token_back_who_replays_pays(void)
{
    rig_open_with(&rig, &(struct rig_options){.budget = 2});
    for (int i = 0; i < 5; i++) {
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        rig_send(&rig);
        CU_ASSERT_EQUAL(rig_status(&rig), 200);
    }
    (void)rig_begin(&rig);
    CU_ASSERT_EQUAL(rig_status(&rig), 401);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    other_key();
    rig_send(&rig);
    CU_ASSERT_EQUAL(rig_status(&rig), 401);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_send(&rig);
    expect(429, "rate_limited", false);
    CU_ASSERT_STRING_EQUAL(rig_field(&rig, "retry-after"), "1");
    rig_wait(&rig, 2);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_send(&rig);
    CU_ASSERT_EQUAL(rig_status(&rig), 200);
    rig_close(&rig);
}

static void while_a_new_key_is_delayed_none_authenticates(void)
{
    rig_open(&rig);
    rig.key_delayed = true;
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_send(&rig);
    expect(401, "unauthorized", false);
    CU_ASSERT_EQUAL(rig.counters.auth_failures[MIG_AUTH_NO_KEY], 1);
    rig_close(&rig);
}

static void a_frozen_view_answers_503_to_the_last_known_key_only(void)
{
    rig_open(&rig);
    rig_wait(&rig, 29);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_send(&rig);
    CU_ASSERT_EQUAL(rig_status(&rig), 200);
    rig_wait(&rig, 2);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_send(&rig);
    expect(503, "stale_view", true);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    other_key();
    rig_send(&rig);
    expect(401, "unauthorized", false);
    rig_tell(&rig);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_send(&rig);
    CU_ASSERT_EQUAL(rig_status(&rig), 200);
    rig_close(&rig);
}

static void the_full_nonce_store_refuses_and_says_when(void)
{
    rig_open_with(&rig, &(struct rig_options){.nonces = 2});
    for (int i = 0; i < 3; i++) {
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        rig_send(&rig);
        CU_ASSERT_EQUAL(rig_status(&rig), i < 2 ? 200 : 503);
    }
    expect(503, "restarting", false);
    CU_ASSERT_PTR_NOT_NULL(rig_field(&rig, "retry-after"));
    rig_close(&rig);
}

/* ---- the life of an exchange ------------------------------------------------------------ */

static void ending_what_never_began_is_harmless(void)
{
    struct mig_exchange *none = NULL;
    mig_exchange_end(NULL);
    mig_exchange_end(&none);
    mig_exchange_body(NULL, NULL, 0);
    mig_exchange_finish(NULL);
    CU_ASSERT_FALSE(mig_exchange_is_authenticated(NULL));
    CU_ASSERT(mig_exchange_is_admitted(NULL, NULL));
    CU_ASSERT_EQUAL(mig_exchange_response(NULL)->status, 503);
}

static void finishing_an_answered_exchange_changes_nothing(void)
{
    rig_open(&rig);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_send(&rig);
    rig_feed_body(&rig, "x", 1);
    rig_finish(&rig);
    expect(200, "", true);
    CU_ASSERT_EQUAL(rig.counters.duration_count[MIG_ENDPOINT_BACKUP_GET], 1);
    rig_close(&rig);
}

static void every_answer_is_counted_once(void)
{
    rig_open(&rig);
    for (int i = 0; i < 3; i++) {
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        rig_send(&rig);
    }
    rig_ask(&rig, MIG_RESOURCE_OFFER);
    rig_send(&rig);
    CU_ASSERT_EQUAL(rig_status(&rig), 409);
    CU_ASSERT_EQUAL(rig.counters.requests[MIG_ENDPOINT_BACKUP_GET][100], 3);
    CU_ASSERT_EQUAL(rig.counters.requests[MIG_ENDPOINT_RECOVER_GET][309], 1);
    CU_ASSERT_EQUAL(rig.counters.duration_count[MIG_ENDPOINT_BACKUP_GET], 3);
    CU_ASSERT_EQUAL(rig.counters.duration_count[MIG_ENDPOINT_RECOVER_GET], 1);
    CU_ASSERT_EQUAL(rig.counters.duration_count[MIG_ENDPOINT_OTHER], 0);
    rig_close(&rig);
}

static void many_exchanges_live_at_once_and_are_recycled(void)
{
    enum { MANY = 100 };
    static struct mig_exchange *live[MANY];
    rig_open(&rig);
    for (int round = 0; round < 2; round++) {
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        for (size_t i = 0; i < MANY; i++) {
            rig.ask.nonce[0] = '\0';
            rig_compose(&rig);
            rig_sign(&rig);
            (void)mig_exchange_begin(rig.service, &rig.message, -1, &rig.peer, &live[i]);
            CU_ASSERT_EQUAL(mig_exchange_response(live[i])->status, 200);
        }
        for (size_t i = 0; i < MANY; i++)
            mig_exchange_end(&live[i]);
    }
    CU_ASSERT_EQUAL(rig.served, 2 * MANY);
    rig_close(&rig);
}

static void an_incomplete_configuration_is_refused(void)
{
    struct mig_service *service = NULL;
    struct mig_service_config whole, config;
    rig_open(&rig);
    rig_config(&rig, &whole);
#define WITHOUT(member)                                                                            \
    config = whole;                                                                                \
    config.member = NULL;                                                                          \
    CU_ASSERT_EQUAL(mig_service_new(&config, &service), MIG_ERR_BUG);                              \
    CU_ASSERT_PTR_NULL(service);
    WITHOUT(self.contract)
    WITHOUT(self.account)
    WITHOUT(identity)
    WITHOUT(host.load_keyshares)
    WITHOUT(host.import_keyshares)
    WITHOUT(host.load_receipt)
    WITHOUT(keeper.now_ns)
    WITHOUT(keeper.monotonic_ns)
    WITHOUT(keeper.honoured_key)
    WITHOUT(keeper.job)
    WITHOUT(keeper.seat_lost_at)
    WITHOUT(keeper.import_begin)
    WITHOUT(keeper.import_end)
    WITHOUT(keeper.store_writable)
    WITHOUT(keeper.backup_served)
    WITHOUT(keeper.backup_acknowledged)
    WITHOUT(cache)
    WITHOUT(replay)
    WITHOUT(budget)
    WITHOUT(counters)
#undef WITHOUT
    config = whole;
    config.host.log = NULL;
    config.keeper.take_published = NULL;
    CU_ASSERT_EQUAL(mig_service_new(&config, &service), MIG_OK);
    mig_service_log(service, MIG_LOG_INFO, "nobody", "listens");
    mig_service_free(&service);
    mig_service_free(&service);
    mig_service_free(NULL);
    rig_close(&rig);
}

/* ---- many threads -------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 60 };

static struct {
    struct mig_message message;
    struct mig_field fields[8];
    size_t field_count;
    char context[MIG_CONTEXT_MAX + 1];
    struct mig_signature_fields signature;
} ready[THREADS][ROUNDS];

static void *client(void *arg)
{
    size_t t = (size_t)arg;
    for (size_t i = 0; i < ROUNDS; i++) {
        struct mig_exchange *x = NULL;
        (void)mig_exchange_begin(rig.service, &ready[t][i].message, -1, &rig.peer, &x);
        const struct mig_response *r = mig_exchange_response(x);
        if (r->status != 200 && r->status != 503 && r->status != 409)
            return "unexpected status";
        if (!r->is_signed)
            return "unsigned";
        const struct mig_view *view = mig_cache_view(rig.cache);
        (void)mig_exchange_is_admitted(x, view);
        mig_view_release(&view);
        mig_exchange_end(&x);
    }
    return NULL;
}

static void threads_serve_while_the_view_moves(void)
{
    pthread_t threads[THREADS];
    rig_open(&rig);
    for (size_t t = 0; t < THREADS; t++) {
        for (size_t i = 0; i < ROUNDS; i++) {
            rig_ask(&rig, MIG_RESOURCE_BACKUP);
            rig_compose(&rig);
            rig_sign(&rig);
            strcpy(ready[t][i].context, rig.context_text);
            ready[t][i].signature = rig.signature;
            rig_set_field(&rig, "Mpc-Migration-Context", ready[t][i].context);
            rig_set_field(&rig, "Signature-Input", ready[t][i].signature.input);
            rig_set_field(&rig, "Signature", ready[t][i].signature.signature);
            memcpy(ready[t][i].fields, rig.fields, sizeof ready[t][i].fields);
            ready[t][i].message = rig.message;
            ready[t][i].message.fields = ready[t][i].fields;
        }
    }
    for (size_t t = 0; t < THREADS; t++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[t], NULL, client, (void *)t), 0);
    for (int i = 0; i < 10; i++) {
        rig.world.protocol = i % 2 == 0 ? MIG_PROTOCOL_RESHARING : MIG_PROTOCOL_RUNNING;
        rig_tell_at(&rig, rig.wall_ns);
    }
    for (size_t t = 0; t < THREADS; t++) {
        void *failure = NULL;
        (void)pthread_join(threads[t], &failure);
        CU_ASSERT_PTR_NULL(failure);
    }
    rig_close(&rig);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(each_defect_is_told_as_the_protocol_says),
        TEST(of_two_defects_the_earlier_is_told),
        TEST(all_unauthorized_answers_are_the_same_bytes),
        TEST(other_methods_are_405_and_name_the_allowed),
        TEST(the_path_is_compared_byte_for_byte),
        TEST(a_body_where_none_belongs_is_400),
        TEST(a_get_may_not_be_coded_either),
        TEST(a_type_is_needed_once),
        TEST(only_100_continue_can_be_expected),
        TEST(keys_that_do_not_belong_are_400),
        TEST(a_clock_may_be_30_seconds_off_not_31),
        TEST(missing_coverage_parameter_and_tag_are_401),
        TEST(a_replay_never_gets_a_second_signed_answer),
        TEST(a_restart_cannot_be_used_to_replay),
        TEST(who_authenticates_gets_the_token_back_who_replays_pays),
        TEST(while_a_new_key_is_delayed_none_authenticates),
        TEST(a_frozen_view_answers_503_to_the_last_known_key_only),
        TEST(the_full_nonce_store_refuses_and_says_when),
        TEST(ending_what_never_began_is_harmless),
        TEST(finishing_an_answered_exchange_changes_nothing),
        TEST(every_answer_is_counted_once),
        TEST(many_exchanges_live_at_once_and_are_recycled),
        TEST(an_incomplete_configuration_is_refused),
        TEST(threads_serve_while_the_view_moves),
    };
    return run_tests("handlers", tests, sizeof tests / sizeof *tests);
}
