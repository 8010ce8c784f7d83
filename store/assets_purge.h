/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_ASSETS_PURGE_H
#define MIG_STORE_ASSETS_PURGE_H
/* Inside the asset store: the second half of a purge. */
#include "store/assets.h"

/* Removes the sets that are condemned, whose keys are destroyed, from the
 * engine and from memory. The gate is held alone. */
enum mig_err mig_assets_finish(struct mig_assets *assets) MIG_MUST_USE;

#endif
