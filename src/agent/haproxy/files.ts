import { createHash } from 'node:crypto';
import { linkSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { RenderedHaproxy } from '../../plan/haproxy/render.ts';
import { toCheck } from '../../plan/haproxy/to-check.ts';
import { writeWhole } from '../../platform/files.ts';
import { tryRun } from '../../platform/run.ts';
import type { AgentPaths } from '../paths.ts';
import { failureOf } from './refusal.ts';

/**
 * The versions of HAProxy's configuration: each a whole directory, written and checked before the link `current`
 * moves to it. The version before stays, to go back to.
 */
export function configurationFiles(paths: AgentPaths, haproxy: string) {
  const fingerprints = new WeakMap<RenderedHaproxy, string>();
  const directory = (version: string) => join(paths.haproxy, version);

  async function numbers(): Promise<number[]> {
    const names = await readdir(paths.haproxy);
    return names.map(Number).filter(Number.isInteger);
  }

  const currentVersion = (): Promise<string | undefined> =>
    readlink(paths.current).then(basename, () => undefined);

  async function switchTo(version: string): Promise<void> {
    const beside = `${paths.current}.new`;
    await rm(beside, { force: true });
    await symlink(version, beside);
    await rename(beside, paths.current);
  }

  async function newVersion(): Promise<string> {
    return String(Math.max(0, ...(await numbers())) + 1);
  }

  /**
   * Writes text and files; those that `serving` has as well are linked. In one go: on tmpfs a file takes 15 µs, and 100
   * when the threads of libuv write it.
   */
  async function put(
    version: string,
    { text, files }: Pick<RenderedHaproxy, 'text' | 'files'>,
    serving?: RenderedHaproxy,
  ): Promise<void> {
    const folder = directory(version);
    for (const path of new Set(['.', ...[...files.keys()].map(dirname)]))
      await mkdir(join(folder, path), { recursive: true, mode: 0o700 });
    for (const [path, content] of [...files, ['haproxy.cfg', text] as const]) {
      if (serving?.files.get(path) === content) linkSync(join(paths.current, path), join(folder, path));
      else writeFileSync(join(folder, path), content, { mode: 0o600 });
    }
  }

  return {
    fingerprint(rendered: RenderedHaproxy): string {
      const { text, files } = rendered;
      const known =
        fingerprints.get(rendered) ??
        createHash('sha256')
          .update(JSON.stringify([text, ...files]))
          .digest('hex');
      fingerprints.set(rendered, known);
      return known;
    },

    /** Fingerprint of what HAProxy serves; undefined when that is not known. */
    running: (): Promise<string | undefined> => readFile(paths.running, 'utf8').catch(() => undefined),

    async prepare(): Promise<void> {
      await mkdir(paths.haproxy, { recursive: true, mode: 0o700 });
      await writeWhole(paths.checkOverride, 'global\n    tune.ssl.cachesize 0\n');
      await writeFile(paths.serverState, '1\n', { flag: 'a', mode: 0o600 });
    },

    /**
     * Writes a version. `serving`: what the current one says; files that stay are linked. HAProxy is not asked: it takes
     * the difference over its socket, where it parses every part anew, or starts with it.
     */
    async write(rendered: RenderedHaproxy, serving?: RenderedHaproxy): Promise<string> {
      const version = await newVersion();
      await put(version, rendered, serving);
      return version;
    },

    /** Writes a version for a reload, after HAProxy has checked what it does not serve yet. Throws, with nothing changed. */
    async writeChecked(rendered: RenderedHaproxy, serving?: RenderedHaproxy): Promise<string> {
      const checked = serving === undefined ? rendered : toCheck(rendered, serving);
      const version = await newVersion();
      const folder = directory(version);
      await put(version, checked, serving);
      const check = await tryRun([
        haproxy,
        '-c',
        '-C',
        folder,
        '-f',
        'haproxy.cfg',
        '-f',
        paths.checkOverride,
      ]);
      if (check.code !== 0) {
        await rm(folder, { recursive: true });
        throw failureOf(check.stderr, 'HAProxy could not check its configuration');
      }
      const left = [...rendered.files].filter(([path, content]) => checked.files.get(path) !== content);
      // None of these may be a link to what is served.
      for (const [path] of left) await rm(join(folder, path));
      await put(version, { text: rendered.text, files: new Map(left) });
      return version;
    },

    /**
     * Makes the version the current one while `load` has HAProxy take it; when that fails, the one before is current
     * again and the failure is thrown.
     */
    async adopt(version: string, fingerprint: string, load: () => Promise<void>): Promise<void> {
      const before = await currentVersion();
      await rm(paths.running, { force: true });
      await switchTo(version);
      const eldest = (await numbers()).map(String).filter((other) => other !== version && other !== before);
      // While HAProxy loads there is time for it; what cannot be removed is tried again with the next version.
      const tidied = Promise.allSettled(eldest.map((other) => rm(directory(other), { recursive: true })));
      try {
        await load();
      } catch (error) {
        if (before !== undefined) await switchTo(before);
        await rm(directory(version), { recursive: true });
        throw error;
      } finally {
        await tidied;
      }
      await writeWhole(paths.running, fingerprint);
    },
  };
}
export type ConfigurationFiles = ReturnType<typeof configurationFiles>;
