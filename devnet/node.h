/* SPDX-License-Identifier: MIT */
#ifndef MIG_DEVNET_NODE_H
#define MIG_DEVNET_NODE_H
/* The running devnet, as its own files see it. */
#include <jansson.h>
#include <pthread.h>

#include "devnet/chain.h"
#include "devnet/devnet.h"

struct MHD_Daemon;

/* Lies and troubles that a scenario can switch on; zero is honest. */
struct mig_devnet_faults {
    bool is_pinned; /* queries see nothing after `pinned` */
    uint64_t pinned;
    uint64_t back;        /* queries see the chain so many blocks ago */
    uint64_t oversize;    /* bytes of padding inside `state` */
    uint64_t slow_ms;     /* before every answer */
    unsigned http_status; /* answered instead of anything else */
    bool garbage;         /* 200, and a body that is not JSON */
    bool wrong_type;      /* `result` of a call is a string */
    bool wrong_value;     /* the returned JSON has another shape */
};

struct mig_devnet {
    struct mig_devnet_config config; /* strings are borrowed for mig_devnet_start only */
    char *state_path;
    pthread_mutex_t lock;   /* protects everything below */
    pthread_cond_t changed; /* a block was made, or the end has come */
    struct mig_devnet_chain chain;
    struct mig_devnet_faults faults;
    uint64_t started_ns;
    bool is_stopping;
    bool has_thread;
    pthread_t thread;
    struct MHD_Daemon *rpc;
    struct MHD_Daemon *scenario;
};

uint64_t mig_devnet_now_ns(void);

/* After a change of the tip or the queue: without a timer `final` catches up
 * now; saves; wakes who waits. With the lock held. */
enum mig_err mig_devnet_settle(struct mig_devnet *d) MIG_MUST_USE;

/* One JSON-RPC call while it is answered, with the lock held. */
struct mig_devnet_call {
    struct mig_devnet *d;
    const char *method;
    json_t *params;          /* object, array or NULL */
    struct mig_print result; /* JSON of "result" */
    struct mig_print error;  /* JSON of "error"; wins */
    unsigned status;         /* HTTP */
    bool is_experimental;    /* contract errors are handler errors */
};

/* Member `name`, or the positional one; NULL when absent or null. */
json_t *mig_devnet_param(const struct mig_devnet_call *c, const char *name, size_t position);
const char *mig_devnet_param_text(const struct mig_devnet_call *c, const char *name,
                                  size_t position);

/* Each sets the error; `info` is JSON, `data` plain text. */
void mig_devnet_handler_error(struct mig_devnet_call *c, const char *cause, const char *info,
                              const char *data);
void mig_devnet_parse_error(struct mig_devnet_call *c, const char *message);
void mig_devnet_timeout(struct mig_devnet_call *c);

/* Blocks as queries see them, faults included. */
const struct mig_devnet_block *mig_devnet_seen(const struct mig_devnet *d, uint64_t back);
const struct mig_devnet_block *mig_devnet_seen_final(const struct mig_devnet *d);
/* The block that finality or block_id names; NULL with the error set. */
const struct mig_devnet_block *mig_devnet_resolve(struct mig_devnet_call *c);

/* query.c */
void mig_devnet_query(struct mig_devnet_call *c);
void mig_devnet_query_as(struct mig_devnet_call *c, const char *request_type);
/* blocks.c */
void mig_devnet_indexer_block_rpc(struct mig_devnet_call *c);
void mig_devnet_changes_rpc(struct mig_devnet_call *c);
/* A server of ready messages: what GET of `path` answers; with status 302 `location` says
 * where to go. *answer is a heap string. */
enum mig_err mig_devnet_message_get(struct mig_devnet *d, const char *path, unsigned *status,
                                    char **answer, char location[64]) MIG_MUST_USE;
/* network.c */
void mig_devnet_block_format(struct mig_devnet_call *c, const struct mig_devnet_block *b);
void mig_devnet_chunk_header(struct mig_print *t, const struct mig_devnet_block *b,
                             uint64_t included);
void mig_devnet_block_rpc(struct mig_devnet_call *c);
void mig_devnet_chunk_rpc(struct mig_devnet_call *c);
void mig_devnet_status_rpc(struct mig_devnet_call *c);
void mig_devnet_gas_price_rpc(struct mig_devnet_call *c);
void mig_devnet_network_info_rpc(struct mig_devnet_call *c);
void mig_devnet_protocol_config_rpc(struct mig_devnet_call *c);
void mig_devnet_validators_rpc(struct mig_devnet_call *c);
void mig_devnet_health_rpc(struct mig_devnet_call *c);
/* send.c */
void mig_devnet_send_tx_rpc(struct mig_devnet_call *c);
void mig_devnet_broadcast_async_rpc(struct mig_devnet_call *c);
void mig_devnet_broadcast_commit_rpc(struct mig_devnet_call *c);
void mig_devnet_tx_rpc(struct mig_devnet_call *c);
void mig_devnet_tx_status_rpc(struct mig_devnet_call *c);

/* listener.c */
enum mig_err mig_devnet_listen(struct mig_devnet *d, char why[MIG_DEVNET_ERROR_MAX]) MIG_MUST_USE;
void mig_devnet_unlisten(struct mig_devnet *d);
/* scenario.c: one operation, with the lock held. */
enum mig_err mig_devnet_operate(struct mig_devnet *d, const char *op, size_t len,
                                char why[MIG_DEVNET_ERROR_MAX]) MIG_MUST_USE;
/* save.c */
enum mig_err mig_devnet_save(const struct mig_devnet *d) MIG_MUST_USE;
enum mig_err mig_devnet_load(struct mig_devnet *d, char why[MIG_DEVNET_ERROR_MAX]) MIG_MUST_USE;
void mig_devnet_accounts_format(struct mig_print *t, const struct mig_devnet_ledger *ledger);
/* genesis.c */
enum mig_err mig_devnet_genesis(struct mig_devnet *d, char why[MIG_DEVNET_ERROR_MAX]) MIG_MUST_USE;
/* An "accounts" array, as in genesis and the state file, into the ledger. */
enum mig_err mig_devnet_accounts_read(const json_t *accounts, struct mig_devnet_ledger *ledger,
                                      char why[MIG_DEVNET_ERROR_MAX]) MIG_MUST_USE;

#endif
