/* SPDX-License-Identifier: MIT */
#ifndef MIG_CONTRACT_SERDE_H
#define MIG_CONTRACT_SERDE_H
/*
 * Reads JSON the way the deployed contract does, down to the words and the
 * position of its complaints, because clients show them: unknown members are
 * ignored, duplicate ones refused, a missing one is named. A pull reader over
 * borrowed bytes; total, bounded in depth. The first failure sticks: later
 * calls do nothing, and the caller looks at `failed` once.
 */
#include "contract/print.h"

enum {
    MIG_SERDE_DEPTH = 128,      /* nested values that are read */
    MIG_SERDE_SKIP_DEPTH = 512, /* nested values inside an ignored member */
    MIG_SERDE_ERROR = 256,
};

struct mig_serde {
    const char *text;
    size_t len;
    size_t pos;
    unsigned depth;
    bool failed;
    bool placed; /* the error already names its position */
    bool nomem;
    char error[MIG_SERDE_ERROR];
};

/* An object being read. `required` and `seen` are bit masks over `names`. */
struct mig_serde_object {
    const char *const *names;
    unsigned count;
    uint32_t required;
    uint32_t seen;
    bool first;
    bool inside;
};

struct mig_serde_list {
    bool first;
    bool inside;
    size_t count; /* items begun so far */
};

void mig_serde_init(struct mig_serde *s, const char *text, size_t len);
/* Nothing but white space may follow. */
void mig_serde_end(struct mig_serde *s);
/* Fails with a sentence that gets the position of the enclosing value's end. */
__attribute__((format(printf, 2, 3))) void mig_serde_fail(struct mig_serde *s, const char *format,
                                                          ...);

/* `what` names the type in a complaint ("struct BackupServiceInfo"). At most 32 names. */
void mig_serde_enter(struct mig_serde *s, struct mig_serde_object *o, const char *what,
                     const char *const *names, unsigned count, uint32_t required);
/* Index of the next known member, its value not yet read; -1 at the end. */
int mig_serde_field(struct mig_serde *s, struct mig_serde_object *o);
void mig_serde_leave(struct mig_serde *s, struct mig_serde_object *o);
/* For maps: the next key as a heap string, which the caller frees; NULL at the end. */
char *mig_serde_key(struct mig_serde *s, struct mig_serde_object *o);

void mig_serde_enter_list(struct mig_serde *s, struct mig_serde_list *l, const char *what);
bool mig_serde_item(struct mig_serde *s, struct mig_serde_list *l);
void mig_serde_leave_list(struct mig_serde *s, struct mig_serde_list *l);

/* Heap string, which the caller frees; NULL on failure. An embedded NUL is refused. */
char *mig_serde_string(struct mig_serde *s, const char *what);
uint64_t mig_serde_u64(struct mig_serde *s);
uint32_t mig_serde_u32(struct mig_serde *s);
bool mig_serde_bool(struct mig_serde *s);
/* True, and consumed, when the next value is null. */
bool mig_serde_null(struct mig_serde *s);
void mig_serde_skip(struct mig_serde *s);
/* The first byte of the next value, 0 at the end of the input. */
char mig_serde_peek(struct mig_serde *s);

/* Externally tagged enum: index of the variant, or -1 (failed). `*unit` tells
 * "Name" from {"Name":value}; after the value of the latter call
 * mig_serde_variant_end. */
int mig_serde_variant(struct mig_serde *s, const char *what, const char *const *names,
                      unsigned count, bool *unit);
void mig_serde_variant_end(struct mig_serde *s);

/* An ed25519 key in NEAR's form. */
void mig_serde_ed25519(struct mig_serde *s, uint8_t key[MIG_KEY_LEN]);

#endif
