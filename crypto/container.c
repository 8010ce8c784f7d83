/* SPDX-License-Identifier: MIT */
#include "crypto/container.h"

#include <sodium.h>
#include <string.h>

static const uint8_t MAGIC[8] = {'M', 'P', 'C', 'S', 'E', 'A', 'L', '1'};

enum {
    PREFIX = sizeof MAGIC + crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    LENGTH = 4,
    TAG = crypto_secretstream_xchacha20poly1305_ABYTES,
    FRAME_OVERHEAD = LENGTH + TAG,
    FULL_FRAME = FRAME_OVERHEAD + MIG_SEALED_CHUNK,
    TAG_MESSAGE = crypto_secretstream_xchacha20poly1305_TAG_MESSAGE,
};
#define TAG_FINAL crypto_secretstream_xchacha20poly1305_TAG_FINAL

_Static_assert(PREFIX == 32 && FRAME_OVERHEAD == 21, "the wire format");

size_t mig_sealed_len(size_t plain_len)
{
    if (plain_len > MIG_SEALED_MAX)
        return 0;
    size_t frames = plain_len == 0 ? 1 : (plain_len + MIG_SEALED_CHUNK - 1) / MIG_SEALED_CHUNK;
    size_t len = PREFIX + frames * FRAME_OVERHEAD + plain_len;
    return len <= MIG_SEALED_MAX ? len : 0;
}

size_t mig_sealed_capacity(size_t sealed_len)
{
    if (sealed_len < PREFIX || sealed_len > MIG_SEALED_MAX)
        return 0;
    size_t full = (sealed_len - PREFIX) / FULL_FRAME, rest = (sealed_len - PREFIX) % FULL_FRAME;
    return full * MIG_SEALED_CHUNK + (rest > FRAME_OVERHEAD ? rest - FRAME_OVERHEAD : 0);
}

static void put_u32(uint8_t *out, uint32_t v)
{
    out[0] = (uint8_t)(v >> 24);
    out[1] = (uint8_t)(v >> 16);
    out[2] = (uint8_t)(v >> 8);
    out[3] = (uint8_t)v;
}

static uint32_t get_u32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

enum mig_err mig_container_seal(const struct mig_secret *key, const uint8_t *plain,
                                size_t plain_len, uint8_t *out, size_t cap, size_t *out_len)
{
    enum mig_err err = MIG_ERR_BUG;
    crypto_secretstream_xchacha20poly1305_state state;
    size_t pos = PREFIX, done = 0;

    *out_len = 0;
    size_t need = mig_sealed_len(plain_len);
    if (need == 0 || need > cap || key->len < crypto_secretstream_xchacha20poly1305_KEYBYTES)
        return MIG_ERR_BUG;
    memcpy(out, MAGIC, sizeof MAGIC);
    if (crypto_secretstream_xchacha20poly1305_init_push(&state, out + sizeof MAGIC, key->bytes) !=
        0)
        goto out;
    do {
        size_t n = plain_len - done < MIG_SEALED_CHUNK ? plain_len - done : MIG_SEALED_CHUNK;
        uint8_t tag = done + n == plain_len ? TAG_FINAL : TAG_MESSAGE;
        put_u32(out + pos, (uint32_t)(n + TAG));
        if (crypto_secretstream_xchacha20poly1305_push(&state, out + pos + LENGTH, NULL,
                                                       n == 0 ? NULL : plain + done, n, NULL, 0,
                                                       tag) != 0)
            goto out;
        pos += FRAME_OVERHEAD + n;
        done += n;
    } while (done < plain_len);
    *out_len = pos;
    err = MIG_OK;
out:
    mig_wipe(&state, sizeof state);
    return err;
}

/* Opens the frame at the start of `in` into `plain`; its length comes from the
 * peer. A frame that is not full must be the last, and nothing follows it. */
static enum mig_err open_frame(crypto_secretstream_xchacha20poly1305_state *state,
                               const uint8_t *in, size_t in_len, bool alone, uint8_t *plain,
                               size_t *used, bool *final)
{
    unsigned char tag = 0;
    if (in_len < FRAME_OVERHEAD)
        return MIG_ERR_MALFORMED;
    size_t len = get_u32(in);
    if (len < TAG || len > TAG + MIG_SEALED_CHUNK || len > in_len - LENGTH)
        return MIG_ERR_MALFORMED;
    if (crypto_secretstream_xchacha20poly1305_pull(state, plain, NULL, &tag, in + LENGTH, len, NULL,
                                                   0) != 0)
        return MIG_ERR_MALFORMED;
    bool full = len == TAG + MIG_SEALED_CHUNK, empty = len == TAG;
    *used = LENGTH + len;
    *final = tag == TAG_FINAL;
    if (*final)
        return *used == in_len && (!empty || alone) ? MIG_OK : MIG_ERR_MALFORMED;
    return tag == TAG_MESSAGE && full ? MIG_OK : MIG_ERR_MALFORMED;
}

static enum mig_err open_frames(const struct mig_secret *key, const uint8_t *in, size_t in_len,
                                uint8_t *plain, size_t *plain_len)
{
    enum mig_err err = MIG_ERR_MALFORMED;
    crypto_secretstream_xchacha20poly1305_state state;
    size_t pos = PREFIX, done = 0;
    bool final = false;

    if (crypto_secretstream_xchacha20poly1305_init_pull(&state, in + sizeof MAGIC, key->bytes) != 0)
        goto out;
    while (!final) {
        size_t used = 0;
        if (open_frame(&state, in + pos, in_len - pos, done == 0, plain + done, &used, &final) !=
            MIG_OK)
            goto out;
        pos += used;
        done += used - FRAME_OVERHEAD;
    }
    *plain_len = done;
    err = MIG_OK;
out:
    mig_wipe(&state, sizeof state);
    return err;
}

enum mig_err mig_container_open(const struct mig_secret *key, const uint8_t *in, size_t in_len,
                                struct mig_secret *plain, size_t *plain_len)
{
    enum mig_err err = MIG_ERR_MALFORMED;

    *plain_len = 0;
    mig_secret_wipe(plain);
    if (in_len < PREFIX + FRAME_OVERHEAD || in_len > MIG_SEALED_MAX ||
        memcmp(in, MAGIC, sizeof MAGIC) != 0)
        return MIG_ERR_MALFORMED;
    if (plain->len < mig_sealed_capacity(in_len) ||
        key->len < crypto_secretstream_xchacha20poly1305_KEYBYTES)
        return MIG_ERR_BUG;
    err = open_frames(key, in, in_len, plain->bytes, plain_len);
    if (err != MIG_OK)
        mig_secret_wipe(plain);
    return err;
}
