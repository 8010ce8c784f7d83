/* SPDX-License-Identifier: MIT */
/*
 * Structured field values. Anyone who can reach the listener sends them, in
 * Signature-Input and Content-Digest. What parses has one canonical form, and
 * that form is a fixed point.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/sf.h"

enum { MEMBERS = 32, ITEMS = 64, PARAMS = 64, TEXT = 1 << 14 };

struct parsed {
    struct mig_sf sf;
    struct mig_sf_member members[MEMBERS];
    struct mig_sf_item items[ITEMS];
    struct mig_sf_param params[PARAMS];
};

static enum mig_err parse(enum mig_sf_kind kind, struct mig_text text, struct parsed *p)
{
    p->sf = (struct mig_sf){.members = p->members,
                            .items = p->items,
                            .params = p->params,
                            .member_cap = MEMBERS,
                            .item_cap = ITEMS,
                            .param_cap = PARAMS};
    return mig_sf_parse(kind, text, &p->sf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct parsed p;
    static char first[TEXT], second[TEXT];
    size_t len = 0, again = 0;
    if (size == 0 || size > TEXT / 4)
        return 0;
    enum mig_sf_kind kind = (enum mig_sf_kind)(data[0] % 3 + 1);
    if (parse(kind, (struct mig_text){(const char *)data + 1, size - 1}, &p) != MIG_OK)
        return 0;
    bool had_duplicates = p.sf.has_duplicates;
    if (mig_sf_format(kind, &p.sf, first, sizeof first, &len) != MIG_OK)
        abort();
    if (parse(kind, (struct mig_text){first, len}, &p) != MIG_OK || p.sf.has_duplicates)
        abort();
    if (mig_sf_format(kind, &p.sf, second, sizeof second, &again) != MIG_OK || len != again ||
        memcmp(first, second, len) != 0)
        abort();
    bool is_same = len == size - 1 && memcmp(first, data + 1, len) == 0;
    if (is_same && had_duplicates)
        abort();
    return 0;
}
