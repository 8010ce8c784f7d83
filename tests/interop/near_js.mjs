// SPDX-License-Identifier: MIT
// @near-js 2.x, unchanged: the older split line, and its schema-checked RPC client.
import { Account } from '@near-js/accounts';
import { KeyPair } from '@near-js/crypto';
import { block, gasPrice, NearRpcClient, query, status, tx } from '@near-js/jsonrpc-client';
import { JsonRpcProvider } from '@near-js/providers';
import { KeyPairSigner } from '@near-js/signers';
import * as d from './devnet.mjs';

const net = await d.startDevnet();
const provider = new JsonRpcProvider({ url: net.url });
const as = (id, secret) => new Account(id, provider, new KeyPairSigner(KeyPair.fromString(secret)));
const operator = as('alice.near', d.key('alice.near').secret);
const node = as('alice.near', d.nodeKey.secret);
const view = (method) => provider.callFunction(d.contract, method, {});
const call = (who, methodName, args, deposit = 0n) => who.callFunction({ contractId: d.contract, methodName, args, deposit, gas: 30000000000000n });

try {
  d.check(await view('version') === '3.14.1', 'version');
  const state = await view('state');
  d.check(state.Running.keyset.epoch_id === 5, 'state');
  await call(operator, 'register_backup_service', d.registerArgs, 1n);
  await call(operator, 'start_node_migration', d.startArgs, 1n);
  await d.refused(call(node, 'conclude_node_migration', { keyset: state.Running.keyset }), /destination node TEE quote is invalid/, 'not attested');
  await call(node, 'submit_participant_info', d.attestArgs);
  await call(node, 'conclude_node_migration', { keyset: state.Running.keyset });
  d.check((await view('state')).Running.parameters.participants.participants[0][2].tls_public_key === d.destination.tls, 'moved in');
  await d.refused(call(operator, 'register_backup_service', d.registerArgs), /Attached deposit is lower than required/, 'panic text');
  await d.refused(call(node, 'submit_participant_info', d.attestArgs, 1n), /DepositWithFunctionCall/, 'deposit with a function-call key');
  await d.refused(view('no_such_method'), /MethodNotFound|doesn't exist|not found/i, 'view of no method');
  d.check((await operator.getState()).balance.total > 0n, 'state of the account');
  d.check((await operator.getAccessKeyList()).keys.length === 2, 'keys');

  // The generated client checks every answer against its schema.
  const client = new NearRpcClient({ endpoint: net.url });
  const head = await block(client, { finality: 'final' });
  d.check(head.header.height >= 1000, 'block');
  d.check((await status(client)).chainId === 'mpc-devnet', 'status');
  d.check((await gasPrice(client, { blockId: null })).gasPrice === '100000000', 'gas price');
  const answer = await query(client, { requestType: 'call_function', finality: 'final', accountId: d.contract, methodName: 'version', argsBase64: '' });
  d.check(Buffer.from(answer.result).toString() === '"3.14.1"', 'query');
  const outcome = await operator.signAndSendTransaction({ receiverId: 'alice.near', actions: [] }).catch(() => null);
  d.check(outcome === null, 'an empty transaction is refused');
  const sent = await operator.transfer({ receiverId: 'bob.near', amount: 1n });
  const again = await tx(client, { txHash: sent.transaction.hash, senderAccountId: 'alice.near', waitUntil: 'FINAL' });
  d.check(again.finalExecutionStatus === 'FINAL', 'tx');
  d.done();
} finally {
  await net.stop();
}
