/* SPDX-License-Identifier: MIT */
#include "server/answer.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 64, VALUE_MAX_LEN = 2048, FIRST_ERROR = 400 };

static bool copy_text(struct mig_text text, char *out, size_t cap)
{
    if (text.len >= cap)
        return false;
    memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    return true;
}

static bool add_field(struct MHD_Response *response, const struct mig_field *field)
{
    char name[NAME_MAX_LEN], value[VALUE_MAX_LEN];
    return copy_text(field->name, name, sizeof name) &&
           copy_text(field->value, value, sizeof value) &&
           MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool add_fields(struct MHD_Response *made, const struct mig_response *response)
{
    for (size_t i = 0; i < response->field_count; i++) {
        if (!add_field(made, &response->fields[i]))
            return false;
    }
    return response->status < FIRST_ERROR ||
           MHD_add_response_header(made, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
}

static struct MHD_Response *make(const struct mig_response *response)
{
    struct MHD_Response *made = MHD_create_response_from_buffer(
        response->body_len, (void *)(uintptr_t)response->body, MHD_RESPMEM_PERSISTENT);
    if (made != NULL && !add_fields(made, response)) {
        MHD_destroy_response(made);
        made = NULL;
    }
    return made;
}

bool mig_answer_queue(struct MHD_Connection *to, const struct mig_response *response)
{
    struct MHD_Response *made = make(response);
    if (made == NULL)
        return false;
    bool queued = MHD_queue_response(to, response->status, made) == MHD_YES;
    MHD_destroy_response(made);
    return queued;
}

bool mig_answer_queue_owned(struct MHD_Connection *to, const struct mig_page *page)
{
    struct MHD_Response *made =
        MHD_create_response_from_buffer(page->body_len, page->body, MHD_RESPMEM_MUST_FREE);
    if (made == NULL) {
        free(page->body);
        return false;
    }
    bool ok = MHD_add_response_header(made, MHD_HTTP_HEADER_CONTENT_TYPE, page->content_type) ==
                  MHD_YES &&
              MHD_add_response_header(made, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
              (page->status < FIRST_ERROR ||
               MHD_add_response_header(made, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES) &&
              MHD_queue_response(to, page->status, made) == MHD_YES;
    MHD_destroy_response(made);
    return ok;
}
