/* SPDX-License-Identifier: MIT */
#ifndef MIG_CONTRACT_METHOD_H
#define MIG_CONTRACT_METHOD_H
/*
 * What a method sees while it runs, and the steps most methods share. A method
 * reads its arguments, then checks, then writes: it runs on a copy that is
 * kept only when it returns.
 */
#include "contract/form.h"

struct mig_frame {
    struct mig_contract *c;
    const struct mig_contract_call *call;
    struct mig_contract_outcome *out;
    struct mig_serde args;
    bool over; /* a result or a panic is set; nothing may follow */
    bool nomem;
};

/* Each ends the call; the first one counts. */
__attribute__((format(printf, 2, 3))) void mig_frame_panic(struct mig_frame *f, const char *format,
                                                           ...);
void mig_frame_panic_text(struct mig_frame *f, struct mig_print *text);
void mig_frame_return(struct mig_frame *f, struct mig_print *json);
void mig_frame_return_null(struct mig_frame *f);
/* The host has no memory: not a panic of the contract. */
void mig_frame_nomem(struct mig_frame *f);

void mig_frame_log(struct mig_frame *f, struct mig_print *line);

/* False, and the call is over, when the check fails. */
bool mig_frame_args_end(struct mig_frame *f);  /* arguments read completely and well-formed */
bool mig_frame_is_signer(struct mig_frame *f); /* the caller itself signed */
bool mig_frame_is_running(struct mig_frame *f);
bool mig_frame_is_participant(struct mig_frame *f);
bool mig_frame_may_join(struct mig_frame *f); /* existing or prospective participant */
bool mig_frame_is_attested(struct mig_frame *f, const uint8_t tls_key[MIG_KEY_LEN]);
bool mig_frame_takes_deposit(struct mig_frame *f); /* at least 1 yocto; the rest goes back */

/* "<method>: signer=AccountId(\"…\")" */
void mig_frame_begin_log(const struct mig_frame *f, struct mig_print *line);
/* PublicKey { data: [0, …] } */
void mig_debug_signer_key(struct mig_print *t, const uint8_t key[MIG_KEY_LEN]);

bool mig_attestation_is_valid(const struct mig_attestation *a, uint64_t time_ns);
/* What the end of a resharing leaves to tidy up: backup services of accounts
 * that no longer take part go, with their record. */
void mig_contract_clean_orphans(struct mig_contract *c);
/* Existing participant, or one of the proposed set. */
bool mig_contract_may_join(const struct mig_contract *c, const char *account);

/* views.c */
void mig_method_state(struct mig_frame *f);
void mig_method_migration_info(struct mig_frame *f);
void mig_method_recovery_info(struct mig_frame *f);
void mig_method_ephemeral_keys(struct mig_frame *f);
void mig_method_version(struct mig_frame *f);
void mig_method_get_tee_accounts(struct mig_frame *f);
void mig_method_get_attestation(struct mig_frame *f);
void mig_method_image_hashes(struct mig_frame *f);
void mig_method_launcher_hashes(struct mig_frame *f);
/* deployed.c */
void mig_method_init(struct mig_frame *f);
void mig_method_register_backup_service(struct mig_frame *f);
void mig_method_start_node_migration(struct mig_frame *f);
void mig_method_cancel_node_migration(struct mig_frame *f);
void mig_method_conclude_node_migration(struct mig_frame *f);
void mig_method_update_participant_url(struct mig_frame *f);
void mig_method_cleanup(struct mig_frame *f);
void mig_method_submit_participant_info(struct mig_frame *f);
/* draft.c */
void mig_method_set_backup_service(struct mig_frame *f);
void mig_method_swap_node(struct mig_frame *f);
void mig_method_conclude_recovery(struct mig_frame *f);
void mig_method_publish_ephemeral_key(struct mig_frame *f);

#endif
