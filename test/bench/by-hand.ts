import { policiesAsAcls } from '../../src/plan/haproxy/l7-acls.ts';
import type { WantedL7Policy } from '../../src/wire/wanted.ts';

const timeouts = 'timeout connect 5s\n    timeout client 50s\n    timeout server 50s';

/** An HAProxy that answers by itself is the quickest member there is. */
export const quickMember = (port: number): string => `global
    nbthread 1
defaults
    mode http
    ${timeouts}
frontend member
    bind 127.0.0.1:${port}
    http-request return status 200 content-type text/plain string "answer of the member"
`;

export interface ByHand {
  readonly threads: number;
  /** Of each listener. */
  readonly maxconn: number;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly memberPort: number;
  /** Certificate and key, a path. */
  readonly bundle: string;
  /** A path: sessions of TLS that outlive a reload. */
  readonly ticketKeys: string;
  /** Each written as the ACLs that its rules are; they redirect or reject. */
  readonly policies: readonly WantedL7Policy[];
}

/** What somebody who knows HAProxy writes to balance a service over HTTP and TLS, and nothing that it can do without. */
export function byHand({
  threads,
  maxconn,
  httpPort,
  httpsPort,
  memberPort,
  bundle,
  ticketKeys,
  policies,
}: ByHand): string {
  const acls = policiesAsAcls(policies, () => undefined)
    .map((line) => `    ${line}\n`)
    .join('');
  return `global
    nbthread ${threads}
    maxconn ${2 * maxconn}
defaults
    mode http
    maxconn ${maxconn}
    option redispatch
    timeout http-keep-alive 10s
    ${timeouts}
frontend http
    bind 127.0.0.1:${httpPort}
${acls}    default_backend pool
frontend https
    bind 127.0.0.1:${httpsPort} ssl crt ${bundle} ssl-min-ver TLSv1.2 tls-ticket-keys ${ticketKeys}
${acls}    default_backend pool
backend pool
    balance roundrobin
    server member 127.0.0.1:${memberPort}
`;
}
