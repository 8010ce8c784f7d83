/* SPDX-License-Identifier: MIT */
#include "tests/vectors/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keyset.h"

static const struct {
    const char *name;
    enum mig_direction direction;
    enum mig_announce announce;
    bool operator_key, client_key, node_key;
} CONTEXTS[CTX_COUNT] = {
    {"fetch", MIG_BACKUP, MIG_ANNOUNCE_HEADER, false, true, false},
    {"fetch, operator key", MIG_BACKUP, MIG_ANNOUNCE_HEADER, true, true, false},
    {"fetch, published keys", MIG_BACKUP, MIG_ANNOUNCE_CONTRACT, false, true, true},
    {"backup, final", MIG_BACKUP, MIG_ANNOUNCE_HEADER, false, true, true},
    {"backup, final, operator key", MIG_BACKUP, MIG_ANNOUNCE_HEADER, true, true, true},
    {"offer", MIG_RECOVER, MIG_ANNOUNCE_HEADER, false, false, false},
    {"upload, final", MIG_RECOVER, MIG_ANNOUNCE_HEADER, false, true, true},
    {"upload, final, operator key", MIG_RECOVER, MIG_ANNOUNCE_HEADER, true, true, true},
    {"largest epoch", MIG_RECOVER, MIG_ANNOUNCE_CONTRACT, false, false, false},
};

static void make_context(const struct cast *c, enum ctx which, struct mig_context *out,
                         char texts[MIG_CONTEXT_MAX + 1], size_t *len)
{
    bool to_destination = CONTEXTS[which].direction == MIG_RECOVER;
    *out = (struct mig_context){
        .contract = "v1.signer",
        .account = "alice.near",
        .direction = CONTEXTS[which].direction,
        .announce = CONTEXTS[which].announce,
        .epoch = which == CTX_LARGEST ? UINT64_MAX : c->keyset.epoch,
        .has_operator_tag = CONTEXTS[which].operator_key,
        .has_client_key = CONTEXTS[which].client_key,
        .has_node_key = CONTEXTS[which].node_key,
    };
    memcpy(out->node, c->id[to_destination ? DESTINATION : NODE]->public_key, MIG_KEY_LEN);
    memcpy(out->service, c->id[SERVICE]->public_key, MIG_KEY_LEN);
    mig_keyset_digest(out->contract, &c->keyset, out->keyset);
    mig_operator_tag(c->operator_key, out->operator_tag);
    memcpy(out->client_key, c->service.public_key, MIG_KEY_LEN);
    memcpy(out->node_key, c->node.public_key, MIG_KEY_LEN);
    must(mig_context_format(out, texts, MIG_CONTEXT_MAX + 1, len) == MIG_OK, "context");
}

const char *context_name(enum ctx which)
{
    return CONTEXTS[which].name;
}

enum mig_direction context_direction(enum ctx which)
{
    return CONTEXTS[which].direction;
}

bool context_has_operator_key(enum ctx which)
{
    return CONTEXTS[which].operator_key;
}

const char *context_text(const struct cast *c, enum ctx which)
{
    static char texts[CTX_COUNT][MIG_CONTEXT_MAX + 1];
    struct mig_context context;
    size_t len;
    make_context(c, which, &context, texts[which], &len);
    return texts[which];
}

static json_t *context_json(const struct cast *c, enum ctx which)
{
    struct mig_context x;
    char t[MIG_CONTEXT_MAX + 1], node[MIG_KEY_TEXT_MAX], service[MIG_KEY_TEXT_MAX];
    uint8_t hash[MIG_DIGEST_LEN];
    size_t len;
    make_context(c, which, &x, t, &len);
    mig_sha256(t, len, hash);
    mig_key_format(x.node, node);
    mig_key_format(x.service, service);
    return good(json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "name", CONTEXTS[which].name,
        "text", t, "contract", x.contract, "account", x.account, "node", node, "service", service,
        "direction", x.direction == MIG_BACKUP ? "backup" : "recover", "announce",
        x.announce == MIG_ANNOUNCE_HEADER ? "header" : "contract", "epoch", decimal(x.epoch),
        "keyset", hex(x.keyset, sizeof x.keyset), "operator_key",
        hex_or_null(x.has_operator_tag, x.operator_tag, sizeof x.operator_tag), "client_key",
        hex_or_null(x.has_client_key, x.client_key, MIG_KEY_LEN), "node_key",
        hex_or_null(x.has_node_key, x.node_key, MIG_KEY_LEN), "sha256", hex(hash, sizeof hash)));
}

json_t *contexts(const struct cast *c)
{
    json_t *all = json_array();
    for (enum ctx i = 0; i < CTX_COUNT; i++)
        add(all, context_json(c, i));
    return all;
}

/* Edits of "backup, final, operator key": {why, from, to}. */
static const char *const CONTEXT_EDITS[][3] = {
    {"a member is missing", "account=\"alice.near\", ", ""},
    {"a member twice", "epoch=\"5\"", "epoch=\"5\", epoch=\"5\""},
    {"members in another order", "direction=backup, announce=header",
     "announce=header, direction=backup"},
    {"a member that does not exist", ", direction", ", colour=red, direction"},
    {"a parameter", "direction=backup", "direction=backup;q=1"},
    {"no space after a comma", ", account", ",account"},
    {"two spaces after a comma", ", account", ",  account"},
    {"a tab after a comma", ", account", ",\taccount"},
    {"a space before a comma", ", account", " , account"},
    {"a leading space", "contract", " contract"},
    {"a key in capitals", "contract", "Contract"},
    {"a space in a string", "alice.near", "alice near"},
    {"an escape in a string", "alice.near", "alice\\\\near"},
    {"a string that does not end", "alice.near\"", "alice.near"},
    {"a key with another prefix", "service=\"ed25519:", "service=\"secp256k1:"},
    {"a key without prefix", "service=\"ed25519:", "service=\""},
    {"direction as a string", "direction=backup", "direction=\"backup\""},
    {"an unknown direction", "direction=backup", "direction=restore"},
    {"an unknown way to announce", "announce=header", "announce=dns"},
    {"epoch as a number", "epoch=\"5\"", "epoch=5"},
    {"an empty epoch", "epoch=\"5\"", "epoch=\"\""},
    {"an epoch with a leading zero", "epoch=\"5\"", "epoch=\"05\""},
    {"a negative epoch", "epoch=\"5\"", "epoch=\"-5\""},
    {"an epoch of 2^64", "epoch=\"5\"", "epoch=\"18446744073709551616\""},
    {"a keyset that is a string", "keyset=:YZqid4PxhcvSh+fZrw6A8faV+3vwSeSZkl/ZppTBoXU=:",
     "keyset=\"YZqid4PxhcvSh+fZrw6A8faV+3vwSeSZkl/ZppTBoXU=\""},
    {"base64 without its padding", "XU=:", "XU:"},
    {"base64 with bits that do not count set", "XU=:", "XV=:"},
    {"base64url", "h+fZ", "h-fZ"},
    {"a keyset of 31 bytes", "YZqid4PxhcvSh+fZrw6A8faV+3vwSeSZkl/ZppTBoXU=",
     "YZqid4PxhcvSh+fZrw6A8faV+3vwSeSZkl/ZppTBoQ=="},
    {"an operator key of 32 bytes", "operator-key=:",
     "operator-key=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:, operator-key=:"},
};

json_t *contexts_refused(const struct cast *c)
{
    const char *base = context_text(c, CTX_BACKUP_OPERATOR);
    json_t *all = json_array();
    for (size_t i = 0; i < LENGTH(CONTEXT_EDITS); i++) {
        char *bad = edited(base, CONTEXT_EDITS[i][1], CONTEXT_EDITS[i][2]);
        add(all, json_pack("{s:s,s:s}", "text", bad, "why", CONTEXT_EDITS[i][0]));
        free(bad);
    }
    char longer[MIG_CONTEXT_MAX + 2];
    (void)snprintf(longer, sizeof longer, "%s ", base);
    add(all, json_pack("{s:s,s:s}", "text", longer, "why", "a trailing space"));
    (void)snprintf(longer, sizeof longer, "%s,", base);
    add(all, json_pack("{s:s,s:s}", "text", longer, "why", "a trailing comma"));
    add(all, json_pack("{s:s,s:s}", "text", "", "why", "empty"));
    return all;
}

/* Which ephemeral keys belong into the context of which request (else 400). */
json_t *context_keys(void)
{
    static const struct {
        const char *method, *path, *announce;
        bool client, node;
    } rows[] = {
        {"GET", "/shares_backup", "header", true, false},
        {"GET", "/shares_backup", "contract", true, true},
        {"POST", "/shares_backup", "header", true, true},
        {"POST", "/shares_backup", "contract", true, true},
        {"GET", "/shares_recover", "header", false, false},
        {"GET", "/shares_recover", "contract", false, false},
        {"PUT", "/shares_recover", "header", true, true},
        {"PUT", "/shares_recover", "contract", true, true},
    };
    json_t *all = json_array();
    for (size_t i = 0; i < LENGTH(rows); i++)
        add(all, json_pack("{s:s,s:s,s:s,s:b,s:b}", "method", rows[i].method, "path", rows[i].path,
                           "announce", rows[i].announce, "client_key", (int)rows[i].client,
                           "node_key", (int)rows[i].node));
    return all;
}
