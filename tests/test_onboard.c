/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

#include "migration/machine.h"
#include "migration/onboard.h"

enum { NONE, WAITING, IMPORTING, IMPORTED, DONE };

/* Every cell of job x event: the job afterwards, and what the step said. */
static const struct {
    enum mig_err err;
    int job;
} want[MIG_JOBS][MIG_ON_EVENTS] = {
    /*            IDLE            SEATED          START              STAY                 KEY */
    [NONE] = {{MIG_OK, NONE},
              {MIG_OK, DONE},
              {MIG_OK, WAITING},
              {MIG_ERR_BUG, NONE},
              {MIG_ERR_BUG, NONE},
              /* IMPORT_BEGIN        STORED               FAILED               FOUND */
              {MIG_ERR_STATE, NONE},
              {MIG_ERR_BUG, NONE},
              {MIG_ERR_BUG, NONE},
              {MIG_ERR_BUG, NONE},
              /* ABSENT            CONCLUDED */
              {MIG_ERR_BUG, NONE},
              {MIG_ERR_BUG, NONE}},
    [WAITING] = {{MIG_OK, NONE},
                 {MIG_OK, DONE},
                 {MIG_OK, WAITING},
                 {MIG_OK, WAITING},
                 {MIG_OK, WAITING},
                 {MIG_OK, IMPORTING},
                 {MIG_OK, IMPORTED},
                 {MIG_ERR_BUG, WAITING},
                 {MIG_OK, IMPORTED},
                 {MIG_OK, WAITING},
                 {MIG_ERR_BUG, WAITING}},
    [IMPORTING] = {{MIG_OK, NONE},
                   {MIG_OK, DONE},
                   {MIG_OK, WAITING},
                   {MIG_OK, IMPORTING},
                   {MIG_OK, WAITING},
                   {MIG_ERR_BUG, IMPORTING},
                   {MIG_OK, IMPORTED},
                   {MIG_OK, WAITING},
                   {MIG_OK, IMPORTING},
                   {MIG_OK, IMPORTING},
                   {MIG_ERR_BUG, IMPORTING}},
    [IMPORTED] = {{MIG_OK, NONE},
                  {MIG_OK, DONE},
                  {MIG_OK, WAITING},
                  {MIG_OK, IMPORTED},
                  {MIG_OK, IMPORTED},
                  {MIG_OK, IMPORTED},
                  {MIG_OK, IMPORTED},
                  {MIG_OK, IMPORTED},
                  {MIG_OK, IMPORTED},
                  {MIG_OK, IMPORTED},
                  {MIG_OK, IMPORTED}},
    [DONE] = {{MIG_OK, NONE},
              {MIG_OK, DONE},
              {MIG_OK, WAITING},
              {MIG_ERR_BUG, DONE},
              {MIG_ERR_BUG, DONE},
              {MIG_ERR_STATE, DONE},
              {MIG_ERR_BUG, DONE},
              {MIG_ERR_BUG, DONE},
              {MIG_ERR_BUG, DONE},
              {MIG_ERR_BUG, DONE},
              {MIG_ERR_BUG, DONE}},
};

static void every_cell_leads_where_the_table_says(void)
{
    for (int job = 0; job < MIG_JOBS; job++)
        for (int event = 0; event < MIG_ON_EVENTS; event++) {
            struct mig_onboard o = {.job = (enum mig_job)job, .run = 1, .looks = true};
            enum mig_err err = mig_onboard_step(&o, (enum mig_onboard_event)event);
            if (err != want[job][event].err || (int)o.job != want[job][event].job)
                printf("\ncell %d x %d: err %d, job %d\n", job, event, (int)err, (int)o.job);
            CU_ASSERT_EQUAL(err, want[job][event].err);
            CU_ASSERT_EQUAL((int)o.job, want[job][event].job);
            CU_ASSERT_EQUAL(o.bugs, err == MIG_ERR_BUG ? 1 : 0);
        }
}

static void values_outside_the_table_are_counted_and_change_nothing(void)
{
    struct mig_onboard o = {.job = MIG_JOB_WAITING};
    CU_ASSERT_EQUAL(mig_onboard_step(&o, (enum mig_onboard_event)MIG_ON_EVENTS), MIG_ERR_BUG);
    o.job = (enum mig_job)MIG_JOBS;
    CU_ASSERT_EQUAL(mig_onboard_step(&o, MIG_ON_IDLE), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(o.bugs, 2);
}

static void a_start_asks_the_store_unless_there_is_nothing_to_import(void)
{
    struct mig_onboard o = {0};
    uint64_t at = UINT64_MAX;
    CU_ASSERT_EQUAL(mig_onboard_step(&o, MIG_ON_START), MIG_OK);
    CU_ASSERT(o.job == MIG_JOB_WAITING && mig_onboard_wants_look(&o, 0, &at));
    CU_ASSERT_FALSE(mig_onboard_wants_conclude(&o, 0, &at));
    o.nothing_to_import = true;
    CU_ASSERT_EQUAL(mig_onboard_step(&o, MIG_ON_START), MIG_OK);
    CU_ASSERT(o.job == MIG_JOB_IMPORTED && !mig_onboard_wants_look(&o, 0, &at));
    CU_ASSERT(mig_onboard_wants_conclude(&o, 0, &at));
}

static void shares_found_during_an_import_outlive_its_failure(void)
{
    struct mig_onboard o = {0};
    CU_ASSERT_EQUAL(mig_onboard_step(&o, MIG_ON_START), MIG_OK);
    CU_ASSERT_EQUAL(mig_onboard_step(&o, MIG_ON_IMPORT_BEGIN), MIG_OK);
    CU_ASSERT_EQUAL(mig_onboard_step(&o, MIG_ON_SHARES_FOUND), MIG_OK);
    CU_ASSERT_EQUAL(o.job, MIG_JOB_IMPORTING);
    CU_ASSERT_EQUAL(mig_onboard_step(&o, MIG_ON_IMPORT_FAILED), MIG_OK);
    CU_ASSERT_EQUAL(o.job, MIG_JOB_IMPORTED);
}

/* A table: attempts so far, the shortest and the longest pause. */
static void pauses_double_from_first_to_last(void)
{
    static const struct {
        unsigned n;
        uint64_t least, most;
    } row[] = {
        {1, 2000, 2500},   {2, 4000, 5000},   {3, 8000, 10000},  {4, 16000, 20000},
        {5, 32000, 40000}, {6, 60000, 60000}, {7, 60000, 60000}, {4000000000u, 60000, 60000}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        uint64_t least = mig_pause_ms(row[i].n, MIG_CONCLUDE_FIRST_MS, MIG_CONCLUDE_LAST_MS, 0);
        uint64_t most =
            mig_pause_ms(row[i].n, MIG_CONCLUDE_FIRST_MS, MIG_CONCLUDE_LAST_MS, UINT32_MAX);
        CU_ASSERT_EQUAL(least, row[i].least);
        CU_ASSERT(most <= row[i].most && most + 1 >= row[i].most);
    }
}

static void an_end_without_a_begin_is_counted(void)
{
    struct mig_onboard o = {0};
    mig_onboard_import_end(&o, 0, true);
    mig_onboard_import_end(&o, 7, false);
    CU_ASSERT_EQUAL(o.bugs, 2);
    CU_ASSERT_EQUAL(o.job, MIG_JOB_NONE);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(every_cell_leads_where_the_table_says),
        TEST(values_outside_the_table_are_counted_and_change_nothing),
        TEST(a_start_asks_the_store_unless_there_is_nothing_to_import),
        TEST(shares_found_during_an_import_outlive_its_failure),
        TEST(pauses_double_from_first_to_last),
        TEST(an_end_without_a_begin_is_counted),
    };
    return run_tests("onboard", tests, sizeof tests / sizeof *tests);
}
