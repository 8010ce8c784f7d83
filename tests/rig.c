/* SPDX-License-Identifier: MIT */
#include "tests/rig.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/digest.h"
#include "crypto/encoding.h"

static const char CONTRACT[] = "v1.signer";
static const char ACCOUNT[] = "alice.near";
enum { SECOND = 1000000000 };

static void need(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "rig: %s\n", what);
    abort();
}

/* ---- the contract -------------------------------------------------------------- */

static void group_key(size_t domain, struct mig_domain_key *key)
{
    static const uint16_t LEN[] = {64, 32, 96};
    *key = (struct mig_domain_key){.domain = domain * 3};
    key->curve = (enum mig_curve)(1 + domain % 3);
    key->key_len = LEN[domain % 3];
    for (size_t i = 0; i < key->key_len; i++)
        key->key[i] = (uint8_t)(i * 7 + domain + 1);
}

void rig_keyset(const struct rig *rig, struct mig_keyset *keyset)
{
    keyset->epoch = rig->world.epoch;
    keyset->count = rig->world.domains;
    keyset->domains = calloc(keyset->count + 1, sizeof keyset->domains[0]);
    need(keyset->domains != NULL, "memory");
    for (size_t i = 0; i < keyset->count; i++)
        group_key(i, &keyset->domains[i]);
    if (keyset->count > 0)
        keyset->domains[0].attempt = rig->world.attempt;
}

struct text {
    char *at;
    size_t len, cap;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at + t->len, t->cap - t->len, format, args);
    va_end(args);
    need(n >= 0 && (size_t)n < t->cap - t->len, "text too long");
    t->len += (size_t)n;
}

static const char *key_text(const uint8_t key[MIG_KEY_LEN])
{
    static char text[2][MIG_KEY_TEXT_MAX];
    static unsigned turn;
    mig_key_format(key, text[++turn & 1]);
    return text[turn & 1];
}

static void put_domains(struct text *t, const struct rig_world *w)
{
    static const char *const PROTOCOL[] = {"CaitSith", "Frost", "ConfidentialKeyDerivation"};
    put(t, "{\"domains\":[");
    for (size_t i = 0; i < w->domains; i++)
        put(t,
            "%s{\"id\":%zu,\"protocol\":\"%s\",\"reconstruction_threshold\":2,\"purpose\":\"%s\"}",
            i ? "," : "", i * 3, PROTOCOL[i % 3], i % 3 == 2 ? "CKD" : "Sign");
    put(t, "],\"next_domain_id\":%zu}", w->domains * 3);
}

static void put_key(struct text *t, const struct mig_domain_key *key)
{
    char text[MIG_GROUP_KEY_TEXT_MAX];
    mig_group_key_format(key, text);
    if (key->curve == MIG_CURVE_SECP256K1) {
        put(t, "{\"Secp256k1\":{\"near_public_key\":\"%s\"}}", text);
    } else if (key->curve == MIG_CURVE_BLS12381G2) {
        put(t, "{\"Bls12381\":{\"public_key\":\"%s\"}}", text);
    } else {
        put(t, "{\"Ed25519\":{\"near_public_key_compressed\":\"%s\",\"edwards_point\":[", text);
        for (size_t i = 0; i < key->key_len; i++)
            put(t, "%s%u", i ? "," : "", key->key[i]);
        put(t, "]}}");
    }
}

static void put_keyset(struct text *t, const struct rig *rig)
{
    struct mig_keyset keyset;
    rig_keyset(rig, &keyset);
    put(t, "{\"epoch_id\":%" PRIu64 ",\"domains\":[", keyset.epoch);
    for (size_t i = 0; i < keyset.count; i++) {
        put(t, "%s{\"domain_id\":%" PRIu64 ",\"key\":", i ? "," : "", keyset.domains[i].domain);
        put_key(t, &keyset.domains[i]);
        put(t, ",\"attempt\":%" PRIu64 "}", keyset.domains[i].attempt);
    }
    put(t, "]}");
    mig_keyset_clear(&keyset);
}

static void put_parameters(struct text *t, const struct rig *rig)
{
    uint8_t bob[MIG_KEY_LEN];
    memset(bob, 9, sizeof bob);
    put(t, "{\"participants\":{\"next_id\":2,\"participants\":[");
    if (rig->world.seat != NULL)
        put(t, "[\"%s\",0,{\"url\":\"http://alice.example:80\",\"tls_public_key\":\"%s\"}],",
            ACCOUNT, key_text(rig->world.seat->public_key));
    put(t,
        "[\"bob.near\",1,{\"url\":\"http://bob.example:80\",\"tls_public_key\":\"%s\"}]]},"
        "\"threshold\":%d}",
        key_text(bob), rig->world.seat != NULL ? 2 : 1);
}

static void put_running(struct text *t, const struct rig *rig)
{
    put(t, "{\"domains\":");
    put_domains(t, &rig->world);
    put(t, ",\"keyset\":");
    put_keyset(t, rig);
    put(t, ",\"parameters\":");
    put_parameters(t, rig);
    put(t,
        ",\"parameters_votes\":{\"proposal_by_account\":{}},\"add_domains_votes\":{\"proposal_by_"
        "account\":{}},\"previously_cancelled_resharing_epoch_id\":null}");
}

static void put_key_event(struct text *t, const struct rig *rig, uint64_t epoch)
{
    put(t,
        "{\"epoch_id\":%" PRIu64 ",\"domain\":{\"id\":0,\"protocol\":\"CaitSith\","
        "\"reconstruction_threshold\":2,\"purpose\":\"Sign\"},\"parameters\":",
        epoch);
    put_parameters(t, rig);
    put(t, ",\"instance\":null,\"next_attempt_id\":0}");
}

static void put_state(struct text *t, const struct rig *rig)
{
    switch (rig->world.protocol) {
    case MIG_PROTOCOL_NOT_INITIALIZED:
        put(t, "\"NotInitialized\"");
        break;
    case MIG_PROTOCOL_RUNNING:
        put(t, "{\"Running\":");
        put_running(t, rig);
        put(t, "}");
        break;
    case MIG_PROTOCOL_INITIALIZING:
        put(t, "{\"Initializing\":{\"domains\":");
        put_domains(t, &rig->world);
        put(t, ",\"epoch_id\":%" PRIu64 ",\"generated_keys\":[],\"generating_key\":",
            rig->world.epoch);
        put_key_event(t, rig, rig->world.epoch);
        put(t, ",\"cancel_votes\":[]}}");
        break;
    case MIG_PROTOCOL_RESHARING:
        put(t, "{\"Resharing\":{\"previous_running_state\":");
        put_running(t, rig);
        put(t, ",\"reshared_keys\":[],\"resharing_key\":");
        put_key_event(t, rig, rig->world.epoch + 1);
        put(t, ",\"cancellation_requests\":[],\"per_domain_thresholds\":{}}}");
        break;
    }
}

static void put_info(struct text *t, const struct rig_world *w)
{
    if (w->service == NULL && w->destination == NULL) {
        put(t, "{}");
        return;
    }
    put(t, "{\"%s\":[", ACCOUNT);
    if (w->service != NULL)
        put(t, "{\"public_key\":\"%s\"},", key_text(w->service->public_key));
    else
        put(t, "null,");
    if (w->destination != NULL)
        put(t,
            "{\"signer_account_pk\":\"%s\",\"destination_node_info\":{\"url\":\"http://"
            "new%u.example:80\",\"tls_public_key\":\"%s\"}}]}",
            key_text(w->destination->public_key), w->record, key_text(w->destination->public_key));
    else
        put(t, "null]}");
}

/* The same in the draft's words. */
static void put_recovery_info(struct text *t, const struct rig_world *w)
{
    put(t, "{\"backup_services\":{");
    if (w->service != NULL)
        put(t, "\"%s\":{\"public_key\":\"%s\"}", ACCOUNT, key_text(w->service->public_key));
    put(t, "},\"recoveries\":{");
    if (w->destination != NULL)
        put(t,
            "\"%s\":{\"epoch_id\":%" PRIu64 ",\"participant_info\":{\"url\":\"http://new%u."
            "example:80\",\"tls_public_key\":\"%s\"},\"node_account_public_key\":\"%s\"}",
            ACCOUNT, w->epoch, w->record, key_text(w->destination->public_key),
            key_text(w->destination->public_key));
    put(t, "}}");
}

static void put_ephemeral(struct text *t, const uint8_t *key)
{
    char text[64];
    if (key == NULL) {
        put(t, "null");
        return;
    }
    need(mig_base58_encode(key, MIG_KEY_LEN, text, sizeof text) == MIG_OK, "base58");
    put(t, "\"x25519:%s\"", text);
}

static void put_ephemeral_keys(struct text *t, const struct rig_world *w)
{
    put(t, "{\"%s\":{\"node\":", ACCOUNT);
    put_ephemeral(t, w->published_node);
    put(t, ",\"service\":");
    put_ephemeral(t, w->published_service);
    put(t, "}}");
}

void rig_tell_at(struct rig *rig, uint64_t time_ns)
{
    enum { MAX = 1 << 20 };
    struct text t[3];
    for (size_t i = 0; i < 3; i++) {
        t[i] = (struct text){malloc(MAX), 0, MAX};
        need(t[i].at != NULL, "memory");
    }
    rig->height++;
    put_state(&t[0], rig);
    if (rig->publishes) {
        put_recovery_info(&t[1], &rig->world);
        put_ephemeral_keys(&t[2], &rig->world);
    } else {
        put_info(&t[1], &rig->world);
    }
    struct mig_block block = {rig->height, time_ns};
    struct mig_answer answers[] = {{MIG_PART_STATE, t[0].at, t[0].len},
                                   {MIG_PART_MIGRATION, t[1].at, t[1].len},
                                   {MIG_PART_EPHEMERAL, t[2].at, t[2].len}};
    need(mig_cache_feed_all(rig->cache, &block, answers, rig->publishes ? 3 : 2) == MIG_OK, "feed");
    for (size_t i = 0; i < 3; i++)
        free(t[i].at);
}

void rig_tell(struct rig *rig)
{
    rig_wait(rig, 1);
    rig_tell_at(rig, rig->wall_ns);
}

void rig_wait(struct rig *rig, double seconds)
{
    rig->wall_ns += (uint64_t)(seconds * SECOND);
    rig->mono_ns += (uint64_t)(seconds * SECOND);
}

/* ---- the keeper -------------------------------------------------------------------- */

static uint64_t now_ns(void *ctx)
{
    return ((struct rig *)ctx)->wall_ns;
}

static uint64_t monotonic_ns(void *ctx)
{
    return ((struct rig *)ctx)->mono_ns;
}

static bool honoured_key(void *ctx, const struct mig_view *view, uint8_t key[MIG_KEY_LEN])
{
    struct rig *rig = ctx;
    if (!view->has_service_key || rig->key_delayed)
        return false;
    memcpy(key, view->service_key, MIG_KEY_LEN);
    return true;
}

static enum mig_job job(void *ctx)
{
    struct rig *rig = ctx;
    return rig->import_taken ? MIG_JOB_IMPORTING : rig->job;
}

static uint64_t seat_lost_at(void *ctx)
{
    return ((struct rig *)ctx)->seat_lost_at;
}

static enum mig_err import_begin(void *ctx, const uint8_t keyset[MIG_DIGEST_LEN])
{
    struct rig *rig = ctx;
    memcpy(rig->import_keyset, keyset, MIG_DIGEST_LEN);
    if (rig->import_begin_err != MIG_OK)
        return rig->import_begin_err;
    rig->imports_begun++;
    if (rig->import_taken)
        return MIG_ERR_STATE;
    rig->import_taken = true;
    return MIG_OK;
}

static void import_end(void *ctx, const struct mig_receipt *receipt)
{
    struct rig *rig = ctx;
    need(rig->import_taken, "import ended twice");
    rig->import_taken = false;
    rig->imports_ended++;
    rig->ended_with_receipt = receipt != NULL;
}

static enum mig_err store_writable(void *ctx)
{
    return ((struct rig *)ctx)->writable_err;
}

static void backup_served(void *ctx, const struct mig_keyset *keyset)
{
    (void)keyset;
    ((struct rig *)ctx)->served++;
}

static enum mig_err backup_acknowledged(void *ctx, uint64_t epoch,
                                        const uint8_t keyset[MIG_DIGEST_LEN],
                                        const uint8_t context_hash[MIG_DIGEST_LEN], uint64_t now,
                                        bool known)
{
    struct rig *rig = ctx;
    (void)keyset;
    need(epoch == rig->world.epoch && now == rig->wall_ns / SECOND, "acknowledged what, when?");
    if (rig->acknowledge_err != MIG_OK)
        return rig->acknowledge_err;
    rig->acknowledged++;
    rig->acknowledged_known = known;
    memcpy(rig->acknowledged_hash, context_hash, MIG_DIGEST_LEN);
    return MIG_OK;
}

static bool take_published(void *ctx, const uint8_t public_key[MIG_KEY_LEN],
                           struct mig_ephemeral *pair)
{
    struct rig *rig = ctx;
    if (rig->published.secret == NULL ||
        memcmp(rig->published.public_key, public_key, MIG_KEY_LEN) != 0)
        return false;
    memcpy(pair->public_key, rig->published.public_key, MIG_KEY_LEN);
    memcpy(pair->secret->bytes, rig->published.secret->bytes, MIG_KEY_LEN);
    mig_ephemeral_clear(&rig->published);
    return true;
}

/* ---- the host ------------------------------------------------------------------------ */

static enum mig_err load_keyshares(void *ctx, const struct mig_keyset *keyset,
                                   uint8_t (*shares)[MIG_SHARE_LEN])
{
    struct rig *rig = ctx;
    if (rig->load_err != MIG_OK)
        return rig->load_err;
    memcpy(shares, rig->shares, keyset->count * MIG_SHARE_LEN);
    if (rig->during_load != NULL)
        rig->during_load(rig);
    return MIG_OK;
}

static enum mig_err import_keyshares(void *ctx, const struct mig_keyset *keyset,
                                     const uint8_t (*shares)[MIG_SHARE_LEN], uint64_t now,
                                     const struct mig_fence *fence, struct mig_receipt *receipt)
{
    struct rig *rig = ctx;
    if (rig->during_import != NULL)
        rig->during_import(rig);
    if (rig->asks_fence && !fence->holds(fence->ctx))
        return MIG_ERR_CANCELLED;
    if (rig->import_err != MIG_OK)
        return rig->import_err;
    if (rig->has_receipt && memcmp(rig->imported, shares, keyset->count * MIG_SHARE_LEN) != 0)
        return MIG_ERR_CONFLICT;
    rig->receipt.repeated = rig->has_receipt;
    if (!rig->has_receipt) {
        memcpy(rig->imported, shares, keyset->count * MIG_SHARE_LEN);
        rig->receipt.epoch = keyset->epoch;
        mig_keyset_digest(CONTRACT, keyset, rig->receipt.keyset);
        rig->receipt.shares = (uint32_t)keyset->count;
        rig->receipt.imported_at = now;
        rig->has_receipt = true;
    }
    *receipt = rig->receipt;
    if (rig->after_fence != NULL)
        rig->after_fence(rig);
    return MIG_OK;
}

static enum mig_err load_receipt(void *ctx, const struct mig_keyset *keyset,
                                 struct mig_receipt *receipt)
{
    struct rig *rig = ctx;
    uint8_t digest[MIG_DIGEST_LEN];
    if (rig->receipt_err != MIG_OK)
        return rig->receipt_err;
    mig_keyset_digest(CONTRACT, keyset, digest);
    if (!rig->has_receipt || memcmp(digest, rig->receipt.keyset, MIG_DIGEST_LEN) != 0)
        return MIG_ERR_NOT_FOUND;
    *receipt = rig->receipt;
    return MIG_OK;
}

static void log_event(void *ctx, enum mig_log_level level, const char *event, const char *text)
{
    struct rig *rig = ctx;
    (void)level;
    (void)text;
    size_t slot = rig->logged_count++ % (sizeof rig->logged / sizeof rig->logged[0]);
    (void)snprintf(rig->logged[slot], sizeof rig->logged[slot], "%s", event);
}

bool rig_logged(const struct rig *rig, const char *event)
{
    for (size_t i = 0; i < sizeof rig->logged / sizeof rig->logged[0]; i++)
        if (strcmp(rig->logged[i], event) == 0)
            return true;
    return false;
}

/* ---- opening and closing ----------------------------------------------------------------- */

static struct mig_identity *identity(uint8_t n)
{
    uint8_t seed[MIG_SEED_LEN];
    struct mig_identity *id = NULL;
    memset(seed, n, sizeof seed);
    need(mig_identity_from_seed(seed, &id) == MIG_OK, "identity");
    return id;
}

static void on_view(void *ctx, const struct mig_view *view)
{
    struct rig *rig = ctx;
    if (rig->service != NULL)
        mig_service_view_changed(rig->service, view);
}

void rig_config(struct rig *rig, struct mig_service_config *config)
{
    const struct rig_options *options = &rig->options;
    *config = (struct mig_service_config){
        .self = {.contract = CONTRACT,
                 .account = ACCOUNT,
                 .announce = options->announce != 0 ? options->announce : MIG_ANNOUNCE_HEADER,
                 .has_operator_tag = options->with_operator_key,
                 .max_staleness_ns = 30ull * SECOND},
        .identity = rig->node,
        .operator_key = options->with_operator_key ? rig->operator_key : NULL,
        .host = {.ctx = rig,
                 .load_keyshares = load_keyshares,
                 .import_keyshares = import_keyshares,
                 .load_receipt = load_receipt,
                 .log = log_event},
        .keeper = {.ctx = rig,
                   .now_ns = now_ns,
                   .monotonic_ns = monotonic_ns,
                   .honoured_key = honoured_key,
                   .job = job,
                   .seat_lost_at = seat_lost_at,
                   .import_begin = import_begin,
                   .import_end = import_end,
                   .store_writable = store_writable,
                   .backup_served = backup_served,
                   .backup_acknowledged = backup_acknowledged,
                   .take_published = take_published},
        .cache = rig->cache,
        .replay = rig->replay,
        .budget = rig->budget,
        .counters = &rig->counters,
        .skew = MIG_SKEW_DEFAULT,
        .offer_lifetime_s = 600,
    };
    memcpy(config->self.tls_key, rig->node->public_key, MIG_KEY_LEN);
    mig_operator_tag(rig->operator_key, config->self.operator_tag);
}

static void open_parts(struct rig *rig, const char *journal)
{
    uint32_t rate = rig->options.budget != 0 ? rig->options.budget : 500;
    const struct mig_replay_config replay = {.journal = journal,
                                             .boot_id = "boot-1",
                                             .capacity =
                                                 rig->options.nonces ? rig->options.nonces : 65536,
                                             .skew = MIG_SKEW_DEFAULT,
                                             .now = rig->wall_ns / SECOND};
    const struct mig_budget_config budget = {rate, rate * 10, 64};
    struct mig_service_config config;

    need(mig_cache_new(CONTRACT, ACCOUNT, rig->publishes ? MIG_DIALECT_DRAFT : MIG_DIALECT_DEPLOYED,
                       &rig->cache) == MIG_OK,
         "cache");
    need(mig_replay_open(&replay, &rig->replay) == MIG_OK, "replay window");
    need(mig_budget_new(&budget, &rig->budget) == MIG_OK, "budget");
    rig_config(rig, &config);
    need(mig_service_new(&config, &rig->service) == MIG_OK, "service");
    mig_cache_on_view(rig->cache, on_view, rig);
}

static void close_parts(struct rig *rig)
{
    rig_end(rig);
    mig_service_free(&rig->service);
    mig_cache_free(&rig->cache);
    mig_replay_close(&rig->replay);
    mig_budget_free(&rig->budget);
}

void rig_restart(struct rig *rig, const char *journal)
{
    close_parts(rig);
    open_parts(rig, journal);
    rig_tell(rig);
}

static void make_people(struct rig *rig)
{
    rig->node = identity(1);
    rig->other = identity(2);
    rig->backup = identity(3);
    rig->rotated = identity(4);
    rig->operator_key = mig_secret_new(MIG_OPERATOR_KEY_LEN);
    rig->body = malloc(RIG_BODY_MAX);
    need(rig->operator_key != NULL && rig->body != NULL, "memory");
    memset(rig->operator_key->bytes, 5, MIG_OPERATOR_KEY_LEN);
    for (size_t i = 0; i < RIG_DOMAINS_MAX; i++) {
        memset(rig->shares[i], 1, MIG_SHARE_LEN);
        rig->shares[i][7] = (uint8_t)i;
    }
}

/* The node's half announced on chain, its secret with the keeper; the
 * service's is rig->client. */
static void publish(struct rig *rig)
{
    need(mig_ephemeral_generate(&rig->published) == MIG_OK &&
             mig_ephemeral_generate(&rig->client) == MIG_OK,
         "ephemeral");
    memcpy(rig->announced, rig->published.public_key, MIG_KEY_LEN);
    rig->world.published_node = rig->announced;
    rig->world.published_service = rig->client.public_key;
}

void rig_open_with(struct rig *rig, const struct rig_options *options)
{
    memset(rig, 0, sizeof *rig);
    rig->options = *options;
    rig->wall_ns = 1795305600ull * SECOND;
    rig->mono_ns = 77ull * SECOND;
    rig->height = 1000;
    rig->asks_fence = true;
    rig->publishes = options->announce == MIG_ANNOUNCE_CONTRACT;
    make_people(rig);
    rig->world = (struct rig_world){.protocol = MIG_PROTOCOL_RUNNING,
                                    .epoch = 5,
                                    .domains = options->domains != 0 ? options->domains : 2,
                                    .seat = options->is_destination ? rig->other : rig->node,
                                    .service = rig->backup,
                                    .destination = options->is_destination ? rig->node : NULL};
    if (rig->publishes)
        publish(rig);
    open_parts(rig, options->journal);
    if (!options->distrusts_start)
        rig_wait(rig, MIG_SKEW_DEFAULT + 31);
    if (!options->untold)
        rig_tell(rig);
}

void rig_open(struct rig *rig)
{
    static const struct rig_options plain;
    rig_open_with(rig, &plain);
}

void rig_close(struct rig *rig)
{
    close_parts(rig);
    mig_ephemeral_clear(&rig->client);
    mig_ephemeral_clear(&rig->published);
    mig_identity_free(&rig->node);
    mig_identity_free(&rig->other);
    mig_identity_free(&rig->backup);
    mig_identity_free(&rig->rotated);
    mig_secret_free(&rig->operator_key);
    free(rig->body);
    rig->body = NULL;
}

/* ---- the service's side -----------------------------------------------------------------------
 */

static void fill_context(struct rig *rig, enum mig_resource resource)
{
    struct mig_context *c = &rig->ask.context;
    struct mig_keyset keyset;
    bool published = rig->publishes;

    strcpy(c->contract, CONTRACT);
    strcpy(c->account, ACCOUNT);
    memcpy(c->node, rig->node->public_key, MIG_KEY_LEN);
    memcpy(c->service, rig->backup->public_key, MIG_KEY_LEN);
    c->direction = resource <= MIG_RESOURCE_RECEIPT ? MIG_BACKUP : MIG_RECOVER;
    c->announce = published ? MIG_ANNOUNCE_CONTRACT : MIG_ANNOUNCE_HEADER;
    c->epoch = rig->world.epoch;
    rig_keyset(rig, &keyset);
    mig_keyset_digest(CONTRACT, &keyset, c->keyset);
    mig_keyset_clear(&keyset);
    c->has_operator_tag = rig->options.with_operator_key;
    mig_operator_tag(rig->operator_key, c->operator_tag);
    if (resource == MIG_RESOURCE_OFFER)
        return;
    if (!published)
        need(mig_ephemeral_generate(&rig->client) == MIG_OK, "ephemeral");
    c->has_client_key = true;
    memcpy(c->client_key, rig->client.public_key, MIG_KEY_LEN);
    c->has_node_key = published || resource != MIG_RESOURCE_BACKUP;
    memcpy(c->node_key, rig->offered, MIG_KEY_LEN);
    if (published)
        memcpy(c->node_key, rig->announced, MIG_KEY_LEN);
}

void rig_ask(struct rig *rig, enum mig_resource resource)
{
    static const char *const METHOD[] = {[MIG_RESOURCE_BACKUP] = "GET",
                                         [MIG_RESOURCE_RECEIPT] = "POST",
                                         [MIG_RESOURCE_OFFER] = "GET",
                                         [MIG_RESOURCE_UPLOAD] = "PUT"};
    rig->ask = (struct rig_ask){
        .resource = resource,
        .method = METHOD[resource],
        .target = resource <= MIG_RESOURCE_RECEIPT ? "/shares_backup" : "/shares_recover",
        .authority = "node.example:3030",
        .signer = rig->backup,
        .content_length = -1,
        .content_type = MIG_SEALED_TYPE,
    };
    fill_context(rig, resource);
    if (resource == MIG_RESOURCE_UPLOAD) {
        struct mig_keyset keyset;
        rig_keyset(rig, &keyset);
        rig_seal(rig, &keyset, (const uint8_t(*)[MIG_SHARE_LEN])rig->shares);
        mig_keyset_clear(&keyset);
    }
}

static void seal_plain(struct rig *rig, const uint8_t *plain, size_t len)
{
    char context[MIG_CONTEXT_MAX + 1];
    size_t context_len;
    struct mig_secret *key = mig_secret_new(MIG_SEALING_KEY_LEN);
    need(key != NULL, "memory");
    need(mig_context_format(&rig->ask.context, context, sizeof context, &context_len) == MIG_OK,
         "context");
    /* A peer's key that gives no secret leaves nothing to seal with. */
    if (mig_exchange(&rig->client, MIG_ROLE_SERVICE, rig->ask.context.node_key, MIG_RECOVER,
                     context, context_len,
                     rig->ask.context.has_operator_tag ? rig->operator_key : NULL, key) != MIG_OK)
        mig_secret_wipe(key);
    need(mig_container_seal(key, plain, len, rig->body, RIG_BODY_MAX, &rig->ask.body_len) == MIG_OK,
         "seal");
    mig_secret_free(&key);
}

void rig_seal_bytes(struct rig *rig, const void *plain, size_t len)
{
    seal_plain(rig, plain, len);
}

void rig_seal(struct rig *rig, const struct mig_keyset *keyset,
              const uint8_t (*shares)[MIG_SHARE_LEN])
{
    struct mig_secret *plain = mig_secret_new(mig_shares_plain_len(keyset));
    size_t len;
    need(plain != NULL, "memory");
    need(mig_shares_encode(keyset, shares, plain, &len) == MIG_OK, "encode");
    seal_plain(rig, plain->bytes, len);
    mig_secret_free(&plain);
}

static struct mig_text text_of(const char *s)
{
    return (struct mig_text){s, strlen(s)};
}

void rig_set_field(struct rig *rig, const char *name, const char *value)
{
    size_t i = 0;
    while (i < rig->field_count && (rig->fields[i].name.len != strlen(name) ||
                                    strncasecmp(rig->fields[i].name.at, name, strlen(name)) != 0))
        i++;
    if (value != NULL) {
        need(i < RIG_FIELDS_MAX, "too many fields");
        rig->fields[i] = (struct mig_field){text_of(name), text_of(value)};
        rig->field_count += i == rig->field_count;
    } else if (i < rig->field_count) {
        memmove(&rig->fields[i], &rig->fields[i + 1],
                (rig->field_count - i - 1) * sizeof rig->fields[0]);
        rig->field_count--;
    }
    rig->message.field_count = rig->field_count;
}

static void compose_body_fields(struct rig *rig)
{
    uint8_t digest[MIG_DIGEST_LEN];
    mig_sha256(rig->body, rig->ask.body_len, digest);
    mig_digest_field_format(digest, rig->digest_text);
    (void)snprintf(rig->length_text, sizeof rig->length_text, "%zu", rig->ask.body_len);
    if (rig->ask.content_length == -1)
        rig->ask.content_length = (int64_t)rig->ask.body_len;
    rig_set_field(rig, "Content-Type", rig->ask.content_type);
    rig_set_field(rig, "Content-Length", rig->length_text);
    rig_set_field(rig, "Content-Digest", rig->digest_text);
}

void rig_compose(struct rig *rig)
{
    struct rig_ask *ask = &rig->ask;
    size_t len;

    rig->field_count = 0;
    rig->message = (struct mig_message){.method = text_of(ask->method),
                                        .target = text_of(ask->target),
                                        .authority = text_of(ask->authority),
                                        .fields = rig->fields};
    if (ask->context_text == NULL)
        need(mig_context_format(&ask->context, rig->context_text, sizeof rig->context_text, &len) ==
                 MIG_OK,
             "context");
    else
        (void)snprintf(rig->context_text, sizeof rig->context_text, "%s", ask->context_text);
    rig_set_field(rig, "Host", ask->authority);
    rig_set_field(rig, "Mpc-Migration-Context", rig->context_text);
    if (ask->resource == MIG_RESOURCE_UPLOAD)
        compose_body_fields(rig);
}

void rig_sign(struct rig *rig)
{
    struct rig_ask *ask = &rig->ask;
    if (ask->nonce[0] == '\0')
        mig_nonce_new(ask->nonce);
    if (ask->created == 0)
        ask->created = rig->wall_ns / SECOND;
    if (ask->expires == 0)
        ask->expires = ask->created + 60;
    /* What no honest client can sign goes out unsigned. */
    enum mig_err err = mig_request_sign(&rig->message, ask->signer, ask->nonce, ask->created,
                                        ask->expires, &rig->signature);
    need(err == MIG_OK || err == MIG_ERR_MALFORMED, "sign");
    rig_set_field(rig, "Signature-Input", rig->signature.input);
    rig_set_field(rig, "Signature", rig->signature.signature);
    for (size_t i = 0; i < ask->extra_count; i++)
        rig->fields[rig->field_count++] = ask->extra[i];
    rig->message.field_count = rig->field_count;
}

void rig_end(struct rig *rig)
{
    mig_exchange_end(&rig->exchange);
    rig->answer = NULL;
}

enum mig_step rig_begin(struct rig *rig)
{
    rig_end(rig);
    int64_t length = rig->ask.content_length < 0 ? -1 : rig->ask.content_length;
    enum mig_step step =
        mig_exchange_begin(rig->service, &rig->message, length, &rig->peer, &rig->exchange);
    if (step == MIG_STEP_RESPOND)
        rig->answer = mig_exchange_response(rig->exchange);
    return step;
}

void rig_feed_body(struct rig *rig, const void *bytes, size_t len)
{
    mig_exchange_body(rig->exchange, bytes, len);
}

void rig_finish(struct rig *rig)
{
    mig_exchange_finish(rig->exchange);
    rig->answer = mig_exchange_response(rig->exchange);
}

/* In pieces, as a network brings it. */
static void send_body(struct rig *rig)
{
    enum { PIECE = 1000 };
    for (size_t at = 0; at < rig->ask.body_len; at += PIECE) {
        size_t left = rig->ask.body_len - at;
        rig_feed_body(rig, rig->body + at, left < PIECE ? left : PIECE);
    }
    rig_finish(rig);
}

void rig_send(struct rig *rig)
{
    rig_compose(rig);
    rig_sign(rig);
    if (rig_begin(rig) == MIG_STEP_BODY)
        send_body(rig);
}

void rig_get_offer(struct rig *rig)
{
    rig_ask(rig, MIG_RESOURCE_OFFER);
    rig_send_offer(rig);
}

void rig_send_offer(struct rig *rig)
{
    size_t len = 0;
    rig_send(rig);
    const char *at = strstr(rig_text(rig), "\"node_key\":\"");
    rig->has_offer =
        at != NULL && mig_base64_decode(at + 12, 44, rig->offered, MIG_KEY_LEN, &len) == MIG_OK;
}

/* ---- the answer --------------------------------------------------------------------------------
 */

unsigned rig_status(const struct rig *rig)
{
    return rig->answer->status;
}

const char *rig_text(const struct rig *rig)
{
    static char text[4096];
    size_t len = rig->answer->body_len < sizeof text - 1 ? rig->answer->body_len : sizeof text - 1;
    memcpy(text, rig->answer->body, len);
    text[len] = '\0';
    return text;
}

const char *rig_code(const struct rig *rig)
{
    static char code[64];
    const char *at = strstr(rig_text(rig), "\"code\":\"");
    code[0] = '\0';
    if (at != NULL)
        (void)snprintf(code, sizeof code, "%.*s", (int)strcspn(at + 8, "\""), at + 8);
    return code;
}

const char *rig_field(const struct rig *rig, const char *name)
{
    static char value[2][2048];
    static unsigned turn;
    for (size_t i = 0; i < rig->answer->field_count; i++) {
        const struct mig_field *f = &rig->answer->fields[i];
        if (f->name.len != strlen(name) || strncasecmp(f->name.at, name, f->name.len) != 0)
            continue;
        turn ^= 1;
        (void)snprintf(value[turn], sizeof value[turn], "%.*s", (int)f->value.len, f->value.at);
        return value[turn];
    }
    return NULL;
}

bool rig_is_signed(const struct rig *rig)
{
    uint8_t signed_digest[MIG_DIGEST_LEN], digest[MIG_DIGEST_LEN];
    uint64_t created = 0;
    const struct mig_message response = {.status = rig->answer->status,
                                         .fields = rig->answer->fields,
                                         .field_count = rig->answer->field_count,
                                         .request = &rig->message};
    if (mig_response_verify(&response, rig->node->public_key, rig->ask.nonce, signed_digest,
                            &created) != MIG_OK)
        return false;
    mig_sha256(rig->answer->body, rig->answer->body_len, digest);
    return rig->answer->is_signed && created == rig->wall_ns / SECOND &&
           memcmp(digest, signed_digest, sizeof digest) == 0;
}

bool rig_opens_to(struct rig *rig, const uint8_t (*shares)[MIG_SHARE_LEN])
{
    const char *context = rig_field(rig, "mpc-migration-context");
    struct mig_secret *key = mig_secret_new(MIG_SEALING_KEY_LEN);
    struct mig_secret *plain = mig_secret_new(mig_sealed_capacity(MIG_SEALED_MAX));
    struct mig_secret *opened = mig_secret_new(sizeof rig->shares);
    struct mig_context parsed;
    struct mig_keyset keyset;
    size_t len = 0;

    need(key != NULL && plain != NULL && opened != NULL, "memory");
    rig_keyset(rig, &keyset);
    bool ok =
        context != NULL && mig_context_parse(context, strlen(context), &parsed) == MIG_OK &&
        parsed.has_node_key &&
        strncmp(context, rig->context_text, strlen(rig->context_text)) == 0 &&
        mig_exchange(&rig->client, MIG_ROLE_SERVICE, parsed.node_key, MIG_BACKUP, context,
                     strlen(context), parsed.has_operator_tag ? rig->operator_key : NULL,
                     key) == MIG_OK &&
        mig_container_open(key, rig->answer->body, rig->answer->body_len, plain, &len) == MIG_OK &&
        mig_shares_decode(plain->bytes, len, &keyset, opened) == MIG_SHARES_MATCH &&
        memcmp(opened->bytes, shares, keyset.count * MIG_SHARE_LEN) == 0;
    mig_keyset_clear(&keyset);
    mig_secret_free(&key);
    mig_secret_free(&plain);
    mig_secret_free(&opened);
    return ok;
}
