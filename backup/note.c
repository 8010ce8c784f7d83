/* SPDX-License-Identifier: MIT */
#include "backup/note.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { VERSION = 1 };

enum mig_err mig_note_set_context(struct mig_note *note, const char *text)
{
    size_t len = strlen(text);
    enum mig_err err = mig_context_parse(text, len, &note->parsed);
    if (err != MIG_OK)
        return err;
    if (note->parsed.direction != MIG_BACKUP || !note->parsed.has_client_key ||
        !note->parsed.has_node_key)
        return MIG_ERR_MALFORMED;
    memmove(note->context, text, len + 1);
    return MIG_OK;
}

enum mig_err mig_note_format(const struct mig_note *note, char out[MIG_NOTE_MAX])
{
    json_t *root =
        json_pack("{s:i, s:b, s:I, s:I, s:I, s:s}", "version", VERSION, "acknowledged",
                  note->state == MIG_NOTE_ACKNOWLEDGED, "stored_at", (json_int_t)note->stored_at,
                  "read_back_at", (json_int_t)note->read_back_at, "acknowledged_at",
                  (json_int_t)note->acknowledged_at, "context", note->context);
    if (root == NULL)
        return MIG_ERR_NOMEM;
    size_t len = json_dumpb(root, out, MIG_NOTE_MAX - 1, JSON_COMPACT);
    json_decref(root);
    if (len == 0 || len >= MIG_NOTE_MAX)
        return MIG_ERR_BUG;
    out[len] = '\0';
    return MIG_OK;
}

static bool unpack(json_t *root, struct mig_note *out)
{
    int version = 0, acknowledged = 0;
    json_int_t stored = 0, read_back = 0, at = 0;
    const char *context = NULL;
    if (json_unpack(root, "{s:i, s:b, s:I, s:I, s:I, s:s}", "version", &version, "acknowledged",
                    &acknowledged, "stored_at", &stored, "read_back_at", &read_back,
                    "acknowledged_at", &at, "context", &context) != 0)
        return false;
    out->state = acknowledged != 0 ? MIG_NOTE_ACKNOWLEDGED : MIG_NOTE_PENDING;
    out->stored_at = (uint64_t)stored;
    out->read_back_at = (uint64_t)read_back;
    out->acknowledged_at = (uint64_t)at;
    return version == VERSION && stored >= 0 && read_back >= 0 && at >= 0 &&
           mig_note_set_context(out, context) == MIG_OK;
}

enum mig_err mig_note_parse(const void *json, size_t len, struct mig_note *out)
{
    *out = (struct mig_note){0};
    json_t *root = len < MIG_NOTE_MAX ? json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    bool good = root != NULL && unpack(root, out);
    json_decref(root);
    if (!good)
        *out = (struct mig_note){0};
    return good ? MIG_OK : MIG_ERR_MALFORMED;
}
