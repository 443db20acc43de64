import { accessSync, constants, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capture, hashOf, outerEnvironment, readOr, repo, Stop } from './steps.mjs';

const marker = join(repo, 'node_modules/.livia-lock');

/** What npm says when the registry cannot be reached. */
const networkTrouble =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|SELF_SIGNED_CERT\w*|UNABLE_TO_\w+)\b/;

/**
 * Installs what package-lock.json says, when node_modules does not belong to it. Not `npm ci`: that refuses a lock file
 * without the optional packages of every foreign platform, which not every registry has.
 */
export async function npmPackages() {
  const wanted = hashOf(readOr(join(repo, 'package-lock.json'), ''));
  if (readOr(marker, '') === wanted) return 'there';
  try {
    accessSync(repo, constants.W_OK);
  } catch (error) {
    throw new Stop(`${repo} is not writable (${error.code}), so node_modules cannot be made`);
  }
  await askRegistry();
  // Development tools too: `npm start` and `npm test` share one installation.
  await npm(['install', '--no-save', '--include=dev', '--include=optional', '--no-progress']);
  writeFileSync(marker, wanted);
  return undefined;
}

/** Without a network npm tries package after package for many minutes; one question, past its cache, tells sooner. */
async function askRegistry() {
  const cache = mkdtempSync(join(tmpdir(), 'livia-npm-'));
  const patience = ['--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=3000'];
  try {
    await npm(['view', 'esbuild', 'version', '--cache', cache, ...patience]);
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

async function npm(args) {
  const result = await capture(['npm', ...args], { env: outerEnvironment });
  if (result.code === 0) return;
  if (result.code === 127) throw new Stop('npm is missing: on Debian, apt-get install -y npm');
  const network = networkTrouble.exec(result.output);
  if (network) {
    throw new Stop(`npm cannot reach its registry (${network[1]}): is there a network, or a proxy to set?`);
  }
  throw new Stop(`npm ${args[0]} failed: ${firstError(result.output)}`);
}

function firstError(output) {
  const errors = output.split('\n').filter((line) => /npm (error|ERR!)/.test(line));
  const telling = errors.filter((line) => !/npm (error|ERR!) (code|errno|syscall|path)\b/.test(line));
  return (telling[0] ?? errors[0] ?? output.trim().split('\n').at(-1) ?? '')
    .replace(/npm (error|ERR!)\s*/, '')
    .slice(0, 300);
}

/** The Node that runs everything else: the one from npm, or this one when it is new enough. */
export async function node24() {
  const fromNpm = join(repo, 'node_modules/.bin/node');
  if (existsSync(fromNpm)) {
    const result = await capture([fromNpm, '--version']);
    if (result.code === 0 && result.output.startsWith('v24.')) return fromNpm;
    throw new Stop(`Node 24 from npm does not run on this machine: ${result.output.trim().split('\n')[0]}`);
  }
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  throw new Stop(
    `npm has no Node 24 for this machine (${process.arch}): install Node 24 or newer and run this with it`,
  );
}
