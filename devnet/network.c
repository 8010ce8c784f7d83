/* SPDX-License-Identifier: MIT */
/* Blocks and what else a node tells about itself and its network. */
#include "devnet/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/encoding.h"
#include "crypto/exchange.h"

#define ZERO_HASH "11111111111111111111111111111111"
#define ZERO_KEY "ed25519:11111111111111111111111111111111"
#define ZERO_SIGNATURE "ed25519:1111111111111111111111111111111111111111111111111111111111111111"
#define AUTHOR "devnet.near"
#define PROTOCOL "86"

static void hash_member(struct mig_print *t, const char *name, const uint8_t hash[MIG_DIGEST_LEN])
{
    mig_print_printf(t, "\"%s\":", name);
    mig_devnet_base58(t, hash, MIG_DIGEST_LEN);
    mig_print_put(t, ",");
}

static void chunk_hash(const struct mig_devnet_block *b, uint8_t hash[MIG_DIGEST_LEN])
{
    uint8_t bytes[MIG_DIGEST_LEN + 5];
    memcpy(bytes, b->hash, MIG_DIGEST_LEN);
    memcpy(bytes + MIG_DIGEST_LEN, "chunk", 5);
    mig_sha256(bytes, sizeof bytes, hash);
}

/* `included`: 0 inside the messages for indexers, as on the network. */
void mig_devnet_chunk_header(struct mig_print *t, const struct mig_devnet_block *b,
                             uint64_t included)
{
    uint8_t hash[MIG_DIGEST_LEN];
    chunk_hash(b, hash);
    mig_print_put(t, "{");
    hash_member(t, "chunk_hash", hash);
    hash_member(t, "prev_block_hash", b->prev_hash);
    mig_print_printf(
        t,
        "\"outcome_root\":\"" ZERO_HASH "\",\"prev_state_root\":\"" ZERO_HASH
        "\",\"encoded_merkle_root\":\"" ZERO_HASH
        "\",\"encoded_length\":8,\"height_created\":%" PRIu64 ",\"height_included\":%" PRIu64
        ",\"shard_id\":0,\"gas_used\":0,\"gas_limit\":1000000000000000,\"rent_paid\":\"0\","
        "\"validator_reward\":\"0\",\"balance_burnt\":\"0\",\"outgoing_receipts_root\":\"" ZERO_HASH
        "\",\"tx_root\":\"" ZERO_HASH "\",\"validator_proposals\":[],\"congestion_info\":null,"
        "\"bandwidth_requests\":null,\"signature\":\"" ZERO_SIGNATURE "\"}",
        b->height, included);
}

static void block_header(struct mig_devnet_call *c, const struct mig_devnet_block *b)
{
    struct mig_print *t = &c->result;
    const struct mig_devnet_chain *chain = &c->d->chain;
    const struct mig_devnet_block *final = mig_devnet_block_before(chain, b, chain->final_lag);
    const struct mig_devnet_block *doomslug =
        mig_devnet_block_before(chain, b, (chain->final_lag + 1) / 2);
    mig_print_printf(
        t, "{\"height\":%" PRIu64 ",\"prev_height\":%" PRIu64 ",\"block_ordinal\":%" PRIu64 ",",
        b->height, b->prev_height, b->height);
    hash_member(t, "epoch_id", chain->genesis_hash);
    hash_member(t, "next_epoch_id", chain->genesis_hash);
    hash_member(t, "hash", b->hash);
    hash_member(t, "prev_hash", b->prev_hash);
    hash_member(t, "last_final_block", final->hash);
    hash_member(t, "last_ds_final_block", doomslug->hash);
    hash_member(t, "random_value", b->hash);
    mig_print_printf(
        t,
        "\"prev_state_root\":\"" ZERO_HASH "\",\"chunk_receipts_root\":\"" ZERO_HASH
        "\",\"chunk_headers_root\":\"" ZERO_HASH "\",\"chunk_tx_root\":\"" ZERO_HASH
        "\",\"outcome_root\":\"" ZERO_HASH
        "\",\"chunks_included\":1,\"challenges_root\":\"" ZERO_HASH "\",\"timestamp\":%" PRIu64
        ",\"timestamp_nanosec\":\"%" PRIu64
        "\",\"validator_proposals\":[],\"chunk_mask\":[true],\"gas_price\":\"100000000\","
        "\"rent_paid\":\"0\",\"validator_reward\":\"0\",\"total_supply\":"
        "\"1000000000000000000000000000000000\",\"challenges_result\":[],\"block_merkle_root\":"
        "\"" ZERO_HASH "\",\"next_bp_hash\":\"" ZERO_HASH
        "\",\"epoch_sync_data_hash\":null,\"block_body_hash\":\"" ZERO_HASH
        "\",\"approvals\":[],\"signature\":\"" ZERO_SIGNATURE
        "\",\"latest_protocol_version\":" PROTOCOL ",\"chunk_endorsements\":null}",
        b->time_ns, b->time_ns);
}

void mig_devnet_block_format(struct mig_devnet_call *c, const struct mig_devnet_block *b)
{
    mig_print_put(&c->result, "{\"author\":\"" AUTHOR "\",\"header\":");
    block_header(c, b);
    mig_print_put(&c->result, ",\"chunks\":[");
    mig_devnet_chunk_header(&c->result, b, b->height);
    mig_print_put(&c->result, "]}");
}

void mig_devnet_block_rpc(struct mig_devnet_call *c)
{
    const struct mig_devnet_block *b = mig_devnet_resolve(c);
    if (b != NULL)
        mig_devnet_block_format(c, b);
}

/* By hash only among the blocks whose ledger is kept: hashes are not indexed. */
static const struct mig_devnet_block *find_chunk(struct mig_devnet_call *c, const char *text)
{
    uint8_t wanted[MIG_BASE58_INPUT_MAX];
    uint8_t hash[MIG_DIGEST_LEN];
    size_t len = 0;
    size_t count = c->d->chain.count < MIG_DEVNET_HISTORY ? c->d->chain.count : MIG_DEVNET_HISTORY;
    if (mig_base58_decode(text, strlen(text), wanted, sizeof wanted, &len) == MIG_OK &&
        len == MIG_DIGEST_LEN)
        for (size_t i = 0; i < count; i++) {
            const struct mig_devnet_block *b = mig_devnet_block_back(&c->d->chain, i);
            chunk_hash(b, hash);
            if (memcmp(hash, wanted, MIG_DIGEST_LEN) == 0)
                return b;
        }
    struct mig_print info = {0};
    mig_print_put(&info, "{\"chunk_hash\":");
    mig_print_json(&info, text);
    mig_print_put(&info, "}");
    mig_devnet_handler_error(c, "UNKNOWN_CHUNK", info.s != NULL ? info.s : "{}", "Chunk Missing");
    mig_print_clear(&info);
    return NULL;
}

void mig_devnet_chunk_rpc(struct mig_devnet_call *c)
{
    const char *id = mig_devnet_param_text(c, "chunk_id", json_is_array(c->params) ? 0 : SIZE_MAX);
    const struct mig_devnet_block *b = id != NULL ? find_chunk(c, id) : mig_devnet_resolve(c);
    if (b == NULL)
        return;
    mig_print_put(&c->result, "{\"author\":\"" AUTHOR "\",\"header\":");
    mig_devnet_chunk_header(&c->result, b, b->height);
    mig_print_put(&c->result, ",\"transactions\":[],\"receipts\":[]}");
}

static void time_text(uint64_t time_ns, char *out, size_t cap)
{
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm tm;
    char date[32];
    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        date[0] = '\0';
    (void)snprintf(out, cap, "%s.%09uZ", date, (unsigned)(time_ns % 1000000000));
}

void mig_devnet_status_rpc(struct mig_devnet_call *c)
{
    const struct mig_devnet_block *head = mig_devnet_seen(c->d, 0);
    const struct mig_devnet_block *oldest =
        mig_devnet_block_back(&c->d->chain, MIG_DEVNET_HISTORY - 1);
    struct mig_print *t = &c->result;
    char latest[64];
    char earliest[64];
    time_text(head->time_ns, latest, sizeof latest);
    time_text(oldest->time_ns, earliest, sizeof earliest);
    mig_print_put(t, "{\"chain_id\":");
    mig_print_json(t, c->d->chain.chain_id);
    mig_print_put(t, ",");
    hash_member(t, "genesis_hash", c->d->chain.genesis_hash);
    mig_print_printf(
        t,
        "\"version\":{\"version\":\"" MIG_VERSION "\",\"build\":\"mpc-devnet\",\"commit\":\"\","
        "\"rustc_version\":\"\"},\"protocol_version\":" PROTOCOL
        ",\"latest_protocol_version\":" PROTOCOL
        ",\"rpc_addr\":\"127.0.0.1:%u\",\"node_public_key\":\"" ZERO_KEY "\",\"node_key\":null,"
        "\"validator_account_id\":null,\"validator_public_key\":null,\"validators\":[],"
        "\"detailed_debug_status\":null,\"uptime_sec\":%" PRIu64 ",\"sync_info\":{",
        mig_devnet_rpc_port(c->d), (mig_devnet_now_ns() - c->d->started_ns) / 1000000000);
    hash_member(t, "latest_block_hash", head->hash);
    hash_member(t, "earliest_block_hash", oldest->hash);
    hash_member(t, "epoch_id", c->d->chain.genesis_hash);
    mig_print_printf(
        t,
        "\"latest_block_height\":%" PRIu64 ",\"latest_state_root\":\"" ZERO_HASH
        "\",\"latest_block_time\":\"%s\",\"earliest_block_height\":%" PRIu64
        ",\"earliest_block_time\":\"%s\",\"syncing\":false,\"epoch_start_height\":%" PRIu64 "}}",
        head->height, latest, oldest->height, earliest, c->d->chain.genesis_height);
}

void mig_devnet_health_rpc(struct mig_devnet_call *c)
{
    mig_print_put(&c->result, "null");
}

void mig_devnet_gas_price_rpc(struct mig_devnet_call *c)
{
    mig_print_put(&c->result, "{\"gas_price\":\"100000000\"}");
}

void mig_devnet_network_info_rpc(struct mig_devnet_call *c)
{
    mig_print_put(&c->result,
                  "{\"active_peers\":[],\"num_active_peers\":0,\"peer_max_count\":0,"
                  "\"sent_bytes_per_sec\":0,\"received_bytes_per_sec\":0,\"known_producers\":[]}");
}

void mig_devnet_validators_rpc(struct mig_devnet_call *c)
{
    mig_print_printf(&c->result,
                     "{\"current_validators\":[],\"next_validators\":[],\"current_fishermen\":[],"
                     "\"next_fishermen\":[],"
                     "\"current_proposals\":[],\"prev_epoch_kickout\":[],\"epoch_height\":1,"
                     "\"epoch_start_height\":%" PRIu64 "}",
                     c->d->chain.genesis_height);
}

void mig_devnet_protocol_config_rpc(struct mig_devnet_call *c)
{
    struct mig_print *t = &c->result;
    mig_print_put(t, "{\"protocol_version\":" PROTOCOL ",\"chain_id\":");
    mig_print_json(t, c->d->chain.chain_id);
    mig_print_printf(t,
                     ",\"genesis_height\":%" PRIu64
                     ",\"genesis_time\":\"1970-01-01T00:00:00Z\",\"dynamic_resharing\":false,"
                     "\"epoch_length\":43200,"
                     "\"gas_limit\":1000000000000000,\"min_gas_price\":\"100000000\",\"max_gas_"
                     "price\":\"10000000000\","
                     "\"num_block_producer_seats\":1,\"transaction_validity_period\":%d,"
                     "\"runtime_config\":{\"storage_amount_per_byte\":\"10000000000000000000\","
                     "\"account_creation_config\":{\"min_allowed_top_level_account_length\":65,"
                     "\"registrar_account_id\":\"registrar\"}}}",
                     c->d->chain.genesis_height, MIG_DEVNET_VALIDITY);
}
