/* SPDX-License-Identifier: MIT */
#include "tests/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlers/inside.h"
#include "tests/harness.h"

static struct rig rig;

static const struct rig_options DESTINATION = {.is_destination = true};

static void open_destination(void)
{
    rig_open_with(&rig, &DESTINATION);
}

static void expect(unsigned status, const char *code, bool is_signed)
{
    CU_ASSERT_EQUAL(rig_status(&rig), status);
    CU_ASSERT_STRING_EQUAL(rig_code(&rig), code);
    CU_ASSERT_EQUAL(rig_is_signed(&rig), is_signed);
}

static bool says(const char *text)
{
    return strstr(rig_text(&rig), text) != NULL;
}

static void upload(void)
{
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig_send(&rig);
}

/* Headers only; the body is the caller's. */
static void begin_upload(void)
{
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig_compose(&rig);
    rig_sign(&rig);
    CU_ASSERT_EQUAL(rig_begin(&rig), MIG_STEP_BODY);
}

static void finish_upload(void)
{
    rig_feed_body(&rig, rig.body, rig.ask.body_len);
    rig_finish(&rig);
}

static bool is_zero(const struct mig_secret *secret)
{
    for (size_t i = 0; i < secret->len; i++)
        if (secret->bytes[i] != 0)
            return false;
    return true;
}

static bool upload_is_wiped(void)
{
    const struct mig_upload *u = &rig.service->upload;
    return is_zero(u->body) && is_zero(u->plain) && is_zero(u->shares) && is_zero(u->key) &&
           is_zero(u->pair.secret);
}

/* Nothing stored, nothing held, nothing left in memory. */
static void expect_nothing_kept(void)
{
    CU_ASSERT_FALSE(rig.has_receipt);
    CU_ASSERT_FALSE(rig.import_taken);
    CU_ASSERT_EQUAL(rig.imports_begun, rig.imports_ended);
    CU_ASSERT_FALSE(rig.ended_with_receipt);
    CU_ASSERT(upload_is_wiped());
}

static bool offer_is_still_there(void)
{
    uint8_t before[MIG_KEY_LEN];
    memcpy(before, rig.offered, MIG_KEY_LEN);
    rig_get_offer(&rig);
    return rig.has_offer && memcmp(before, rig.offered, MIG_KEY_LEN) == 0;
}

static bool admits_now(void)
{
    const struct mig_view *view = mig_cache_view(rig.cache);
    bool admits = mig_exchange_is_admitted(rig.exchange, view);
    mig_view_release(&view);
    return admits;
}

/* ---- the offer ------------------------------------------------------------------- */

static void the_offer_stays_until_it_lapses(void)
{
    char first[1024];
    open_destination();
    rig_get_offer(&rig);
    expect(200, "", true);
    strcpy(first, rig_text(&rig));
    CU_ASSERT_EQUAL(strncmp(first, "{\"job\":\"waiting\",\"epoch\":\"5\",\"keyset\":\"", 39), 0);
    CU_ASSERT(says("\",\"expires_in\":600,\"receipt\":null}"));
    CU_ASSERT_STRING_EQUAL(rig_field(&rig, "content-type"), "application/json");
    rig_get_offer(&rig);
    CU_ASSERT_STRING_EQUAL(first, rig_text(&rig));
    for (int i = 0; i < 599; i++)
        rig_tell(&rig);
    CU_ASSERT(offer_is_still_there());
    CU_ASSERT(says("\"expires_in\":1,"));
    rig_tell(&rig);
    CU_ASSERT_FALSE(offer_is_still_there());
    CU_ASSERT(says("\"expires_in\":600,"));
    rig_close(&rig);
}

static void the_offer_goes_with_key_keyset_state_and_record(void)
{
    for (int i = 0; i < 5; i++) {
        open_destination();
        rig_get_offer(&rig);
        switch (i) {
        case 0:
            rig.world.service = rig.rotated;
            break;
        case 1:
            rig.world.attempt++;
            break;
        case 2:
            rig.world.protocol = MIG_PROTOCOL_RESHARING;
            break;
        case 3:
            rig.world.destination = rig.other;
            break;
        default:
            rig.world.record++;
            break;
        }
        rig_tell(&rig);
        CU_ASSERT_FALSE(rig.service->offer.live);
        CU_ASSERT(is_zero(rig.service->offer.pair.secret));
        rig_close(&rig);
    }
}

static void a_change_of_others_leaves_the_offer_alone(void)
{
    open_destination();
    rig_get_offer(&rig);
    rig.world.seat = NULL;
    rig_tell(&rig);
    CU_ASSERT(rig.service->offer.live);
    rig.world.seat = rig.other;
    rig_tell(&rig);
    CU_ASSERT(offer_is_still_there());
    rig_close(&rig);
}

static void a_lapsed_offer_is_wiped_at_the_next_view(void)
{
    open_destination();
    rig_get_offer(&rig);
    rig_wait(&rig, 599);
    CU_ASSERT(rig.service->offer.live);
    rig_tell(&rig);
    CU_ASSERT_FALSE(rig.service->offer.live);
    CU_ASSERT(is_zero(rig.service->offer.pair.secret));
    rig_close(&rig);
}

static void who_is_no_destination_gets_no_offer(void)
{
    open_destination();
    rig.world.destination = rig.rotated;
    rig_tell(&rig);
    rig_get_offer(&rig);
    expect(403, "not_destination", true);
    rig.world.destination = NULL;
    rig_tell(&rig);
    rig_get_offer(&rig);
    expect(409, "no_migration", true);
    rig.world.protocol = MIG_PROTOCOL_RESHARING;
    rig_tell(&rig);
    rig_get_offer(&rig);
    expect(503, "not_running", true);
    rig_close(&rig);
}

static void who_lost_the_seat_needs_a_later_record(void)
{
    open_destination();
    rig.seat_lost_at = rig.height + 5;
    rig_get_offer(&rig);
    expect(403, "decommissioned", true);
    upload();
    expect(403, "decommissioned", true);
    rig_close(&rig);
}

static void during_an_import_there_is_no_offer(void)
{
    open_destination();
    rig.import_taken = true;
    rig_get_offer(&rig);
    expect(200, "", true);
    CU_ASSERT_FALSE(rig.has_offer);
    CU_ASSERT(says("{\"job\":\"importing\""));
    CU_ASSERT(says("\"node_key\":null,\"expires_in\":0,\"receipt\":null}"));
    rig.import_taken = false;
    rig_close(&rig);
}

static void a_participant_without_a_receipt_is_told_there_is_no_migration(void)
{
    rig_open(&rig);
    rig_get_offer(&rig);
    expect(409, "no_migration", true);
    rig.world.destination = rig.other;
    rig_tell(&rig);
    rig_get_offer(&rig);
    expect(403, "not_destination", true);
    rig_close(&rig);
}

static void an_unreadable_receipt_is_a_store_failure(void)
{
    open_destination();
    rig.receipt_err = MIG_ERR_IO;
    rig_get_offer(&rig);
    expect(503, "store_unavailable", true);
    rig_close(&rig);
}

/* ---- the upload, when all is well ---------------------------------------------------- */

static void imports_shares_and_gives_a_receipt(void)
{
    open_destination();
    rig_get_offer(&rig);
    upload();
    expect(201, "", true);
    CU_ASSERT_EQUAL(memcmp(rig.imported, rig.shares, 2 * MIG_SHARE_LEN), 0);
    CU_ASSERT_EQUAL(strncmp(rig_text(&rig), "{\"epoch\":\"5\",\"keyset\":\"", 23), 0);
    char tail[64];
    (void)snprintf(tail, sizeof tail, "\",\"shares\":2,\"imported_at\":%lu}",
                   (unsigned long)(rig.wall_ns / 1000000000u));
    CU_ASSERT(says(tail));
    CU_ASSERT(rig.ended_with_receipt);
    CU_ASSERT(upload_is_wiped());
    CU_ASSERT(rig_logged(&rig, "import_done"));
    CU_ASSERT_EQUAL(rig.counters.imports[MIG_IMPORT_STORED], 1);
    CU_ASSERT_EQUAL(rig.counters.requests[MIG_ENDPOINT_RECOVER_PUT][101], 1);
    rig_close(&rig);
}

static void post_does_the_same_as_put(void)
{
    open_destination();
    rig_get_offer(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.ask.method = "POST";
    rig_send(&rig);
    expect(201, "", true);
    rig_close(&rig);
}

static void the_same_shares_again_are_200_with_the_first_receipt(void)
{
    char first[512];
    open_destination();
    rig_get_offer(&rig);
    upload();
    strcpy(first, rig_text(&rig));
    rig_wait(&rig, 20);
    upload();
    expect(409, "offer_unknown", true);
    rig_get_offer(&rig);
    CU_ASSERT(says("{\"job\":\"imported\""));
    CU_ASSERT(rig.has_offer);
    upload();
    expect(200, "", true);
    CU_ASSERT_STRING_EQUAL(rig_text(&rig), first);
    CU_ASSERT_EQUAL(rig.counters.imports[MIG_IMPORT_REPEATED], 1);
    rig_close(&rig);
}

static void a_lost_receipt_can_be_learnt_before_and_after_the_swap(void)
{
    char receipt[600];
    open_destination();
    rig_get_offer(&rig);
    upload();
    (void)snprintf(receipt, sizeof receipt, "\"receipt\":%s}", rig_text(&rig));
    rig_get_offer(&rig);
    CU_ASSERT(says("{\"job\":\"imported\""));
    CU_ASSERT(says(receipt));
    rig.world.seat = rig.node;
    rig.world.destination = NULL;
    rig_tell(&rig);
    rig_get_offer(&rig);
    expect(200, "", true);
    CU_ASSERT(says("{\"job\":\"done\""));
    CU_ASSERT(says("\"node_key\":null,\"expires_in\":0,"));
    CU_ASSERT(says(receipt));
    /* The receipt belongs to that keyset only. */
    rig.world.epoch = 6;
    rig_tell(&rig);
    rig_get_offer(&rig);
    expect(409, "no_migration", true);
    rig_close(&rig);
}

static void a_thousand_domains_are_imported(void)
{
    rig_open_with(&rig, &(struct rig_options){.is_destination = true, .domains = MIG_DOMAINS_MAX});
    rig_get_offer(&rig);
    upload();
    expect(201, "", true);
    CU_ASSERT_EQUAL(memcmp(rig.imported, rig.shares, sizeof rig.shares), 0);
    CU_ASSERT(says("\"shares\":1024,"));
    rig_close(&rig);
}

static void the_operator_key_goes_into_the_seal(void)
{
    rig_open_with(&rig, &(struct rig_options){.is_destination = true, .with_operator_key = true});
    rig_get_offer(&rig);
    upload();
    expect(201, "", true);
    rig_get_offer(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.operator_key->bytes[9] ^= 1; /* the node's, after the service sealed */
    rig_send(&rig);
    expect(400, "malformed", true);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.ask.context.has_operator_tag = false;
    rig_send(&rig);
    expect(409, "operator_key", true);
    rig_close(&rig);
}

/* ---- refusals before the body ---------------------------------------------------------- */

static void a_second_import_is_busy_until_the_first_ends(void)
{
    struct mig_exchange *first;
    open_destination();
    rig_get_offer(&rig);
    begin_upload();
    first = rig.exchange;
    rig.exchange = NULL;
    upload();
    expect(409, "busy", true);
    mig_exchange_end(&first);
    CU_ASSERT(upload_is_wiped());
    upload();
    expect(201, "", true);
    rig_close(&rig);
}

static void two_imports_never_share_the_memory_whatever_the_keeper_says(void)
{
    struct mig_exchange *first;
    open_destination();
    rig_get_offer(&rig);
    begin_upload();
    first = rig.exchange;
    rig.exchange = NULL;
    rig.import_taken = false;
    upload();
    expect(409, "busy", true);
    rig.import_taken = true;
    mig_exchange_end(&first);
    rig_close(&rig);
}

static void a_keeper_that_fails_is_a_store_failure(void)
{
    open_destination();
    rig_get_offer(&rig);
    rig.import_begin_err = MIG_ERR_IO;
    upload();
    expect(503, "store_unavailable", true);
    rig.import_begin_err = MIG_OK;
    rig.writable_err = MIG_ERR_IO;
    upload();
    expect(503, "store_unavailable", true);
    CU_ASSERT_EQUAL(rig_status(&rig), 503);
    expect_nothing_kept();
    CU_ASSERT(offer_is_still_there());
    rig_close(&rig);
}

static void the_keeper_is_told_which_keyset_was_admitted(void)
{
    open_destination();
    rig_get_offer(&rig);
    upload();
    CU_ASSERT_EQUAL(rig_status(&rig), 201);
    CU_ASSERT_EQUAL(memcmp(rig.import_keyset, rig.ask.context.keyset, MIG_DIGEST_LEN), 0);
    rig_close(&rig);
}

static void an_offer_that_was_never_made_is_unknown(void)
{
    open_destination();
    upload();
    expect(409, "offer_unknown", true);
    CU_ASSERT(says("\"retryable\":true"));
    rig_get_offer(&rig);
    rig_wait(&rig, 599);
    rig_tell(&rig);
    upload();
    expect(409, "offer_unknown", true);
    expect_nothing_kept();
    rig_close(&rig);
}

/* ---- bodies ------------------------------------------------------------------------------- */

static void a_body_at_the_cap_is_read_one_byte_over_is_not(void)
{
    open_destination();
    rig_get_offer(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.ask.body_len = MIG_SEALED_MAX;
    rig_send(&rig);
    expect(400, "malformed", true); /* read, and no container */
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.ask.body_len = MIG_SEALED_MAX + 1;
    rig_send(&rig);
    expect(413, "too_large", false);
    expect_nothing_kept();
    rig_close(&rig);
}

static void a_body_that_is_shorter_or_longer_than_announced_is_malformed(void)
{
    static const int OFF[] = {-1, 1, 1000};
    open_destination();
    for (size_t i = 0; i < 3; i++) {
        rig_get_offer(&rig);
        begin_upload();
        rig_feed_body(&rig, rig.body, rig.ask.body_len - 1);
        for (int n = -1; n < OFF[i]; n++)
            rig_feed_body(&rig, rig.body + rig.ask.body_len - 1, 1);
        rig_finish(&rig);
        expect(400, "malformed", true);
        expect_nothing_kept();
        CU_ASSERT(offer_is_still_there());
    }
    begin_upload();
    rig_finish(&rig);
    expect(400, "malformed", true);
    CU_ASSERT(offer_is_still_there());
    CU_ASSERT_EQUAL(rig.counters.imports[MIG_IMPORT_REFUSED], 4);
    rig_close(&rig);
}

static void an_empty_body_is_no_container(void)
{
    open_destination();
    rig_get_offer(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.ask.body_len = 0;
    rig_send(&rig);
    expect(400, "malformed", true);
    expect_nothing_kept();
    rig_close(&rig);
}

static void a_body_with_another_digest_leaves_the_offer(void)
{
    open_destination();
    rig_get_offer(&rig);
    begin_upload();
    rig.body[100] ^= 1;
    finish_upload();
    expect(400, "digest_mismatch", true);
    expect_nothing_kept();
    CU_ASSERT(offer_is_still_there());
    upload();
    expect(201, "", true);
    rig_close(&rig);
}

/* The container is changed before it is signed: authentic, but not intact. */
static void expect_container_refused(void)
{
    rig_send(&rig);
    expect(400, "malformed", true);
    expect_nothing_kept();
    CU_ASSERT(rig_logged(&rig, "import_refused"));
    CU_ASSERT_FALSE(offer_is_still_there());
    CU_ASSERT(rig.has_offer);
}

static void a_container_that_is_cut_or_extended_is_malformed_and_uses_up_the_offer(void)
{
    open_destination();
    rig_get_offer(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.ask.body_len--;
    expect_container_refused();
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.body[rig.ask.body_len++] = 0;
    expect_container_refused();
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.body[0] = 'm';
    expect_container_refused();
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.body[60] ^= 1;
    expect_container_refused();
    rig_close(&rig);
}

static void frames_in_another_order_are_malformed(void)
{
    enum { PREFIX = 32, FULL = 4 + 17 + MIG_SEALED_CHUNK };
    static uint8_t frame[FULL];
    rig_open_with(&rig, &(struct rig_options){.is_destination = true, .domains = MIG_DOMAINS_MAX});
    rig_get_offer(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    CU_ASSERT_FATAL(rig.ask.body_len > PREFIX + FULL); /* two frames at least */
    uint8_t *big = calloc(1, 3 * MIG_SEALED_CHUNK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(big);
    rig_seal_bytes(&rig, big, 3 * MIG_SEALED_CHUNK);
    free(big);
    memcpy(frame, rig.body + PREFIX, FULL);
    memmove(rig.body + PREFIX, rig.body + PREFIX + FULL, FULL);
    memcpy(rig.body + PREFIX + FULL, frame, FULL);
    expect_container_refused();
    rig_ask(&rig, MIG_RESOURCE_UPLOAD); /* the first frame alone, and dropped */
    size_t whole = rig.ask.body_len;
    rig.ask.body_len = PREFIX + FULL;
    expect_container_refused();
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    memmove(rig.body + PREFIX, rig.body + PREFIX + FULL, whole - PREFIX - FULL);
    rig.ask.body_len = whole - FULL;
    expect_container_refused();
    rig_close(&rig);
}

static void a_container_for_another_node_epoch_or_direction_does_not_open(void)
{
    open_destination();
    rig_get_offer(&rig);
    for (int i = 0; i < 4; i++) {
        struct mig_keyset keyset;
        rig_ask(&rig, MIG_RESOURCE_UPLOAD);
        struct mig_context honest = rig.ask.context;
        if (i == 0)
            memcpy(rig.ask.context.node, rig.other->public_key, MIG_KEY_LEN);
        else if (i == 1)
            rig.ask.context.epoch++;
        else if (i == 2)
            rig.ask.context.keyset[0] ^= 1;
        else
            rig.ask.context.direction = MIG_BACKUP;
        rig_keyset(&rig, &keyset);
        rig_seal(&rig, &keyset, (const uint8_t(*)[MIG_SHARE_LEN])rig.shares);
        mig_keyset_clear(&keyset);
        rig.ask.context = honest;
        expect_container_refused();
    }
    rig_close(&rig);
}

static void a_backup_cannot_be_sent_back_as_it_is(void)
{
    open_destination();
    rig_get_offer(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    /* Sealed node to service, over the very context of the upload. */
    struct mig_secret *key = mig_secret_new(MIG_SEALING_KEY_LEN);
    char text[MIG_CONTEXT_MAX + 1];
    size_t len;
    CU_ASSERT_EQUAL(mig_context_format(&rig.ask.context, text, sizeof text, &len), MIG_OK);
    CU_ASSERT_EQUAL(
        mig_exchange(&rig.client, MIG_ROLE_SERVICE, rig.offered, MIG_BACKUP, text, len, NULL, key),
        MIG_OK);
    CU_ASSERT_EQUAL(
        mig_container_seal(key, (const uint8_t *)"x", 1, rig.body, RIG_BODY_MAX, &rig.ask.body_len),
        MIG_OK);
    mig_secret_free(&key);
    expect_container_refused();
    rig_close(&rig);
}

static void a_client_key_without_a_secret_is_malformed_and_uses_up_the_offer(void)
{
    open_destination();
    rig_get_offer(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    memset(rig.ask.context.client_key, 0, MIG_KEY_LEN);
    expect_container_refused();
    rig_close(&rig);
}

/* ---- plaintexts ----------------------------------------------------------------------------- */

static void expect_shares_refused(const char *code)
{
    rig_send(&rig);
    expect(422, code, true);
    expect_nothing_kept();
    CU_ASSERT_FALSE(offer_is_still_there());
}

static void seal_changed(void (*change)(struct mig_keyset *))
{
    struct mig_keyset keyset;
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig_keyset(&rig, &keyset);
    change(&keyset);
    rig_seal(&rig, &keyset, (const uint8_t(*)[MIG_SHARE_LEN])rig.shares);
    mig_keyset_clear(&keyset);
}

static void other_key(struct mig_keyset *k)
{
    k->domains[1].key[3] ^= 1;
}
static void other_attempt(struct mig_keyset *k)
{
    k->domains[0].attempt++;
}
static void other_epoch(struct mig_keyset *k)
{
    k->epoch--;
}
static void other_domain(struct mig_keyset *k)
{
    k->domains[1].domain++;
}
static void one_less(struct mig_keyset *k)
{
    k->count--;
}
static void other_curve(struct mig_keyset *k)
{
    k->domains[1].curve = MIG_CURVE_BLS12381G2;
    k->domains[1].key_len = 96;
}

static void shares_of_other_public_keys_are_wrong_key(void)
{
    open_destination();
    rig_get_offer(&rig);
    seal_changed(other_key);
    expect_shares_refused("wrong_key");
    seal_changed(other_curve);
    expect_shares_refused("wrong_key");
    rig_close(&rig);
}

static void shares_of_another_set_are_incomplete(void)
{
    static void (*const CHANGES[])(struct mig_keyset *) = {other_attempt, other_epoch, other_domain,
                                                           one_less};
    open_destination();
    rig_get_offer(&rig);
    for (size_t i = 0; i < sizeof CHANGES / sizeof CHANGES[0]; i++) {
        seal_changed(CHANGES[i]);
        expect_shares_refused("incomplete");
    }
    rig_close(&rig);
}

static void a_plaintext_that_does_not_parse_is_incomplete(void)
{
    static const uint8_t ZEROS[400];
    open_destination();
    rig_get_offer(&rig);
    static const size_t LENGTHS[] = {0, 1, 3, 4, 5, 400};
    for (size_t i = 0; i < sizeof LENGTHS / sizeof LENGTHS[0]; i++) {
        rig_ask(&rig, MIG_RESOURCE_UPLOAD);
        rig_seal_bytes(&rig, ZEROS, LENGTHS[i]);
        expect_shares_refused("incomplete");
    }
    rig_close(&rig);
}

static void a_share_that_is_zero_or_not_reduced_is_incomplete(void)
{
    for (int i = 0; i < 2; i++) {
        struct mig_keyset keyset;
        size_t len;
        open_destination();
        rig_get_offer(&rig);
        rig_ask(&rig, MIG_RESOURCE_UPLOAD);
        rig_keyset(&rig, &keyset);
        struct mig_secret *plain = mig_secret_new(mig_shares_plain_len(&keyset));
        CU_ASSERT_EQUAL(
            mig_shares_encode(&keyset, (const uint8_t(*)[MIG_SHARE_LEN])rig.shares, plain, &len),
            MIG_OK);
        memset(plain->bytes + len - MIG_SHARE_LEN, i == 0 ? 0 : 0xff, MIG_SHARE_LEN);
        rig_seal_bytes(&rig, plain->bytes, len);
        mig_secret_free(&plain);
        mig_keyset_clear(&keyset);
        expect_shares_refused("incomplete");
        rig_close(&rig);
    }
}

/* ---- the store ---------------------------------------------------------------------------------
 */

static void different_shares_are_a_conflict_and_the_stored_ones_stay(void)
{
    open_destination();
    rig_get_offer(&rig);
    upload();
    rig_get_offer(&rig);
    rig.shares[0][9] ^= 1;
    upload();
    expect(409, "shares_conflict", true);
    CU_ASSERT_EQUAL(rig.imported[0][9], rig.shares[0][9] ^ 1);
    CU_ASSERT_FALSE(rig.ended_with_receipt);
    CU_ASSERT(upload_is_wiped());
    rig_close(&rig);
}

static void a_full_disk_at_the_import_is_503_and_keeps_nothing(void)
{
    static const enum mig_err ERRORS[] = {MIG_ERR_IO, MIG_ERR_NOMEM, MIG_ERR_BUG,
                                          MIG_ERR_CANCELLED};
    for (size_t i = 0; i < sizeof ERRORS / sizeof ERRORS[0]; i++) {
        open_destination();
        rig_get_offer(&rig);
        rig.import_err = ERRORS[i];
        upload();
        expect(503, "store_unavailable", true);
        CU_ASSERT_STRING_EQUAL(rig_field(&rig, "retry-after"), "10");
        expect_nothing_kept();
        CU_ASSERT_EQUAL(rig.counters.imports[MIG_IMPORT_FAILED], 1);
        CU_ASSERT(rig_logged(&rig, "import_refused"));
        rig_close(&rig);
    }
}

/* ---- the view moves
 * ------------------------------------------------------------------------------ */

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
static void redirect(struct rig *r)
{
    r->world.destination = r->rotated;
    rig_tell(r);
}
static void call_off(struct rig *r)
{
    r->world.destination = NULL;
    rig_tell(r);
}
static void freeze(struct rig *r)
{
    rig_wait(r, 32);
}
static void others_move(struct rig *r)
{
    r->world.seat = r->rotated;
    rig_tell(r);
}

/* A new attempt means that Running ended in between, unseen: the record does
 * not outlive that. */
static const struct {
    void (*change)(struct rig *);
    unsigned status;
    const char *code;
    bool is_signed;
} CHANGES[] = {
    {reshare, 503, "not_running", true},
    {rotate, 401, "unauthorized", false},
    {retry_attempt, 409, "no_migration", true},
    {redirect, 403, "not_destination", true},
    {call_off, 409, "no_migration", true},
    {freeze, 503, "stale_view", true},
    {others_move, 201, "", true},
};
enum { CHANGE_COUNT = sizeof CHANGES / sizeof CHANGES[0] };
static size_t after_fence; /* which of them */

static void expect_cancelled(size_t i)
{
    bool cancelled = CHANGES[i].status >= 400;
    expect(CHANGES[i].status, CHANGES[i].code, CHANGES[i].is_signed);
    CU_ASSERT_EQUAL(rig.counters.imports[MIG_IMPORT_CANCELLED], cancelled);
    CU_ASSERT_EQUAL(rig.counters.imports[MIG_IMPORT_STORED], !cancelled);
    if (!cancelled)
        return;
    CU_ASSERT(rig_logged(&rig, "import_cancelled"));
    expect_nothing_kept();
}

static void a_change_during_a_slow_upload_cancels_it(void)
{
    for (size_t i = 0; i < CHANGE_COUNT; i++) {
        open_destination();
        rig_get_offer(&rig);
        begin_upload();
        rig_feed_body(&rig, rig.body, 50);
        CHANGES[i].change(&rig);
        CU_ASSERT_EQUAL(admits_now(), CHANGES[i].status == 201);
        rig_feed_body(&rig, rig.body + 50, rig.ask.body_len - 50);
        rig_finish(&rig);
        expect_cancelled(i);
        rig_close(&rig);
    }
}

static void a_change_at_the_commit_cancels_it(void)
{
    for (size_t i = 0; i < CHANGE_COUNT; i++) {
        open_destination();
        rig_get_offer(&rig);
        rig.during_import = CHANGES[i].change;
        upload();
        expect_cancelled(i);
        CU_ASSERT(admits_now());
        rig_close(&rig);
    }
}

/* Nobody cuts the connection of what is being made durable. */
static void change_after_fence(struct rig *r)
{
    CHANGES[after_fence].change(r);
    CU_ASSERT(admits_now());
}

static void a_change_after_the_commit_undoes_nothing(void)
{
    for (size_t i = 0; i < CHANGE_COUNT; i++) {
        open_destination();
        rig_get_offer(&rig);
        after_fence = i;
        rig.after_fence = change_after_fence;
        upload();
        expect(201, "", true);
        CU_ASSERT(rig.has_receipt);
        CU_ASSERT(admits_now());
        rig_close(&rig);
    }
}

static void a_new_record_for_the_same_node_needs_a_new_offer(void)
{
    open_destination();
    rig_get_offer(&rig);
    begin_upload();
    rig.world.record++;
    rig_tell(&rig);
    finish_upload();
    expect(409, "offer_unknown", true);
    expect_nothing_kept();
    rig_get_offer(&rig);
    upload();
    expect(201, "", true);
    rig_close(&rig);
}

static void an_offer_that_lapses_during_the_upload_is_unknown(void)
{
    open_destination();
    rig_get_offer(&rig);
    rig_wait(&rig, 590);
    rig_tell(&rig);
    begin_upload();
    rig_wait(&rig, 12);
    finish_upload();
    expect(409, "offer_unknown", true);
    expect_nothing_kept();
    rig_close(&rig);
}

static void an_upload_that_is_abandoned_leaves_nothing(void)
{
    open_destination();
    rig_get_offer(&rig);
    begin_upload();
    rig_feed_body(&rig, rig.body, 100);
    CU_ASSERT_FALSE(upload_is_wiped());
    rig_end(&rig);
    expect_nothing_kept();
    CU_ASSERT_EQUAL(rig.counters.imports[MIG_IMPORT_REFUSED], 1);
    CU_ASSERT(offer_is_still_there());
    begin_upload();
    reshare(&rig);
    rig_end(&rig);
    expect_nothing_kept();
    CU_ASSERT_EQUAL(rig.counters.imports[MIG_IMPORT_CANCELLED], 1);
    rig_close(&rig);
}

static void a_host_that_does_not_ask_the_fence_still_tells_the_truth(void)
{
    open_destination();
    rig_get_offer(&rig);
    rig.asks_fence = false;
    upload();
    expect(201, "", true);
    rig_close(&rig);
}

/* ---- keys announced on chain
 * ------------------------------------------------------------------------ */

static const struct rig_options ANNOUNCING = {.is_destination = true,
                                              .announce = MIG_ANNOUNCE_CONTRACT};

static void the_offer_is_the_published_key(void)
{
    uint8_t published[MIG_KEY_LEN];
    rig_open_with(&rig, &ANNOUNCING);
    rig_get_offer(&rig);
    expect(200, "", true);
    memcpy(published, rig.world.published_node, MIG_KEY_LEN);
    CU_ASSERT_EQUAL(memcmp(rig.offered, published, MIG_KEY_LEN), 0);
    CU_ASSERT(says("\"expires_in\":3600,"));
    rig.world.published_node = NULL;
    rig_tell(&rig);
    rig_get_offer(&rig);
    expect(409, "ephemeral_unpublished", true);
    rig_close(&rig);
}

static void a_published_key_serves_one_upload(void)
{
    rig_open_with(&rig, &ANNOUNCING);
    upload();
    expect(201, "", true);
    upload();
    expect(409, "ephemeral_unpublished", true);
    CU_ASSERT_FALSE(rig.import_taken);
    rig_close(&rig);
}

static void an_upload_with_an_unpublished_key_is_refused_before_its_body(void)
{
    rig_open_with(&rig, &ANNOUNCING);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig.ask.context.client_key[0] ^= 1;
    rig_compose(&rig);
    rig_sign(&rig);
    CU_ASSERT_EQUAL(rig_begin(&rig), MIG_STEP_RESPOND);
    expect(409, "ephemeral_unpublished", true);
    rig.service->config.keeper.take_published = NULL;
    upload();
    expect(409, "ephemeral_unpublished", true);
    expect_nothing_kept();
    rig_close(&rig);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(the_offer_stays_until_it_lapses),
        TEST(the_offer_goes_with_key_keyset_state_and_record),
        TEST(a_change_of_others_leaves_the_offer_alone),
        TEST(a_lapsed_offer_is_wiped_at_the_next_view),
        TEST(who_is_no_destination_gets_no_offer),
        TEST(who_lost_the_seat_needs_a_later_record),
        TEST(during_an_import_there_is_no_offer),
        TEST(a_participant_without_a_receipt_is_told_there_is_no_migration),
        TEST(an_unreadable_receipt_is_a_store_failure),
        TEST(imports_shares_and_gives_a_receipt),
        TEST(post_does_the_same_as_put),
        TEST(the_same_shares_again_are_200_with_the_first_receipt),
        TEST(a_lost_receipt_can_be_learnt_before_and_after_the_swap),
        TEST(a_thousand_domains_are_imported),
        TEST(the_operator_key_goes_into_the_seal),
        TEST(a_second_import_is_busy_until_the_first_ends),
        TEST(two_imports_never_share_the_memory_whatever_the_keeper_says),
        TEST(a_keeper_that_fails_is_a_store_failure),
        TEST(the_keeper_is_told_which_keyset_was_admitted),
        TEST(an_offer_that_was_never_made_is_unknown),
        TEST(a_body_at_the_cap_is_read_one_byte_over_is_not),
        TEST(a_body_that_is_shorter_or_longer_than_announced_is_malformed),
        TEST(an_empty_body_is_no_container),
        TEST(a_body_with_another_digest_leaves_the_offer),
        TEST(a_container_that_is_cut_or_extended_is_malformed_and_uses_up_the_offer),
        TEST(frames_in_another_order_are_malformed),
        TEST(a_container_for_another_node_epoch_or_direction_does_not_open),
        TEST(a_backup_cannot_be_sent_back_as_it_is),
        TEST(a_client_key_without_a_secret_is_malformed_and_uses_up_the_offer),
        TEST(shares_of_other_public_keys_are_wrong_key),
        TEST(shares_of_another_set_are_incomplete),
        TEST(a_plaintext_that_does_not_parse_is_incomplete),
        TEST(a_share_that_is_zero_or_not_reduced_is_incomplete),
        TEST(different_shares_are_a_conflict_and_the_stored_ones_stay),
        TEST(a_full_disk_at_the_import_is_503_and_keeps_nothing),
        TEST(a_change_during_a_slow_upload_cancels_it),
        TEST(a_change_at_the_commit_cancels_it),
        TEST(a_change_after_the_commit_undoes_nothing),
        TEST(a_new_record_for_the_same_node_needs_a_new_offer),
        TEST(an_offer_that_lapses_during_the_upload_is_unknown),
        TEST(an_upload_that_is_abandoned_leaves_nothing),
        TEST(a_host_that_does_not_ask_the_fence_still_tells_the_truth),
        TEST(the_offer_is_the_published_key),
        TEST(a_published_key_serves_one_upload),
        TEST(an_upload_with_an_unpublished_key_is_refused_before_its_body),
    };
    return run_tests("shares_recover", tests, sizeof tests / sizeof *tests);
}
