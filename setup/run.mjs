// npm start, npm stop, npm test, npm run livia: makes this machine ready step by step, then runs what was asked for.
// Plain JavaScript without dependencies, for the Node (18 or newer) that a fresh machine has.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { debianPackages } from './debian.mjs';
import { node24, npmPackages } from './npm.mjs';
import { environment, repo, step, Stop, withLock } from './steps.mjs';
import { check } from './test.mjs';

const usage = 'usage: node setup/run.mjs start [--no-demo] [--detach] | stop | test | cli …';

async function main([what, ...args]) {
  if (process.platform !== 'linux') throw new Stop(`Livia runs on Linux, and this is ${process.platform}`);
  if (Number(process.versions.node.split('.')[0]) < 18) {
    throw new Stop(`Node ${process.versions.node} is too old to begin with: 18 or newer is needed`);
  }
  switch (what) {
    case 'start':
      return livia(await install(false), ['up', ...args]);
    case 'test':
      await install(true);
      return check();
    case 'stop':
    case 'cli':
      if (!existsSync(join(repo, 'dist/livia.mjs')))
        throw new Stop('nothing is installed yet: npm start comes first');
      return livia(await node24(), what === 'stop' ? ['stop', ...args] : args);
    default:
      throw new Stop(usage);
  }
}

function install(forTests) {
  return withLock(async () => {
    let node;
    await step(1, 4, 'npm packages', npmPackages);
    await step(2, 4, 'Node 24', async () => {
      node = await node24();
      return 'there';
    });
    await step(3, 4, 'Debian packages', () => debianPackages(forTests));
    await step(4, 4, 'programs', bundle);
    return node;
  });
}

/** Runs the command line in our place: same terminal, same signals, same exit code. */
function livia(node, args) {
  // The channel tells the child when we are gone, however we went; a detached child does not mind.
  const child = spawn(node, [join(repo, 'dist/livia.mjs'), ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: environment,
  });
  process.off('SIGINT', leave).off('SIGTERM', leave);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  if (process.env.npm_lifecycle_event) endWithNpm(() => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}

/** npm that was killed takes nobody with it; so look whether it is still our parent. */
function endWithNpm(end) {
  const npm = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === npm) return;
    clearInterval(timer);
    end();
  }, 250);
  timer.unref();
}

/** Ends what has not begun to serve yet, with the cleaning up that an exit brings. */
function leave() {
  process.exit(130);
}
process.on('SIGINT', leave).on('SIGTERM', leave);

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    // The disk's and the system's own words (EACCES …, ENOSPC …) are clear enough; anything else is our mistake.
    const clear = error instanceof Stop || typeof error.syscall === 'string';
    console.error(`livia: ${clear ? error.message : error.stack}`);
    process.exit(1);
  },
);
