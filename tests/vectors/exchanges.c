/* SPDX-License-Identifier: MIT */
#include "tests/vectors/vectors.h"

#include <sodium.h>
#include <string.h>

void sealing_key(const struct cast *c, enum ctx which, struct mig_secret *key)
{
    const char *t = context_text(c, which);
    must(mig_exchange(&c->service, MIG_ROLE_SERVICE, c->node.public_key, context_direction(which),
                      t, strlen(t), context_has_operator_key(which) ? c->operator_key : NULL,
                      key) == MIG_OK,
         "exchange");
}

static json_t *exchange(const struct cast *c, enum ctx which)
{
    uint8_t point[32], half[2][32];
    struct mig_secret *key = mig_secret_new(MIG_SEALING_KEY_LEN);
    must(key != NULL &&
             crypto_scalarmult(point, c->service.secret->bytes, c->node.public_key) == 0 &&
             crypto_kx_server_session_keys(half[1], half[0], c->node.public_key,
                                           c->node.secret->bytes, c->service.public_key) == 0,
         "exchange");
    sealing_key(c, which, key);
    json_t *value = json_pack(
        "{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "context", context_name(which),
        "direction", context_direction(which) == MIG_BACKUP ? "backup" : "recover",
        "service_secret", hex(c->service.secret->bytes, 32), "service_public",
        hex(c->service.public_key, 32), "node_secret", hex(c->node.secret->bytes, 32),
        "node_public", hex(c->node.public_key, 32), "x25519", hex(point, 32), "node_to_service",
        hex(half[0], 32), "service_to_node", hex(half[1], 32), "operator_key",
        hex_or_null(context_has_operator_key(which), c->operator_key->bytes, MIG_OPERATOR_KEY_LEN),
        "sealing_key", hex(key->bytes, MIG_SEALING_KEY_LEN));
    mig_secret_free(&key);
    return good(value);
}

json_t *exchanges(const struct cast *c)
{
    static const enum ctx finals[] = {CTX_BACKUP, CTX_BACKUP_OPERATOR, CTX_FETCH_PUBLISHED,
                                      CTX_UPLOAD, CTX_UPLOAD_OPERATOR};
    json_t *all = json_array();
    for (size_t i = 0; i < LENGTH(finals); i++)
        add(all, exchange(c, finals[i]));
    return all;
}

json_t *exchanges_refused(void)
{
    static const char *const rows[][2] = {
        {"0000000000000000000000000000000000000000000000000000000000000000", "zero"},
        {"0100000000000000000000000000000000000000000000000000000000000000", "a point of order 1"},
        {"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "a point of order 8"},
        {"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "a point of order 2"},
    };
    json_t *all = json_array();
    for (size_t i = 0; i < LENGTH(rows); i++)
        add(all, json_pack("{s:s,s:s}", "public", rows[i][0], "why", rows[i][1]));
    return all;
}

json_t *operator_keys(const struct cast *c)
{
    uint8_t tag[MIG_OPERATOR_TAG_LEN];
    mig_operator_tag(c->operator_key, tag);
    return good(json_pack("[{s:o,s:o}]", "key", hex(c->operator_key->bytes, 32), "member",
                          hex(tag, sizeof tag)));
}
