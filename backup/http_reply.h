/* SPDX-License-Identifier: MIT */
#ifndef MIG_BACKUP_HTTP_REPLY_H
#define MIG_BACKUP_HTTP_REPLY_H
/*
 * An HTTP answer as it arrived, kept exactly: nothing is folded, joined or
 * repaired, because signatures are over what was sent. Fed line by line by the
 * transport (or a fuzzer); believed only after backup/protocol.h has judged it.
 */
#include "auth/message.h"

enum {
    MIG_REPLY_FIELDS_MAX = 64,
    MIG_REPLY_HEAD_MAX = 16384,      /* bytes of the header block */
    MIG_REPLY_BODY_MAX = 256 * 1024, /* a sealed container; JSON is far smaller */
};

/* Zero-initialise; release with mig_reply_clear. */
struct mig_reply {
    unsigned status; /* 0: nothing came */
    size_t field_count;
    struct mig_field fields[MIG_REPLY_FIELDS_MAX];
    uint8_t *body;
    size_t body_len;
    /* private */
    char *head;
    size_t head_len;
    bool head_done;
};

/* One line of the header block with or without its line end: a status line, a
 * field, or the empty line. Interim (1xx) answers are dropped. MIG_ERR_MALFORMED
 * for anything else, for a folded line, trailers, and over the limits. */
enum mig_err mig_reply_line(struct mig_reply *reply, const char *line, size_t len) MIG_MUST_USE;
/* More of the body. MIG_ERR_MALFORMED over the limit or before the header. */
enum mig_err mig_reply_body(struct mig_reply *reply, const void *bytes, size_t len) MIG_MUST_USE;
void mig_reply_clear(struct mig_reply *reply);

/* The only value of this field, or false when it is absent or repeated. */
bool mig_reply_field(const struct mig_reply *reply, const char *name, struct mig_text *value);

#endif
