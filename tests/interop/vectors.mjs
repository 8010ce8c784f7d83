// SPDX-License-Identifier: MIT
// Every vector of docs/protocol-vectors.json against docs/clients/protocol.mjs
// and, for the node's side, against what stands below. Usage: vectors.mjs FILE
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import bs58 from 'bs58';
import sodium from 'libsodium-wrappers';
import * as p from './protocol.mjs';

const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
const v = read(process.argv[2]);
const hex = (text) => Buffer.from(text, 'hex');
const named = (list, name) => v[list].find((row) => row.name === name) ?? assert.fail(name);
let checked = 0;
function each(list, check) {
  assert.ok(v[list].length > 0, list);
  for (const row of v[list]) {
    try { check(row); } catch (cause) { throw new Error(`${list}: ${row.name ?? row.why ?? row.context}`, { cause }); }
    checked++;
  }
}
const refused = (run, why) => assert.throws(run, why);

// ---- keys, keysets, plaintexts ----

each('keys', (row) => {
  assert.equal(p.keyText(hex(row.public)), row.text);
  assert.equal(p.keyBytes(row.text).toString('hex'), row.public);
  assert.equal(p.identity(row.secret_text).text, row.text);
  assert.equal(row.secret_text, 'ed25519:' + bs58.encode(hex(row.seed + row.public)));
  assert.equal(Buffer.from(sodium.crypto_sign_seed_keypair(hex(row.seed)).publicKey).toString('hex'), row.public);
});
each('keys_refused', (row) => refused(() => p.keyBytes(row.text)));
each('keysets', (row) => assert.equal(p.keysetDigest(row.contract, row).toString('hex'), row.digest));
assert.equal(named('keysets', 'three domains').digest, '619aa27783f185cbd287e7d9af0e80f1f695fb7bf049e499925fd9a694c1a175');
each('operator_keys', (row) => assert.equal(p.operatorMember(hex(row.key)).toString('hex'), row.member));

const assembled = (parts, original) => Buffer.concat(parts.map((part) =>
  typeof part === 'string' ? hex(part) : original.subarray(part[0], part[1])));
each('plaintexts', (row) => {
  const keyset = named('keysets', row.keyset), shares = p.decodeShares(hex(row.plaintext), keyset);
  assert.deepEqual(shares.map((s) => s.toString('hex')), row.shares);
  assert.equal(p.encodeShares(keyset, shares).toString('hex'), row.plaintext);
});
each('plaintexts_refused', (row) => {
  const original = named('plaintexts', row.plaintext);
  refused(() => p.decodeShares(assembled(row.parts, hex(original.plaintext)), named('keysets', original.keyset)), { message: row.code });
});

// ---- contexts ----

each('contexts', (row) => {
  const context = p.parseContext(row.text), member = (bytes) => bytes?.toString('hex') ?? null;
  for (const name of ['contract', 'account', 'node', 'service', 'direction', 'announce', 'epoch']) assert.equal(context[name], row[name]);
  for (const name of ['keyset', 'operator_key', 'client_key', 'node_key']) assert.equal(member(context[name]), row[name]);
  assert.equal(p.contextText(context), row.text);
  assert.equal(p.sha256(row.text).toString('hex'), row.sha256);
});
each('contexts_refused', (row) => refused(() => p.parseContext(row.text)));
each('context_keys', (row) => { // of the listed requests' own contexts
  for (const request of v.requests.filter((r) => r.method === row.method && r.path === row.path)) {
    const context = p.parseContext(request.fields['Mpc-Migration-Context']);
    if (context.announce !== row.announce) continue;
    assert.deepEqual([!!context.client_key, !!context.node_key], [row.client_key, row.node_key]);
  }
});

// ---- exchange and containers ----

each('exchanges', (row) => {
  const text = named('contexts', row.context).text, operator = row.operator_key ? hex(row.operator_key) : undefined;
  const service = { publicKey: hex(row.service_public), privateKey: hex(row.service_secret) };
  const same = (name, bytes) => assert.equal(Buffer.from(bytes).toString('hex'), row[name], name);
  same('service_public', sodium.crypto_scalarmult_base(service.privateKey));
  same('node_public', sodium.crypto_scalarmult_base(hex(row.node_secret)));
  const point = sodium.crypto_scalarmult(hex(row.node_secret), service.publicKey);
  same('x25519', point);
  const halves = sodium.crypto_generichash(64, Buffer.concat([point, service.publicKey, hex(row.node_public)]), null);
  same('node_to_service', halves.subarray(0, 32));
  same('service_to_node', halves.subarray(32));
  const half = row.direction === 'backup' ? halves.subarray(0, 32) : halves.subarray(32);
  const message = Buffer.concat([Buffer.from('mpc-migration-v1'), p.sha256(text), operator ?? Buffer.alloc(0)]);
  same('sealing_key', sodium.crypto_generichash(32, message, half)); // the node's side
  same('sealing_key', p.sealingKey(service, hex(row.node_public), text, operator)); // the service's
});
each('exchanges_refused', (row) => {
  const first = v.exchanges[0];
  refused(() => p.sealingKey({ publicKey: hex(first.service_public), privateKey: hex(first.service_secret) }, hex(row.public), v.contexts[0].text));
});

const pattern = (from, length) => Buffer.from(Uint8Array.from({ length }, (_, i) => (from + i) % 251));
const plainOf = (row) => typeof row.plaintext === 'string' ? hex(row.plaintext) : pattern(0, row.plaintext);
// What a pulling side starts from, a pushing side can go on from.
const stream = (row) => ({ header: hex(row.header), state: sodium.crypto_secretstream_xchacha20poly1305_init_pull(hex(row.header), hex(row.key)) });
const sealedOf = (row) => p.seal(hex(row.key), plainOf(row), stream(row));
each('containers', (row) => {
  const sealed = sealedOf(row);
  assert.equal(sealed.length, row.length);
  assert.equal(p.sha256(sealed).toString('hex'), row.sha256);
  if (row.container) assert.equal(sealed.toString('hex'), row.container);
  assert.ok(p.open(hex(row.key), sealed).equals(plainOf(row)));
});
function built(row) {
  const { state, header } = stream(row), out = [Buffer.from('MPCSEAL1'), header];
  let done = 0;
  for (const { bytes, tag } of row.frames) {
    const plain = pattern(done, bytes), prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(bytes + 17);
    out.push(prefix, sodium.crypto_secretstream_xchacha20poly1305_push(state, plain, null, tag));
    done += bytes;
  }
  const sealed = Buffer.concat(out);
  assert.deepEqual([sealed.length, p.sha256(sealed).toString('hex')], [row.length, row.sha256]);
  return sealed;
}
each('containers_refused', (row) => {
  const original = row.container ? named('containers', row.container) : row;
  const bad = row.container ? assembled(row.parts, sealedOf(original)) : built(row);
  refused(() => p.open(hex(original.key), bad));
});

// ---- messages ----

each('digests', (row) => assert.ok(p.parseDigest(row.field).equals(p.sha256(row.body_text))));
each('digests_refused', (row) => refused(() => p.parseDigest(row.field)));

const message = (row) => ({ method: row.method, status: row.status, url: row.path && `https://${row.fields.Host}${row.path}`, headers: row.fields, nonce: row.nonce });
const bodyOf = (row) => row.body !== undefined ? hex(row.body) : Buffer.from(row.body_text ?? '');
const field = (row, name) => row.fields[Object.keys(row.fields).find((n) => n.toLowerCase() === name)];
function changed(row, change) {
  const fields = { ...row.fields, ...change.fields };
  for (const name in fields) if (fields[name] === null) delete fields[name];
  return { ...row, ...change, fields };
}

// The node's side of 2.1: 200, 400 or 401, without the replay window.
const DERIVED = ['@method', '@authority', '@path', '@query'];
const PARAMS = { created: 'number', expires: 'number', nonce: 'string', keyid: 'string', tag: 'string', alg: 'string' };
function formOf(row, takesBody) {
  const { covered, items, params, text, signature } = p.parseSignature(row.fields);
  const names = items.map(([name, parameters]) => { assert.equal(parameters.size, 0); return name; });
  assert.equal(new Set(names).size, names.length, 'a component twice');
  for (const name of names) assert.ok(DERIVED.includes(name) || field(row, name) !== undefined, name);
  for (const [name, value] of params) assert.equal(typeof value, PARAMS[name], name);
  for (const name of ['created', 'expires']) assert.ok(!params.has(name) || (Number.isInteger(params.get(name)) && params.get(name) >= 0));
  assert.ok(!params.has('nonce') || /^[A-Za-z0-9_-]{22,64}$/.test(params.get('nonce')), 'nonce');
  assert.ok(!row.path.includes('?'), 'query');
  if (takesBody) p.parseDigest(field(row, 'content-digest'));
  else assert.ok([undefined, '0'].includes(field(row, 'content-length')), 'a body');
  return { names, covered, params, text, signature, context: p.parseContext(field(row, 'mpc-migration-context')) };
}
function isAuthentic(row, takesBody, { names, covered, params, text, signature, context }, keyid) {
  const created = params.get('created'), expires = params.get('expires'), now = row.now ?? row.created;
  return (takesBody ? p.COVERED_WITH_BODY : p.COVERED).every((name) => names.includes(name)) &&
    ['created', 'expires', 'nonce', 'keyid', 'tag'].every((name) => params.has(name)) &&
    (params.get('alg') ?? 'ed25519') === 'ed25519' && params.get('tag') === 'mpc-migration-v1' &&
    params.get('keyid') === keyid && context.service === keyid &&
    created - 30 <= now && now <= Math.min(created + 30, expires) && created <= expires && expires <= created + 300 &&
    p.isSignedBy(keyid, Buffer.from(p.signatureBase(covered, text, message(row))), signature);
}
function statusOf(row) {
  const takesBody = row.path === '/shares_recover' && row.method !== 'GET';
  if (field(row, 'signature') === undefined && field(row, 'signature-input') === undefined) return 401;
  let form;
  try { form = formOf(row, takesBody); } catch { return 400; }
  return isAuthentic(row, takesBody, form, named('keys', 'service').text) ? 200 : 401;
}

const service = p.identity(named('keys', 'service').secret_text);
each('requests', (row) => {
  const { covered, text } = p.parseSignature(row.fields);
  assert.equal(p.signatureBase(covered, text, message(row)), row.base);
  assert.equal(statusOf(row), 200);
  if (row.body) assert.equal(p.digestField(hex(row.body)), row.fields['Content-Digest']);
});
for (const row of v.requests) { // ed25519 signs the same twice
  const made = await p.signedRequest(service, row.method, message(row).url, row.fields['Mpc-Migration-Context'],
    row.body && hex(row.body), { created: row.created, nonce: row.nonce });
  assert.deepEqual(made.headers, row.fields, row.name);
}
each('requests_changed', (row) => assert.equal(statusOf(changed(named('requests', row.request), row.change)), row.status));

function isBelieved(row) {
  const request = named('requests', row.request), node = request.path === '/shares_backup' ? 'node' : 'destination';
  try {
    p.believe({ ...message(row), body: bodyOf(row) }, message(request), named('keys', node).text);
    return true;
  } catch { return false; }
}
each('responses', (row) => {
  assert.equal(isBelieved(row), row.signed);
  if (!row.signed) return;
  const { covered, text } = p.parseSignature(row.fields);
  assert.equal(p.signatureBase(covered, text, message(row), message(named('requests', row.request))), row.base);
});
each('responses_changed', (row) => assert.equal(isBelieved(changed(named('responses', row.response), row.change)), row.believed));

// The client is published with the versions that are tested here.
const published = read(join(dirname(process.argv[2]), 'clients/package.json')), tested = read(new URL('package.json', import.meta.url));
for (const [name, version] of Object.entries(published.dependencies)) assert.equal(tested.dependencies[name], version, name);

console.log(`${checked} vectors hold in JavaScript`);
