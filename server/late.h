/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_LATE_H
#define MIG_SERVER_LATE_H

/* Writes an unsigned 408, or the 400 for a body that ended early, straight to a
 * plain socket on which nobody else is sending; what does not fit into its
 * buffer is lost. */
void mig_late_answer(int fd, unsigned status);

#endif
