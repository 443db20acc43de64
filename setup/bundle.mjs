import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { hashOf, readOr, repo, Stop } from './steps.mjs';

const dist = join(repo, 'dist');
const stamp = join(dist, '.sources');

/** What some CommonJS dependencies reach for inside an ES module. */
const banner = `import { createRequire as livia_createRequire } from 'node:module';
const require = livia_createRequire(import.meta.url);`;

/** Every program of bin/ as one file of dist/, when any source is newer than that. */
export async function bundle() {
  const sources = hashOf(...stampsOf('bin'), ...stampsOf('src'), readOr(join(repo, 'package-lock.json'), ''));
  if (readOr(stamp, '') === sources) return 'there';
  const { build, stop } = await import('esbuild');
  const programs = readdirSync(join(repo, 'bin')).filter((name) => name.endsWith('.ts'));
  const beside = newFolder();
  const tidy = () => rmSync(beside, { recursive: true, force: true });
  process.once('exit', tidy);
  try {
    await build({
      absWorkingDir: repo,
      entryPoints: programs.map((name) => join('bin', name)),
      outdir: beside,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node24',
      sourcemap: 'linked',
      external: ['pg-native'],
      banner: { js: banner },
      logLevel: 'silent',
    });
    // Renamed one by one over the old: a program that starts meanwhile reads a whole file.
    for (const name of readdirSync(beside)) renameSync(join(beside, name), join(dist, basename(name)));
  } catch (error) {
    const first = error.errors?.[0];
    throw new Stop(
      `bundling: ${first ? `${first.location?.file}:${first.location?.line}: ${first.text}` : error.message}`,
    );
  } finally {
    tidy();
    await stop(); // its service would live as long as we do
  }
  writeFileSync(stamp, sources);
  return undefined;
}

function newFolder() {
  try {
    mkdirSync(dist, { recursive: true });
    return mkdtempSync(join(dist, '.new-'));
  } catch (error) {
    throw new Stop(`${dist} is not writable (${error.code}), so the programs cannot be made`);
  }
}

/** Name, size and time of each source: quicker than reading them all, and as good. */
function stampsOf(folder) {
  return readdirSync(join(repo, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return stampsOf(path);
    if (!entry.name.endsWith('.ts') || entry.name.endsWith('.test.ts')) return [];
    const { size, mtimeMs } = statSync(join(repo, path));
    return [`${path} ${size} ${mtimeMs}`];
  });
}
