/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_RECORD_H
#define MIG_STORE_RECORD_H
/*
 * Small durable records next to the store: the last honoured backup key, the
 * participant set whose consequences are done, backup receipts. One file each,
 * replaced atomically (tmp, fsync, rename, fsync of the folder), 0600, with a
 * checksum, so that a reader finds the old or the new one or learns that it is
 * damaged. Not secret, not sealed.
 */
#include "include/mpc_migration.h"

enum { MIG_RECORD_MAX = 1024 * 1024 };

/* `name` is a plain file name. */
enum mig_err mig_record_save(const char *folder, const char *name, const void *bytes,
                             size_t len) MIG_MUST_USE;
/* *bytes is the caller's (free). MIG_ERR_NOT_FOUND, MIG_ERR_MALFORMED (damaged), _IO. */
enum mig_err mig_record_load(const char *folder, const char *name, uint8_t **bytes,
                             size_t *len) MIG_MUST_USE;

#endif
