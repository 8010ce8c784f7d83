/* SPDX-License-Identifier: MIT */
#include "chain/endpoints.h"

#include <stdio.h>
#include <string.h>

#include "chain/account.h"

/* What is behind the origin is passed on as it is: printable ASCII without a
 * fragment. */
bool mig_endpoint_origin(const char *url, char out[MIG_ENDPOINT_ORIGIN_MAX])
{
    struct mig_url parts;
    const char *host = strstr(url, "://");
    size_t len = strlen(url);
    if (host == NULL || len > MIG_ENDPOINT_URL_MAX)
        return false;
    for (const char *p = url; *p != '\0'; p++)
        if (*p <= ' ' || *p >= 0x7f || *p == '#' || *p == '\\')
            return false;
    size_t origin = (size_t)(host + 3 - url) + strcspn(host + 3, "/?");
    if (mig_url_parse(url, origin, &parts) != MIG_OK)
        return false;
    bool six = strchr(parts.host, ':') != NULL;
    int n = snprintf(out, MIG_ENDPOINT_ORIGIN_MAX, "%s://%s%s%s:%u", parts.tls ? "https" : "http",
                     six ? "[" : "", parts.host, six ? "]" : "", parts.port);
    return n > 0 && n < MIG_ENDPOINT_ORIGIN_MAX;
}

static enum mig_err take(const char *text, size_t len, struct mig_endpoints *out)
{
    char origin[MIG_ENDPOINT_ORIGIN_MAX];
    while (len > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    if (len > MIG_ENDPOINT_URL_MAX || out->count == MIG_ENDPOINTS_MAX)
        return MIG_ERR_MALFORMED;
    char *url = out->url[out->count];
    memcpy(url, text, len);
    url[len] = '\0';
    if (!mig_endpoint_origin(url, origin))
        return MIG_ERR_MALFORMED;
    for (size_t i = 0; i < out->count; i++)
        if (strcmp(out->url[i], url) == 0)
            return MIG_ERR_MALFORMED;
    out->count++;
    return MIG_OK;
}

enum mig_err mig_endpoints_parse(const char *list, struct mig_endpoints *out)
{
    enum mig_err err;
    memset(out, 0, sizeof *out);
    for (;;) {
        size_t len = strcspn(list, ",");
        err = take(list, len, out);
        if (err != MIG_OK || list[len] == '\0')
            break;
        list += len + 1;
    }
    if (err != MIG_OK)
        memset(out, 0, sizeof *out);
    return err;
}

size_t mig_endpoints_quorum(size_t count, uint32_t configured)
{
    if (configured == 0)
        return count / 2 + 1;
    return configured <= count ? configured : 0;
}
