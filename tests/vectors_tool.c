/* SPDX-License-Identifier: MIT */
/* vectors_tool: prints docs/protocol-vectors.json. */
#include <stdio.h>

#include "tests/vectors/vectors.h"

static const char ABOUT[] =
    "Test vectors of docs/protocol.md, version 1. Byte strings are lower-case hex unless they "
    "stand "
    "inside a text of the protocol; u64 are decimal strings. Every secret in here is public: use "
    "it "
    "for nothing else. Long plaintexts are given by their length: byte i is i mod 251. `parts` "
    "makes "
    "a changed copy of what it names: [from, to) are bytes of the original, strings are bytes in "
    "between. Changed messages give the header fields that differ; null takes one away.";

int main(void)
{
    struct cast c = {0};
    json_t *root = json_object();
    start_without_chance();
    make_cast(&c);
    set(root, "about", json_string(ABOUT));
    set(root, "keys", keys(&c));
    set(root, "keys_refused", keys_refused());
    set(root, "keysets", keysets(&c));
    set(root, "operator_keys", operator_keys(&c));
    set(root, "contexts", contexts(&c));
    set(root, "contexts_refused", contexts_refused(&c));
    set(root, "context_keys", context_keys());
    set(root, "exchanges", exchanges(&c));
    set(root, "exchanges_refused", exchanges_refused());
    set(root, "plaintexts", plaintexts(&c));
    set(root, "plaintexts_refused", plaintexts_refused());
    set(root, "containers", containers(&c));
    set(root, "containers_refused", containers_refused());
    set(root, "digests", digests());
    set(root, "digests_refused", digests_refused());
    messages(&c, root);
    must(json_dumpf(root, stdout, JSON_INDENT(1)) == 0 && putchar('\n') == '\n', "output");
    json_decref(root);
    free_cast(&c);
    return 0;
}
