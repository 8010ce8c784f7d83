/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"
#include "tests/rig.h"

static struct rig rig;

static void serves_a_backup_that_opens_to_the_nodes_shares(void)
{
    rig_open(&rig);
    rig_ask(&rig, MIG_RESOURCE_BACKUP);
    rig_send(&rig);
    CU_ASSERT_EQUAL(rig_status(&rig), 200);
    CU_ASSERT_STRING_EQUAL(rig_code(&rig), "");
    CU_ASSERT(rig_is_signed(&rig));
    CU_ASSERT(rig_opens_to(&rig, (const uint8_t(*)[MIG_SHARE_LEN])rig.shares));
    CU_ASSERT_EQUAL(rig.served, 1);
    rig_close(&rig);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(serves_a_backup_that_opens_to_the_nodes_shares),
    };
    return run_tests("exchange", tests, sizeof tests / sizeof *tests);
}
