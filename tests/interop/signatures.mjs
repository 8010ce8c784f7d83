// SPDX-License-Identifier: MIT
// Two independent RFC 9421 libraries and one of RFC 9651: they sign requests
// that our verifier accepts, verify requests and answers that we signed, and
// parse generated fields as we do.
import { spawnSync } from 'node:child_process';
import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { join } from 'node:path';
import * as strict from 'http-message-sig';
import { httpbis } from 'http-message-signatures';
import * as sh from 'structured-headers';
import { base58, check } from './devnet.mjs';

const now = Math.floor(Date.now() / 1000); // one of the libraries asks the clock itself
const nonce = 'AAECAwQFBgcICQoLDA0ODw';
const sealedType = 'application/vnd.mpc.sealed-keyshares';

function tool(name, args, input) {
  const run = spawnSync(join(process.env.BUILD, 'tests', name), args, { input, encoding: 'utf8' });
  if (run.error) throw run.error;
  return { status: run.status, out: run.stdout, why: run.stderr };
}

function identity(name) {
  const seed = createHash('sha256').update(name).digest();
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const open = createPublicKey(secret);
  const raw = open.export({ format: 'der', type: 'spki' }).subarray(-32);
  return { seed: seed.toString('hex'), raw: raw.toString('hex'), near: 'ed25519:' + base58(raw), secret, open };
}

const service = identity('service'), node = identity('node');
const bytes = (byte) => `:${Buffer.alloc(32, byte).toString('base64')}:`;
const digestOf = (body) => `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;

function context(direction, more = '') {
  return `contract="v1.signer", account="alice.near", node="${node.near}", service="${service.near}", ` +
    `direction=${direction}, announce=header, epoch="5", keyset=${bytes(7)}, client-key=${bytes(8)}${more}`;
}

const required = ['@method', '@authority', '@path', '@query', 'mpc-migration-context'];
const requests = [
  { method: 'GET', origin: 'http://node.example:3030', path: '/shares_backup', fields: [['Mpc-Migration-Context', context('backup')]] },
  { method: 'GET', origin: 'https://NODE.example', path: '/shares_backup', fields: [['Mpc-Migration-Context', context('backup')]] },
  { method: 'POST', origin: 'http://[::1]:3030', path: '/shares_backup', fields: [['Mpc-Migration-Context', context('backup', `, node-key=${bytes(9)}`)]] },
  {
    method: 'PUT', origin: 'http://127.0.0.1:3030', path: '/shares_recover', body: true,
    fields: [['Mpc-Migration-Context', context('recover', `, node-key=${bytes(9)}`)], ['Content-Type', sealedType],
      ['Content-Length', '18'], ['Content-Digest', digestOf('{"hello": "world"}')]],
  },
];
for (const r of requests) {
  r.url = r.origin + r.path;
  r.authority = new URL(r.url).host; // what an HTTP client sends as Host
  r.cover = r.body ? [...required, 'content-type', 'content-length', 'content-digest'] : required;
}
const json = (status, more = []) => ({ status, fields: [['Content-Type', 'application/json'], ['Content-Digest', digestOf('{}')], ...more] });
const answers = [
  json(200), json(503, [['Retry-After', '5']]), json(405, [['Allow', 'GET, POST']]),
  json(200, [['Mpc-Migration-Context', context('backup', `, node-key=${bytes(9)}`)]]),
];

// What each library calls a message
const plain = (fields) => Object.fromEntries(fields);
const request = (r, fields = r.fields) => ({ method: r.method, url: r.url, headers: plain(fields) });
const list = (fields) => fields.map(([name, value]) => ({ name, value }));
const described = (r, fields = r.fields) => ({ kind: 'request', method: r.method, targetUri: r.url, fields: list(fields) });

const lines = (r, fields) => [`method ${r.method}`, `target ${r.path}`, `authority ${r.authority}`, `nonce ${nonce}`,
  ...(r.body ? ['body'] : []), ...fields.map(([n, v]) => `field ${n}: ${v}`)];
const answerLines = (a, fields) => [`status ${a.status}`, ...fields.map(([n, v]) => `answer ${n}: ${v}`)];
const feed = (...parts) => parts.flat().join('\n') + '\n';
const signed = (fields, [input, signature]) => [...fields, ['Signature-Input', input], ['Signature', signature]];

function ours(verb, ...parts) {
  const { status, out, why } = tool('sign_tool', [verb], feed(...parts));
  check(status === 0, `${verb}: ${why}`);
  return out.trim().split('\n');
}
const ourVerdict = (r, fields, at = now) => ours('verify-request', [`key ${service.raw}`, `now ${at}`], lines(r, fields))[0];

const signer = (who) => ({ algorithm: 'ed25519', sign: (data) => new Uint8Array(sign(null, data, who.secret)) });
const verifier = (who) => ({ algorithm: 'ed25519', verify: (data, signature) => verify(null, data, who.open, signature) });
const looseKey = (who) => ({ id: who.near, sign: async (data) => sign(null, data, who.secret) });
const looseLookup = (who) => async ({ keyid }) => (keyid === who.near ? { id: keyid, algs: ['ed25519'], verify: async (d, s) => verify(null, d, who.open, s) } : null);

// They sign, each in its own way; [Signature-Input, Signature].
const parameters = { created: now, expires: now + 60, nonce, keyid: service.near, tag: 'mpc-migration-v1' };
const signers = {
  'http-message-sig': async (r) => {
    const f = await strict.createSignature(described(r), { label: 'sig1', components: r.cover, parameters, signer: signer(service) });
    return [f.signatureInput, f.signature];
  },
  'http-message-sig, another order, alg': async (r) => {
    const f = await strict.createSignature(described(r), {
      label: 'a', components: [...r.cover].reverse(), signer: signer(service),
      parameters: { tag: 'mpc-migration-v1', alg: 'ed25519', ...parameters },
    });
    return [f.signatureInput, f.signature];
  },
  'http-message-signatures': async (r) => {
    const { headers } = await httpbis.signMessage({
      key: looseKey(service), name: 'sig', fields: r.cover, params: ['created', 'expires', 'nonce', 'keyid', 'tag'],
      paramValues: { created: new Date(now * 1000), expires: new Date((now + 60) * 1000), nonce, keyid: service.near, tag: 'mpc-migration-v1' },
    }, request(r));
    return [headers['Signature-Input'], headers.Signature];
  },
};

// They verify; true or false.
async function strictVerifies(message, who, tag, components) {
  try {
    await strict.verifySignature(message, {
      policy: { algorithms: ['ed25519'], requiredComponents: components, requiredParameters: ['created', 'nonce', 'keyid', 'tag'], now, maxAge: 300, clockSkew: 30 },
      resolveVerifier: (candidate) => {
        check(candidate.parameters.keyid === who.near && candidate.parameters.tag === tag && candidate.parameters.nonce === nonce, 'parameters');
        return verifier(who);
      },
    });
    return true;
  } catch (e) {
    if (!strict.isSignatureError(e)) throw e;
    return false;
  }
}
async function looseVerifies(message, who, req) {
  try {
    return await httpbis.verifyMessage({ keyLookup: looseLookup(who), notAfter: new Date((now + 30) * 1000) }, message, req) === true;
  } catch (e) {
    return false;
  }
}

let count = 0;
const expect = (is, wanted, what) => {
  check(is === wanted, `${what}: ${is} instead of ${wanted}`);
  count++;
};

// Requests: theirs to us, ours to them
for (const r of requests) {
  for (const [name, signIt] of Object.entries(signers)) {
    const fields = signed(r.fields, await signIt(r));
    const what = `${name} ${r.method} ${r.url}`;
    expect(ourVerdict(r, fields), 'ok', what);
    expect(ourVerdict(r, fields, now + 31), 'time', what);
    expect(ourVerdict({ ...r, path: '/other' }, fields), 'signature', what);
    expect(ourVerdict({ ...r, authority: 'other.example' }, fields), 'signature', what);
    expect(ourVerdict(r, fields.map(([n, v]) => [n, v.replace('alice', 'mallory')])), 'signature', what);
  }
  const fields = signed(r.fields, ours('sign-request', [`seed ${service.seed}`, `created ${now}`, `expires ${now + 60}`], lines(r, r.fields)));
  const changed = fields.map(([n, v]) => [n, v.replace('alice', 'mallory')]);
  expect(ourVerdict(r, fields), 'ok', 'ours');
  expect(await strictVerifies(described(r, fields), service, 'mpc-migration-v1', r.cover), true, `http-message-sig verifies ${r.method}`);
  expect(await strictVerifies(described(r, changed), service, 'mpc-migration-v1', r.cover), false, 'changed');
  expect(await looseVerifies(request(r, fields), service), true, `http-message-signatures verifies ${r.method}`);
  expect(await looseVerifies(request(r, changed), service), false, 'changed');
}

// Answers: ours to them, theirs to us
for (const r of requests) {
  for (const a of answers) {
    const [input, signature] = ours('sign-response', [`seed ${node.seed}`, `created ${now}`], lines(r, r.fields), answerLines(a, a.fields));
    const fields = signed(a.fields, [input, signature]);
    const needed = ['@status', 'content-type', 'content-digest', strict.component('@method', { req: true }),
      strict.component('@path', { req: true }), strict.component('mpc-migration-context', { req: true }),
      ...(r.body ? [strict.component('content-digest', { req: true })] : []),
      ...a.fields.slice(2).map(([n]) => n.toLowerCase())];
    const answer = (f, status = a.status, of = r) => ({ kind: 'response', status, fields: list(f), request: described(of) });
    const tag = 'mpc-migration-v1-response';
    const other = { ...r, fields: r.fields.map(([n, v]) => [n, v.replace('epoch="5"', 'epoch="6"')]) };
    expect(await strictVerifies(answer(fields), node, tag, needed), true, `http-message-sig verifies ${a.status}`);
    expect(await strictVerifies(answer(fields, 418), node, tag, needed), false, 'another status');
    expect(await strictVerifies(answer(fields, a.status, other), node, tag, needed), false, 'another request');
    expect(await looseVerifies({ status: a.status, headers: plain(fields) }, node, request(r)), true, `http-message-signatures verifies ${a.status}`);
    expect(await looseVerifies({ status: 418, headers: plain(fields) }, node, request(r)), false, 'another status');
    expect(await looseVerifies({ status: a.status, headers: plain(fields) }, node, request(other)), false, 'another request');

    const theirs = await strict.createSignature(answer(a.fields), {
      label: 'x', components: [...needed].reverse(), parameters: { tag, keyid: node.near, nonce, created: now }, signer: signer(node),
    });
    const theirFields = signed(a.fields, [theirs.signatureInput, theirs.signature]);
    const believed = (of, status = a.status) => ours('verify-response', [`key ${node.raw}`], lines(of, of.fields), answerLines({ status }, theirFields))[0];
    expect(believed(r), 'ok', `http-message-sig signs ${a.status}`);
    expect(believed(r, 418), 'denied', 'another status');
    expect(believed(other), 'denied', 'another request');
  }
}

// Structured fields: the same random fields, parsed by both. Dates are left out:
// the library takes them only where nothing follows.
let state = 42;
const random = (n) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0, (state >>> 8) % n);
const pick = (array) => array[random(array.length)];
const many = (f, join, min = 0) => Array.from({ length: min + random(4) }, f).join(join);
const aKey = () => pick(['a', 'sig1', '*x', 'k_-.*9', 'created', 'nonce']);
const aValue = () => pick([
  () => `${random(2) ? '-' : ''}${random(1000000)}`, () => `${random(1000)}.${random(1000)}`, () => '999999999999999', () => '0012.50',
  () => `"${pick(['', 'a b', '\\"', '\\\\', '@method', '~!#$%&'])}"`, () => pick(['tok', '*', 'a/b:c', 'sha-256', 'Foo123!#$%&\'*+-.^_`|~']),
  () => `:${Buffer.from('structured'.slice(0, random(10))).toString('base64')}:`, () => `?${random(2)}`,
  () => `%"f%c3%bc${random(10)}"`,
])();
const someParams = () => many(() => `;${pick(['', ' '])}${aKey()}${random(2) ? '=' + aValue() : ''}`, '');
const anItem = () => aValue() + someParams();
const anInner = () => `(${pick(['', ' '])}${many(anItem, pick([' ', '  ']))}${pick(['', ' '])})${someParams()}`;
const aMember = () => (random(3) ? anItem() : anInner());
const generate = {
  item: anItem,
  list: () => many(aMember, pick([', ', ',', ' , '])),
  dictionary: () => many(() => aKey() + (random(4) ? '=' + aMember() : someParams()), pick([', ', ','])),
};
// One octet put in, taken away or replaced: about half of these do not parse.
function damage(text) {
  const at = random(text.length + 1), octet = pick([...'"\\:;,=()%? \tA0.-*', '\u007f']);
  return text.slice(0, at) + pick(['', octet]) + text.slice(at + random(2));
}

function base32(buffer) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...new Uint8Array(buffer)].map((b) => b.toString(2).padStart(8, '0')).join('');
  const text = (bits.match(/.{1,5}/g) ?? []).map((g) => alphabet[parseInt(g.padEnd(5, '0'), 2)]).join('');
  return text.padEnd(Math.ceil(text.length / 8) * 8, '=');
}
function bare(v) {
  if (v instanceof sh.Token) return { __type: 'token', value: v.toString() };
  if (v instanceof sh.DisplayString) return { __type: 'displaystring', value: v.toString() };
  if (v instanceof Date) return { __type: 'date', value: v.getTime() / 1000 };
  if (v instanceof ArrayBuffer || ArrayBuffer.isView(v)) return { __type: 'binary', value: base32(v) };
  return Object.is(v, -0) ? 0 : v;
}
const itemOf = ([v, p]) => [Array.isArray(v) ? v.map(itemOf) : bare(v), [...p].map(([k, x]) => [k, bare(x)])];
const parse = {
  item: (t) => itemOf(sh.parseItem(t)), list: (t) => sh.parseList(t).map(itemOf),
  dictionary: (t) => [...sh.parseDictionary(t)].map(([k, v]) => [k, itemOf(v)]),
};
let refused = 0;
for (const kind of ['item', 'list', 'dictionary']) {
  const texts = Array.from({ length: 500 }, (_, i) => (i % 2 ? generate[kind]() : damage(generate[kind]())));
  const { status, out } = tool('sfv_json', [kind, 'lines'], texts.join('\n') + '\n');
  check(status === 0, `sfv_json ends with ${status}`);
  const ours = out.trim().split('\n').map((line) => JSON.parse(line));
  texts.forEach((text, i) => {
    let theirs = null;
    try {
      theirs = JSON.stringify(parse[kind](text));
    } catch {
      refused++;
    }
    expect(ours[i] && JSON.stringify(ours[i][0]), theirs, `${kind} ${JSON.stringify(text)}`);
  });
}
check(refused > 200 && refused < 1000, `of the damaged fields ${refused} were refused`);
console.log(`${count} checks: two signature libraries, one of structured fields (${refused} fields refused by both)`);
