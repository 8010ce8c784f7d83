/* SPDX-License-Identifier: MIT */
/*
 * Asks one node for its backup as the registered service would, whether or not
 * the contract names that node: for seeing what a node answers that is not the
 * participant. Prints the HTTP status and the code of the signed answer.
 *
 *     ask_node RPC CONTRACT ACCOUNT SERVICE-KEYFILE URL NODE-KEY
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backup/judge.h"
#include "backup/transport.h"
#include "chain/poll.h"
#include "crypto/key.h"

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "ask_node: %s\n", what);
    exit(1);
}

static const struct mig_view *look(char **argv)
{
    struct mig_rpc *rpc = NULL;
    struct mig_cache *cache = NULL;
    struct mig_poller poller;
    struct mig_rpc_options options = {.url = argv[1]};
    must(mig_rpc_new(&options, &rpc) == MIG_OK &&
             mig_cache_new(argv[2], argv[3], MIG_DIALECT_AUTO, &cache) == MIG_OK &&
             mig_poller_init(&poller, rpc, cache, argv[2], MIG_DIALECT_AUTO) == MIG_OK &&
             mig_poll(&poller, (uint64_t)time(NULL) * 1000000000u) == MIG_OK,
         "the contract cannot be read");
    const struct mig_view *view = mig_cache_view(cache);
    mig_cache_free(&cache);
    mig_rpc_free(&rpc);
    return view;
}

int main(int argc, char **argv)
{
    struct mig_identity *service = NULL;
    struct mig_transport *transport = NULL;
    struct mig_route route;
    struct mig_ephemeral own;
    struct mig_ask ask;
    struct mig_reply reply = {0};
    uint8_t node[MIG_KEY_LEN];
    char context[MIG_CONTEXT_MAX + 1];
    const char *why = "";
    must(argc == 7 && mig_crypto_init() == MIG_OK, "see tests/ask_node.c");
    must(mig_identity_load(argv[4], &service, &why) == MIG_OK, why);
    must(mig_key_parse(argv[6], strlen(argv[6]), node) == MIG_OK, "not a key");
    const struct mig_view *view = look(argv);
    must(mig_route_init(argv[5], node, false, &route, &why) == MIG_OK, why);
    struct mig_peer peer = {.contract = argv[2],
                            .account = argv[3],
                            .service = service,
                            .announce = MIG_ANNOUNCE_HEADER,
                            .authority = route.authority};
    memcpy(peer.node, node, MIG_KEY_LEN);
    uint64_t now = (uint64_t)time(NULL);
    struct mig_secret *shares = mig_secret_new(view->keyset.count * MIG_SHARE_LEN);
    must(shares != NULL && mig_ephemeral_generate(&own) == MIG_OK &&
             mig_ask_fetch(&peer, &view->keyset, &own, NULL, now, &ask) == MIG_OK &&
             mig_transport_new(&transport) == MIG_OK,
         "out of memory");
    enum mig_err err = mig_transport_send(transport, &route, &ask, NULL, &reply, &why);
    must(err == MIG_OK, why != NULL && why[0] != '\0' ? why : mig_err_text(err));
    struct mig_result r =
        mig_judge_fetch(&peer, &ask, &own, &view->keyset, &reply, now, shares, context);
    (void)printf("%u %s\n", r.status, r.code);
    mig_reply_clear(&reply);
    mig_ask_clear(&ask);
    mig_ephemeral_clear(&own);
    mig_secret_free(&shares);
    mig_transport_free(&transport);
    mig_view_release(&view);
    mig_identity_free(&service);
    return 0;
}
