/* SPDX-License-Identifier: MIT */
/*
 * Target: the parsers of `migration_info`, `recovery_info`, `ephemeral_keys`
 * and `version`. Their text comes from an RPC endpoint, and parts of it from
 * whoever may call the contract. One text never reads in both dialects, and
 * whether it reads does not depend on whose entry is looked for.
 */
#include <stdlib.h>
#include <string.h>

#include "chain/account.h"
#include "chain/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void is_sane(const struct mig_info *info)
{
    static const struct mig_info none;
    struct mig_url url;
    const char *text = info->destination.url;
    if (!info->has_service_key)
        require(memcmp(info->service_key, none.service_key, MIG_KEY_LEN) == 0);
    if (!info->has_destination)
        require(memcmp(&info->destination, &none.destination, sizeof none.destination) == 0);
    require(text[0] == '\0' || mig_url_parse(text, strlen(text), &url) == MIG_OK);
    require(info->destination.since == 0 && !info->destination.active);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct mig_info a, b;
    struct mig_published p;
    char version[MIG_VERSION_MAX + 1];
    enum mig_err deployed = mig_migration_info_parse(text, size, "alice.near", &a);
    is_sane(&a);
    require(deployed == mig_migration_info_parse(text, size, "nobody.near", &b));
    enum mig_err draft = mig_recovery_info_parse(text, size, "alice.near", &a);
    is_sane(&a);
    require(draft == mig_recovery_info_parse(text, size, "nobody.near", &b));
    require(deployed != MIG_OK || draft != MIG_OK);
    enum mig_err published = mig_ephemeral_keys_parse(text, size, "alice.near", &p);
    require(published == mig_ephemeral_keys_parse(text, size, "nobody.near", &p));
    if (mig_version_parse(text, size, version) == MIG_OK)
        require(version[0] > ' ' && strlen(version) <= MIG_VERSION_MAX);
    return 0;
}
