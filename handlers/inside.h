/* SPDX-License-Identifier: MIT */
#ifndef MIG_HANDLERS_INSIDE_H
#define MIG_HANDLERS_INSIDE_H
/*
 * What the files of handlers/ share, and nobody else includes: the service, one
 * exchange, and the few verbs on them. A step judges an exchange and gives
 * MIG_PROBLEM_NONE to go on, or the problem to answer with.
 */
#include <stdatomic.h>

#include "auth/digest.h"
#include "crypto/container.h"
#include "crypto/encoding.h"
#include "crypto/keyset.h"
#include "handlers/offer.h"
#include "handlers/problem.h"
#include "handlers/served.h"

/* Locked memory for one answer to GET /shares_backup. */
struct mig_scratch {
    struct mig_scratch *next;
    struct mig_secret *shares; /* room for `domains` scalars */
    struct mig_secret *plain;
    struct mig_secret *key;
    struct mig_ephemeral pair;
    size_t domains;
};

/* Locked memory for the one upload at a time. */
struct mig_upload {
    struct mig_secret *body; /* sealed, as it came */
    struct mig_secret *plain;
    struct mig_secret *shares;
    struct mig_secret *key;
    struct mig_ephemeral pair;
    struct mig_digest *digest;
    atomic_flag taken;
};

struct mig_service {
    struct mig_service_config config;
    char keyid[MIG_KEY_TEXT_MAX];
    struct mig_offer offer;
    struct mig_served served;
    struct mig_upload upload;
    pthread_mutex_t host_lock; /* one call of each host function at a time */
    pthread_mutex_t pool_lock; /* protects the two lists */
    struct mig_exchange *exchanges;
    size_t exchange_count;
    struct mig_scratch *scratches;
    size_t scratch_count;
};

struct mig_route {
    const char *path;
    const char *method;
    enum mig_resource resource;
    enum mig_endpoint endpoint;
    enum mig_direction direction;
    enum mig_problem (*serve)(struct mig_exchange *x);
};

enum mig_stage { MIG_STAGE_JUDGING, MIG_STAGE_BODY, MIG_STAGE_ANSWERED };

struct mig_exchange {
    struct mig_exchange *next;
    struct mig_service *service;
    const struct mig_message *request;
    int64_t content_length;
    struct mig_address peer;
    const struct mig_route *route; /* NULL: none found */
    const char *allow;             /* methods of the path, for 405 */
    enum mig_endpoint endpoint;
    enum mig_stage stage;
    uint64_t started_ns; /* monotonic */
    uint64_t now_ns;     /* Unix */
    uint32_t retry_after;
    bool authenticated;
    const struct mig_view *view; /* the one it was last judged under */
    /* Something hangs on admission: sealed shares on their way out, or an
     * import on its way in. Read by other threads. */
    atomic_bool holds;
    bool cancelled; /* admission was lost on the way */
    bool imports;   /* holds the import lock */
    bool overrun;   /* more body than announced */
    bool broken;    /* the digest could not be computed */
    size_t received;
    enum mig_problem fence; /* what the fence found */
    struct mig_response response;
    struct mig_signature_fields signature;
    char digest_text[MIG_DIGEST_FIELD_LEN];
    char context[MIG_CONTEXT_MAX + 1]; /* the final one */
    size_t context_len;
    char json[1024];
    uint8_t *sealed;
    size_t sealed_cap;
    struct mig_signed_request parsed;
};

static inline uint64_t mig_now_s(const struct mig_exchange *x)
{
    return x->now_ns / 1000000000u;
}

/* service.c */
struct mig_exchange *mig_exchange_take(struct mig_service *service);
void mig_exchange_give(struct mig_exchange *x);
struct mig_scratch *mig_scratch_take(struct mig_service *service, size_t domains);
void mig_scratch_give(struct mig_service *service, struct mig_scratch *scratch);
bool mig_upload_take(struct mig_service *service);
void mig_upload_wipe(struct mig_upload *upload);
void mig_upload_give(struct mig_service *service);
void mig_service_log(const struct mig_service *service, enum mig_log_level level, const char *event,
                     const char *text);

/* exchange.c */
/* Would a fresh request be admitted under `view` at x->now_ns? Any thread. */
enum mig_problem mig_exchange_judge(const struct mig_exchange *x, enum mig_resource resource,
                                    const struct mig_view *view, uint64_t now_ns);
/* The same under the current view, which x takes over. */
enum mig_problem mig_exchange_recheck(struct mig_exchange *x);
/* Right before an answer that took no time: only if the view has moved. */
enum mig_problem mig_exchange_recheck_if_moved(struct mig_exchange *x);

/* reply.c */
enum { MIG_BASE64_32 = MIG_BASE64_LEN(32) };
void mig_base64_32(const uint8_t bytes[32], char out[MIG_BASE64_32]);
void mig_reply_problem(struct mig_exchange *x, enum mig_problem problem);
void mig_reply_json(struct mig_exchange *x, unsigned status);
/* The container in x->sealed, with the final context. */
void mig_reply_sealed(struct mig_exchange *x, size_t len);

/* The resources. */
enum mig_problem mig_backup_serve(struct mig_exchange *x);
enum mig_problem mig_backup_acknowledge(struct mig_exchange *x);
enum mig_problem mig_recover_show(struct mig_exchange *x);
enum mig_problem mig_recover_begin(struct mig_exchange *x);
enum mig_problem mig_recover_finish(struct mig_exchange *x);
/* Gives the import lock back, if it is held; `receipt` NULL: nothing came of it. */
void mig_recover_release(struct mig_exchange *x, const struct mig_receipt *receipt);
/* The exchange ended before its body did. */
void mig_recover_abandon(struct mig_exchange *x);

#endif
