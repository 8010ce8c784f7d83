// SPDX-License-Identifier: MIT
// A devnet for one test: starts build/mpc-devnet, stops it, and makes keys.
import { spawn } from 'node:child_process';
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

export function base58(bytes) {
  let n = BigInt('0x' + (Buffer.from(bytes).toString('hex') || '0'));
  let text = '';
  for (; n > 0n; n /= 58n) text = alphabet[Number(n % 58n)] + text;
  for (const b of bytes) {
    if (b !== 0) break;
    text = '1' + text;
  }
  return text;
}

// The same name gives the same key.
export function key(name) {
  const seed = createHash('sha256').update(name).digest();
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const spki = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({ format: 'der', type: 'spki' });
  const raw = spki.subarray(spki.length - 32);
  return { raw, public: 'ed25519:' + base58(raw), secret: 'ed25519:' + base58(Buffer.concat([seed, raw])) };
}

export const contract = 'v1.signer';
export const accounts = ['alice.near', 'bob.near', 'carol.near'];
export const groupKey = key('group').public;
// The destination's account key, as an operator adds it: conclude only, no deposit.
export const nodeKey = key('new node account');

function genesis(dialect) {
  return {
    chain_id: 'mpc-devnet', height: 1000, dialect,
    contract: {
      account_id: contract, epoch_id: 5, threshold: 2,
      participants: accounts.map((a) => ({
        account_id: a, url: `http://${a}:80`, tls_public_key: key(a + ' tls').public, account_public_key: key(a + ' node').public,
      })),
      domains: [{ protocol: 'Frost', public_key: groupKey, attempt: 3 }],
    },
    accounts: accounts.map((a) => ({
      account_id: a, balance: '1000000000000000000000000000',
      keys: [
        { public_key: key(a).public, permission: 'FullAccess' },
        { public_key: nodeKey.public, permission: { FunctionCall: { allowance: null, receiver_id: contract, method_names: ['conclude_node_migration', 'submit_participant_info'] } } },
      ],
    })),
  };
}

export async function startDevnet({ dialect = '3.14.1', blockMs = 30 } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'interop-'));
  writeFileSync(join(dir, 'genesis.json'), JSON.stringify(genesis(dialect)));
  const child = spawn(join(process.env.BUILD, 'mpc-devnet'), [
    '--listen', '127.0.0.1:0', '--scenario', '127.0.0.1:0', '--genesis', join(dir, 'genesis.json'), '--block-ms', String(blockMs),
  ], { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (d) => { text += d; if (text.includes('\n')) resolve(text); });
    child.on('exit', (code) => reject(new Error(`mpc-devnet ended with ${code}`)));
  });
  const [, rpc, scenario] = line.match(/rpc=(\S+) scenario=(\S+)/);
  return {
    url: `http://${rpc}`,
    scenario: async (op) => {
      const r = await fetch(`http://${scenario}/scenario`, { method: 'POST', body: JSON.stringify(op) });
      if (!r.ok) throw new Error(await r.text());
      return r.json();
    },
    stop: async () => {
      child.removeAllListeners('exit');
      const ended = new Promise((resolve) => child.on('exit', resolve));
      child.kill('SIGTERM');
      const code = await ended;
      rmSync(dir, { recursive: true });
      if (code !== 0) throw new Error(`mpc-devnet ended with ${code}`);
    },
  };
}

// The arguments of one migration of alice.near.
export const backupService = key('backup service');
export const destination = { url: 'http://new.alice.near:80', tls: key('new node tls').public };
export const registerArgs = { backup_service_info: { public_key: backupService.public } };
export const startArgs = {
  destination_node_info: {
    signer_account_pk: nodeKey.public,
    destination_node_info: { url: destination.url, tls_public_key: destination.tls },
  },
};
export const attestArgs = { proposed_participant_attestation: { Mock: 'Valid' }, tls_public_key: destination.tls };

// Counts checks, so that a part that checked nothing cannot pass.
let checks = 0;
export function check(condition, what) {
  if (!condition) throw new Error('failed: ' + what);
  checks++;
}
export async function refused(promise, pattern, what) {
  try {
    await promise;
  } catch (e) {
    const text = `${e.name} ${e.message} ${e.type ?? ''} ${JSON.stringify(e, (k, v) => (typeof v === 'bigint' ? String(v) : v))} ${e.cause ?? ''}`;
    check(pattern.test(text), `${what}: ${text}`);
    return e;
  }
  throw new Error(`not refused: ${what}`);
}
export function done() {
  if (checks === 0) throw new Error('nothing was checked');
  console.log(`${checks} checks`);
}
