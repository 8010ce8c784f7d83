/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_hygiene_check, behind a parser as careless as the library's.
 * Reached by: anyone who can open a connection, before any check.
 * Holds: a clean head has one reading; written out again line by line it is
 * byte for byte what came in.
 */
#include "server/hygiene.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = MIG_HEAD_FIELDS_MAX + 2 };

/* One line, ended by LF with or without CR, cut at a NUL; advances *at and
 * makes NULs of the line's end, as the library does. */
static struct mig_text line(char **at, char *end)
{
    char *lf = memchr(*at, '\n', (size_t)(end - *at));
    char *stop = lf != NULL ? lf : end;
    if (stop > *at && stop[-1] == '\r')
        stop--;
    struct mig_text out = {*at, (size_t)(stop - *at)};
    while (lf != NULL && stop <= lf)
        *stop++ = '\0';
    *at = lf != NULL ? lf + 1 : end;
    out.len = strnlen(out.at, out.len);
    return out;
}

static struct mig_text until(struct mig_text *rest, char sep)
{
    const char *p = memchr(rest->at, sep, rest->len);
    struct mig_text out = {rest->at, p != NULL ? (size_t)(p - rest->at) : rest->len};
    size_t used = p != NULL ? out.len + 1 : out.len;
    rest->at += used;
    rest->len -= used;
    return out;
}

static void check_round_trip(const struct mig_head *head, const uint8_t *data, size_t size)
{
    char *out = malloc(size + 1);
    size_t n = 0;
    if (out == NULL)
        return;
    const struct mig_text first[] = {head->method,  MIG_TEXT(" "), head->target,
                                     MIG_TEXT(" "), head->version, MIG_TEXT("\r\n")};
    for (size_t i = 0; i < sizeof first / sizeof *first; n += first[i].len, i++)
        memcpy(out + n, first[i].at, first[i].len);
    for (size_t f = 0; f < head->field_count; f++) {
        const struct mig_text parts[] = {head->fields[f].name, MIG_TEXT(": "),
                                         head->fields[f].value, MIG_TEXT("\r\n")};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; n += parts[i].len, i++)
            memcpy(out + n, parts[i].at, parts[i].len);
    }
    memcpy(out + n, "\r\n", 2);
    /* Two liberties are left, because the parser overwrites these bytes: a tab
     * for the space after the colon, and NULs within a line's end. */
    for (size_t i = 0; i < size; i++) {
        bool end = (out[i] == '\r' || out[i] == '\n') && memchr("\r\n", data[i], 3) != NULL;
        if (out[i] != (char)data[i] && !(out[i] == ' ' && data[i] == '\t') && !end)
            abort();
    }
    if (n + 2 != size)
        abort();
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = calloc(1, size + 4);
    if (copy == NULL)
        return 0;
    if (size > 0)
        memcpy(copy, data, size);
    char *at = copy;
    char *end = at + size;
    struct mig_field fields[FIELDS];
    struct mig_text first = line(&at, end);
    struct mig_head head = {.fields = fields, .size = size};
    head.method = until(&first, ' ');
    head.target = until(&first, ' ');
    head.version = first;
    bool ended = false;
    while (at < end && head.field_count < FIELDS) {
        struct mig_text rest = line(&at, end);
        ended = rest.len == 0 && at[-1] == '\0' && data[at - copy - 1] == '\n';
        if (rest.len == 0)
            break;
        struct mig_text name = until(&rest, ':');
        while (rest.len > 0 && (rest.at[0] == ' ' || rest.at[0] == '\t')) {
            rest.at++;
            rest.len--;
        }
        fields[head.field_count++] = (struct mig_field){name, rest};
    }
    head.adjacent = mig_head_is_adjacent(&head);
    struct mig_head_facts facts;
    enum mig_hygiene verdict = mig_hygiene_check(&head, &facts);
    if ((verdict == MIG_HYGIENE_CLEAN) != (mig_hygiene_status(verdict) == 0))
        abort();
    if (verdict == MIG_HYGIENE_CLEAN && ended && at == end) {
        if (facts.content_length < -1 || facts.host.len == 0)
            abort();
        check_round_trip(&head, data, size);
    }
    free(copy);
    return 0;
}
