/* SPDX-License-Identifier: MIT */
#ifndef MIG_AUTH_SIGNATURE_H
#define MIG_AUTH_SIGNATURE_H
/*
 * HTTP message signatures (RFC 9421), ed25519, over exactly the profile of
 * docs/protocol.md. A request passes three steps, each with its own answer:
 *   parse  - everything has its form                 else 400
 *   check  - coverage, parameters, key, tag, time    else 401
 *   verify - the signature itself                    else 401
 * The caller spends its verification budget between parse and check, and
 * inserts the nonce (auth/replay.h) after verify.
 */
#include "auth/message.h"
#include "crypto/context.h"
#include "crypto/key.h"

#define MIG_REQUEST_TAG "mpc-migration-v1"
#define MIG_RESPONSE_TAG "mpc-migration-v1-response"

enum {
    MIG_SIG_FIELD_MAX = 1024,  /* bytes of Signature-Input, of Signature */
    MIG_NONCE_MIN = 22,
    MIG_NONCE_MAX = 64,
    MIG_SIG_BASE_MAX = 8192,   /* bytes of a signature base */
    MIG_SKEW_DEFAULT = 30,     /* seconds; W in the protocol */
    MIG_SKEW_MAX = 300,
    MIG_LIFETIME_MAX = 300,    /* expires - created */
    MIG_COMPONENTS_MAX = 16,
};

/* A parsed, not yet believed request. Slices borrow from the message. */
struct mig_signed_request {
    struct mig_context context;
    struct mig_text context_text; /* exactly as in the signature base */
    struct mig_text nonce;
    struct mig_text keyid;
    struct mig_text tag;
    struct mig_text alg;
    uint64_t created, expires;
    bool has_created, has_expires, has_nonce, has_keyid, has_tag, has_alg;
    unsigned covered;              /* set of required components seen; private to auth/ */
    bool has_body;                 /* the resource takes one: the three content fields must be covered */
    uint8_t content_digest[MIG_DIGEST_LEN]; /* the sha-256 member, when has_body */
    uint8_t signature[MIG_SIG_LEN];
    struct mig_text params;        /* value of "@signature-params" */
    size_t base_len;
    char base[MIG_SIG_BASE_MAX];
};

/* MIG_ERR_DENIED: no signature fields at all. MIG_ERR_MALFORMED: one is
 * missing, repeated, too long, not canonical, labels differ, a component or
 * parameter this profile bans, a parameter of the wrong type, a nonce that is
 * none, a covered field that is absent, the context or the digest does not
 * parse, a target with a query. `needs_body`: the resource takes a body; then
 * content-type, -length and -digest must be there once each, else a length
 * other than 0 is refused. Which keys the context must carry is the caller's
 * to check: it depends on the resource. */
enum mig_err mig_request_parse(const struct mig_message *request, bool needs_body,
                               struct mig_signed_request *out) MIG_MUST_USE;

/* The key that is honoured now, and the clock. */
struct mig_auth_policy {
    uint8_t key[MIG_KEY_LEN];
    uint64_t now;  /* Unix seconds */
    uint32_t skew; /* W */
};
/* MIG_OK or MIG_ERR_DENIED; *why is a static word for metrics ("coverage",
 * "parameter", "tag", "keyid", "time") that no peer ever sees. */
enum mig_err mig_request_check(const struct mig_signed_request *request,
                               const struct mig_auth_policy *policy, const char **why) MIG_MUST_USE;
enum mig_err mig_request_verify(const struct mig_signed_request *request,
                                const uint8_t key[MIG_KEY_LEN]) MIG_MUST_USE;

/* The two field values that a signer adds. NUL-terminated. */
struct mig_signature_fields {
    char input[MIG_SIG_FIELD_MAX + 1];
    char signature[MIG_SIG_FIELD_MAX + 1];
};

/* Signs a request of the backup service: covers what the profile requires
 * (with a body, which is when content-digest is among the fields, also
 * content-type and content-length). `nonce` is NUL-terminated.
 * MIG_ERR_MALFORMED when the message lacks one or no verifier would take it. */
enum mig_err mig_request_sign(const struct mig_message *request, const struct mig_identity *service,
                              const char *nonce, uint64_t created, uint64_t expires,
                              struct mig_signature_fields *out) MIG_MUST_USE;

/* Signs an answer of the node to response->request: covers "@status",
 * content-type and content-digest (which must be there), mpc-migration-context,
 * retry-after and allow where present, and the ;req components of the profile
 * (content-digest when the request has one). */
enum mig_err mig_response_sign(const struct mig_message *response, const struct mig_identity *node,
                               struct mig_text nonce, uint64_t created,
                               struct mig_signature_fields *out) MIG_MUST_USE;

/* Verifies an answer, form first, then nonce and keyid, then the signature.
 * MIG_ERR_DENIED for anything but an answer that this node signed to exactly
 * this request. The digest in Content-Digest is returned for the caller to
 * compare with the body it received. */
enum mig_err mig_response_verify(const struct mig_message *response, const uint8_t node_key[MIG_KEY_LEN],
                                 const char *nonce, uint8_t content_digest[MIG_DIGEST_LEN],
                                 uint64_t *created) MIG_MUST_USE;

/* 22 to 64 characters of the base64url alphabet. */
bool mig_nonce_is_valid(struct mig_text nonce);
/* 22 characters of base64url over 16 random bytes. */
void mig_nonce_new(char out[MIG_NONCE_MIN + 1]);

#endif
