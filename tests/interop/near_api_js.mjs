// SPDX-License-Identifier: MIT
// near-api-js, unchanged: a whole migration, and the errors it must understand.
import { Account, actions, JsonRpcProvider, KeyPair } from 'near-api-js';
import * as d from './devnet.mjs';

const net = await d.startDevnet();
const provider = new JsonRpcProvider({ url: net.url });
const view = (method, args = {}) => provider.callFunction({ contractId: d.contract, method, args });
const account = (id, secret) => new Account(id, provider, secret);
const operator = account('alice.near', d.key('alice.near').secret);
const node = account('alice.near', d.nodeKey.secret);
const stranger = account('bob.near', d.key('nobody').secret);
const call = (who, methodName, args, deposit = 0n) =>
  who.callFunction({ contractId: d.contract, methodName, args, deposit, gas: 30000000000000n });

try {
  // Views
  d.check(await view('version') === '3.14.1', 'version');
  let state = await view('state');
  d.check(state.Running.keyset.epoch_id === 5, 'epoch');
  d.check(state.Running.keyset.domains[0].attempt === 3, 'attempt');
  d.check(JSON.stringify(await view('migration_info')) === '{}', 'no migration yet');
  d.check((await view('get_tee_accounts')).length === 3, 'attested nodes');
  d.check((await provider.viewAccount({ accountId: 'alice.near' })).amount === 10n ** 27n, 'balance');
  d.check((await provider.viewAccessKeyList({ accountId: 'alice.near' })).keys.length === 2, 'keys');
  d.check((await provider.viewAccessKey({ accountId: 'alice.near', publicKey: d.nodeKey.public })).permission.FunctionCall.receiver_id === d.contract, 'permission');
  const block = await provider.viewBlock({ finality: 'final' });
  d.check(block.header.height >= 1000, 'block');
  d.check((await provider.viewChunk(block.chunks[0].chunk_hash)).transactions.length === 0, 'chunk');
  d.check(await provider.getNetworkId() === 'mpc-devnet', 'chain id');
  d.check((await provider.viewGasPrice()).gas_price === '100000000', 'gas price');

  // A whole migration
  const outcome = await operator.signAndSendTransaction({
    receiverId: d.contract,
    actions: [actions.functionCall('register_backup_service', d.registerArgs, 30000000000000n, 6n)],
  });
  d.check(outcome.receipts_outcome[0].outcome.logs.some((l) => l.startsWith('register_backup_service: signer=')), 'logs');
  d.check(outcome.receipts_outcome[1].outcome.executor_id === 'alice.near', 'refund');
  d.check((await view('migration_info'))['alice.near'][0].public_key === d.backupService.public, 'registered');
  await call(operator, 'start_node_migration', d.startArgs, 1n);
  d.check((await view('migration_info'))['alice.near'][1].destination_node_info.url === d.destination.url, 'started');
  await d.refused(call(node, 'conclude_node_migration', { keyset: state.Running.keyset }), /destination node TEE quote is invalid/, 'not attested');
  await call(node, 'submit_participant_info', d.attestArgs);
  await d.refused(call(node, 'conclude_node_migration', { keyset: { ...state.Running.keyset, epoch_id: 4 } }), /submitted keyset differs/, 'wrong keyset');
  await call(node, 'conclude_node_migration', { keyset: state.Running.keyset });
  state = await view('state');
  const seat = state.Running.parameters.participants.participants[0];
  d.check(seat[0] === 'alice.near' && seat[1] === 0 && seat[2].tls_public_key === d.destination.tls, 'moved in, same id');
  d.check(state.Running.keyset.epoch_id === 5, 'same epoch');

  // Refusals
  await d.refused(call(operator, 'register_backup_service', d.registerArgs, 0n), /Attached deposit is lower than required\. Attached: 0, required: 1/, 'panic text');
  await d.refused(call(operator, 'no_such_method', {}), /MethodNotFound|method.*not found|does not exist/i, 'method');
  await d.refused(call(node, 'submit_participant_info', d.attestArgs, 1n), /DepositWithFunctionCall|deposit/i, 'deposit with a function-call key');
  await d.refused(call(node, 'start_node_migration', d.startArgs), /MethodNameMismatch|method/i, 'method of the key');
  await d.refused(node.transfer({ receiverId: 'bob.near', amount: 1n }), /RequiresFullAccess|full access/i, 'transfer with a function-call key');
  await d.refused(call(stranger, 'version', {}), /access key|AccessKeyNotFound|does not exist/i, 'unknown key');
  await d.refused(view('no_such_method'), /method|MethodNotFound/i, 'view of no method');
  await d.refused(view('register_backup_service', d.registerArgs), /ProhibitedInView/, 'view that writes');
  await d.refused(provider.callFunction({ contractId: 'bob.near', method: 'state', args: {} }), /code|CodeDoesNotExist/i, 'no contract');
  await d.refused(provider.viewAccount({ accountId: 'zoe.near' }), /zoe\.near.*does not exist|AccountDoesNotExist/i, 'no account');
  await d.refused(provider.sendJsonRpc('no_such_rpc', {}), /RpcMethodNotFoundError/, 'no RPC method');

  // Nonces
  const used = await provider.viewAccessKey({ accountId: 'alice.near', publicKey: d.key('alice.near').public });
  const header = (await provider.viewBlock({ finality: 'final' })).header;
  const signed = async (nonce, blockHash = header.hash) => {
    const { createTransaction, KeyPairSigner, PublicKey, baseDecode } = await import('near-api-js');
    const pair = KeyPair.fromString(d.key('alice.near').secret);
    const tx = createTransaction('alice.near', pair.getPublicKey(), d.contract, nonce, [actions.functionCall('register_backup_service', d.registerArgs, 30000000000000n, 1n)], baseDecode(blockHash));
    return (await new KeyPairSigner(pair).signTransaction(tx)).signedTransaction;
  };
  await d.refused(provider.sendTransaction(await signed(used.nonce)), /InvalidNonce|nonce/i, 'used nonce');
  await d.refused(provider.sendTransaction(await signed(BigInt(header.height + 1000000) * 1000000n)), /NonceTooLarge|nonce/i, 'nonce too large');
  await d.refused(provider.sendTransaction(await signed(used.nonce + 1n, '11111111111111111111111111111111')), /Expired/i, 'unknown block hash');
  const good = await signed(used.nonce + 10n);
  const first = await provider.sendTransactionUntil(good, 'FINAL');
  d.check(first.final_execution_status === 'FINAL', 'waits for final');
  const again = await provider.sendTransactionUntil(good, 'EXECUTED_OPTIMISTIC');
  d.check(again.transaction.hash === first.transaction.hash, 'the same bytes give the same outcome');
  const found = await provider.viewTransactionStatusWithReceipts({ txHash: first.transaction.hash, accountId: 'alice.near', waitUntil: 'FINAL' });
  d.check(found.receipts[0].receiver_id === d.contract, 'receipts');

  // Keys and accounts
  const fresh = d.key('fresh');
  await operator.signAndSendTransaction({ receiverId: 'alice.near', actions: [actions.addFunctionCallAccessKey(KeyPair.fromString(fresh.secret).getPublicKey(), d.contract, ['conclude_node_migration'], 10n ** 24n)] });
  d.check((await provider.viewAccessKey({ accountId: 'alice.near', publicKey: fresh.public })).permission.FunctionCall.method_names[0] === 'conclude_node_migration', 'key added');
  await operator.deleteKey(fresh.public);
  await d.refused(provider.viewAccessKey({ accountId: 'alice.near', publicKey: fresh.public }), /does not exist|AccessKey/i, 'key deleted');
  await operator.createSubAccount({ accountOrPrefix: 'sub', publicKey: fresh.public, nearToTransfer: 10n ** 24n });
  d.check((await provider.viewAccount({ accountId: 'sub.alice.near' })).amount === 10n ** 24n, 'account made');

  // The protocol moves
  await net.scenario({ op: 'start_resharing' });
  d.check('Resharing' in await view('state'), 'resharing');
  await d.refused(call(operator, 'start_node_migration', d.startArgs, 1n), /The protocol is not Running\./, 'not running');
  d.done();
} finally {
  await net.stop();
}
