/* SPDX-License-Identifier: MIT */
#ifndef MIG_BENCH_FLOOR_H
#define MIG_BENCH_FLOOR_H
/*
 * What one backup cannot do without: verify, X25519 key and exchange, seal
 * 4 KiB, sign. Microseconds of this thread's processor time.
 */
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

static double floor_now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double floor_of_crypto(void)
{
    enum { PLAIN = 4096, FLOOR_BATCH = 400 };
    static uint8_t plain[PLAIN], sealed[PLAIN + crypto_secretstream_xchacha20poly1305_ABYTES];
    static uint8_t pk[32], sk[64], cpk[32], csk[32], text[1024], sig[64];
    (void)crypto_sign_keypair(pk, sk);
    (void)crypto_kx_keypair(cpk, csk);
    (void)crypto_sign_detached(sig, NULL, text, sizeof text, sk);
    double start = floor_now_us();
    for (size_t i = 0; i < FLOOR_BATCH; i++) {
        uint8_t npk[32], nsk[32], rx[32], tx[32], header[24];
        crypto_secretstream_xchacha20poly1305_state state;
        int bad = crypto_sign_verify_detached(sig, text, sizeof text, pk);
        bad |= crypto_kx_keypair(npk, nsk);
        bad |= crypto_kx_server_session_keys(rx, tx, npk, nsk, cpk);
        bad |= crypto_secretstream_xchacha20poly1305_init_push(&state, header, tx);
        bad |= crypto_secretstream_xchacha20poly1305_push(&state, sealed, NULL, plain, PLAIN, NULL,
                                                          0, 0);
        bad |= crypto_sign_detached(sig, NULL, text, sizeof text, sk);
        if (bad != 0)
            exit(1);
    }
    return (floor_now_us() - start) / FLOOR_BATCH;
}

#endif
