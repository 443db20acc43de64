import { describe, expect, it } from 'vitest';
import { aListener, aLoadBalancer, anAmphora, aTree, born, uuid } from '../../test/trees.ts';
import type { Amphora } from '../lb/amphora.ts';
import type { LoadBalancer } from '../lb/load-balancer.ts';
import { wantedGuard } from './guard.ts';
import { plan } from './plan.ts';
import type { Seen, SeenAmphora, SeenServer } from './seen.ts';

const amphoraId = uuid(500);
const row = (changes: Partial<Amphora> = {}): Amphora =>
  anAmphora({
    id: amphoraId,
    computeId: uuid(501),
    vrrpPortId: uuid(503),
    lastHeartbeatAt: born,
    ...changes,
  });
const server = (changes: Partial<SeenServer> = {}): SeenServer => ({
  id: uuid(501),
  status: 'ACTIVE',
  fault: null,
  leaving: false,
  ...changes,
});
const serving = (changes: Partial<SeenAmphora> = {}, rowChanges: Partial<Amphora> = {}): SeenAmphora => ({
  row: row(rowChanges),
  server: 'unwatched',
  managementPortId: undefined,
  vrrpPortId: uuid(503),
  portIds: [],
  agent: 1,
  outdated: false,
  silent: false,
  trouble: undefined,
  confirmed: undefined,
  ...changes,
});
const born1 = { status: 'PENDING_CREATE', computeId: null, lbNetworkIp: null, vrrpPortId: null } as const;
const unborn = (changes: Partial<SeenAmphora> = {}, rowChanges: Partial<Amphora> = {}): SeenAmphora =>
  serving(
    { server: 'gone', vrrpPortId: undefined, agent: 'unasked', ...changes },
    { ...born1, appliedGeneration: -1, ...rowChanges },
  );
const booting = (changes: Partial<SeenAmphora> = {}): SeenAmphora =>
  serving(
    { server: server(), managementPortId: uuid(502), agent: 'unreachable', ...changes },
    { status: 'BOOTING', appliedGeneration: -1 },
  );
const condemned = (changes: Partial<SeenAmphora> = {}): SeenAmphora =>
  serving({ server: 'gone', agent: 'unasked', ...changes }, { status: 'PENDING_DELETE' });

const tree = (changes: Partial<LoadBalancer> = {}) =>
  aTree({ loadBalancer: aLoadBalancer(changes), listeners: [aListener()] });
const pending = tree({ provisioningStatus: 'PENDING_UPDATE' });

const planned = (
  wanted: ReturnType<typeof tree>,
  amphorae: readonly SeenAmphora[],
  seen: Partial<Seen> = {},
) =>
  plan(
    { tree: wanted, bootDeadlineMs: 300_000 },
    {
      now: born,
      guard: wantedGuard(wanted),
      vipPort: 'there',
      amphorae,
      massSilence: false,
      groupRemoved: false,
      failures: false,
      settled: undefined,
      ...seen,
    },
  ).map((step) => step.kind);

describe('The plan for a load balancer', () => {
  it.each<[string, ReturnType<typeof planned>, string[]]>([
    ['that is at rest: nothing', planned(tree(), [serving()]), []],
    [
      'not looked at yet in this run: its guard',
      planned(tree(), [serving()], { guard: undefined }),
      ['ensure-guard'],
    ],
    ['whose VIP port is gone', planned(tree(), [serving()], { vipPort: 'missing' }), ['repair-vip-port']],
    ['without amphora: one is opened', planned(tree(), []), ['open-amphora']],
    ['with an amphora opened: its ports', planned(tree(), [unborn()]), ['ensure-ports']],
    [
      'with an amphora opened, but no guard for its port yet',
      planned(tree(), [unborn()], { guard: undefined }),
      ['ensure-guard'],
    ],
    [
      'with ports that the row does not know of',
      planned(tree(), [unborn({ managementPortId: uuid(502), vrrpPortId: uuid(503) })]),
      ['ensure-ports'],
    ],
    [
      'with ports: the server',
      planned(tree(), [
        unborn(
          { managementPortId: uuid(502), vrrpPortId: uuid(503) },
          { lbNetworkIp: '10.0.0.5', vrrpPortId: uuid(503) },
        ),
      ]),
      ['boot-server'],
    ],
    [
      'with a server nobody wrote down',
      planned(tree(), [unborn({ server: server(), vrrpPortId: uuid(503) })]),
      ['adopt-server'],
    ],
    ['whose amphora boots', planned(tree(), [booting()]), ['wait']],
    ['whose amphora is up', planned(tree(), [booting({ agent: -1 })]), ['push']],
    [
      'whose amphora boots for too long',
      planned(tree(), [booting()], { now: new Date(born.getTime() + 300_001) }),
      ['condemn', 'back-off'],
    ],
    [
      'whose server could not be made',
      planned(tree(), [booting({ server: server({ status: 'ERROR', fault: 'No valid host' }) })]),
      ['condemn', 'back-off'],
    ],
    ['that was changed', planned(pending, [serving({ agent: 'unasked' })]), ['push']],
    ['with ticket keys of an hour ago', planned(tree(), [serving({ outdated: true })]), ['push']],
    ['whose change is confirmed', planned(pending, [serving({ confirmed: 1 })]), ['settle']],
    ['whose change is settled', planned(pending, [serving({ confirmed: 1 })], { settled: 1 }), []],
    [
      'that was changed again meanwhile',
      planned({ ...pending, loadBalancer: { ...pending.loadBalancer, generation: 2 } }, [
        serving({ confirmed: 1, agent: 'unasked' }),
      ]),
      ['push'],
    ],
    [
      'with something in ERROR: tried again',
      planned(tree({ provisioningStatus: 'ERROR' }), [serving()]),
      ['push'],
    ],
    ['whose amphora restarted', planned(tree(), [serving({ agent: -1 })]), ['push']],
    [
      'whose amphora does not answer but was heard',
      planned(tree(), [serving({ server: server(), agent: 'unreachable' })]),
      ['back-off'],
    ],
    [
      'whose amphora is silent and does not answer',
      planned(tree(), [serving({ server: server(), agent: 'unreachable', silent: true })]),
      ['condemn'],
    ],
    [
      'whose amphora is silent among many',
      planned(tree(), [serving({ server: server(), agent: 'unreachable', silent: true })], {
        massSilence: true,
      }),
      ['back-off'],
    ],
    [
      'whose amphora is silent and answers',
      planned(tree(), [serving({ server: server(), silent: true })]),
      [],
    ],
    [
      'whose server is dead, even among many silent',
      planned(tree(), [serving({ server: server({ status: 'ERROR' }), agent: 'unreachable' })], {
        massSilence: true,
      }),
      ['condemn'],
    ],
    [
      'whose server is gone',
      planned(tree(), [serving({ server: 'gone', agent: 'unreachable' })]),
      ['condemn'],
    ],
    ['whose card is gone', planned(tree(), [serving({ vrrpPortId: undefined })]), ['condemn']],
    [
      'with a condemned amphora: another, while the old one goes',
      planned(tree(), [condemned({ server: server() })]),
      ['open-amphora', 'remove-server'],
    ],
    [
      'with a condemned amphora without server: its ports',
      planned(tree(), [serving(), condemned({ portIds: [uuid(502), uuid(503)] })]),
      ['remove-port', 'remove-port'],
    ],
    ['with nothing left of the condemned', planned(tree(), [serving(), condemned()]), ['close-amphora']],
    [
      'whose change does not wait for the old amphora to go',
      planned(pending, [serving({ confirmed: 1 }), condemned({ server: server({ leaving: true }) })]),
      ['settle', 'wait'],
    ],
    [
      'with two amphorae, as two controllers may have opened: the serving one stays',
      planned(tree(), [serving(), unborn({}, { id: uuid(600) })]),
      ['condemn'],
    ],
  ])('%s', (_, steps, expected) => {
    expect(steps).toEqual(expected);
  });
});

describe('The plan for a failover', () => {
  const old = serving({}, { outgoing: true });
  const next = uuid(600);
  const fresh = serving({ confirmed: 1 }, { id: next });
  it.each<[string, ReturnType<typeof planned>, string[]]>([
    ['makes another amphora while the old one serves', planned(pending, [old]), ['open-amphora']],
    [
      'boots the other',
      planned(pending, [old, { ...booting(), row: { ...booting().row, id: next } }]),
      ['wait'],
    ],
    [
      'gives the other the tree, and the VIP with it',
      planned(pending, [old, { ...booting({ agent: -1 }), row: { ...booting().row, id: next } }]),
      ['push'],
    ],
    ['then gives up the old one', planned(pending, [old, fresh]), ['condemn']],
    [
      'is not over while the old one goes',
      planned(pending, [fresh, serving({ server: server() }, { outgoing: true, status: 'PENDING_DELETE' })]),
      ['remove-server'],
    ],
    ['is over when it is gone', planned(pending, [fresh]), ['settle']],
    [
      'does not wait for an old one that is dead',
      planned(pending, [{ ...old, server: 'gone', agent: 'unreachable' }]),
      ['open-amphora', 'condemn'],
    ],
    [
      'gives up one that was still on its way',
      planned(pending, [{ ...booting(), row: { ...booting().row, outgoing: true } }]),
      ['open-amphora', 'condemn'],
    ],
  ])('%s', (_, steps, expected) => {
    expect(steps).toEqual(expected);
  });
});

describe('The plan for a pair', () => {
  const pair = tree({ topology: 'ACTIVE_STANDBY' });
  const changed = tree({ topology: 'ACTIVE_STANDBY', provisioningStatus: 'PENDING_UPDATE' });
  const born = tree({ topology: 'ACTIVE_STANDBY', provisioningStatus: 'PENDING_CREATE' });
  const [m, b, b2, m2] = [uuid(601), uuid(602), uuid(603), uuid(604)];
  const up = (id: string, role: 'MASTER' | 'BACKUP', changes: Partial<SeenAmphora> = {}, outgoing = false) =>
    serving({ confirmed: 1, agent: 'unasked', ...changes }, { id, role, outgoing });
  const master = up(m, 'MASTER');
  const backup = up(b, 'BACKUP');
  const boots = (id: string, role: 'MASTER' | 'BACKUP'): SeenAmphora => {
    const seen = booting();
    return { ...seen, row: { ...seen.row, id, role } };
  };
  it.each<[string, ReturnType<typeof planned>, string[]]>([
    ['opens both at once', planned(born, []), ['open-amphora', 'open-amphora']],
    ['is not there before both are', planned(born, [master, boots(b, 'BACKUP')]), ['wait']],
    ['is there when both are', planned(born, [master, backup]), ['settle']],
    [
      'pushes to both',
      planned(changed, [
        up(m, 'MASTER', { confirmed: undefined }),
        up(b, 'BACKUP', { confirmed: undefined }),
      ]),
      ['push', 'push'],
    ],
    ['opens another for a lost one', planned(pair, [master]), ['open-amphora']],
    ['takes changes while another is made', planned(changed, [master, boots(b, 'BACKUP')]), ['settle']],
    [
      'gives up what serves in no role of it',
      planned(pair, [master, backup, serving({}, { id: uuid(605) })]),
      ['condemn'],
    ],
    [
      'is failed over from the BACKUP on',
      planned(changed, [up(m, 'MASTER', {}, true), up(b, 'BACKUP', {}, true)]),
      ['open-amphora'],
    ],
    [
      'tells the outgoing of the new one, and takes no notice when they do not hear',
      planned(changed, [
        up(m, 'MASTER', { confirmed: undefined }, true),
        up(b, 'BACKUP', { confirmed: undefined, trouble: 'deaf' }, true),
        boots(b2, 'BACKUP'),
      ]),
      ['wait', 'push'],
    ],
    [
      'goes on with the MASTER when the new BACKUP serves',
      planned(changed, [up(m, 'MASTER', {}, true), up(b, 'BACKUP', {}, true), up(b2, 'BACKUP')]),
      ['open-amphora', 'condemn'],
    ],
    [
      'gives up the old MASTER last',
      planned(changed, [up(m, 'MASTER', {}, true), up(b2, 'BACKUP'), up(m2, 'MASTER')]),
      ['condemn'],
    ],
  ])('%s', (_, steps, expected) => {
    expect(steps.toSorted()).toEqual(expected.toSorted());
  });
});

describe('The plan for a load balancer to be deleted', () => {
  const dying = tree({ provisioningStatus: 'PENDING_DELETE' });
  it.each<[string, ReturnType<typeof planned>, string[]]>([
    ['gives up its amphora', planned(dying, [serving()]), ['condemn']],
    ['then the server', planned(dying, [condemned({ server: server() })]), ['remove-server']],
    ['waits for it', planned(dying, [condemned({ server: server({ leaving: true }) })]), ['wait']],
    ['then the row', planned(dying, [condemned()]), ['close-amphora']],
    ['then its group and its port', planned(dying, []), ['remove-security-group', 'remove-port']],
    [
      'leaves a port that is not ours',
      planned(tree({ provisioningStatus: 'PENDING_DELETE', vipPortOwned: false }), []),
      ['remove-security-group'],
    ],
    ['then itself', planned(dying, [], { groupRemoved: true, vipPort: 'missing' }), ['settle']],
  ])('%s', (_, steps, expected) => {
    expect(steps).toEqual(expected);
  });
});
