import type { WantedAmphora, WantedFlowLog } from '../../wire/wanted.ts';
import { address, Unwritable, word } from './quote.ts';

/** `address:port`, IPv6 in brackets, as HAProxy takes a syslog server. */
function target(value: string): string {
  const [, host = '', port = ''] = /^(.*):(\d{1,5})$/.exec(value) ?? [];
  return `${address(host.replace(/^\[(.*)\]$/, '$1'))}:${Number(port)}`;
}

/**
 * Where the lines go, once for all listeners. Over UDP alone: a log that nobody takes is lost, and never fills the
 * amphora. Octavia's default line takes more than HAProxy's 1,024 bytes when a request is long.
 */
export function logTargets({ flowLog }: WantedAmphora): string[] {
  if (flowLog === undefined) return [];
  return flowLog.targets.map((to) => `log ${target(to)} len 4096 ${word(flowLog.facility)} info`);
}

/** Of the protocol HTTP; a line of TCP has a `-` there. */
const ofRequests =
  /%(\{[^}]*\})?(?:hrl?|hsl?|HM|HP|HPO|HQ|HU|HV|r|ST|CC|CS|tr|trg|trl|Ta|Tr|TR|Tq)(?![A-Za-z])/g;

/** A backup is a server by another name (`server-names.ts`); users know the member. */
const ofServer = /%(\{[^}]*\})?s(?![A-Za-z])/g;
/** The first of the two keeps the member's id and prints nothing: an id has no second part. */
const member = '%{-M}[srv_name,field(1,:),set-var(txn.member),field(2,:)]%$1[var(txn.member,<NOSRV>)]';

function line({ format }: WantedFlowLog, { loadBalancer }: WantedAmphora, mode: 'http' | 'tcp'): string {
  const ids: Readonly<Record<string, string>> = {
    project_id: loadBalancer.projectId,
    lb_id: loadBalancer.id,
  };
  const filled = format.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => {
    const id = ids[name];
    if (id === undefined) return whole;
    if (!/^[\w-]*$/.test(id)) throw new Unwritable('an id is no id');
    return id;
  });
  const inMode = mode === 'http' ? filled : filled.replaceAll(ofRequests, '-');
  return inMode.replaceAll(ofServer, member);
}

/** What a listener writes down of every flow. */
export function flowLogLines(wanted: WantedAmphora, mode: 'http' | 'tcp'): string[] {
  if (wanted.flowLog === undefined) return [];
  return ['log global', `log-format ${word(line(wanted.flowLog, wanted, mode))}`];
}
