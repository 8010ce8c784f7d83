// SPDX-License-Identifier: MIT
// What a real node says to requests that are not right. Usage: node_client.mjs CONFIG
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ask, client, contextOf, look, send } from './backup.mjs';
import * as p from './protocol.mjs';

const c = client(JSON.parse(readFileSync(process.argv[2], 'utf8')));
const { keyset, seat } = await look(c);
const fetchContext = (changes = {}) => contextOf(c, 'backup', seat, { ...keyset, ...changes }, { client_key: p.ephemeral().publicKey });
const signed = (context, method = 'GET', path = '/shares_backup', body) => p.signedRequest(c.service, method, c.node_url + path, context, body);
const uniform = ({ status, headers: { date, ...headers }, body }) => ({ status, headers, body: body.toString() });

// A request works once; again, it is nobody's.
const request = await signed(fetchContext());
const first = await send(seat, request);
assert.equal(first.status, 200);
p.believe(first, request, seat);
const replayed = await send(seat, request);
assert.equal(replayed.status, 401);
assert.ok(!('signature' in replayed.headers));
assert.throws(() => p.believe(replayed, request, seat));

// An answer is to its own request only.
const another = await signed(fetchContext());
assert.throws(() => p.believe(first, another, seat));

// Changed after signing, by another key, too late: the very same 401.
const refusals = [];
for (const change of [
  (r) => { r.headers['Mpc-Migration-Context'] = fetchContext(); },
  (r) => { r.headers['Host'] = 'localhost:1'; },
  (r) => { r.headers['Signature'] = first.headers.signature; },
  (r) => { delete r.headers['Signature']; delete r.headers['Signature-Input']; },
]) {
  const tampered = await signed(fetchContext());
  change(tampered);
  refusals.push(await send(seat, tampered));
}
const late = { created: Math.floor(Date.now() / 1000) - 100 };
refusals.push(await send(seat, await p.signedRequest(c.service, 'GET', c.node_url + '/shares_backup', fetchContext(), undefined, late)));
for (const refusal of refusals) assert.deepEqual(uniform(refusal), uniform(replayed));
assert.match(replayed.headers['accept-signature'], /"mpc-migration-context"/);

// What contradicts the contract is told in a signed answer.
const refused = async (wanted, context, ...how) =>
  assert.rejects(ask(c, seat, how[0] ?? 'GET', how[1] ?? '/shares_backup', context, how[2]), wanted);
await refused({ status: 409, code: 'keyset_mismatch', retryable: true }, fetchContext({ epoch: keyset.epoch + 1 }));
const attempts = keyset.domains.map((d) => ({ ...d, attempt: d.attempt + 1 }));
await refused({ status: 409, code: 'keyset_mismatch' }, fetchContext({ domains: attempts }));
await refused({ status: 421, code: 'misdirected' }, fetchContext().replace(`contract="${c.contract}"`, 'contract="v2.signer"'));
await refused({ status: 421, code: 'misdirected' }, fetchContext().replace(`account="${c.account}"`, 'account="bob.near"'));
await refused({ status: 400, code: 'malformed' }, fetchContext().replace('direction=backup', 'direction=recover'));
await refused({ status: 409, code: 'operator_key' }, fetchContext().replace(/operator-key=:[^:]*:/, 'operator-key=:AAAAAAAAAAA=:'));

// What does not parse, and what comes too early, is told unsigned.
const unsigned = async (status, r) => {
  const answer = await send(seat, await r);
  assert.equal(answer.status, status);
  assert.ok(!('signature' in answer.headers));
};
await unsigned(400, signed(fetchContext().replace(', account', ',account')));
await unsigned(400, signed(contextOf(c, 'backup', seat, keyset)));
await unsigned(404, signed(fetchContext(), 'GET', '/shares'));
await unsigned(405, signed(fetchContext(), 'DELETE'));

// Nothing is sent to a node with another key.
await assert.rejects(send(c.service.text, request), /another node/);
console.log('refusals are as documented');
