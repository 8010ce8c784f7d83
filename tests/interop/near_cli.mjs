// SPDX-License-Identifier: MIT
// The legacy near-cli as an operator uses it: credentials in files, commands in a shell.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as d from './devnet.mjs';

const net = await d.startDevnet();
const home = mkdtempSync(join(tmpdir(), 'interop-home-'));
const run = promisify(execFile);
const near = async (...args) => {
  const env = { ...process.env, HOME: home, NEAR_ENV: 'custom', NEAR_CUSTOM_RPC: net.url, NODE_NO_WARNINGS: '1', NO_COLOR: '1', FORCE_COLOR: '0' };
  const { stdout, stderr } = await run(process.execPath, ['node_modules/near-cli/bin/near', ...args], { env });
  return stdout + stderr;
};
const call = (method, args, ...more) => near('call', d.contract, method, JSON.stringify(args), '--useAccount', 'alice.near', '--gas', '30000000000000', ...more);

try {
  const folder = join(home, '.near-credentials', 'custom');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'alice.near.json'), JSON.stringify({ account_id: 'alice.near', public_key: d.key('alice.near').public, private_key: d.key('alice.near').secret }), { mode: 0o600 });
  d.check(/3\.14\.1/.test(await near('view', d.contract, 'version')), 'view');
  d.check(/1000|amount/.test(await near('state', 'alice.near')), 'state');
  d.check((await near('list-keys', 'alice.near')).includes(d.nodeKey.public), 'keys');
  await call('register_backup_service', d.registerArgs, '--depositYocto', '1');
  await call('start_node_migration', d.startArgs, '--depositYocto', '1');
  d.check((await near('view', d.contract, 'migration_info')).includes(d.backupService.public), 'registered and started');
  await call('submit_participant_info', d.attestArgs, '--privateKey', d.nodeKey.secret);
  const keyset = { epoch_id: 5, domains: [{ domain_id: 0, attempt: 3, key: { Ed25519: { near_public_key_compressed: d.groupKey, edwards_point: [...d.key('group').raw] } } }] };
  await call('conclude_node_migration', { keyset }, '--privateKey', d.nodeKey.secret);
  d.check((await near('view', d.contract, 'state')).includes(d.destination.tls), 'moved in');
  const denied = await call('register_backup_service', d.registerArgs).then((t) => t, (e) => `${e.stdout}${e.stderr}`);
  d.check(/Attached deposit is lower than required/.test(denied), 'panic text: ' + denied);
  const sent = await near('send-near', 'alice.near', 'bob.near', '1');
  const hash = sent.match(/[1-9A-HJ-NP-Za-km-z]{43,44}/)[0];
  d.check(/SuccessValue/.test(await near('tx-status', hash, 'alice.near')), 'tx-status');
  await near('add-key', 'alice.near', d.key('fresh').public, '--contract-id', d.contract, '--method-names', 'conclude_node_migration', '--allowance', '1').catch((e) => { throw new Error(e.stdout + e.stderr); });
  d.check((await near('list-keys', 'alice.near')).includes(d.key('fresh').public), 'key added');
  d.done();
} finally {
  rmSync(home, { recursive: true });
  await net.stop();
}
