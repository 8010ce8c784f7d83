/* SPDX-License-Identifier: MIT */
#ifndef MIG_AUTH_BASE_H
#define MIG_AUTH_BASE_H
/*
 * RFC 9421 below any profile: the two signature fields as text, and the
 * signature base. Which components, parameters and keys are acceptable is for
 * auth/signature.h; private to auth/ (and to the tests that hold it against
 * the RFC's own vectors).
 */
#include "auth/sf.h"
#include "auth/signature.h"

enum { MIG_SIG_PARAMS_MAX = 24 }; /* of the signature and of its components together */

/* The one member of a Signature-Input. The arrays lie inside: do not copy. */
struct mig_signature_input {
    struct mig_sf sf;
    struct mig_sf_member member;
    struct mig_sf_item items[MIG_COMPONENTS_MAX];
    struct mig_sf_param params[MIG_SIG_PARAMS_MAX];
    struct mig_text value; /* value of "@signature-params" */
    bool is_impossible;    /* a signer asked for what no field can say */
};

/* Exactly one member that is an inner list, no key twice, equal to its
 * canonical serialisation, at most MIG_SIG_FIELD_MAX bytes. */
enum mig_err mig_signature_input_parse(struct mig_text field, struct mig_signature_input *out) MIG_MUST_USE;
/* Exactly one member of this label, 64 bytes, no parameters, canonical. */
enum mig_err mig_signature_parse(struct mig_text field, struct mig_text label,
                                 uint8_t signature[MIG_SIG_LEN]) MIG_MUST_USE;

/* For signers: start, cover and add what is wanted, then finish, which writes
 * the field and sets `value`. Texts are borrowed until then and must be valid
 * inside quotes; too many of them, or an integer of more than 15 digits, is
 * MIG_ERR_BUG from finish. */
void mig_signature_input_start(struct mig_signature_input *input);
void mig_signature_input_cover(struct mig_signature_input *input, const char *name, bool of_request);
void mig_signature_input_integer(struct mig_signature_input *input, const char *key, uint64_t value);
void mig_signature_input_string(struct mig_signature_input *input, const char *key, struct mig_text value);
enum mig_err mig_signature_input_finish(struct mig_signature_input *input,
                                        char field[MIG_SIG_FIELD_MAX + 1]) MIG_MUST_USE;
void mig_signature_format(const uint8_t signature[MIG_SIG_LEN], char field[MIG_SIG_FIELD_MAX + 1]);

/* Component `index` of the input: true when it bears ;req and nothing else,
 * false when it bears nothing; anything else is MALFORMED. */
enum mig_err mig_component_of_request(const struct mig_signature_input *input, size_t index,
                                      bool *of_request) MIG_MUST_USE;

/* RFC 9421 §2.5. A component that is unknown, repeated, absent or does not fit
 * the message (";req" on a request, "@status" in one), a value with an octet
 * that a field cannot have, or a base longer than `cap`: MIG_ERR_MALFORMED.
 *
 * "@authority" is Host in lower case and otherwise as received. The RFC drops
 * the scheme's default port; a client whose URL library does that sends Host
 * without it too, so that both sides agree without this side having to know
 * which scheme a proxy in front of it spoke. */
enum mig_err mig_base_build(const struct mig_message *message, const struct mig_signature_input *input,
                            char *out, size_t cap, size_t *len) MIG_MUST_USE;

#endif
