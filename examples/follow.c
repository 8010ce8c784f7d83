/* SPDX-License-Identifier: MIT */
/* Follows a contract: follow "URL, URL, ..." CONTRACT ACCOUNT. Enter ends it. */
#include <stdio.h>

#include "chain/watch.h"

static void show(void *ctx, const struct mig_view *view)
{
    (void)ctx;
    printf("block %llu: %s, epoch %llu, %zu participants, generation %llu\n",
           (unsigned long long)view->state_block.height, mig_protocol_text(view->protocol),
           (unsigned long long)view->keyset.epoch, view->participants.count,
           (unsigned long long)view->generation);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct mig_cache *cache;
    struct mig_watch *watch;
    if (argc != 4 || mig_cache_new(argv[2], argv[3], MIG_DIALECT_AUTO, &cache) != MIG_OK)
        return 2;
    mig_cache_on_view(cache, show, NULL);
    const struct mig_watch_options options = {
        .rpc_url = argv[1], .contract = argv[2], .account = argv[3], .cache = cache};
    if (mig_watch_start(&options, &watch) != MIG_OK)
        return 1;
    (void)getchar();
    mig_watch_stop(&watch);
    mig_cache_free(&cache);
    return 0;
}
