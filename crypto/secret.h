/* SPDX-License-Identifier: MIT */
#ifndef MIG_CRYPTO_SECRET_H
#define MIG_CRYPTO_SECRET_H
/*
 * Memory for plaintext shares and keys: guarded, locked, never in a core dump,
 * never reallocated, wiped before it is returned. Nothing else in the tree
 * holds such bytes longer than a function call.
 */
#include "include/mpc_migration.h"

/* `bytes` has `len` usable bytes. The header lies on the ordinary heap. */
struct mig_secret {
    uint8_t *bytes;
    size_t len;
};

/* Must succeed once, before anything else in crypto/ (sodium_malloc aborts the
 * process otherwise). Any thread, any number of times. MIG_ERR_NOMEM when
 * memory cannot be locked (raise RLIMIT_MEMLOCK), MIG_ERR_BUG when the random
 * source or libsodium does not start. */
enum mig_err mig_crypto_init(void) MIG_MUST_USE;

/* `len` zero bytes of locked memory, or NULL when there is none. Costs a dozen
 * system calls (tens of microseconds) and four mappings of the process's 65 530:
 * what serves requests allocates ahead and wipes in between. */
struct mig_secret *mig_secret_new(size_t len);
/* Wipes and releases; NULLs the pointer. */
void mig_secret_free(struct mig_secret **secret);
/* Zeroes all bytes; keeps the memory. */
void mig_secret_wipe(struct mig_secret *secret);
/* A wipe that the compiler cannot remove, for stack temporaries. */
void mig_wipe(void *bytes, size_t len);
/* Constant-time comparison of equal-length bytes. */
bool mig_equal(const void *a, const void *b, size_t len);
/* Random bytes from the kernel's generator. */
void mig_random(void *out, size_t len);

#endif
