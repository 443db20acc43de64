/** The house: what docs/architecture.md says about who may import whom is what the linter enforces. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tryRun } from '../src/platform/run.ts';

const project = resolve(import.meta.dirname, '..');
const table = readTable(readFileSync(join(project, 'docs/architecture.md'), 'utf8'));
const rooms = [...table.keys()].filter((room) => room !== 'bin');
const outside = ['pg', 'kysely', 'node:fs', 'node:net', 'node:child_process', 'node:crypto'];

let folder: string;
/** Room to the specifiers that the linter refused there. */
let refused: Map<string, Set<string>>;

/** In a copy of the house, a file in every room tries to import from every other, and some packages. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'livia-house-'));
  cpSync(join(project, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
  symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'));
  for (const room of [...rooms, 'bin']) {
    const deep = join(folder, room === 'bin' ? 'bin' : `src/${room}/nested`);
    mkdirSync(deep, { recursive: true });
    const lines = specifiers(room).map((specifier, n) => `export { a as a${n} } from '${specifier}';`);
    writeFileSync(join(deep, 'planted.ts'), `${lines.join('\n')}\n`);
    writeFileSync(join(deep, 'planted.test.ts'), `${lines.join('\n')}\n`);
  }
  refused = await lint();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(rooms)('the room %s', (room) => {
  it('may import what the table says, and nothing else of the house', () => {
    const may = table.get(room) ?? new Set();
    const forbidden = rooms.filter((other) => other !== room && !may.has(other) && !mayInPart(may, other));
    const found = [...(refused.get(`src/${room}/nested/planted.ts`) ?? [])].filter((name) =>
      name.endsWith('/any.ts'),
    );
    expect(found.map((name) => name.split('/').at(-2) ?? '').toSorted()).toEqual(
      [...forbidden, ...rooms.filter((other) => mayInPart(may, other)), 'bin'].toSorted(),
    );
  });
});

it('a room that may import one file of another gets that file', () => {
  const found = refused.get('src/supervisor/nested/planted.ts');
  expect(found).toContain('../../store/any.ts');
  expect(found).not.toContain('../../store/embedded.ts');
});

it('SQL stays in store, and input and output stay out of lb and plan', () => {
  const packages = (room: string): string[] =>
    [...(refused.get(`src/${room}/nested/planted.ts`) ?? [])]
      .filter((name) => outside.includes(name))
      .toSorted();
  expect(packages('store')).toEqual([]);
  expect(packages('api')).toEqual(['kysely', 'pg']);
  const pure = ['kysely', 'node:child_process', 'node:fs', 'node:net', 'pg'];
  expect(packages('lb')).toEqual(pure);
  expect(packages('plan')).toEqual(pure);
});

it('bin wires everything, and tests may reach anywhere', () => {
  expect([...refused.keys()].filter((file) => file.startsWith('bin/') || file.endsWith('.test.ts'))).toEqual(
    [],
  );
});

function specifiers(room: string): string[] {
  const up = room === 'bin' ? '../src' : '../..';
  const others = rooms.filter((other) => other !== room).map((other) => `${up}/${other}/any.ts`);
  return [...others, `${up}/store/embedded.ts`, '../../../bin/any.ts', ...outside];
}

/** `store/embedded.ts` in the table: that file, not the room. */
function mayInPart(may: ReadonlySet<string>, room: string): boolean {
  return [...may].some((name) => name.startsWith(`${room}/`));
}

async function lint(): Promise<Map<string, Set<string>>> {
  const oxlint = join(project, 'node_modules/.bin/oxlint');
  const result = await tryRun([oxlint, '--format', 'json'], { cwd: folder, timeoutMs: 60_000 });
  const { diagnostics } = JSON.parse(result.stdout) as {
    diagnostics: { code: string; message: string; filename: string }[];
  };
  const found = new Map<string, Set<string>>();
  for (const { code, message, filename } of diagnostics) {
    if (!code.includes('no-restricted-imports')) continue;
    const specifier = /'([^']+)'/.exec(message)?.[1] ?? '';
    found.set(filename, (found.get(filename) ?? new Set()).add(specifier));
  }
  return found;
}

function readTable(markdown: string): Map<string, Set<string>> {
  const house = markdown.slice(markdown.indexOf('## The house'));
  const rows = house.matchAll(/^\| ([a-z]+) +\|[^|]*\| ([^|]*?) *\|$/gm);
  return new Map(
    [...rows]
      .filter(([, room]) => room !== 'folder')
      .map(([, room = '', may = '']) => [room, new Set(may === '–' ? [] : may.split(', '))]),
  );
}
