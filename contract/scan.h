/* SPDX-License-Identifier: MIT */
#ifndef MIG_CONTRACT_SCAN_H
#define MIG_CONTRACT_SCAN_H
/* The reader's lower half: scalars, and complaints with their position. */
#include "contract/serde.h"

enum mig_scan_kind { MIG_SCAN_NONE, MIG_SCAN_U64, MIG_SCAN_NEGATIVE, MIG_SCAN_FLOAT };

/* A syntax error at the bytes consumed so far; about the next byte, which is
 * not consumed. */
void mig_scan_fail(struct mig_serde *s, const char *what);
void mig_scan_fail_peek(struct mig_serde *s, const char *what);
/* Gives the failure, if it has none yet, the present position. */
void mig_scan_place(struct mig_serde *s);
bool mig_scan_at_end(const struct mig_serde *s);

/* A whole string, heap, the caller frees; the next byte is its opening quote. */
char *mig_scan_string(struct mig_serde *s);
/* Likewise behind the opening quote; embedded NULs pass. */
void mig_scan_string_body(struct mig_serde *s, struct mig_print *t);
/* Consumes a number by JSON's grammar; `*value` is set for MIG_SCAN_U64. */
enum mig_scan_kind mig_scan_number(struct mig_serde *s, uint64_t *value);
bool mig_scan_ident(struct mig_serde *s, const char *word);
/* The next value has the wrong type: consumes a scalar and says what it was. */
void mig_scan_wrong_type(struct mig_serde *s, const char *what);

#endif
