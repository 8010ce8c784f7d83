/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_LATE_H
#define MIG_SERVER_LATE_H

/* Writes the unsigned 408 straight to a plain socket on which nobody else is
 * sending; what does not fit into its buffer is lost. */
void mig_late_answer(int fd);

#endif
