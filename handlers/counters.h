/* SPDX-License-Identifier: MIT */
#ifndef MIG_HANDLERS_COUNTERS_H
#define MIG_HANDLERS_COUNTERS_H
/*
 * What happened, counted. Plain relaxed atomics: written by handlers and
 * server, read by the metrics page. Bounded label sets only.
 */
#include <stdatomic.h>
#include <stdint.h>

enum mig_endpoint {
    MIG_ENDPOINT_BACKUP_GET,
    MIG_ENDPOINT_BACKUP_POST,
    MIG_ENDPOINT_RECOVER_GET,
    MIG_ENDPOINT_RECOVER_PUT,
    MIG_ENDPOINT_OTHER,
    MIG_ENDPOINT_COUNT,
};

enum mig_auth_failure {
    MIG_AUTH_NO_SIGNATURE,
    MIG_AUTH_MALFORMED,
    MIG_AUTH_NO_KEY, /* none registered or none honoured */
    MIG_AUTH_COVERAGE,
    MIG_AUTH_PARAMETER,
    MIG_AUTH_TAG,
    MIG_AUTH_KEYID,
    MIG_AUTH_TIME,
    MIG_AUTH_SIGNATURE,
    MIG_AUTH_REPLAY,
    MIG_AUTH_RATE,
    MIG_AUTH_FAILURE_COUNT,
};

enum mig_import_result {
    MIG_IMPORT_STORED,
    MIG_IMPORT_REPEATED,
    MIG_IMPORT_REFUSED,   /* 4xx */
    MIG_IMPORT_CANCELLED, /* the view moved */
    MIG_IMPORT_FAILED,    /* 5xx */
    MIG_IMPORT_RESULT_COUNT,
};

enum { MIG_STATUS_MIN = 100, MIG_STATUS_COUNT = 500 };

struct mig_counters {
    _Atomic uint64_t requests[MIG_ENDPOINT_COUNT][MIG_STATUS_COUNT]; /* by status - 100 */
    _Atomic uint64_t auth_failures[MIG_AUTH_FAILURE_COUNT];
    _Atomic uint64_t imports[MIG_IMPORT_RESULT_COUNT];
    _Atomic uint64_t duration_count[MIG_ENDPOINT_COUNT];
    _Atomic uint64_t duration_ns[MIG_ENDPOINT_COUNT];
    _Atomic uint64_t last_backup_served_epoch;
    _Atomic uint64_t last_backup_served_at; /* Unix seconds; 0: never */
    _Atomic uint64_t last_backup_acknowledged_epoch;
    _Atomic uint64_t last_backup_acknowledged_at;
};

static inline void mig_count(_Atomic uint64_t *counter)
{
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
