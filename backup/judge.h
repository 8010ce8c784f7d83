/* SPDX-License-Identifier: MIT */
#ifndef MIG_BACKUP_JUDGE_H
#define MIG_BACKUP_JUDGE_H
/*
 * What an answer is worth. An unsigned answer is no answer: it may delay the
 * next try, never change what is believed, stored or deleted. Form first, then
 * nonce and key, then the signature, then the body's digest; the context is
 * compared byte for byte before any key exchange. Pure: a hostile node is the
 * other side.
 */
#include "backup/answer.h"
#include "backup/ask.h"
#include "backup/http_reply.h"

enum { MIG_WAIT_MAX = 60 }; /* seconds that anything a node says can make us wait */

enum mig_upshot {
    MIG_UPSHOT_OK = 0,
    MIG_UPSHOT_NO_ANSWER, /* nothing came, or nothing this node signed to this request */
    MIG_UPSHOT_RETRY,     /* the node says: not now */
    MIG_UPSHOT_REFUSED,   /* the node says: no, until something changes */
    MIG_UPSHOT_BROKEN,    /* signed, but not what was asked for: nothing kept, a person must look */
    MIG_UPSHOT_CANCELLED, /* given up because what allowed it changed */
    MIG_UPSHOT_FAILED,    /* our own side: disk, memory */
};
const char *mig_upshot_text(enum mig_upshot upshot); /* static */

struct mig_result {
    enum mig_upshot upshot;
    unsigned status;         /* HTTP, also of unsigned answers; 0: none */
    char code[MIG_CODE_MAX]; /* of a signed problem, else "" */
    uint32_t retry_after;    /* seconds, at most MIG_WAIT_MAX; 0: not said */
    int64_t clock_skew; /* the node's clock minus ours, seconds; of unsigned answers a mere hint */
    const char *why;    /* static sentence for the log; never NULL */
};

/* Clocks so far apart that signatures may be refused: half of what nodes allow
 * by default. */
bool mig_result_is_skewed(const struct mig_result *result);

/* Each judges the answer to its request, made at `now`. */
/* On OK `shares` (locked, keyset->count * 32 bytes) holds the scalars and
 * `final_context` the text that a receipt repeats; else both are wiped. */
struct mig_result mig_judge_fetch(const struct mig_peer *peer, const struct mig_ask *ask,
                                  const struct mig_ephemeral *own, const struct mig_keyset *keyset,
                                  const struct mig_reply *reply, uint64_t now,
                                  struct mig_secret *shares,
                                  char final_context[MIG_CONTEXT_MAX + 1]);
struct mig_result mig_judge_receipt(const struct mig_peer *peer, const struct mig_ask *ask,
                                    const struct mig_reply *reply, uint64_t now,
                                    struct mig_acknowledgement *out);
struct mig_result mig_judge_offer(const struct mig_peer *peer, const struct mig_ask *ask,
                                  const struct mig_reply *reply, uint64_t now,
                                  struct mig_offered *out);
/* `count`: how many shares were sent. */
struct mig_result mig_judge_upload(const struct mig_peer *peer, const struct mig_ask *ask,
                                   size_t count, const struct mig_reply *reply, uint64_t now,
                                   struct mig_receipt *out);

#endif
