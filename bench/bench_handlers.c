/* SPDX-License-Identifier: MIT */
/*
 * One authenticated GET /shares_backup through the handlers, without a socket,
 * against a loop of just its cryptography: verify, X25519 key and exchange,
 * seal 4 KiB, sign. And what a refused request costs.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/floor.h"
#include "tests/rig.h"

enum { DOMAINS = 32, BATCH = 400, ROUNDS = 15 };

static struct rig rig;

/* Requests made beforehand: the service's signature is not the node's cost. */
static struct {
    struct mig_message message;
    struct mig_field fields[8];
    char context[MIG_CONTEXT_MAX + 1];
    struct mig_signature_fields signature;
} asks[BATCH];

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof values[0], by_value);
    return values[count / 2];
}

static void prepare(bool forged)
{
    for (size_t i = 0; i < BATCH; i++) {
        rig_ask(&rig, MIG_RESOURCE_BACKUP);
        rig_compose(&rig);
        rig_sign(&rig);
        strcpy(asks[i].context, rig.context_text);
        asks[i].signature = rig.signature;
        rig_set_field(&rig, "Mpc-Migration-Context", asks[i].context);
        rig_set_field(&rig, "Signature-Input", asks[i].signature.input);
        rig_set_field(&rig, "Signature", forged ? "sig=:AAAA:" : asks[i].signature.signature);
        memcpy(asks[i].fields, rig.fields, sizeof asks[i].fields);
        asks[i].message = rig.message;
        asks[i].message.fields = asks[i].fields;
    }
}

static double serve(unsigned status)
{
    double start = now_us();
    for (size_t i = 0; i < BATCH; i++) {
        struct mig_exchange *x = NULL;
        (void)mig_exchange_begin(rig.service, &asks[i].message, -1, &rig.peer, &x);
        if (mig_exchange_response(x)->status != status) {
            fprintf(stderr, "status %u\n", mig_exchange_response(x)->status);
            exit(1);
        }
        mig_exchange_end(&x);
    }
    return (now_us() - start) / BATCH;
}

int main(void)
{
    double served[ROUNDS], bare[ROUNDS], refused[ROUNDS];
    if (mig_crypto_init() != MIG_OK)
        return 1;
    rig_open_with(&rig, &(struct rig_options){.domains = DOMAINS, .budget = 100000});
    for (size_t i = 0; i < ROUNDS; i++) {
        prepare(false);
        served[i] = serve(200);
        bare[i] = floor_of_crypto();
        prepare(true);
        refused[i] = serve(400);
    }
    double get = median(served, ROUNDS), crypto = median(bare, ROUNDS);
    printf("exchange_get_us %.1f us\n", get);
    printf("exchange_floor_us %.1f us\n", crypto);
    printf("exchange_get_vs_floor %.3f ratio\n", crypto / get);
    printf("exchange_malformed_us %.1f us\n", median(refused, ROUNDS));
    rig_close(&rig);
    return 0;
}
