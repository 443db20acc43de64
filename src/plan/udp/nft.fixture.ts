import { spawnSync } from 'node:child_process';
import type { WantedAmphora, WantedListener, WantedMember, WantedPool } from '../../wire/wanted.ts';
import { aListener, aMember, aMonitor, aPool, aWanted, id } from '../haproxy/wanted.fixture.ts';

export const aDatagramMember = (n: number, changes: Partial<WantedMember> = {}): WantedMember =>
  aMember(n, { address: `10.0.0.${n}`, port: 5353, ...changes });

export const aDatagramPool = (n: number, changes: Partial<WantedPool> = {}): WantedPool =>
  aPool(n, {
    protocol: 'UDP',
    members: [1, 2, 3].map((member) => aDatagramMember(member)),
    ...changes,
  });

export const aDatagramListener = (n: number, changes: Partial<WantedListener> = {}): WantedListener =>
  aListener(n, { protocol: 'UDP', port: 9000 + n, defaultPoolId: id('p', n), ...changes });

export const aDatagramMonitor = (changes: Parameters<typeof aMonitor>[0] = {}) =>
  aMonitor({ type: 'UDP-CONNECT', httpMethod: null, urlPath: null, expectedCodes: null, ...changes });

export const aDatagramTree = (changes: Partial<WantedAmphora> = {}): WantedAmphora => {
  const tree = aWanted({ listeners: [aDatagramListener(1)], pools: [aDatagramPool(1)], ...changes });
  return { ...tree, loadBalancer: { ...tree.loadBalancer, vipAddresses: ['203.0.113.5'] } };
};

/** What nft says to a ruleset that is loaded twice in a network namespace of its own: `''` when it takes it. */
export function loadIntoKernel(text: string): string {
  const twice = 'text=$(cat); for _ in 1 2; do printf "%s\n" "$text" | nft -f - || exit 1; done';
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const result = spawnSync('unshare', [...user, '--net', 'sh', '-c', twice], {
    encoding: 'utf8',
    input: text,
  });
  return result.stderr + (result.status === 0 ? '' : `exit ${result.status}`);
}
