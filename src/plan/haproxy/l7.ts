import type { WantedListener } from '../../wire/wanted.ts';
import { policiesAsAcls } from './l7-acls.ts';
import { type ClientFacts, policyTable } from './l7-table.ts';
import { call } from './quote.ts';
import type { Files } from './tls.ts';

/** The codes that a redirect can have. */
const redirectCodes = [301, 302, 303, 307, 308];

/** Sends to the pool that a policy has chosen. */
export const poolSwitch = 'use_backend %[var(txn.policy),field(2," ")] if { var(txn.policy) -m beg "pool " }';

/** Of a client certificate, for a listener that asks for one: the common name always, as policies often ask for it. */
function factsOf({ tls, l7Policies }: WantedListener): ClientFacts | null {
  if (tls === null || tls.clientAuthentication === 'NONE') return null;
  const asked = l7Policies.flatMap(({ rules }) =>
    rules.flatMap(({ type, key }) => (type === 'SSL_DN_FIELD' && key !== null ? [key] : [])),
  );
  return { subjectFields: [...new Set(['CN', ...asked.toSorted()])] };
}

/** Puts together what a table is looked up by. Its parts go at once: they could be as long as a request's head. */
function lookup(client: ClientFacts | null, table: string): string[] {
  const subject = client?.subjectFields ?? [];
  const parts = subject.map((_, n) => `concat("",txn.subject${n},"\\n"),`).join('');
  const certificate = client === null ? '' : `concat("",txn.client,"\\n"),${parts}`;
  return [
    'http-request set-var(txn.headers) req.hdrs',
    // Not the begin of the lookup itself: `OPTIONS *` has no path, and is looked up all the same.
    'http-request set-var(txn.path) path',
    ...(client === null ? [] : ['http-request set-var-fmt(txn.client) "%[ssl_c_used] %[ssl_c_verify]"']),
    ...subject.map(
      (name, n) => `http-request set-var(txn.subject${n}) ${call('ssl_c_s_dn', name)},regsub("\\n"," ",g)`,
    ),
    'http-request set-var(txn.policy) ' +
      `str(),concat("",txn.path,"\\n"),${certificate}concat("",txn.headers),map_reg(${table})`,
    'http-request unset-var(txn.headers)',
    'http-request unset-var(txn.path)',
  ];
}

/**
 * Where pools come by reloads, the first policy to another pool than the default is one, and brings the rule that
 * sends there: a rule of that sort costs every request 500 instructions.
 */
const switches = ({ l7Policies, defaultPoolId }: WantedListener): boolean =>
  l7Policies.some(
    ({ action, redirectPoolId }) => action === 'REDIRECT_TO_POOL' && redirectPoolId !== defaultPoolId,
  );

/**
 * The lines of a frontend that carry its L7 policies: there without any, so that the first policy changes no line. They end
 * the evaluation of its `http-request` rules as soon as nothing is left to decide, so no other may follow.
 * `backendOf` gives the backend of a pool, undefined when it is not served; `otherwise`, the default backend or `''`,
 * is given when that is to be in the table. Throws `Unwritable`.
 */
export function l7Lines(
  listener: WantedListener,
  files: Files,
  backendOf: (poolId: string) => string | undefined,
  otherwise?: string,
): string[] {
  const client = factsOf(listener);
  const table = policyTable(listener.l7Policies, client, backendOf, otherwise);
  if (table === undefined) {
    const byDefault = (otherwise ?? '') === '' ? [] : [`default_backend ${otherwise}`];
    return [...policiesAsAcls(listener.l7Policies, backendOf), ...byDefault];
  }
  const path = `listeners/${listener.id}.l7`;
  files.set(path, table.entries.map((entry) => `${entry}\n`).join(''));
  return [
    `http-request allow if { str(),map_reg(${path}) -m beg none }`,
    ...lookup(client, path),
    'http-request allow if { var(txn.policy) -m str none }',
    'http-request allow if { var(txn.policy) -m beg "pool " }',
    'http-request deny deny_status 400 unless { var(txn.policy) -m found }',
    'http-request deny deny_status 403 if { var(txn.policy) -m str reject }',
    'http-request set-var(txn.rest) pathq if { var(txn.policy),field(2," ") -m str prefix }',
    ...redirectCodes.map(
      (code) =>
        `http-request redirect code ${code} location %[var(txn.policy),field(3," ",0)]%[var(txn.rest)] ` +
        `if { var(txn.policy) -m beg "${code} " }`,
    ),
    ...(otherwise !== undefined || switches(listener) ? [poolSwitch] : []),
    ...(otherwise === undefined ? [] : [`use_backend %[str(),map_reg(${path}),field(2," ")]`]),
  ];
}
