/* SPDX-License-Identifier: MIT */
#ifndef MIG_DEVNET_DEVNET_H
#define MIG_DEVNET_DEVNET_H
/*
 * A local chain with the migration contract on it, behind NEAR JSON-RPC
 * (docs/devnet.md). Starts one block thread, one polling thread per listener
 * and one short-lived thread per connection. Every function here may be called
 * from any thread. For development and tests: never give it keys of value.
 */
#include "contract/contract.h"

enum { MIG_DEVNET_ERROR_MAX = 256 };

struct mig_devnet_config {
    const char *genesis;    /* JSON text; NULL: the state file must exist */
    const char *state_path; /* NULL: nothing is kept */
    const char *address;    /* of both listeners, a loopback address */
    uint16_t rpc_port;      /* 0: any */
    bool has_scenario;      /* the second listener */
    uint16_t scenario_port; /* 0: any */
    unsigned block_ms;      /* 0: no timer; `final` then catches up after each change */
    unsigned final_lag;     /* blocks */
    unsigned wait_ms;       /* how long send_tx and tx wait for the asked status */
    bool has_version;       /* overrides the genesis; must equal a loaded state's */
    enum mig_contract_version version;
};
/* Values to start from. */
#define MIG_DEVNET_DEFAULTS                                                                        \
    (struct mig_devnet_config)                                                                     \
    {                                                                                              \
        .address = "127.0.0.1", .has_scenario = true, .block_ms = 600, .final_lag = 2,             \
        .wait_ms = 10000                                                                           \
    }

struct mig_devnet;

/* MIG_ERR_MALFORMED (genesis, state file, address), _CONFLICT (version), _IO
 * (port, file), _NOMEM, with the reason in `why`. */
enum mig_err mig_devnet_start(const struct mig_devnet_config *config, struct mig_devnet **out,
                              char why[MIG_DEVNET_ERROR_MAX]) MIG_MUST_USE;
/* Ends all connections, saves, releases; NULLs the pointer. */
void mig_devnet_stop(struct mig_devnet **devnet);

uint16_t mig_devnet_rpc_port(const struct mig_devnet *devnet);
uint16_t mig_devnet_scenario_port(const struct mig_devnet *devnet); /* 0: none */
uint64_t mig_devnet_height(struct mig_devnet *devnet);
uint64_t mig_devnet_final_height(struct mig_devnet *devnet);

/* What POST /scenario does: one operation as a JSON object. */
enum mig_err mig_devnet_scenario(struct mig_devnet *devnet, const char *op,
                                 char why[MIG_DEVNET_ERROR_MAX]) MIG_MUST_USE;
/* What GET /state shows: heights, contract, accounts; a heap string. */
enum mig_err mig_devnet_dump(struct mig_devnet *devnet, char **json) MIG_MUST_USE;
/* What POST / answers: the HTTP status, and a heap string. */
enum mig_err mig_devnet_request(struct mig_devnet *devnet, const char *body, size_t len,
                                unsigned *status, char **answer) MIG_MUST_USE;

#endif
