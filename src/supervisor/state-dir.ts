import { access, constants, mkdir, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Refusal } from './refusal.ts';

/** Everything one Livia writes lies below one folder; these are the places in it that the supervisor knows. */
export interface StateDir {
  readonly root: string;
  readonly openrc: string;
  readonly clouds: string;
  readonly serverConfig: string;
  readonly cloudletConfig: string;
  readonly bootScript: string;
  readonly postgres: string;
  /** PostgreSQL's unix socket, in a folder of its own. */
  readonly postgresSocket: string;
  readonly cloud: string;
  readonly demo: string;
  /** Unix sockets. */
  readonly run: string;
  readonly log: string;
}

/** Longest path of a unix socket in Linux, without the closing NUL. */
const socketPathBytes = 107;

/** The state folder this shell means: `LIVIA_STATE_DIR`, or `.livia` in the working folder. */
export function stateDirFrom(env: NodeJS.ProcessEnv, cwd: string): StateDir {
  return stateDirAt(resolve(cwd, env['LIVIA_STATE_DIR'] || '.livia'));
}

function stateDirAt(root: string): StateDir {
  return {
    root,
    openrc: join(root, 'openrc'),
    clouds: join(root, 'clouds.yaml'),
    serverConfig: join(root, 'livia.toml'),
    cloudletConfig: join(root, 'cloudlet.toml'),
    bootScript: join(root, 'boot-script'),
    postgres: join(root, 'postgres'),
    postgresSocket: join(root, 'run', 'postgres'),
    cloud: join(root, 'cloud'),
    demo: join(root, 'demo'),
    run: join(root, 'run'),
    log: join(root, 'log'),
  };
}

/** Makes the folders. Throws a Refusal when that cannot be. */
export async function prepareStateDir(state: StateDir): Promise<StateDir> {
  try {
    await mkdir(state.root, { recursive: true, mode: 0o700 });
    const real = stateDirAt(await realpath(state.root));
    const longest = join(real.postgresSocket, '.s.PGSQL.5432');
    if (Buffer.byteLength(longest) > socketPathBytes) {
      const spare = socketPathBytes - Buffer.byteLength(longest) + Buffer.byteLength(real.root);
      throw new Refusal(
        `the path ${real.root} is too long for unix sockets: choose a LIVIA_STATE_DIR of at most ${spare} bytes`,
      );
    }
    await access(real.root, constants.W_OK | constants.X_OK);
    for (const folder of [real.run, real.log, real.demo])
      await mkdir(folder, { recursive: true, mode: 0o755 });
    return real;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const reason =
      { EACCES: 'is not writable', EROFS: 'is on a read-only disk', ENOSPC: 'is on a full disk' }[
        code ?? ''
      ] ?? `cannot be used (${message})`;
    throw new Refusal(`the state folder ${state.root} ${reason}: choose another by LIVIA_STATE_DIR`);
  }
}
