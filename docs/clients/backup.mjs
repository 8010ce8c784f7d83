// SPDX-License-Identifier: MIT
// A backup service in one page, for those who write their own:
//
//   node backup.mjs fetch   config.json   fetch and keep the node's shares, send the receipt
//   node backup.mjs recover config.json   hand the kept shares to the destination of a migration
//
// config.json: contract, account, rpc, node_url; files service_key ("ed25519:…"),
// vault, vault_key (64 hex digits), operator_key (likewise, optional). It reads
// the deployed contract and announces keys in headers only. Unlike mpc-backup it
// cannot lock its memory, runs once, and trusts a single RPC endpoint.
import { readFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import * as p from './protocol.mjs';

const must = (condition, why) => { if (!condition) throw new Error(why); };

// ---- what the contract says ---------------------------------------------------

async function view(config, method) {
  const params = { request_type: 'call_function', finality: 'final', account_id: config.contract, method_name: method, args_base64: 'e30=' };
  const answer = await fetch(config.rpc, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, redirect: 'error', signal: AbortSignal.timeout(10000),
    body: JSON.stringify({ jsonrpc: '2.0', id: '1', method: 'query', params }),
  });
  const { result } = await answer.json();
  must(Array.isArray(result?.result), `the contract does not answer ${method}`);
  // u64 beyond what a double holds stay text.
  return JSON.parse(Buffer.from(result.result).toString().replace(/([:[,]\s*)(\d{16,})(?=\s*[,}\]])/g, '$1"$2"'));
}

const GROUP_KEYS = { Secp256k1: [1, 'near_public_key'], Ed25519: [2, 'near_public_key_compressed'], Bls12381: [3, 'public_key'] };

function domainOf({ domain_id, attempt, key }) {
  const [[kind, value]] = Object.entries(key), [curve, member] = GROUP_KEYS[kind];
  return { domain: domain_id, attempt, curve, public_key: value[member] };
}

// Keyset, and the TLS identities of the account's seat and of a running migration.
export async function look(config) {
  const { Running: running } = await view(config, 'state');
  must(running, 'the protocol is not running');
  const domains = running.keyset.domains.map(domainOf).sort((a, b) => (BigInt(a.domain) < BigInt(b.domain) ? -1 : 1));
  const seat = running.parameters.participants.participants.find(([account]) => account === config.account);
  const [, record] = (await view(config, 'migration_info'))[config.account] ?? [];
  return {
    keyset: { epoch: running.keyset.epoch_id, domains },
    seat: seat?.[2].tls_public_key,
    destination: record?.destination_node_info.tls_public_key,
  };
}

// ---- one request ----------------------------------------------------------------

// TLS 1.3 to exactly this key; nothing is sent before that is known.
function connect(url, nodeText) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: hostname, port: port || 443, minVersion: 'TLSv1.3', rejectUnauthorized: false, timeout: 30000 });
    socket.once('timeout', () => socket.destroy(new Error('the node is silent')));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const key = socket.getPeerX509Certificate().publicKey.export({ format: 'jwk' });
      if (key.crv === 'Ed25519' && p.keyText(Buffer.from(key.x, 'base64url')) === nodeText) return resolve(socket);
      socket.destroy();
      reject(new Error('another node answers at this address'));
    });
  });
}

function headersOf(raw) {
  const headers = {};
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase();
    must(!(name in headers), `${name} twice`);
    headers[name] = raw[i + 1];
  }
  return headers;
}

async function bodyOf(response) {
  const chunks = [];
  let length = 0;
  for await (const chunk of response) {
    must((length += chunk.length) <= 262144, 'an answer without end');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

// Sends a signed request as it is; the answer is not believed yet.
export async function send(nodeText, request) {
  const socket = await connect(request.url, nodeText);
  try {
    const response = await new Promise((resolve, reject) => {
      const out = http.request({ createConnection: () => socket, method: request.method, path: new URL(request.url).pathname, headers: request.headers });
      out.once('response', resolve).once('error', reject).end(request.body);
    });
    return { status: response.statusCode, headers: headersOf(response.rawHeaders), body: await bodyOf(response) };
  } finally {
    socket.destroy();
  }
}

export function client(config) {
  const file = (name) => readFileSync(name, 'utf8').trim();
  const secret = (name) => name && Buffer.from(file(name), 'hex');
  return { ...config, service: p.identity(file(config.service_key)), vaultKey: secret(config.vault_key), operatorKey: secret(config.operator_key) };
}

export const contextOf = (c, direction, node, keyset, keys = {}) => p.contextText({
  contract: c.contract, account: c.account, node, service: c.service.text, direction, announce: 'header', epoch: keyset.epoch,
  keyset: p.keysetDigest(c.contract, keyset), operator_key: c.operatorKey && p.operatorMember(c.operatorKey), ...keys,
});

// Only what the node signed to this request comes back; a refusal throws. An
// unsigned answer may put off the next try, and does nothing else.
export async function ask(c, node, method, path, context, body) {
  const request = await p.signedRequest(c.service, method, c.node_url + path, context, body);
  const response = await send(node, request);
  try {
    p.believe(response, request, node);
  } catch (error) {
    const wait = Number(response.headers['retry-after']), tries = c.tries ?? 5;
    if (!(wait > 0 && tries > 1)) throw error;
    await sleep(Math.min(wait, 60) * 1000);
    return ask({ ...c, tries: tries - 1 }, node, method, path, context, body);
  }
  if (response.status < 400) return response;
  const { code, retryable } = JSON.parse(response.body);
  throw Object.assign(new Error(`the node says ${response.status} ${code}`), { status: response.status, code, retryable });
}

// ---- the vault: one file, sealed, replaced as a whole -------------------------------

async function keep(c, plain) {
  const next = await fs.open(`${c.vault}.next`, 'w', 0o600);
  await next.writeFile(p.seal(c.vaultKey, plain));
  await next.sync();
  await next.close();
  await fs.rename(`${c.vault}.next`, c.vault);
  const folder = await fs.open(fileURLToPath(new URL('.', `file://${c.vault}`)));
  await folder.sync();
  await folder.close();
  must(p.open(c.vaultKey, await fs.readFile(c.vault)).equals(plain), 'the vault does not give back what it was given');
}

// ---- the two verbs -----------------------------------------------------------------------

export async function fetchShares(c) {
  const { keyset, seat } = await look(c);
  must(seat, 'the account has no seat');
  const own = p.ephemeral();
  const context = contextOf(c, 'backup', seat, keyset, { client_key: own.publicKey });
  const response = await ask(c, seat, 'GET', '/shares_backup', context);
  const final = response.headers['mpc-migration-context'], nodeKey = p.parseContext(final).node_key;
  must(final === `${context}, node-key=:${nodeKey.toString('base64')}:`, 'the answer speaks of something else');
  const plain = p.open(p.sealingKey(own, nodeKey, final, c.operatorKey), response.body);
  p.decodeShares(plain, keyset);
  await keep(c, plain);
  plain.fill(0);
  own.privateKey.fill(0);
  const receipt = JSON.parse((await ask(c, seat, 'POST', '/shares_backup', final)).body);
  must(receipt.context === p.sha256(final).toString('base64'), 'a receipt for something else');
  return { keyset, receipt };
}

export async function recoverShares(c) {
  const { keyset, destination } = await look(c);
  must(destination, 'the contract shows no migration of this account');
  const digest = p.keysetDigest(c.contract, keyset).toString('base64');
  const offer = JSON.parse((await ask(c, destination, 'GET', '/shares_recover', contextOf(c, 'recover', destination, keyset))).body);
  must(offer.keyset === digest && offer.epoch === String(keyset.epoch), 'an offer for something else');
  if (offer.node_key === null) return { job: offer.job, receipt: offer.receipt };
  const plain = p.open(c.vaultKey, await fs.readFile(c.vault)), own = p.ephemeral(), nodeKey = Buffer.from(offer.node_key, 'base64');
  p.decodeShares(plain, keyset);
  const context = contextOf(c, 'recover', destination, keyset, { client_key: own.publicKey, node_key: nodeKey });
  const sealed = p.seal(p.sealingKey(own, nodeKey, context, c.operatorKey), plain);
  plain.fill(0);
  own.privateKey.fill(0);
  const receipt = JSON.parse((await ask(c, destination, 'PUT', '/shares_recover', context, sealed)).body);
  must(receipt.keyset === digest && receipt.shares === keyset.domains.length, 'a receipt for something else');
  return { job: 'imported', receipt };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [verb, file] = process.argv.slice(2);
  must(['fetch', 'recover'].includes(verb) && file, 'usage: backup.mjs fetch|recover config.json');
  const c = client(JSON.parse(readFileSync(file, 'utf8')));
  if (verb === 'fetch') {
    const { keyset, receipt } = await fetchShares(c);
    for (const d of keyset.domains) console.log(`epoch ${keyset.epoch} domain ${d.domain} attempt ${d.attempt} ${d.public_key}`);
    console.log(`kept in ${c.vault}; the node ${receipt.known ? 'knows' : 'does not remember'} this backup`);
  } else {
    const { job, receipt } = await recoverShares(c);
    console.log(`${job}: ${receipt?.shares ?? 0} shares of epoch ${receipt?.epoch ?? '?'} are durable at the node`);
  }
}
