/* SPDX-License-Identifier: MIT */
/*
 * Configuration files. An attacker does not reach them, but an operator's
 * template system does: whatever the bytes, the parser answers with one
 * printable line or with values that fit their table.
 */
#include <stdlib.h>
#include <string.h>

#include "cmd/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mig_config_key keys[] = {
    {.section = "node", .name = "account", .required = true},
    {.section = "node", .name = "identity_key", .kind = MIG_CONFIG_PATH},
    MIG_CONFIG_CONTRACT_KEYS,
    {.section = "limits", .name = "connections", .kind = MIG_CONFIG_NUMBER, .min = 1, .max = 9},
    {.section = "limits", .name = "strict", .kind = MIG_CONFIG_FLAG, .fallback = "no"},
};
enum { KEYS = sizeof keys / sizeof *keys };

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mig_config_file *config;
    char why[MIG_CONFIG_WHY_MAX];
    enum mig_err err =
        mig_config_parse((const char *)data, size, "x", "/", keys, KEYS, &config, why);
    check((err == MIG_OK) == (config != NULL) && (err == MIG_OK) == (why[0] == '\0'));
    check(strcspn(why, "\r\n\t") == strlen(why));
    if (config != NULL) {
        uint64_t n = mig_config_number(config, "limits", "connections");
        check(mig_config_text(config, "node", "account")[0] != '\0');
        check(!mig_config_is_given(config, "limits", "connections") || (n >= 1 && n <= 9));
        check(mig_config_number(config, "contract", "dialect") <= 2);
    }
    mig_config_free(&config);
    return 0;
}
