/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_ANSWER_H
#define MIG_SERVER_ANSWER_H
/*
 * Answers of handlers/ as libmicrohttpd sends them. Date and Content-Length
 * are the library's, Connection is ours: every answer of 400 and up closes.
 */
#include <microhttpd.h>

#include "handlers/exchange.h"
#include "server/page.h"

/* Queues `response`; its body must stay until the request is over. False: not
 * possible, drop the connection. */
bool mig_answer_queue(struct MHD_Connection *to, const struct mig_response *response);

/* A small answer of its own; takes page->body in any case. */
bool mig_answer_queue_owned(struct MHD_Connection *to, const struct mig_page *page);

#endif
