/* SPDX-License-Identifier: MIT */
#ifndef MIG_TESTS_WIRE_H
#define MIG_TESTS_WIRE_H
/*
 * A client that sends exactly what it is told to, byte by byte, and says what
 * came back. Every wait ends after ten seconds and is then a failure.
 */
#include "tests/rig.h"

enum { WIRE_MAX = 400 * 1024 };

/* Everything that came until the peer closed (or said nothing for ten seconds). */
struct wire {
    int fd;
    size_t len;
    bool closed; /* the peer ended the connection, orderly */
    bool reset;  /* ... or reset it */
    char text[WIRE_MAX + 1];
};

/* To "127.0.0.1:port" or "[::1]:port". */
void wire_open(struct wire *wire, const char *address);
void wire_close(struct wire *wire);
/* False when the peer is gone. */
bool wire_send(struct wire *wire, const void *bytes, size_t len);
bool wire_say(struct wire *wire, const char *text);
/* Reads one whole answer (by its Content-Length); earlier ones are dropped. */
bool wire_read_answer(struct wire *wire);
/* Reads until the end. */
void wire_read_all(struct wire *wire);
/* The end has come within the time, whatever else came. */
bool wire_is_over(struct wire *wire);

unsigned wire_status(const struct wire *wire);  /* of the first answer; 0: none */
unsigned wire_answers(const struct wire *wire); /* how many, by their lengths */
const char *wire_body(const struct wire *wire);
/* Value of a field of the first answer, or NULL. */
const char *wire_field(const struct wire *wire, const char *name);

/* Connect, say, read to the end, close. */
void wire_ask(struct wire *wire, const char *address, const char *text);

/* The request under construction in the rig, as bytes without its body. */
size_t wire_format(const struct rig *rig, char *out, size_t cap);
/* Composes, signs and sends rig->ask; the body too, unless `head_only`. */
bool wire_send_ask(struct wire *wire, struct rig *rig, bool head_only);

#endif
