// SPDX-License-Identifier: MIT
// docs/protocol.md from the service's side, over public libraries. Shares no
// line with the C implementation and is held against the same vectors.
import { createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto';
import bs58 from 'bs58';
import { httpbis } from 'http-message-signatures';
import sodium from 'libsodium-wrappers';
import { parseDictionary, serializeDictionary, serializeInnerList, serializeItem } from 'structured-headers';

await sodium.ready;
export const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const base64 = (bytes) => Buffer.from(bytes).toString('base64');
const must = (condition, why) => { if (!condition) throw new Error(why); };

// ---- 1. keys ----------------------------------------------------------------

const CURVES = [, ['secp256k1', 64], ['ed25519', 32], ['bls12381g2', 96]];

function bytesOf(text, prefix, length) {
  must(text.startsWith(prefix + ':'), 'another kind of key');
  const bytes = bs58.decode(text.slice(prefix.length + 1));
  must(bytes.length === length, 'a key of another length');
  return Buffer.from(bytes);
}
export const keyBytes = (text) => bytesOf(text, 'ed25519', 32);
export const keyText = (bytes) => 'ed25519:' + bs58.encode(bytes);

// From "ed25519:<base58 of seed and public key>".
export function identity(secretText) {
  const both = bytesOf(secretText.trim(), 'ed25519', 64);
  const jwk = { kty: 'OKP', crv: 'Ed25519', d: both.subarray(0, 32).toString('base64url'), x: both.subarray(32).toString('base64url') };
  const key = createPrivateKey({ key: jwk, format: 'jwk' });
  must(createPublicKey(key).export({ format: 'jwk' }).x === jwk.x, 'seed and public key do not belong together');
  return { text: keyText(both.subarray(32)), sign: (data) => sign(null, data, key) };
}

export function isSignedBy(publicText, data, signature) {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: keyBytes(publicText).toString('base64url') };
  return verify(null, data, createPublicKey({ key: jwk, format: 'jwk' }), signature);
}

// ---- 2.3 keyset and context -----------------------------------------------------

function number(value, bytes) {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out.subarray(8 - bytes);
}
const sized = (bytes, prefix) => Buffer.concat([number(bytes.length, prefix), bytes]);
const groupKey = (d) => bytesOf(d.public_key, ...CURVES[d.curve]);
const entry = (d) => Buffer.concat([number(d.domain, 8), number(d.attempt, 8), number(d.curve, 1), sized(groupKey(d), 2)]);

// keyset: {epoch, domains: [{domain, attempt, curve, public_key}]} by ascending domain
export const keysetDigest = (contract, keyset) => sha256(Buffer.concat([
  Buffer.from('mpc-keyset-v1'), sized(Buffer.from(contract), 2), number(keyset.epoch, 8),
  number(keyset.domains.length, 4), ...keyset.domains.map(entry)]));

export const operatorMember = (key) => sha256(Buffer.concat([Buffer.from('mpc-operator-key'), key])).subarray(0, 8);

export function contextText(c) {
  const bytes = (name, value) => (value ? `, ${name}=:${base64(value)}:` : '');
  return `contract="${c.contract}", account="${c.account}", node="${c.node}", service="${c.service}", ` +
    `direction=${c.direction}, announce=${c.announce}, epoch="${c.epoch}", keyset=:${base64(c.keyset)}:` +
    bytes('operator-key', c.operator_key) + bytes('client-key', c.client_key) + bytes('node-key', c.node_key);
}

const STRING = '"([!#-\\[\\]-~]*)"';
const BYTES = (name, digits) => `(?:, ${name}=:([A-Za-z0-9+/]{${digits}}=):)?`;
const CONTEXT = new RegExp(`^contract=${STRING}, account=${STRING}, node=${STRING}, service=${STRING}, ` +
  'direction=(backup|recover), announce=(header|contract), epoch="(0|[1-9][0-9]{0,19})", keyset=:([A-Za-z0-9+/]{43}=):' +
  `${BYTES('operator-key', 11)}${BYTES('client-key', 43)}${BYTES('node-key', 43)}$`);

export function parseContext(text) {
  const m = CONTEXT.exec(text);
  must(m && text.length <= 1024 && BigInt(m[7]) < 1n << 64n, 'not a context');
  const bytes = (b64) => b64 && Buffer.from(b64, 'base64');
  const context = {
    contract: m[1], account: m[2], node: keyText(keyBytes(m[3])), service: keyText(keyBytes(m[4])), direction: m[5], announce: m[6],
    epoch: m[7], keyset: bytes(m[8]), operator_key: bytes(m[9]), client_key: bytes(m[10]), node_key: bytes(m[11]),
  };
  must(contextText(context) === text, 'not the one form of a context');
  return context;
}

// ---- 4. encryption ----------------------------------------------------------------

export const ephemeral = () => sodium.crypto_kx_keypair();

// The service is always the client: what it receives is node -> service.
export function sealingKey(own, nodeKey, finalContext, operatorKey) {
  const halves = sodium.crypto_kx_client_session_keys(own.publicKey, own.privateKey, nodeKey);
  const half = parseContext(finalContext).direction === 'backup' ? halves.sharedRx : halves.sharedTx;
  const message = Buffer.concat([Buffer.from('mpc-migration-v1'), sha256(finalContext), operatorKey ?? Buffer.alloc(0)]);
  return sodium.crypto_generichash(32, message, half);
}

const MAGIC = Buffer.from('MPCSEAL1'), CHUNK = 65536, OVERHEAD = 17, SEALED_MAX = 262144;
const MESSAGE = 0, FINAL = 3;

export function seal(key, plain, stream = sodium.crypto_secretstream_xchacha20poly1305_init_push(key)) {
  const frames = [];
  for (let at = 0; at === 0 || at < plain.length; at += CHUNK) {
    const tag = at + CHUNK >= plain.length ? FINAL : MESSAGE;
    const message = sodium.crypto_secretstream_xchacha20poly1305_push(stream.state, plain.subarray(at, at + CHUNK), null, tag);
    frames.push(sized(message, 4));
  }
  const sealed = Buffer.concat([MAGIC, stream.header, ...frames]);
  must(sealed.length <= SEALED_MAX, 'too long for a container');
  return sealed;
}

export function open(key, sealed) {
  must(sealed.length >= 53 && sealed.length <= SEALED_MAX && sealed.subarray(0, 8).equals(MAGIC), 'not a container');
  const state = sodium.crypto_secretstream_xchacha20poly1305_init_pull(sealed.subarray(8, 32), key);
  const plain = [];
  for (let at = 32, final = false; !final;) {
    const length = at + 4 <= sealed.length ? sealed.readUInt32BE(at) : 0, end = at + 4 + length;
    must(length >= OVERHEAD && length <= CHUNK + OVERHEAD && end <= sealed.length, 'a frame of an impossible length');
    const frame = sodium.crypto_secretstream_xchacha20poly1305_pull(state, sealed.subarray(at + 4, end));
    must(frame, 'a frame does not open');
    final = frame.tag === FINAL;
    must(final || (frame.tag === MESSAGE && length === CHUNK + OVERHEAD), 'a frame of another form');
    must(!final || (end === sealed.length && (length > OVERHEAD || plain.length === 0)), 'an end of another form');
    plain.push(frame.message);
    at = end;
  }
  return Buffer.concat(plain);
}

const ORDERS = [, 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3edn,
  0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n];

export function isReduced(curve, share) {
  const bigEndian = curve === 1 ? share : Buffer.from(share).reverse();
  const value = BigInt('0x' + bigEndian.toString('hex'));
  return value > 0n && value < ORDERS[curve];
}

export const encodeShares = (keyset, shares) => Buffer.concat([number(keyset.domains.length, 4),
  ...keyset.domains.map((d, i) => Buffer.concat([number(keyset.epoch, 8), entry(d), sized(shares[i], 4)]))]);

// The shares in domain order. Throws 'incomplete' or 'wrong_key'.
export function decodeShares(plain, keyset) {
  let at = 0, wrongKey = false;
  const take = (length) => {
    must(at + length <= plain.length, 'incomplete');
    return plain.subarray(at, at += length);
  };
  const takeNumber = (length) => BigInt('0x' + take(length).toString('hex'));
  must(takeNumber(4) === BigInt(keyset.domains.length) && keyset.domains.length > 0, 'incomplete');
  const shares = keyset.domains.map((d) => {
    must(takeNumber(8) === BigInt(keyset.epoch) && takeNumber(8) === BigInt(d.domain) && takeNumber(8) === BigInt(d.attempt), 'incomplete');
    const curve = Number(takeNumber(1)), length = Number(takeNumber(2));
    must(CURVES[curve]?.[1] === length, 'incomplete');
    wrongKey = !(take(length).equals(groupKey(d)) && curve === d.curve) || wrongKey;
    must(takeNumber(4) === 32n, 'incomplete');
    const share = take(32);
    must(isReduced(curve, share) || wrongKey, 'incomplete');
    return share;
  });
  must(at === plain.length, 'incomplete');
  must(!wrongKey, 'wrong_key');
  return shares;
}

// ---- 2.1, 3. signatures -------------------------------------------------------------

export const digestField = (body) => `sha-256=:${base64(sha256(body))}:`;

export function parseDigest(field) {
  const members = parseDictionary(field), digest = members.get('sha-256')?.[0];
  must(digest instanceof ArrayBuffer && digest.byteLength === 32, 'no sha-256');
  must(field.split('sha-256=').length === 2, 'sha-256 twice');
  return Buffer.from(digest);
}

export const COVERED = ['@method', '@authority', '@path', '@query', 'mpc-migration-context'];
export const COVERED_WITH_BODY = [...COVERED, 'content-type', 'content-length', 'content-digest'];

// A request {method, url, headers, body, nonce}, ready to send.
export async function signedRequest(service, method, url, context, body, at = {}) {
  const created = at.created ?? Math.floor(Date.now() / 1000);
  const nonce = at.nonce ?? randomBytes(16).toString('base64url');
  const headers = { 'Host': new URL(url).host, 'Mpc-Migration-Context': context };
  if (body) Object.assign(headers, {
    'Content-Type': 'application/vnd.mpc.sealed-keyshares', 'Content-Length': String(body.length), 'Content-Digest': digestField(body),
  });
  const message = await httpbis.signMessage({
    key: { id: service.text, sign: async (data) => service.sign(data) },
    name: 'sig',
    fields: body ? COVERED_WITH_BODY : COVERED,
    params: ['created', 'expires', 'nonce', 'keyid', 'tag'],
    paramValues: { created: new Date(created * 1000), expires: new Date((created + 60) * 1000), nonce, tag: 'mpc-migration-v1' },
  }, { method, url, headers });
  return { ...message, body, nonce };
}

// The one member of Signature-Input and its signature, in their one form.
export function parseSignature(headers) {
  const field = (name) => headers[Object.keys(headers).find((n) => n.toLowerCase() === name)];
  const inputs = parseDictionary(field('signature-input')), signatures = parseDictionary(field('signature'));
  const [[label, input]] = inputs, signature = signatures.get(label)?.[0];
  must(inputs.size === 1 && signatures.size === 1 && Array.isArray(input[0]), 'not one signature');
  must(serializeDictionary(inputs) === field('signature-input') && serializeDictionary(signatures) === field('signature'), 'not canonical');
  must(signature instanceof ArrayBuffer && signature.byteLength === 64, 'not a signature of ed25519');
  return { covered: input[0].map((item) => serializeItem(item)), items: input[0], params: input[1], text: serializeInnerList(input), signature: Buffer.from(signature) };
}

export function signatureBase(covered, text, message, request) {
  const lines = httpbis.createSignatureBase({ fields: covered }, message, request);
  lines.push(['"@signature-params"', [text]]);
  return httpbis.formatSignatureBase(lines);
}

// What an answer must cover, exactly.
function expected(response, request) {
  const has = (message, name) => Object.keys(message.headers).some((n) => n.toLowerCase() === name);
  return ['"@status"', '"content-type"', '"content-digest"',
    ...['mpc-migration-context', 'retry-after', 'allow'].filter((n) => has(response, n)).map((n) => `"${n}"`),
    '"@method";req', '"@path";req', '"mpc-migration-context";req',
    ...(has(request, 'content-digest') ? ['"content-digest";req'] : [])];
}

// Throws unless this node signed this answer {status, headers, body} to this
// very request. Names in `headers` are unique.
export function believe(response, request, nodeText) {
  const { covered, params, text, signature } = parseSignature(response.headers);
  const wanted = expected(response, request);
  must(covered.length === wanted.length && wanted.every((name) => covered.includes(name)), 'covers something else');
  must([...params.keys()].sort().join() === 'created,keyid,nonce,tag' && Number.isInteger(params.get('created')), 'other parameters');
  must(params.get('tag') === 'mpc-migration-v1-response' && params.get('nonce') === request.nonce, 'an answer to something else');
  must(params.get('keyid') === nodeText, 'another node');
  must(isSignedBy(nodeText, Buffer.from(signatureBase(covered, text, response, request)), signature), 'a false signature');
  const digest = response.headers[Object.keys(response.headers).find((n) => n.toLowerCase() === 'content-digest')];
  must(parseDigest(digest).equals(sha256(response.body)), 'another body');
}
