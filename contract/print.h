/* SPDX-License-Identifier: MIT */
#ifndef MIG_CONTRACT_PRINT_H
#define MIG_CONTRACT_PRINT_H
/*
 * A growing text, and the forms in which the deployed contract prints values
 * (its logs and panics are part of what clients see). Running out of memory,
 * or past MIG_PRINT_MAX, is remembered: test `failed` once, at the end.
 */
#include "include/mpc_migration.h"

enum {
    MIG_PRINT_MAX = 4 * 1024 * 1024, /* the longest value a NEAR contract may return */
    MIG_AMOUNT_MAX = 40,             /* digits of a u128, with the NUL */
};

struct mig_print {
    char *s; /* NUL-terminated, or NULL while empty */
    size_t len;
    size_t cap;
    bool failed;
};

void mig_print_clear(struct mig_print *t);
void mig_print_add(struct mig_print *t, const char *s, size_t len);
void mig_print_put(struct mig_print *t, const char *s);
__attribute__((format(printf, 2, 3))) void mig_print_printf(struct mig_print *t, const char *format,
                                                            ...);
/* Hands the string over ("" when empty) and clears; NULL when it failed. */
char *mig_print_take(struct mig_print *t);

/* A JSON string with its quotes. */
void mig_print_json(struct mig_print *t, const char *s);
/* Rust's {:?} of a string. */
void mig_print_debug(struct mig_print *t, const char *s);
/* [1, 2, 3], and the same without the spaces. */
void mig_print_bytes(struct mig_print *t, const uint8_t *bytes, size_t len);
void mig_print_numbers(struct mig_print *t, const uint8_t *bytes, size_t len);

/* Decimal u128, as amounts travel in NEAR's JSON. */
void mig_amount_format(unsigned __int128 amount, char out[MIG_AMOUNT_MAX]);
enum mig_err mig_amount_parse(const char *text, size_t len, unsigned __int128 *amount) MIG_MUST_USE;
/* The way a contract's log names an amount: "<0.001 NEAR", "1.50 NEAR". */
void mig_print_near(struct mig_print *t, unsigned __int128 amount);

#endif
