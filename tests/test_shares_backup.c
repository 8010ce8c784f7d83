/* SPDX-License-Identifier: MIT */
#include "tests/rig.h"

#include <stdio.h>
#include <string.h>

#include "handlers/inside.h"
#include "tests/harness.h"

static struct rig rig;

static void expect(unsigned status, const char *code, bool is_signed)
{
    CU_ASSERT_EQUAL(rig_status(&rig), status);
    CU_ASSERT_STRING_EQUAL(rig_code(&rig), code);
    CU_ASSERT_EQUAL(rig_is_signed(&rig), is_signed);
}

static void get_backup(void)
{
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_send(&rig);
}

static bool opens(void)
{
    return rig_opens_to(&rig, (const uint8_t(*)[MIG_SHARE_LEN])rig.shares);
}

static bool is_zero(const struct mig_secret *secret)
{
    for (size_t i = 0; i < secret->len; i++)
        if (secret->bytes[i] != 0)
            return false;
    return true;
}

static bool scratch_is_wiped(void)
{
    const struct mig_scratch *s = rig.service->scratches;
    return s != NULL && is_zero(s->shares) && is_zero(s->plain) && is_zero(s->key) &&
           is_zero(s->pair.secret);
}

static bool admits_now(void)
{
    const struct mig_view *view = mig_cache_view(rig.cache);
    bool admits = mig_exchange_is_admitted(rig.exchange, view);
    mig_view_release(&view);
    return admits;
}

/* ---- what is refused ------------------------------------------------------------- */

static void lacking_shares_is_not_retryable_and_alarms(void)
{
    rig_open(&rig);
    rig.load_err = MIG_ERR_NOT_FOUND;
    get_backup();
    expect(503, "shares_missing", true);
    CU_ASSERT_PTR_NULL(rig_field(&rig, "retry-after"));
    CU_ASSERT_PTR_NOT_NULL(strstr(rig_text(&rig), "\"retryable\":false"));
    CU_ASSERT(rig_logged(&rig, "backup_impossible"));
    rig_close(&rig);
}

static void an_unreadable_store_is_told_to_come_again(void)
{
    rig_open(&rig);
    rig.load_err = MIG_ERR_IO;
    get_backup();
    expect(503, "store_unavailable", true);
    CU_ASSERT_STRING_EQUAL(rig_field(&rig, "retry-after"), "10");
    CU_ASSERT(rig_logged(&rig, "backup_impossible"));
    rig_close(&rig);
}

static void a_share_that_is_no_scalar_is_never_served(void)
{
    rig_open(&rig);
    memset(rig.shares[0], 0xff, MIG_SHARE_LEN);
    get_backup();
    expect(503, "shares_missing", true);
    memset(rig.shares[0], 0, MIG_SHARE_LEN);
    get_backup();
    expect(503, "shares_missing", true);
    CU_ASSERT(scratch_is_wiped());
    rig_close(&rig);
}

static void an_empty_keyset_is_never_served(void)
{
    rig_open(&rig);
    rig.world.domains = 0;
    rig_tell(&rig);
    get_backup();
    expect(409, "keyset_mismatch", true);
    rig_close(&rig);
}

static void a_keyset_that_differs_only_in_the_attempt_is_another(void)
{
    rig_open(&rig);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig.world.attempt = 1;
    rig_tell(&rig);
    rig_send(&rig);
    expect(409, "keyset_mismatch", true);
    rig_close(&rig);
}

static void who_is_no_participant_serves_none(void)
{
    rig_open(&rig);
    rig.world.seat = rig.other;
    rig_tell(&rig);
    get_backup();
    expect(403, "not_participant", true);
    rig.seat_lost_at = 999;
    get_backup();
    expect(403, "decommissioned", true);
    rig.world.seat = NULL;
    rig_tell(&rig);
    get_backup();
    expect(403, "decommissioned", true);
    CU_ASSERT_EQUAL(rig.served, 0);
    rig_close(&rig);
}

static void a_client_key_without_a_secret_is_malformed(void)
{
    /* Points of small order: zero, one, and one of order eight. */
    static const uint8_t KEYS[3][MIG_KEY_LEN] = {
        {0},
        {1},
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
         0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
         0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    };
    rig_open(&rig);
    for (size_t i = 0; i < 3; i++) {
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        memcpy(rig.ask.context.client_key, KEYS[i], MIG_KEY_LEN);
        rig_send(&rig);
        expect(400, "malformed", true);
        CU_ASSERT(scratch_is_wiped());
    }
    rig_close(&rig);
}

/* ---- what is served ----------------------------------------------------------------- */

static void serves_a_backup_that_opens_to_the_nodes_shares(void)
{
    rig_open(&rig);
    get_backup();
    expect(200, "", true);
    CU_ASSERT(opens());
    CU_ASSERT_STRING_EQUAL(rig_field(&rig, "content-type"), MIG_SEALED_TYPE);
    CU_ASSERT_EQUAL(rig.served, 1);
    CU_ASSERT(mig_exchange_is_authenticated(rig.exchange));
    CU_ASSERT_EQUAL(rig.counters.last_backup_served_epoch, 5);
    CU_ASSERT_EQUAL(rig.counters.last_backup_served_at, rig.wall_ns / 1000000000u);
    CU_ASSERT(scratch_is_wiped());
    rig_close(&rig);
}

static void the_answer_adds_its_key_to_the_context_and_nothing_else(void)
{
    rig_open(&rig);
    get_backup();
    const char *context = rig_field(&rig, "mpc-migration-context");
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    size_t asked = strlen(rig.context_text);
    CU_ASSERT_EQUAL(strncmp(context, rig.context_text, asked), 0);
    CU_ASSERT_EQUAL(strncmp(context + asked, ", node-key=:", 12), 0);
    CU_ASSERT_EQUAL(strlen(context + asked), 12 + 44 + 1);
    CU_ASSERT_EQUAL(context[strlen(context) - 1], ':');
    rig_close(&rig);
}

static void every_backup_has_a_key_of_its_own(void)
{
    char first[2048];
    rig_open(&rig);
    get_backup();
    strcpy(first, rig_field(&rig, "mpc-migration-context") + strlen(rig.context_text));
    get_backup();
    CU_ASSERT_STRING_NOT_EQUAL(first,
                               rig_field(&rig, "mpc-migration-context") + strlen(rig.context_text));
    CU_ASSERT(opens());
    rig_close(&rig);
}

static void a_thousand_domains_are_served_like_two(void)
{
    rig_open_with(&rig, &(struct rig_options){.domains = MIG_DOMAINS_MAX});
    for (int i = 0; i < 2; i++) {
        get_backup();
        expect(200, "", true);
        CU_ASSERT(rig.answer->body_len > 2 * MIG_SEALED_CHUNK / 2);
        CU_ASSERT(opens());
        CU_ASSERT(scratch_is_wiped());
    }
    rig_close(&rig);
}

static void the_operator_key_goes_into_the_seal(void)
{
    rig_open_with(&rig, &(struct rig_options){.with_operator_key = true});
    get_backup();
    expect(200, "", true);
    CU_ASSERT(opens());
    rig.operator_key->bytes[0] ^= 1;
    CU_ASSERT_FALSE(opens());
    rig.operator_key->bytes[0] ^= 1;
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig.ask.context.has_operator_tag = false;
    rig_send(&rig);
    expect(409, "operator_key", true);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig.ask.context.operator_tag[7] ^= 1;
    rig_send(&rig);
    expect(409, "operator_key", true);
    rig_close(&rig);
}

/* ---- keys announced on chain ----------------------------------------------------------- */

static void a_published_key_serves_one_backup_and_adds_nothing(void)
{
    rig_open_with(&rig, &(struct rig_options){.announce = MIG_ANNOUNCE_CONTRACT});
    get_backup();
    expect(200, "", true);
    CU_ASSERT_STRING_EQUAL(rig_field(&rig, "mpc-migration-context"), rig.context_text);
    CU_ASSERT(opens());
    get_backup();
    expect(409, "ephemeral_unpublished", true);
    rig_close(&rig);
}

static void a_key_the_contract_does_not_show_is_unpublished(void)
{
    rig_open_with(&rig, &(struct rig_options){.announce = MIG_ANNOUNCE_CONTRACT});
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig.ask.context.client_key[0] ^= 1;
    rig_send(&rig);
    expect(409, "ephemeral_unpublished", true);
    rig.world.published_service = NULL;
    rig_tell(&rig);
    get_backup();
    expect(409, "ephemeral_unpublished", true);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig.ask.context.announce = MIG_ANNOUNCE_HEADER;
    rig.ask.context.has_node_key = false;
    rig_send(&rig);
    expect(409, "announce_mismatch", true);
    rig_close(&rig);
}

static void a_keeper_without_published_keys_serves_none(void)
{
    rig_open_with(&rig, &(struct rig_options){.announce = MIG_ANNOUNCE_CONTRACT});
    rig.service->config.keeper.take_published = NULL;
    get_backup();
    expect(409, "ephemeral_unpublished", true);
    rig_close(&rig);
}

/* ---- the view moves between judgement and commit ------------------------------------------ */

static void reshare(struct rig *r)
{
    r->world.protocol = MIG_PROTOCOL_RESHARING;
    rig_tell(r);
}

static void rotate(struct rig *r)
{
    r->world.service = r->rotated;
    rig_tell(r);
}

static void retry_attempt(struct rig *r)
{
    r->world.attempt++;
    rig_tell(r);
}

static void lose_seat(struct rig *r)
{
    r->world.seat = r->other;
    r->seat_lost_at = r->height + 1;
    rig_tell(r);
}

static void record_appears(struct rig *r)
{
    r->world.destination = r->other;
    rig_tell(r);
}

static void a_change_during_the_load_is_answered_as_a_fresh_request_would_be(void)
{
    static const struct {
        void (*change)(struct rig *);
        unsigned status;
        const char *code;
        bool is_signed;
    } CASES[] = {
        {reshare, 503, "not_running", true},
        {rotate, 401, "unauthorized", false},
        {retry_attempt, 409, "keyset_mismatch", true},
        {lose_seat, 403, "decommissioned", true},
        {record_appears, 200, "", true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        rig_open(&rig);
        rig.during_load = CASES[i].change;
        get_backup();
        expect(CASES[i].status, CASES[i].code, CASES[i].is_signed);
        CU_ASSERT_EQUAL(rig.served, CASES[i].status == 200);
        CU_ASSERT_EQUAL(rig_field(&rig, "mpc-migration-context") != NULL, CASES[i].status == 200);
        CU_ASSERT(admits_now());
        CU_ASSERT(scratch_is_wiped());
        rig_close(&rig);
    }
}

static void an_answer_on_its_way_is_admitted_until_the_view_says_otherwise(void)
{
    static void (*const CHANGES[])(struct rig *) = {reshare, rotate, retry_attempt, lose_seat};
    for (size_t i = 0; i < sizeof CHANGES / sizeof CHANGES[0]; i++) {
        rig_open(&rig);
        get_backup();
        CU_ASSERT(admits_now());
        record_appears(&rig);
        CU_ASSERT(admits_now());
        CHANGES[i](&rig);
        CU_ASSERT_FALSE(admits_now());
        rig_close(&rig);
    }
}

/* ---- the receipt ----------------------------------------------------------------------------- */

/* The context of the last backup, as the client keeps it. */
static void ask_receipt(void)
{
    static char context[MIG_CONTEXT_MAX + 1];
    strcpy(context, rig_field(&rig, "mpc-migration-context"));
    rig_ask(&rig, MIG_RESOURCE_RECEIPT);
    rig.ask.context_text = context;
}

static void a_receipt_of_a_served_backup_is_known_and_recorded(void)
{
    uint8_t hash[MIG_DIGEST_LEN];
    char want[256], base64[64];
    rig_open(&rig);
    get_backup();
    rig_wait(&rig, 3);
    ask_receipt();
    mig_sha256(rig.ask.context_text, strlen(rig.ask.context_text), hash);
    rig_send(&rig);
    expect(200, "", true);
    CU_ASSERT_EQUAL(rig.acknowledged, 1);
    CU_ASSERT(rig.acknowledged_known);
    CU_ASSERT_EQUAL(memcmp(rig.acknowledged_hash, hash, sizeof hash), 0);
    CU_ASSERT_STRING_EQUAL(rig_field(&rig, "content-type"), "application/json");
    CU_ASSERT_EQUAL(mig_base64_encode(hash, sizeof hash, base64, sizeof base64), MIG_OK);
    (void)snprintf(want, sizeof want, "\"context\":\"%s\",\"recorded_at\":%lu,\"known\":true}",
                   base64, (unsigned long)(rig.wall_ns / 1000000000u));
    CU_ASSERT_PTR_NOT_NULL(strstr(rig_text(&rig), want));
    CU_ASSERT_EQUAL(strncmp(rig_text(&rig), "{\"epoch\":\"5\",\"keyset\":\"", 23), 0);
    CU_ASSERT_EQUAL(rig.counters.last_backup_acknowledged_epoch, 5);
    CU_ASSERT_EQUAL(rig.counters.last_backup_acknowledged_at, rig.wall_ns / 1000000000u);
    rig_close(&rig);
}

static void a_receipt_can_be_repeated(void)
{
    rig_open(&rig);
    get_backup();
    ask_receipt();
    rig_send(&rig);
    rig.ask.nonce[0] = '\0';
    rig_send(&rig);
    expect(200, "", true);
    CU_ASSERT_EQUAL(rig.acknowledged, 2);
    CU_ASSERT(rig.acknowledged_known);
    rig_close(&rig);
}

static void a_receipt_of_another_process_is_taken_but_not_known(void)
{
    rig_open(&rig);
    rig_ask(&rig, MIG_RESOURCE_RECEIPT);
    rig_send(&rig);
    expect(200, "", true);
    CU_ASSERT_PTR_NOT_NULL(strstr(rig_text(&rig), "\"known\":false"));
    CU_ASSERT_FALSE(rig.acknowledged_known);
    rig_close(&rig);
}

static void a_receipt_for_another_keyset_is_refused(void)
{
    rig_open(&rig);
    get_backup();
    ask_receipt();
    retry_attempt(&rig);
    rig_send(&rig);
    expect(409, "keyset_mismatch", true);
    CU_ASSERT_EQUAL(rig.acknowledged, 0);
    rig_close(&rig);
}

static void a_receipt_that_cannot_be_stored_is_not_acknowledged(void)
{
    rig_open(&rig);
    get_backup();
    ask_receipt();
    rig.acknowledge_err = MIG_ERR_IO;
    rig_send(&rig);
    expect(503, "store_unavailable", true);
    CU_ASSERT(rig_logged(&rig, "receipt_not_recorded"));
    CU_ASSERT_EQUAL(rig.counters.last_backup_acknowledged_at, 0);
    rig_close(&rig);
}

static void only_the_last_backups_are_remembered(void)
{
    static struct mig_served served;
    uint8_t hash[MIG_DIGEST_LEN] = {0};
    mig_served_init(&served);
    CU_ASSERT_FALSE(mig_served_has(&served, hash));
    for (unsigned i = 0; i <= MIG_SERVED_MAX; i++) {
        hash[0] = (uint8_t)i;
        mig_served_put(&served, hash);
        CU_ASSERT(mig_served_has(&served, hash));
    }
    hash[0] = 0;
    CU_ASSERT_FALSE(mig_served_has(&served, hash));
    hash[0] = 1;
    CU_ASSERT(mig_served_has(&served, hash));
    mig_served_clear(&served);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(lacking_shares_is_not_retryable_and_alarms),
        TEST(an_unreadable_store_is_told_to_come_again),
        TEST(a_share_that_is_no_scalar_is_never_served),
        TEST(an_empty_keyset_is_never_served),
        TEST(a_keyset_that_differs_only_in_the_attempt_is_another),
        TEST(who_is_no_participant_serves_none),
        TEST(a_client_key_without_a_secret_is_malformed),
        TEST(serves_a_backup_that_opens_to_the_nodes_shares),
        TEST(the_answer_adds_its_key_to_the_context_and_nothing_else),
        TEST(every_backup_has_a_key_of_its_own),
        TEST(a_thousand_domains_are_served_like_two),
        TEST(the_operator_key_goes_into_the_seal),
        TEST(a_published_key_serves_one_backup_and_adds_nothing),
        TEST(a_key_the_contract_does_not_show_is_unpublished),
        TEST(a_keeper_without_published_keys_serves_none),
        TEST(a_change_during_the_load_is_answered_as_a_fresh_request_would_be),
        TEST(an_answer_on_its_way_is_admitted_until_the_view_says_otherwise),
        TEST(a_receipt_of_a_served_backup_is_known_and_recorded),
        TEST(a_receipt_can_be_repeated),
        TEST(a_receipt_of_another_process_is_taken_but_not_known),
        TEST(a_receipt_for_another_keyset_is_refused),
        TEST(a_receipt_that_cannot_be_stored_is_not_acknowledged),
        TEST(only_the_last_backups_are_remembered),
    };
    return run_tests("shares_backup", tests, sizeof tests / sizeof *tests);
}
