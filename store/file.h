/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_FILE_H
#define MIG_STORE_FILE_H
/*
 * Files that survive a crash: written beside their place, synced, renamed into
 * it, the folder synced. All names are relative to an open folder, none is
 * followed through a link. A failed fsync is a failed write and is never
 * repeated on the same file: the kernel may have dropped the dirty pages.
 * Any thread.
 */
#include "include/mpc_migration.h"

/* Opens the folder, creating it (0700) when `create` and it is missing. It must
 * be a real directory of this user, closed to group and others
 * (MIG_ERR_DENIED). *why: a static sentence; may be NULL. */
enum mig_err mig_folder_open(const char *path, bool create, int *folder,
                             const char **why) MIG_MUST_USE;
/* Makes everything renamed, created or removed in the folder durable. */
enum mig_err mig_folder_sync(int folder) MIG_MUST_USE;

/* A new file (0600, O_EXCL), complete and synced; nothing remains on failure.
 * MIG_ERR_CONFLICT when the name is taken. */
enum mig_err mig_file_create(int folder, const char *name, const void *bytes,
                             size_t len) MIG_MUST_USE;
/* Gives `from` the name `to`; MIG_ERR_CONFLICT when that is taken. */
enum mig_err mig_file_publish(int folder, const char *from, const char *to) MIG_MUST_USE;
/* Gives `from` the name `to`, replacing what is there. */
enum mig_err mig_file_replace(int folder, const char *from, const char *to) MIG_MUST_USE;
/* Removes it when it is there. */
void mig_file_discard(int folder, const char *name);

/* A whole regular file of this user, of at most `max` bytes, into *bytes, which is the caller's
 * (free). MIG_ERR_NOT_FOUND; MIG_ERR_MALFORMED when too long or not a regular file of this user;
 * MIG_ERR_IO, _NOMEM. */
enum mig_err mig_file_read(int folder, const char *name, size_t max, uint8_t **bytes,
                           size_t *len) MIG_MUST_USE;

#endif
