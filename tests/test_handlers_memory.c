/* SPDX-License-Identifier: MIT */
/* Fails the n-th allocation, for every n, of what the handlers do. A sanitizer
 * has an allocator of its own; there nothing fails. */
#include "tests/rig.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"

static _Thread_local unsigned long countdown; /* 0: nothing fails */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if !defined(__SANITIZE_ADDRESS__)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

static bool is_to_fail(void)
{
    return countdown != 0 && --countdown == 0;
}

void *malloc(size_t size)
{
    return is_to_fail() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return is_to_fail() ? NULL : __libc_calloc(count, size);
}
#endif

enum { ENOUGH = 200 };
static struct rig rig;

/* True when the countdown ran out before the work was done. */
static bool failed_one(void)
{
    bool failed = countdown == 0;
    countdown = 0;
    return failed;
}

static void a_service_is_made_whole_or_not_at_all(void)
{
    struct mig_service_config config;
    unsigned long n = 1;
    rig_open(&rig);
    rig_config(&rig, &config);
    for (bool failed = true; failed && n < ENOUGH; n++) {
        struct mig_service *service = NULL;
        countdown = n;
        enum mig_err err = mig_service_new(&config, &service);
        failed = failed_one();
        CU_ASSERT_EQUAL(err, failed ? MIG_ERR_NOMEM : MIG_OK);
        CU_ASSERT_EQUAL(service == NULL, failed);
        mig_service_free(&service);
    }
    CU_ASSERT(n < ENOUGH);
    rig_close(&rig);
}

/* A 503 that says to come again, whether there was memory to sign it or not. */
static void expect_come_again(void)
{
    CU_ASSERT_EQUAL(rig_status(&rig), 503);
    CU_ASSERT_PTR_NOT_NULL(rig_field(&rig, "retry-after"));
    CU_ASSERT_EQUAL(rig_is_signed(&rig), rig.exchange != NULL && rig.answer->is_signed);
}

static void a_backup_is_served_or_put_off(void)
{
    unsigned long n = 1, served = 0;
    rig_open_with(&rig, &(struct rig_options){.domains = 40});
    for (bool failed = true; failed && n < ENOUGH; n++) {
        rig_restart(&rig, NULL);
        rig_wait(&rig, 25);
        rig_tell(&rig);
        rig_wait(&rig, 10);
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        rig_compose(&rig);
        rig_sign(&rig);
        countdown = n;
        (void)rig_begin(&rig);
        failed = failed_one();
        served += rig_status(&rig) == 200;
        if (rig_status(&rig) != 200)
            expect_come_again();
        else
            CU_ASSERT(rig_opens_to(&rig, (const uint8_t(*)[MIG_SHARE_LEN])rig.shares));
        CU_ASSERT_EQUAL(rig.served, served);
    }
    CU_ASSERT(n > 5 || served == 1);
    CU_ASSERT(n < ENOUGH);
    rig_close(&rig);
}

static void an_upload_is_imported_or_put_off(void)
{
    unsigned long n = 1;
    rig_open_with(&rig, &(struct rig_options){.is_destination = true});
    for (bool failed = true; failed && n < ENOUGH; n++) {
        rig_restart(&rig, NULL);
        rig_wait(&rig, 25);
        rig_tell(&rig);
        rig_wait(&rig, 10);
        rig.has_receipt = false;
        rig_get_offer(&rig);
        CU_ASSERT_EQUAL(rig_status(&rig), 200);
        rig_ask(&rig, MIG_RESOURCE_UPLOAD);
        rig_compose(&rig);
        rig_sign(&rig);
        rig_end(&rig);
        countdown = n;
        if (rig_begin(&rig) == MIG_STEP_BODY) {
            rig_feed_body(&rig, rig.body, rig.ask.body_len);
            rig_finish(&rig);
        }
        failed = failed_one();
        CU_ASSERT_EQUAL(rig_status(&rig) == 201, rig.has_receipt);
        if (rig_status(&rig) != 201)
            expect_come_again();
        CU_ASSERT_FALSE(rig.import_taken);
    }
    CU_ASSERT(n < ENOUGH);
    rig_close(&rig);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(a_service_is_made_whole_or_not_at_all),
        TEST(a_backup_is_served_or_put_off),
        TEST(an_upload_is_imported_or_put_off),
    };
    return run_tests("handlers_memory", tests, sizeof tests / sizeof *tests);
}
