/* SPDX-License-Identifier: MIT */
#ifndef MIG_TESTS_VECTORS_H
#define MIG_TESTS_VECTORS_H
/*
 * What makes docs/protocol-vectors.json (tests/vectors_tool.c): every step of
 * docs/protocol.md by the real code, from fixed seeds. Its secrets are
 * published there, which is why they may lie in JSON; nothing else in the tree
 * does that with a secret. Whatever fails ends the program.
 *
 * Changes are described, not repeated: `parts` lists pieces of the original,
 * [from, to), and bytes put between them; `fields` replaces header fields.
 */
#include <jansson.h>

#include "auth/message.h"
#include "crypto/context.h"
#include "crypto/key.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* ---- json.c: values; those that take or give a json_t own it --------------- */
void must(bool ok, const char *what);
json_t *good(json_t *value);
json_t *hex(const void *bytes, size_t len);
json_t *hex_or_null(bool has, const void *bytes, size_t len);
json_t *text(struct mig_text t);
json_t *decimal(uint64_t v);
json_t *number(uint64_t v);
json_t *parsed(const char *json);
void add(json_t *array, json_t *value);
void set(json_t *object, const char *name, json_t *value);
/* A copy of `s` with the first `from` in it changed into `to`. */
char *edited(const char *s, const char *from, const char *to);

/* ---- cast.c: who and what --------------------------------------------------- */
enum who { SERVICE, NODE, DESTINATION, STRANGER, WHO_COUNT };

struct cast {
    struct mig_identity *id[WHO_COUNT];
    struct mig_ephemeral service, node;
    struct mig_secret *operator_key;
    struct mig_domain_key domains[3];
    struct mig_keyset keyset;
    uint8_t shares[3][MIG_SHARE_LEN];
    struct mig_secret *plain;
    size_t plain_len;
};
/* Starts libsodium with every "random" byte the same one. */
void start_without_chance(void);
void make_cast(struct cast *c);
void free_cast(struct cast *c);

/* ---- the parts --------------------------------------------------------------- */
enum ctx {
    CTX_FETCH,
    CTX_FETCH_OPERATOR,
    CTX_FETCH_PUBLISHED,
    CTX_BACKUP,
    CTX_BACKUP_OPERATOR,
    CTX_OFFER,
    CTX_UPLOAD,
    CTX_UPLOAD_OPERATOR,
    CTX_LARGEST,
    CTX_COUNT
};
const char *context_name(enum ctx which);
enum mig_direction context_direction(enum ctx which);
bool context_has_operator_key(enum ctx which);
/* Static, one for each. */
const char *context_text(const struct cast *c, enum ctx which);
void sealing_key(const struct cast *c, enum ctx which, struct mig_secret *key);

json_t *keys(const struct cast *c);
json_t *keys_refused(void);
json_t *keysets(const struct cast *c);
json_t *plaintexts(const struct cast *c);
json_t *plaintexts_refused(void);
json_t *contexts(const struct cast *c);
json_t *contexts_refused(const struct cast *c);
json_t *context_keys(void);
json_t *operator_keys(const struct cast *c);
json_t *exchanges(const struct cast *c);
json_t *exchanges_refused(void);
json_t *containers(const struct cast *c);
json_t *containers_refused(void);
json_t *digests(void);
json_t *digests_refused(void);
/* Requests and responses, and what changes of them are worth. */
void messages(const struct cast *c, json_t *root);

#endif
