/* SPDX-License-Identifier: MIT */
#include "tests/vectors/http.h"

#include <string.h>

#include "auth/base.h"

static struct mig_text text_in(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return (struct mig_text){json_string_value(value), json_string_length(value)};
}

static bool read_fields(json_t *object, struct http *out)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (!json_is_string(value) || out->message.field_count == HTTP_FIELDS_MAX)
            return false;
        out->fields[out->message.field_count++] = (struct mig_field){
            {name, strlen(name)}, {json_string_value(value), json_string_length(value)}};
    }
    return json_is_object(object);
}

static bool read_request(const json_t *request, struct http *out)
{
    out->message.fields = out->fields;
    out->message.method = text_in(request, "method");
    out->message.target = text_in(request, "path");
    out->message.authority = text_in(json_object_get(request, "fields"), "Host");
    return out->message.method.at != NULL && out->message.target.at != NULL &&
           read_fields(json_object_get(request, "fields"), out);
}

bool http_read(const json_t *message, const json_t *asked, struct http *out)
{
    out->message = out->request = (struct mig_message){0};
    if (asked == NULL)
        return read_request(message, out);
    struct http request;
    bool ok = read_request(asked, &request);
    memcpy(out->request_fields, request.fields, sizeof request.fields);
    out->request = request.message;
    out->request.fields = out->request_fields;
    out->message.fields = out->fields;
    out->message.request = &out->request;
    out->message.status = (unsigned)json_integer_value(json_object_get(message, "status"));
    return ok && read_fields(json_object_get(message, "fields"), out);
}

json_t *http_base(const json_t *message, const json_t *asked)
{
    struct http http;
    struct mig_signature_input input;
    char base[MIG_SIG_BASE_MAX];
    size_t len;
    struct mig_text field = text_in(json_object_get(message, "fields"), "Signature-Input");
    if (field.at == NULL || !http_read(message, asked, &http) ||
        mig_signature_input_parse(field, &input) != MIG_OK ||
        mig_base_build(&http.message, &input, base, sizeof base, &len) != MIG_OK)
        return NULL;
    return json_stringn(base, len);
}

json_t *http_changed(const json_t *message, const json_t *change)
{
    json_t *copy = json_deep_copy(message), *fields = json_object_get(copy, "fields"), *value;
    const char *name;
    json_object_foreach(json_object_get(change, "fields"), name, value)
    {
        if (json_is_null(value))
            (void)json_object_del(fields, name);
        else
            (void)json_object_set(fields, name, value);
    }
    json_object_foreach((json_t *)change, name, value) if (strcmp(name, "fields") != 0)(void)
        json_object_set(copy, name, value);
    return copy;
}
