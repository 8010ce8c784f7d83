/* SPDX-License-Identifier: MIT */
#ifndef MIG_CMD_NEAREST_H
#define MIG_CMD_NEAREST_H
#include <stddef.h>

/* How many single-character edits turn one word into the other; words longer
 * than 40 characters count as infinitely far (SIZE_MAX). */
size_t mig_word_distance(const char *a, const char *b);
/* True when `word` is so near to `name` that a person probably meant it. */
int mig_word_is_near(const char *word, const char *name);

#endif
