/* SPDX-License-Identifier: MIT */
#include "crypto/secret.h"

#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

/* sodium_malloc puts the block's end at a page's end: only a multiple of this
 * comes out aligned for any type. */
enum { ALIGN = 16 };

/* sodium_malloc ignores that memory could not be locked, so ask once openly. */
static bool can_lock(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return false;
    bool locked = mlock(p, page) == 0;
    (void)munmap(p, page);
    return locked;
}

enum mig_err mig_crypto_init(void)
{
    /* libsodium would abort the process without a random source. */
    uint8_t probe;
    if (getrandom(&probe, sizeof probe, 0) != sizeof probe)
        return MIG_ERR_BUG;
    /* Locks by itself; 1 means that it had started already. */
    if (sodium_init() < 0)
        return MIG_ERR_BUG;
    return can_lock() ? MIG_OK : MIG_ERR_NOMEM;
}

static uint8_t *locked_alloc(size_t len)
{
    if (len > SIZE_MAX - ALIGN)
        return NULL;
    size_t size = len == 0 ? ALIGN : (len + ALIGN - 1) / ALIGN * ALIGN;
    uint8_t *bytes = sodium_malloc(size);
    /* Locking does not nest: a second call only tells whether the first worked. */
    if (bytes != NULL && mlock(bytes, size) != 0) {
        sodium_free(bytes);
        return NULL;
    }
    if (bytes != NULL)
        sodium_memzero(bytes, size);
    return bytes;
}

struct mig_secret *mig_secret_new(size_t len)
{
    struct mig_secret *secret = malloc(sizeof *secret);
    if (secret == NULL)
        return NULL;
    secret->len = len;
    secret->bytes = locked_alloc(len);
    if (secret->bytes == NULL) {
        free(secret);
        return NULL;
    }
    return secret;
}

void mig_secret_free(struct mig_secret **secret)
{
    if (secret == NULL || *secret == NULL)
        return;
    sodium_free((*secret)->bytes); /* wipes, and stops the process when the canary is dead */
    free(*secret);
    *secret = NULL;
}

void mig_secret_wipe(struct mig_secret *secret)
{
    if (secret != NULL)
        sodium_memzero(secret->bytes, secret->len);
}

void mig_wipe(void *bytes, size_t len)
{
    sodium_memzero(bytes, len);
}

bool mig_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

void mig_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}
