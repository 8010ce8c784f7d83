/* SPDX-License-Identifier: MIT */
#include "server/late.h"

#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "handlers/exchange.h"

enum { DATE_MAX = 40, HEAD_MAX = 1024 };

/* strftime would follow the host's locale. */
static void format_date(char out[DATE_MAX])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm t = {0};
    (void)gmtime_r(&now, &t);
    (void)snprintf(out, DATE_MAX, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday % 7],
                   t.tm_mday % 100, months[t.tm_mon % 12], (t.tm_year + 1900) % 10000, t.tm_hour,
                   t.tm_min, t.tm_sec);
}

void mig_late_answer(int fd, unsigned status)
{
    struct mig_response response;
    char date[DATE_MAX], out[HEAD_MAX];
    mig_response_problem(status, status == 408 ? "timeout" : "malformed", NULL, 0, &response);
    format_date(date);
    int n = snprintf(out, sizeof out,
                     "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\n"
                     "Cache-Control: no-store\r\nContent-Type: application/problem+json\r\n"
                     "Content-Length: %zu\r\n\r\n%.*s",
                     status, status == 408 ? "Request Timeout" : "Bad Request", date,
                     response.body_len, (int)response.body_len, (const char *)response.body);
    if (n > 0 && (size_t)n < sizeof out)
        (void)!send(fd, out, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}
