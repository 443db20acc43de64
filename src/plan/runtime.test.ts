import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import type {
  CertificatePem,
  WantedAmphora,
  WantedHealthMonitor,
  WantedListener,
  WantedMember,
  WantedPool,
} from '../wire/wanted.ts';
import {
  aBackendTls,
  aCertificate,
  aListener,
  aMember,
  aMonitor,
  aPolicy,
  aPool,
  aRule,
  aTls,
  aWanted,
  id,
} from './haproxy/wanted.fixture.ts';
import { anyTree } from './haproxy/legal-trees.fixture.ts';
import { demandOf } from './haproxy/demand.ts';
import { renderHaproxy } from './haproxy/render.ts';
import { memoryBudget } from './memory-budget.ts';
import { abilitiesOf } from './runtime/abilities.ts';
import { withoutChecks } from './runtime/checks.ts';
import { asWritten, runtimeChange } from './runtime.ts';

const backend = `${id('p', 1)}:${id('l', 1)}`;
const certificate = (letter: string) => ({
  name: letter.repeat(64),
  pem: `key ${letter}\n\ncertificate ${letter}\n`,
});
const ticketKeys = (letters: string) => ({
  period: 1,
  keys: [...letters].map((letter) => `${letter.repeat(107)}=`),
});
const tree = (
  pool: Partial<WantedPool> = {},
  listener: Partial<WantedListener> = {},
  more: Partial<WantedAmphora> = {},
) =>
  aWanted({
    listeners: [aListener(1, { defaultPoolId: id('p', 1), connectionLimit: 1000, ...listener })],
    pools: [aPool(1, pool)],
    ...more,
  });
/** As on an amphora so large that its memory bounds nothing. */
function rendered(wanted: WantedAmphora, running?: number, version = '2.6.12') {
  const machine = {
    ...{ limitBytes: 2 ** 36, reservedBytes: 0, tcpInside: false, fileLimit: 1_048_576 },
    ...{ threads: 1, version },
  };
  const budget = memoryBudget({ ...machine, ...demandOf(wanted), running });
  const paths = {
    ...{ statsSocket: '/s', serverState: '/t', pingCheck: '/p', exporterSocket: '/e', metricsSocket: '/m' },
    user: null,
  };
  return renderHaproxy(wanted, budget, paths, abilitiesOf(version));
}
const change = (before: WantedAmphora, after: WantedAmphora, running?: number, version = '2.6.12') =>
  runtimeChange(rendered(before, running, version), rendered(after, running, version), abilitiesOf(version));
const commands = (before: WantedAmphora, after: WantedAmphora, running?: number, version?: string) => {
  const planned = change(before, after, running, version);
  if (planned.kind === 'reload') throw new Error(planned.why);
  return planned.commands.map((one) => {
    if ('limits' in one) return `limit of ${one.limits}: ${one.from} to ${one.to}, ${one.threads} threads`;
    return 'text' in one ? one.text : `map: ${one.entries.join()}`;
  });
};

describe('members change by commands', () => {
  const monitor = aMonitor({ type: 'TCP', delay: 5, rise: 2, fall: 3 });

  it('in an order that never leaves a backend empty', () => {
    const before = tree({ members: [aMember(1), aMember(2)] });
    expect(commands(before, tree({ members: [aMember(3, { weight: 7 })] }))).toEqual([
      `add server ${backend}/${id('m', 3)} 10.0.0.4:80 weight 7`,
      `enable server ${backend}/${id('m', 3)}`,
      `set server ${backend}/${id('m', 1)} state maint`,
      `del server ${backend}/${id('m', 1)}`,
      `set server ${backend}/${id('m', 2)} state maint`,
      `del server ${backend}/${id('m', 2)}`,
    ]);
  });

  it('and one that is added has all that the others have by default-server', () => {
    const checked = { healthMonitor: monitor, protocol: 'PROXYV2' } as const;
    const added = aMember(3, { monitorPort: 8080, backup: true, enabled: false, address: '2001:db8::1' });
    expect(commands(tree({ ...checked, members: [] }), tree({ ...checked, members: [added] }))).toEqual([
      `add server ${backend}/${id('m', 3)}:backup [2001:db8::1]:80 weight 1 send-proxy-v2 check inter 5s fall 3 rise 2` +
        ' port 8080 backup',
      `enable health ${backend}/${id('m', 3)}:backup`,
    ]);
  });

  it('behind every listener that uses their pool', () => {
    const listeners = [1, 2].map((n) => aListener(n, { defaultPoolId: id('p', 1) }));
    const before = { ...tree({ members: [aMember(1)] }), listeners };
    const after = { ...tree({ members: [aMember(1, { weight: 9 })] }), listeners };
    expect(commands(before, after)).toEqual(
      [1, 2].map((n) => `set server ${id('p', 1)}:${id('l', n)}/${id('m', 1)} weight 9`),
    );
  });

  it('but their order needs none', () => {
    const [one, two] = [aMember(1), aMember(2)];
    expect(change(tree({ members: [one, two] }), tree({ members: [two, one] }))).toMatchObject({
      kind: 'runtime',
      commands: [],
    });
  });
});

describe('ticket keys', () => {
  const tls = { protocol: 'TERMINATED_HTTPS', tls: aTls([certificate('a')]) } as const;
  const sets = (before: string, after: string) =>
    commands(
      tree({}, tls, { ticketKeys: ticketKeys(before) }),
      tree({}, tls, { ticketKeys: ticketKeys(after) }),
    ).map((text) => /^set ssl tls-key ticket-keys (.)/.exec(text)?.[1]);

  it('move up by those that are new, in order', () => {
    expect(sets('ABC', 'BCD')).toEqual(['D']);
    expect(sets('ABC', 'CDE')).toEqual(['D', 'E']);
    expect(sets('ABC', 'XYZ')).toEqual(['X', 'Y', 'Z']);
    expect(sets('ABC', 'ABC')).toEqual([]);
  });
});

describe('certificates', () => {
  const tls = (...letters: string[]) =>
    tree({}, { protocol: 'TERMINATED_HTTPS', tls: aTls(letters.map(certificate)) });
  const firstWords = (before: WantedAmphora, after: WantedAmphora) =>
    commands(before, after).map((text) => text.split(' ', 3).join(' '));

  it('are replaced in place when they are the default, and come and go by the list when not', () => {
    expect(firstWords(tls('a'), tls('b'))).toEqual(['set ssl cert', 'commit ssl cert']);
    expect(firstWords(tls('a', 'b'), tls('a', 'c'))).toEqual([
      'new ssl cert',
      'set ssl cert',
      'commit ssl cert',
      'add ssl crt-list',
      'del ssl crt-list',
      'del ssl cert',
    ]);
  });

  it('are sent without the empty line that would end them', () => {
    const [set = ''] = commands(tls('a'), tls('b'));
    expect(set).toMatch(/<<\nkey b\ncertificate b\n$/);
  });

  it('that are too long for the socket need a reload', () => {
    const long = { name: 'f'.repeat(64), pem: 'x'.repeat(20_000) };
    const after = tree({}, { protocol: 'TERMINATED_HTTPS', tls: aTls([long]) });
    expect(change(tls('a'), after)).toEqual({ kind: 'reload', why: 'a certificate too long for the socket' });
  });
});

describe('what goes needs no reload', () => {
  const two = {
    ...tree(),
    listeners: [1, 2].map((n) => aListener(n, { connectionLimit: 1000, defaultPoolId: id('p', n) })),
    pools: [aPool(1), aPool(2, { members: [aMember(2)] })],
  };
  const other = `${id('p', 2)}:${id('l', 2)}`;

  it('a listener with the pool behind it', () => {
    const [first] = two.listeners;
    expect(commands(two, { ...two, listeners: [first as WantedListener] }, 2000)).toEqual([
      `disable frontend ${id('l', 2)}`,
      `set server ${other}/${id('m', 2)} state maint`,
    ]);
  });

  it('all listeners at once', () => {
    const off = { ...two, loadBalancer: { ...two.loadBalancer, enabled: false } };
    expect(change(two, off, 2000)).toMatchObject({
      kind: 'runtime',
      why: expect.stringContaining('listener closed'),
    });
  });

  it('one with certificates, which HAProxy keeps', () => {
    const tls = tree({}, { protocol: 'TERMINATED_HTTPS', tls: aTls([certificate('a')]) });
    expect(commands(tls, { ...tls, listeners: [] }, 1000)[0]).toBe(`disable frontend ${id('l', 1)}`);
  });
});

/** Commands of each change of a series, each after what the one before has left. */
function series(trees: readonly WantedAmphora[], running = 4096): (string[] | string)[] {
  let loaded = asWritten;
  return trees.slice(1).map((after, n) => {
    const before = rendered(trees[n] as WantedAmphora, running);
    const planned = runtimeChange(before, rendered(after, running), abilitiesOf('2.6.12'), loaded);
    if (planned.kind === 'reload') return planned.why;
    loaded = planned.loaded;
    return planned.commands.map((one) =>
      'text' in one ? (one.text.split('\n', 1)[0] ?? '') : 'table or limit',
    );
  });
}

describe('what went comes back as HAProxy still has it', () => {
  const none = { ...tree(), listeners: [] };
  const listener = id('l', 1);

  it('a listener after its pool, with what has changed meanwhile', () => {
    const before = tree({ members: [aMember(1), aMember(2)] });
    const after = tree(
      { members: [aMember(2, { weight: 5 }), aMember(3)] },
      { connectionLimit: 2000, l7Policies: [aPolicy(1, { rules: [aRule(1)] })] },
    );
    const [one, two, three] = [1, 2, 3].map((n) => `${backend}/${id('m', n)}`);
    expect(series([before, none, after])).toEqual([
      [`disable frontend ${listener}`, `set server ${one} state maint`, `set server ${two} state maint`],
      [
        `add server ${three} 10.0.0.4:80 weight 1`,
        `enable server ${three}`,
        `set server ${two} weight 5`,
        `set server ${two} state ready`,
        'table or limit',
        `set maxconn frontend ${listener} 2000`,
        `enable frontend ${listener}`,
        `set server ${one} state maint`,
        `del server ${one}`,
      ],
    ]);
  });

  it('a listener whose pool was checked before, and is not now; and the other way round', () => {
    const checked = tree({ healthMonitor: aMonitor(), members: [aMember(1)] });
    const unchecked = tree({ members: [aMember(1)] });
    const server = `${backend}/${id('m', 1)}`;
    expect(series([checked, none, unchecked])[1]).toEqual([
      `disable health ${server}`,
      `set server ${server} health up`,
      `set server ${server} state ready`,
      `enable frontend ${listener}`,
    ]);
    expect(series([checked, unchecked, none, checked]).slice(1)).toEqual([
      [`disable frontend ${listener}`, `set server ${server} state maint`, `enable health ${server}`],
      [`set server ${server} state ready`, `enable frontend ${listener}`],
    ]);
  });

  it('and again, but not with another line, and not when HAProxy has never had it', () => {
    const other = tree({}, { timeoutClientData: 1 });
    const [, first, , second] = series([tree(), none, tree(), none, tree()]);
    expect(second).toEqual(first);
    expect(series([tree(), none, other])[1]).toBe(`timeout client of frontend ${listener}`);
    expect(series([none, tree()])).toEqual(['a listener came, or a pool behind one']);
  });

  it('a pool that policies led to, while its listener has changed', () => {
    const toPool = [aPolicy(1, { action: 'REDIRECT_TO_POOL', redirectPoolId: id('p', 2) })];
    const by = (l7Policies: WantedListener['l7Policies'], connectionLimit = 1000) => ({
      ...tree({}, { l7Policies, connectionLimit }),
      pools: [aPool(1), aPool(2, { members: [aMember(7)] })],
    });
    const server = `${id('p', 2)}:${listener}/${id('m', 7)}`;
    expect(series([by(toPool), by([]), by([], 2000), by(toPool, 2000), by([], 2000)])).toEqual([
      ['table or limit', `set server ${server} state maint`, `del server ${server}`],
      ['table or limit'],
      [`add server ${server} 10.0.0.8:80 weight 1`, `enable server ${server}`, 'table or limit'],
      ['table or limit', `set server ${server} state maint`, `del server ${server}`],
    ]);
    expect(series([by([]), by(toPool)])).toEqual(['a listener came, or a pool behind one']);
  });

  it('one with certificates, which were renewed meanwhile', () => {
    const tls = (...letters: string[]) =>
      tree(
        { members: [] },
        { protocol: 'TERMINATED_HTTPS', tls: aTls(letters.map(certificate)) },
        { ticketKeys: ticketKeys('ABC') },
      );
    const [closing, opening] = series([tls('a', 'b'), none, tls('a', 'c')]);
    expect(closing).toEqual([`disable frontend ${listener}`]);
    expect((opening as string[]).map((text) => text.split(' ', 3).join(' '))).toEqual([
      'new ssl cert',
      'set ssl cert',
      'commit ssl cert',
      'add ssl crt-list',
      `enable frontend ${listener}`,
      'del ssl crt-list',
      'del ssl cert',
    ]);
  });
});

describe('a member becomes a backup', () => {
  const path = (server: string) => `${backend}/${server}`;
  const [plain, spare] = [id('m', 1), `${id('m', 1)}:backup`];
  const [active, backup] = [
    tree({ members: [aMember(1)] }),
    tree({ members: [aMember(1, { backup: true })] }),
  ];

  it('as a server that comes before the other goes, and back', () => {
    expect(commands(active, backup)).toEqual([
      `add server ${path(spare)} 10.0.0.2:80 weight 1 backup`,
      `enable server ${path(spare)}`,
      `set server ${path(plain)} state maint`,
      `del server ${path(plain)}`,
    ]);
    expect(commands(backup, active).at(-1)).toBe(`del server ${path(spare)}`);
  });

  it('where cookies name members, at no address before its own: HAProxy before 3.0 then makes the cookie', () => {
    const sessionPersistence = {
      type: 'HTTP_COOKIE',
      cookieName: null,
      persistenceTimeout: null,
      persistenceGranularity: null,
    } as const;
    const named = (backup: boolean) => tree({ sessionPersistence, members: [aMember(1, { backup })] });
    for (const version of ['2.6.12', '2.8.3', 'unknown']) {
      expect(commands(named(false), named(true), undefined, version).slice(0, 3)).toEqual([
        `add server ${path(spare)} 0.0.0.0:80 weight 1 backup`,
        `set server ${path(spare)} addr 10.0.0.2 port 80`,
        `enable server ${path(spare)}`,
      ]);
    }
    expect(commands(named(false), named(true), undefined, '3.0.0')[0]).toBe(
      `add server ${path(spare)} 10.0.0.2:80 weight 1 backup`,
    );
  });
});

describe('the clients of a listener', () => {
  const [one, other, third] = ['a', 'b', 'c'].map((name) => {
    const { name: path, pem } = aCertificate(`${name}.example.com`);
    return { name: path, pem };
  }) as [CertificatePem, CertificatePem, CertificatePem];
  const listed = (certificates: readonly CertificatePem[], clientCaPem: string, clientCrlPem: string) =>
    tree(
      { members: [] },
      {
        protocol: 'TERMINATED_HTTPS',
        tls: aTls(certificates, { clientAuthentication: 'MANDATORY', clientCaPem, clientCrlPem }),
      },
    );
  const path = (file: string) => `listeners/${id('l', 1)}.${file}.pem`;
  const heads = (before: WantedAmphora, after: WantedAmphora) =>
    commands(before, after).map((text) => text.split(' <<')[0]);

  it('get another authority and list of the revoked without a reload, after the certificate: first who is revoked', () => {
    expect(heads(listed([one], 'old', 'nobody'), listed([other], 'new', 'bob'))).toEqual([
      `show ssl cert ${path('default')}`,
      `set ssl cert ${path('default')}`,
      `commit ssl cert ${path('default')}`,
      `set ssl crl-file ${path('crl')}`,
      `commit ssl crl-file ${path('crl')}`,
      `set ssl ca-file ${path('ca')}`,
      `commit ssl ca-file ${path('ca')}`,
    ]);
  });

  it('or by a reload where HAProxy would then show another of two certificates of one name', () => {
    const twin = aCertificate('b.example.com');
    const [before, after] = ['old', 'new'].map((ca) => listed([one, other, twin], ca, '')) as [
      WantedAmphora,
      WantedAmphora,
    ];
    expect(change(before, after)).toEqual({ kind: 'reload', why: 'the places of certificates of one name' });
    expect(change(listed([one, third], 'old', ''), listed([one, third], 'new', ''))).toMatchObject({
      why: 'client CA replaced',
    });
  });
});

describe('checks go elsewhere', () => {
  const [server, healthMonitor] = [`set server ${backend}/${id('m', 1)}`, aMonitor()];
  const asked = (member: Partial<WantedMember>, pool: Partial<WantedPool> = {}) =>
    tree({ ...pool, healthMonitor, members: [aMember(1, member)] });

  it('and back to where the traffic goes, wherever that is then', () => {
    const elsewhere = asked({ monitorAddress: '2001:db8::9', monitorPort: 8080 });
    expect(series([asked({}), elsewhere, asked({ monitorPort: 81 }), asked({ port: 82 })])).toEqual([
      [`${server} check-addr 2001:db8::9 port 8080`],
      [`${server} check-addr 0.0.0.0 port 81`],
      [`${server} check-port 0`, `${server} addr 10.0.0.2 port 82`],
    ]);
    const other = asked({ monitorAddress: '10.9.9.9' });
    expect(series([elsewhere, other, asked({})])).toEqual([
      [`${server} check-addr 10.9.9.9 port 0`],
      [`${server} check-addr 0.0.0.0 port 0`],
    ]);
  });

  it('with the member that moves, at a port of their own', () => {
    const moved = asked({ address: '10.0.0.9', monitorPort: 81 });
    expect(series([asked({ monitorPort: 81 }), moved])).toEqual([[`${server} addr 10.0.0.9 port 80`]]);
  });

  it('from 3.4 on without a reload only to another port', () => {
    const [own, port, address] = [
      asked({}),
      asked({ monitorPort: 81 }),
      asked({ monitorAddress: '10.9.9.9' }),
    ];
    expect(commands(own, port, undefined, '3.4.0')).toEqual([`${server} check-port 81`]);
    for (const [before, after] of [
      [port, address],
      [address, own],
    ] as const) {
      expect(change(before, after, undefined, '3.4.0')).toMatchObject({
        kind: 'reload',
        why: expect.stringMatching(/^address of the checks/),
      });
    }
  });

  it('by a reload when they would have to begin or cease to speak PROXY or TLS', () => {
    for (const pool of [{ protocol: 'PROXY' }, { tls: aBackendTls() }] as const) {
      const [own, other, third] = [{}, { monitorPort: 81 }, { monitorPort: 82 }].map((one) =>
        asked(one, pool),
      );
      const reload = expect.stringMatching(/^encryption or PROXY header of the checks of /);
      expect(series([own!, other!])).toEqual([reload]);
      expect(series([other!, own!])).toEqual([reload]);
      expect(series([other!, third!])).toEqual([[`${server} check-port 82`]]);
    }
  });

  it('of a member that is added: without TLS and PROXY, which those to its own port have', () => {
    const pool = { tls: aBackendTls(), protocol: 'PROXY' } as const;
    const added = (member: Partial<WantedMember>) => {
      const both = tree({ ...pool, healthMonitor, members: [aMember(1), aMember(2, member)] });
      return (series([asked({}, pool), both])[0] as string[])[0];
    };
    expect(added({})).toMatch(/ ssl .* send-proxy .* check-ssl check-send-proxy/);
    expect(added({ monitorPort: 81 })).not.toMatch(/check-/);
  });
});

describe('a monitor is switched off and on', () => {
  const monitor = aMonitor({ type: 'HTTP', fall: 2 });
  const checked = (members = [aMember(1)], changes: Partial<WantedHealthMonitor> = {}) =>
    tree({ protocol: 'PROXY', healthMonitor: { ...monitor, ...changes }, members });
  const unchecked = (members = [aMember(1)]) => tree({ protocol: 'PROXY', members });
  const server = (n: number) => `${backend}/${id('m', n)}`;

  it('and every member is up while nobody asks it', () => {
    expect(series([checked(), unchecked(), checked()])).toEqual([
      [`disable health ${server(1)}`, `set server ${server(1)} health up`],
      [`enable health ${server(1)}`],
    ]);
  });

  it('with members that came meanwhile, ready to be asked', () => {
    const two = [aMember(1), aMember(2)];
    expect(series([checked(), unchecked(), unchecked(two), checked(two)]).slice(1)).toEqual([
      [
        `add server ${server(2)} 10.0.0.3:80 weight 1 send-proxy check inter 5s fall 2 rise 3 check-send-proxy`,
        `enable server ${server(2)}`,
      ],
      [`enable health ${server(1)}`, `enable health ${server(2)}`],
    ]);
  });

  it('at other ports, where its checks do not speak PROXY or TLS by themselves', () => {
    const plain = (members: WantedMember[]) => tree({ healthMonitor: monitor, members });
    const asleep = (members: WantedMember[]) => tree({ members });
    const at = (monitorPort: number) => [aMember(1, { monitorPort })];
    expect(series([plain(at(8080)), asleep(at(8081)), plain(at(8081))])[1]).toEqual([
      `enable health ${server(1)}`,
      `set server ${server(1)} check-port 8081`,
    ]);
  });

  it('but not as another monitor, at other ports, or where a check under way could take a member out', () => {
    const elsewhere = [aMember(1, { monitorPort: 8080 })];
    expect(series([checked(), unchecked(), checked([aMember(1)], { delay: 9 })])[1]).toMatch(
      /^default-server /,
    );
    expect(series([checked(elsewhere), unchecked(elsewhere), checked(elsewhere)])[1]).toEqual([
      `enable health ${server(1)}`,
    ]);
    expect(series([checked(), unchecked(elsewhere), checked(elsewhere)])[1]).toMatch(
      /^encryption or PROXY header of the checks/,
    );
    expect(series([checked([aMember(1)], { fall: 1 }), unchecked()])).toEqual([
      'a monitor that takes members out at the first failure',
    ]);
  });

  it('is the difference between the same pool with it and without it', () => {
    fc.assert(
      fc.property(anyTree({ certificate: certificate('a'), caPem: 'ca', crlPem: 'crl' }), (wanted) => {
        const lines = (one: WantedAmphora) =>
          rendered(one)
            .text.split('\n')
            .map((line) => line.trim());
        const without = { ...wanted, pools: wanted.pools.map((pool) => ({ ...pool, healthMonitor: null })) };
        const pings = /^(external-check|insecure-fork-wanted)$/;
        const sections = (text: string[]) =>
          text
            .join('\n')
            .split('\n\n')
            .map((one) => one.split('\n'));
        expect(
          sections(lines(wanted)).map((section) =>
            withoutChecks(section.filter((line) => !pings.test(line))),
          ),
        ).toEqual(sections(lines(without)));
      }),
    );
  });
});

describe('tables are replaced as a whole', () => {
  it('of policies: the first, another, an edit, none', () => {
    const reject = aPolicy(1, { rules: [aRule(1, { value: '/a' })] });
    const redirect = aPolicy(2, { action: 'REDIRECT_TO_URL', redirectUrl: 'http://b/' });
    const [none, one, two] = [[], [reject], [redirect, reject]].map((l7Policies) => tree({}, { l7Policies }));
    const [first, second] = ['^(?=\\/a) reject', '^(?=\\/) 302 url http://b/'];
    const taken = (from?: WantedAmphora, to?: WantedAmphora) =>
      commands(from as WantedAmphora, to as WantedAmphora);
    expect(taken(none, one)).toEqual([`map: ^\\z some,${first},^ none`]);
    expect(taken(one, two)).toEqual([`map: ^\\z some,${second},${first},^ none`]);
    expect(taken(two, none)).toEqual(['map: ^\\z none,^ none']);
  });
});

describe('a connection limit changes', () => {
  const limited = (connectionLimit: number) => tree({}, { connectionLimit });

  it('with care, for HAProxy must not be told so while its listener is full', () => {
    const listener = id('l', 1);
    expect(commands(limited(1000), limited(4000))).toEqual([`limit of ${listener}: 1000 to 4000, 1 threads`]);
    expect(commands(limited(1000), limited(20), 4096)).toEqual([
      `limit of ${listener}: 1000 to 20, 1 threads`,
    ]);
  });

  it('by a plain command from HAProxy 3.1 on', () => {
    const by = (version: string) => change(limited(1000), limited(4000), undefined, version);
    const command = { text: `set maxconn frontend ${id('l', 1)} 4000`, says: [] };
    for (const version of ['3.1.0', '3.2.4-98813a1', '4.0.1']) {
      expect(by(version)).toMatchObject({ kind: 'runtime', commands: [command] });
    }
    for (const version of ['3.0.5', '2.6.12', 'unknown']) {
      expect(by(version)).toMatchObject({ kind: 'runtime', commands: [{ from: 1000, to: 4000 }] });
    }
  });
});

describe('from HAProxy 3.4 on', () => {
  const monitor = aMonitor({ urlPath: '/health' });
  const toPool = [aPolicy(1, { action: 'REDIRECT_TO_POOL', redirectPoolId: id('p', 2) })];
  const two = (pool: Partial<WantedPool>, listener: Partial<WantedListener> = {}, first = {}) => ({
    ...tree({}, listener),
    pools: [aPool(1, first), aPool(2, { members: [aMember(7)], ...pool })],
  });
  const added = `${id('p', 2)}:${id('l', 1)}`;
  const taken = (before: WantedAmphora, after: WantedAmphora) => commands(before, after, undefined, '3.4.0');

  it('a pool comes with its members before the policy that leads to it, and goes after it', () => {
    const table = expect.stringMatching(/^map: /);
    const kind = expect.stringMatching(`^add backend ${added} from kind-[0-9a-f]{32}$`);
    expect(taken(two({}), two({}, { l7Policies: toPool }))).toEqual([
      kind,
      `add server ${added}/${id('m', 7)} 10.0.0.8:80 weight 1`,
      `enable server ${added}/${id('m', 7)}`,
      `publish backend ${added}`,
      table,
    ]);
    expect(taken(two({}, { l7Policies: toPool }), two({}))).toEqual([
      table,
      `set server ${added}/${id('m', 7)} state maint`,
      `del server ${added}/${id('m', 7)}`,
      `unpublish backend ${added}`,
      `del backend ${added}`,
    ]);
  });

  it('the default pool of an HTTP listener comes, becomes another and goes', () => {
    const [none, one, other] = [null, 1, 2].map((n) =>
      two({}, { defaultPoolId: n === null ? null : id('p', n) }),
    ) as [WantedAmphora, WantedAmphora, WantedAmphora];
    for (const [before, after] of [
      [none, one],
      [one, other],
      [other, none],
    ] as const) {
      expect(change(before, after, undefined, '3.4.0')).toMatchObject({ kind: 'runtime' });
      expect(change(before, after)).toMatchObject({ kind: 'reload' });
    }
  });

  it('a pool with a monitor comes without a reload when another has the same', () => {
    const came = (pool: Partial<WantedPool>, first: Partial<WantedPool>) =>
      change(two(pool, {}, first), two(pool, { l7Policies: toPool }, first), undefined, '3.4.0');
    expect(came({ healthMonitor: monitor }, { healthMonitor: monitor })).toMatchObject({ kind: 'runtime' });
    expect(came({ healthMonitor: monitor }, {})).toEqual({
      kind: 'reload',
      why: 'a pool came of a kind that no other has',
    });
  });

  it('one that stays but is of another kind now is a reload, which is named', () => {
    const planned = change(tree(), tree({ algorithm: 'LEAST_CONNECTIONS' }), undefined, '3.4.0');
    expect(planned).toEqual({ kind: 'reload', why: `balance leastconn of backend ${backend}` });
  });
});

describe('a reload is needed', () => {
  const frontend = `frontend ${id('l', 1)}`;
  const toPool = [aPolicy(1, { action: 'REDIRECT_TO_POOL', redirectPoolId: id('p', 1) })];
  it.each<[string, WantedAmphora, WantedAmphora, string]>([
    ['for a timeout', tree(), tree({}, { timeoutClientData: 1 }), `timeout client of ${frontend}`],
    [
      'for a policy that no table can hold',
      tree(),
      tree(
        {},
        { l7Policies: [aPolicy(1, { rules: [aRule(1, { compareType: 'REGEX', value: '(a)\\1' })] })] },
      ),
      `acl of ${frontend}`,
    ],
    [
      'for a policy to a pool that is not behind its listener yet',
      { ...tree(), pools: [aPool(1), aPool(2)] },
      {
        ...tree({}, { l7Policies: [aPolicy(1, { action: 'REDIRECT_TO_POOL', redirectPoolId: id('p', 2) })] }),
        pools: [aPool(1), aPool(2)],
      },
      'a listener came, or a pool behind one',
    ],
    [
      'for another CA of members, which HAProxy 2.6 takes without a word and does not use',
      tree({ tls: aBackendTls({ caPem: 'one' }) }),
      tree({ tls: aBackendTls({ caPem: 'other' }) }),
      'the authority of members',
    ],
    [
      'for another algorithm',
      tree(),
      tree({ algorithm: 'LEAST_CONNECTIONS' }),
      'balance leastconn of backend',
    ],
    ['for a health monitor', tree(), tree({ healthMonitor: aMonitor() }), 'timeout check of backend'],
    [
      'for the last line that goes',
      tree({}, { defaultPoolId: null, l7Policies: toPool }),
      tree({}, { l7Policies: toPool }),
      `of ${frontend}`,
    ],
    [
      'for a listener',
      tree(),
      { ...tree(), listeners: [aListener(1, { connectionLimit: 1000 }), aListener(2)] },
      'a listener came, or a pool behind one',
    ],
    [
      'for a connection limit beyond what HAProxy was started with',
      tree({}, { connectionLimit: 60_000 }),
      tree({}, { connectionLimit: 70_000 }),
      'maxconn of global',
    ],
  ])('%s', (_, before, after, why) => {
    const planned = change(before, after);
    expect(planned).toMatchObject({ kind: 'reload', why: expect.stringContaining(why) });
  });

  it('and what is said of it holds nothing that a user wrote', () => {
    const rules = [aRule(1, { compareType: 'REGEX', value: '(secret)\\1' })];
    const beyond = tree({}, { l7Policies: [aPolicy(1, { rules })] });
    expect(change(tree(), beyond).kind).toBe('reload');
    expect(change(tree(), beyond).why).not.toContain('secret');
    const redirect = aPolicy(1, { action: 'REDIRECT_TO_URL', redirectUrl: 'http://secret/' });
    expect(change(tree(), tree({}, { l7Policies: [redirect] })).why).toBe('L7 policies');
  });
});
