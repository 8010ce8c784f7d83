/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_RPC_H
#define MIG_CHAIN_RPC_H
/*
 * NEAR JSON-RPC over libcurl, with one endpoint or several that stand in for
 * each other: after a call that got no sensible answer the next call goes to
 * the next one. Endpoints are not trusted: no redirects, no proxies, no compression, http and https only, bounded sizes
 * and times. A URL's path and query may hold an API key: only the origin is
 * ever shown.
 *
 * A struct mig_rpc belongs to one thread at a time; mig_rpc_cancel may be
 * called from any.
 */
#include "chain/endpoints.h"
#include "chain/envelope.h"

struct mig_rpc;

enum {
    MIG_RPC_ORIGIN_MAX = MIG_ENDPOINT_ORIGIN_MAX,
    MIG_RPC_BODY_MAX = 20 * 1024 * 1024, /* 4 MiB of state as numbers, and some */
};

struct mig_rpc_options {
    const char *url;     /* or a list, chain/endpoints.h; copied */
    unsigned timeout_ms; /* of one call, all in all; 0: 10 s */
    size_t body_max;     /* 0: MIG_RPC_BODY_MAX */
    const char *ca_file; /* NULL: the system's */
};

/* MIG_ERR_MALFORMED for what mig_endpoints_parse refuses. */
enum mig_err mig_rpc_new(const struct mig_rpc_options *options, struct mig_rpc **out) MIG_MUST_USE;
void mig_rpc_free(struct mig_rpc **rpc);

/* Ends the call or pause that is under way, and all later ones, with
 * MIG_ERR_CANCELLED. */
void mig_rpc_cancel(struct mig_rpc *rpc);
/* Waits; MIG_ERR_CANCELLED when cancelled before or meanwhile. */
enum mig_err mig_rpc_pause(struct mig_rpc *rpc, unsigned ms) MIG_MUST_USE;

/* How many endpoints there are; and the next call goes to the next of them,
 * because this one's answers led nowhere. */
size_t mig_rpc_count(const struct mig_rpc *rpc);
void mig_rpc_next(struct mig_rpc *rpc);

/* Scheme, host and port of the endpoint asked last, for logs. Valid until the
 * next call. */
const char *mig_rpc_origin(const struct mig_rpc *rpc);
/* Why the last call failed; all zero after a success. Valid until the next. */
const struct mig_rpc_error *mig_rpc_error(const struct mig_rpc *rpc);

/* Errors of all calls: MIG_ERR_RETRY (network, overload, block not there yet),
 * _MALFORMED (no sensible answer), _NOT_FOUND (account, code, method, key,
 * transaction), _DENIED (contract panic, invalid transaction, HTTP 401/403),
 * _CANCELLED, _NOMEM. */

/* The newest final block; and the one with this hash. */
enum mig_err mig_rpc_final_block(struct mig_rpc *rpc, struct mig_tip *out) MIG_MUST_USE;
enum mig_err mig_rpc_block(struct mig_rpc *rpc, const char *hash, struct mig_tip *out) MIG_MUST_USE;
/* Calls a view method at the block `hash` (NULL: the newest final one).
 * `args`: JSON text, "" for none. The answer must come from that very block. */
enum mig_err mig_rpc_view(struct mig_rpc *rpc, const char *contract, const char *method,
                          const char *args, const char *hash, struct mig_returned *out) MIG_MUST_USE;
/* Which chain the endpoint is of. */
enum mig_err mig_rpc_status(struct mig_rpc *rpc, struct mig_node_status *out) MIG_MUST_USE;
enum mig_err mig_rpc_access_key(struct mig_rpc *rpc, const char *account,
                                const uint8_t key[MIG_KEY_LEN], struct mig_access_key *out) MIG_MUST_USE;

/* Any other method: `params` is the JSON of the params object; `read` takes the
 * result, as in mig_envelope_read. */
enum mig_err mig_rpc_ask(struct mig_rpc *rpc, const char *method, const char *params,
                         void (*read)(struct mig_json *j, void *out, struct mig_rpc_error *e,
                                      bool *failed),
                         void *out) MIG_MUST_USE;

/* GET of a path below the endpoint's URL, which keeps its query. Answers 200
 * and 404, and redirects, which are told but not followed; other statuses are
 * failures as above. */
struct mig_http_answer {
    long status;
    const char *body; /* valid until the next call */
    size_t len;
    const char *location; /* where a redirect points, absolute; or NULL. Likewise */
};
enum mig_err mig_rpc_get(struct mig_rpc *rpc, const char *path,
                         struct mig_http_answer *out) MIG_MUST_USE;
/* For what a caller finds wrong with such an answer: mig_rpc_error then says
 * so. Gives `err`. */
enum mig_err mig_rpc_blame(struct mig_rpc *rpc, enum mig_err err, enum mig_fault fault,
                           const char *text);

enum mig_wait {
    MIG_WAIT_NONE = 0,
    MIG_WAIT_EXECUTED_OPTIMISTIC = 1,
    MIG_WAIT_FINAL = 2,
};
/* Sends signed bytes; may be repeated with the same ones at will. */
enum mig_err mig_rpc_send_tx(struct mig_rpc *rpc, const uint8_t *bytes, size_t len, enum mig_wait wait,
                             struct mig_outcome *out) MIG_MUST_USE;
/* What became of it. MIG_ERR_NOT_FOUND when the endpoint does not know it. */
enum mig_err mig_rpc_tx(struct mig_rpc *rpc, const char *hash, const char *sender,
                        struct mig_outcome *out) MIG_MUST_USE;

#endif
