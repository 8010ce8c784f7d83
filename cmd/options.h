/* SPDX-License-Identifier: MIT */
#ifndef MIG_CMD_OPTIONS_H
#define MIG_CMD_OPTIONS_H
/*
 * Command lines of all programs: one table per program or verb gives parsing
 * and --help. Long options only, `--name value` or `--name=value`, each at
 * most once, anywhere among the operands; `--` ends them. An unknown option is
 * an error that names the nearest right one. Secrets are never arguments.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Exit statuses of every program (sysexits where there is one). */
enum mig_exit {
    MIG_EXIT_OK = 0,
    MIG_EXIT_NO = 1,           /* the answer is no: not safe, nothing done, verification failed */
    MIG_EXIT_USAGE = 64,       /* wrong command line */
    MIG_EXIT_DATA = 65,        /* stored or received data is damaged or wrong */
    MIG_EXIT_UNAVAILABLE = 69, /* node or chain cannot be reached */
    MIG_EXIT_SOFTWARE = 70,    /* a bug, or out of memory */
    MIG_EXIT_IO = 74,          /* the disk refused */
    MIG_EXIT_RETRY = 75,       /* temporary: the same command may succeed later */
    MIG_EXIT_PERMISSION = 77,  /* a key is not accepted, or a file's mode or owner is wrong */
    MIG_EXIT_CONFIG = 78,      /* configuration is missing or wrong */
};

struct mig_option {
    const char *name;     /* without the dashes */
    const char *argument; /* what --help calls the value; NULL: a flag */
    const char *help;     /* one line; "\n" continues below it */
    const char **value;   /* where the value goes; the table's initial value is the default */
    bool *flag;           /* where a flag goes */
};

enum { MIG_OPTIONS_MAX = 64, MIG_OPTIONS_WHY_MAX = 256 };

/* Reads argv[1..]; operands are moved to the front of argv + 1, in order, and
 * counted. False with one line in `why`. */
bool mig_options_parse(int argc, char **argv, const struct mig_option *options, size_t count,
                       int *operands, char why[MIG_OPTIONS_WHY_MAX]);
/* The aligned list of options, as --help shows it. */
void mig_options_print(FILE *out, const struct mig_option *options, size_t count);

#endif
