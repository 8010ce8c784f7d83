// SPDX-License-Identifier: MIT
// near-kit, unchanged: it reads at `final`, so it also sees the lag.
import { Near } from 'near-kit';
import * as d from './devnet.mjs';

const net = await d.startDevnet();
const as = (id, secret) => new Near({ network: { rpcUrl: net.url, networkId: 'mpc-devnet' }, privateKey: secret, defaultSignerId: id, defaultWaitUntil: 'FINAL' });
const operator = as('alice.near', d.key('alice.near').secret);
const node = as('alice.near', d.nodeKey.secret);
const call = (who, method, args, attachedDeposit = '0 yocto') => who.call(d.contract, method, args, { attachedDeposit, gas: '30 Tgas', waitUntil: 'FINAL' });

try {
  d.check(await operator.view(d.contract, 'version') === '3.14.1', 'version');
  const state = await operator.view(d.contract, 'state');
  d.check(state.Running.keyset.epoch_id === 5, 'state');
  await call(operator, 'register_backup_service', d.registerArgs, '1 yocto');
  await call(operator, 'start_node_migration', d.startArgs, '1 yocto');
  d.check((await operator.view(d.contract, 'migration_info'))['alice.near'][0].public_key === d.backupService.public, 'registered');
  await d.refused(call(node, 'conclude_node_migration', { keyset: state.Running.keyset }), /destination node TEE quote is invalid/, 'not attested');
  await call(node, 'submit_participant_info', d.attestArgs);
  await call(node, 'conclude_node_migration', { keyset: state.Running.keyset });
  d.check((await operator.view(d.contract, 'state')).Running.parameters.participants.participants[0][2].tls_public_key === d.destination.tls, 'moved in');
  await d.refused(call(operator, 'register_backup_service', d.registerArgs), /Attached deposit is lower than required/, 'panic text');
  await d.refused(call(node, 'submit_participant_info', d.attestArgs, '1 yocto'), /DepositWithFunctionCall/, 'deposit with a function-call key');
  await d.refused(operator.view(d.contract, 'no_such_method'), /MethodNotFound|not found|does not exist/i, 'view of no method');
  await d.refused(operator.view('zoe.near', 'state'), /zoe\.near/, 'no account');
  d.check(await operator.getBalance('bob.near') === '999.99', 'balance, less what storage locks');
  const sent = await operator.transaction('alice.near').transfer('bob.near', '1 NEAR').send();
  d.check('SuccessValue' in sent.status, 'transfer');
  const status = await operator.getStatus();
  d.check((status.chain_id ?? status.chainId) === 'mpc-devnet', 'status');
  d.done();
} finally {
  await net.stop();
}
