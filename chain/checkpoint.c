/* SPDX-License-Identifier: MIT */
#include "chain/checkpoint.h"

#include <string.h>

#include "crypto/exchange.h"

static const char magic[8] = {'M', 'I', 'G', 'B', 'L', 'K', '0', '1'};
enum { MARK_LEN = 8 + MIG_DIGEST_LEN };

void mig_marks_push(struct mig_marks *marks, uint64_t height, const uint8_t hash[MIG_DIGEST_LEN])
{
    if (marks->count == MIG_MARKS_MAX)
        memmove(marks->list, marks->list + 1, --marks->count * sizeof *marks->list);
    marks->list[marks->count].height = height;
    memcpy(marks->list[marks->count++].hash, hash, MIG_DIGEST_LEN);
}

bool mig_marks_find(const struct mig_marks *marks, const uint8_t hash[MIG_DIGEST_LEN], size_t *at)
{
    for (*at = 0; *at < marks->count; ++*at)
        if (memcmp(marks->list[*at].hash, hash, MIG_DIGEST_LEN) == 0)
            return true;
    return false;
}

void mig_marks_undo(struct mig_marks *marks, const uint8_t hash[MIG_DIGEST_LEN])
{
    size_t at;
    if (mig_marks_find(marks, hash, &at))
        marks->count = at;
}

void mig_marks_settle(struct mig_marks *marks, const uint8_t hash[MIG_DIGEST_LEN])
{
    size_t at;
    if (!mig_marks_find(marks, hash, &at))
        return;
    marks->count -= at;
    memmove(marks->list, marks->list + at, marks->count * sizeof *marks->list);
}

static void put_u64(uint8_t *at, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

enum mig_err mig_checkpoint_encode(const struct mig_marks *marks, const char *contract,
                                   uint8_t out[MIG_CHECKPOINT_MAX], size_t *len)
{
    size_t name = strlen(contract), n = sizeof magic;
    *len = 0;
    if (name > MIG_ACCOUNT_MAX || marks->count > MIG_MARKS_MAX)
        return MIG_ERR_BUG;
    memcpy(out, magic, sizeof magic);
    out[n++] = (uint8_t)name;
    memcpy(out + n, contract, name);
    n += name;
    out[n++] = (uint8_t)marks->count;
    out[n++] = (uint8_t)(marks->count >> 8);
    for (size_t i = 0; i < marks->count; i++, n += MARK_LEN) {
        put_u64(out + n, marks->list[i].height);
        memcpy(out + n + 8, marks->list[i].hash, MIG_DIGEST_LEN);
    }
    mig_sha256(out, n, out + n);
    *len = n + MIG_DIGEST_LEN;
    return MIG_OK;
}

/* Lengths, then the digest over all of it. */
static bool is_whole(const uint8_t *in, size_t len)
{
    uint8_t digest[MIG_DIGEST_LEN];
    if (len < sizeof magic + 3 + MIG_DIGEST_LEN || memcmp(in, magic, sizeof magic) != 0)
        return false;
    size_t name = in[sizeof magic], at = sizeof magic + 1 + name;
    if (name > MIG_ACCOUNT_MAX || len < at + 2 + MIG_DIGEST_LEN)
        return false;
    size_t count = (size_t)in[at] | (size_t)in[at + 1] << 8;
    if (count > MIG_MARKS_MAX || len != at + 2 + count * MARK_LEN + MIG_DIGEST_LEN)
        return false;
    mig_sha256(in, len - MIG_DIGEST_LEN, digest);
    return memcmp(digest, in + len - MIG_DIGEST_LEN, MIG_DIGEST_LEN) == 0;
}

enum mig_err mig_checkpoint_decode(const uint8_t *in, size_t len, const char *contract,
                                   struct mig_marks *out)
{
    memset(out, 0, sizeof *out);
    if (!is_whole(in, len))
        return MIG_ERR_MALFORMED;
    size_t name = in[sizeof magic];
    const uint8_t *at = in + sizeof magic + 1;
    if (name != strlen(contract) || memcmp(at, contract, name) != 0)
        return MIG_ERR_CONFLICT;
    at += name;
    size_t count = (size_t)at[0] | (size_t)at[1] << 8;
    at += 2;
    for (size_t i = 0; i < count; i++, at += MARK_LEN)
        mig_marks_push(out, get_u64(at), at + 8);
    return MIG_OK;
}
