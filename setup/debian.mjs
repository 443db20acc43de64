import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { capture, executable, has, outerEnvironment, Stop } from './steps.mjs';

/** A Debian package, and how to see that what we need of it is there, however it came. */
const toRun = [
  ['haproxy', () => has('haproxy')],
  ['keepalived', () => has('keepalived')],
  ['nftables', () => has('nft')],
  ['iputils-ping', () => has('ping')],
  ['conntrack', () => has('conntrack')],
  ['iproute2', () => has('ip') && has('ss')],
  ['util-linux', () => has('unshare') && has('nsenter') && has('setpriv')],
  ['mount', () => has('mount')],
  ['procps', () => has('ps') && has('sysctl')],
  ['postgresql', postgresThere],
  ['openssl', () => has('openssl')],
  ['curl', () => has('curl')],
  ['ca-certificates', () => existsSync('/etc/ssl/certs/ca-certificates.crt')],
];

const toTest = [
  ['openssh-client', () => has('ssh-keygen')],
  ['python3-openstackclient', () => has('openstack') && pythonModule('openstackclient')],
  ['python3-octaviaclient', () => pythonModule('octaviaclient')],
  ['python3-openstacksdk', () => pythonModule('openstack')],
  ['python3-barbicanclient', () => pythonModule('barbicanclient')],
  ['python3-prometheus-client', () => pythonModule('prometheus_client')],
  ['python3-grpcio', () => pythonModule('grpc')],
  ['wrk', () => has('wrk')],
];

function postgresThere() {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : [];
  return (
    versions.some((version) => executable(`/usr/lib/postgresql/${version}/bin/postgres`)) || has('postgres')
  );
}

function pythonModule(name) {
  return existsSync(`/usr/lib/python3/dist-packages/${name}`);
}

/** Installs what is missing, without letting Debian start any of it. */
export async function debianPackages(forTests) {
  const needed = forTests ? [...toRun, ...toTest] : toRun;
  const missing = () => needed.filter(([, there]) => !there()).map(([name]) => name);
  const names = missing();
  if (names.length === 0) return 'there';
  const command = `apt-get install -y --no-install-recommends ${names.join(' ')}`;
  if (!has('apt-get'))
    throw new Stop(`missing, and there is no apt-get here: ${names.join(', ')} (Debian's names)`);
  if (process.getuid() !== 0) throw new Stop(`Debian packages are missing; as root: ${command}`);
  const undo = keepServicesDown();
  try {
    await aptGet(['update']);
    await aptGet(['install', '-y', '--no-install-recommends', ...names]);
  } finally {
    undo();
  }
  const still = missing();
  if (still.length > 0)
    throw new Stop(`apt-get installed ${still.join(', ')}, but the programs are not there`);
  return undefined;
}

async function aptGet(args) {
  const options = [
    'DPkg::Lock::Timeout=300',
    'Dpkg::Options::=--force-confdef',
    'Dpkg::Options::=--force-confold',
  ];
  const result = await capture(['apt-get', ...options.flatMap((option) => ['-o', option]), ...args], {
    cwd: '/',
    env: { ...outerEnvironment, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (result.code === 0) return;
  const reason = result.output.split('\n').find((line) => line.startsWith('E: ')) ?? result.output.trim();
  throw new Stop(`apt-get ${args[0]}: ${reason.replace(/^E: /, '').slice(0, 300)}`);
}

/**
 * Debian starts a service as soon as it is installed, and makes a PostgreSQL cluster of its own; we run our own.
 * What the machine's owner has settled about either is left as it is. Gives the function that takes our rule back.
 */
function keepServicesDown() {
  const clusters = '/etc/postgresql-common';
  if (!existsSync(clusters)) {
    mkdirSync(clusters, { recursive: true });
    writeFileSync(`${clusters}/createcluster.conf`, 'create_main_cluster = false\n');
  }
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return () => {};
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  const remove = () => rmSync(policy, { force: true });
  process.once('exit', remove);
  return remove;
}
