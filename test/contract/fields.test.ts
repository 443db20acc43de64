import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Client, Reply } from '../../src/api/client.fixture.ts';
import type { Tree } from '../../src/lb/tree.ts';
import { expected, type Field, type Null } from './fields.ts';
import { setStage, type Stage } from './stage.ts';

/**
 * Every field of every resource: absent, null, every legal kind of value and the bounds, every wrong one; in a POST and
 * in a PUT. What is refused changes nothing.
 */

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
});
afterAll(() => stage.close());

describe.each(Object.entries(expected))('A %s', (kind, resource) => {
  const { path, key, bodies, fields, argument } = resource;
  const [plain = ''] = Object.keys(bodies);
  const ownTree = kind === 'load balancer';
  const shared = kind.startsWith('flavor') || kind.startsWith('availability');
  const client = (): Client => (shared ? stage.admin : stage.member);
  const url = (id?: string): string =>
    `/v2/lbaas/${stage.told(path)}${id === undefined ? '' : `/${encodeURIComponent(id)}`}`;
  const bodyOf = ({ on = plain, beside }: Partial<Field>) => ({ ...bodies[on], ...beside });
  const post = async (body: object): Promise<Reply> => {
    const reply = await client().post(url(), { [key]: body });
    // Addresses are few.
    if (ownTree && reply.status === 201) {
      await stage.api.cloud.networking.removePort(reply.body[key].vip_port_id as string);
    }
    return reply;
  };

  let rest: Tree;
  beforeAll(async () => {
    rest = await stage.tree();
  });

  const idIn = (reply: Reply): string => {
    const { id, name } = reply.body[key] as { id?: string; name: string };
    return id ?? name;
  };
  /** As if the answered POST had not been. */
  const clear = async (reply: Reply): Promise<void> => {
    if (shared) expect((await client().delete(url(idIn(reply)))).status).toBe(204);
    else if (!ownTree) await stage.restore(rest);
  };

  /** An object of its own to be changed, at rest. */
  async function target(field: Field) {
    const { on = plain, beside } = field;
    const before = 'tags' in fields ? { tags: ['kept'] } : {};
    const reply = await post(stage.told({ ...bodies[on], ...beforehand(beside), ...before }));
    if (reply.status !== 201) throw new Error(JSON.stringify(reply.body));
    const id = idIn(reply);
    const gone = () => clear(reply);
    if (shared) return { id, undo: async () => {}, gone };
    const owner = ownTree ? id : stage.balancerId;
    await stage.api.settle(owner);
    const made = await stage.api.store.trees.read(owner);
    return { id, undo: async () => made && stage.restore(made), gone };
  }

  /** What stands beside a value in a body makes a legal one without it, or is only sent with it. */
  const beforehand = (beside: Field['beside']): object =>
    beside !== undefined && 'action' in beside ? {} : (beside ?? {});

  describe('that is made', () => {
    it.each(Object.entries(fields))('says %s', async (name, field) => {
      const wrong: string[] = [];
      const say = async (what: string, values: object, want: Want): Promise<void> => {
        const body = stage.told(values);
        const reply = await post(body);
        const fault = faultOf(reply, want, name, 201, key);
        if (fault !== undefined) wrong.push(`${what}: ${fault}`);
        if (reply.status === 201) await clear(reply);
      };
      const fresh = shared && name !== 'name' ? { name: ':fresh' } : {};
      const base = { ...bodyOf(field), ...fresh };
      const { [name]: _, ...without } = base as Record<string, unknown>;
      if (field.post === 'required') await say('absent', without, { status: 400, names: true });
      else if ('absent' in field) await say('absent', without, { status: 201, shown: field.absent });
      if (field.nullOnPost !== undefined)
        await say('null', { ...base, [name]: null }, ofNull(field.nullOnPost));
      for (const { sent, shown } of field.kind.taken) {
        const value = stage.told(sent);
        const answer = field.hidden || field.post === 'ignored' ? undefined : { shown: stage.told(shown) };
        await say(short(value), { ...base, [name]: value }, { status: 201, ...answer });
      }
      for (const value of field.kind.refused) {
        await say(short(value), { ...base, [name]: value }, { status: 400, names: isForeign(value, field) });
      }
      expect(wrong).toEqual([]);
      expect(await stage.tree()).toEqual(rest);
    });

    it.each([...resource.readOnly, 'nonsense'])('does not say %s', async (name) => {
      const reply = await post(stage.told({ ...bodyOf({}), [name]: 'x' }));
      expect([reply.status, reply.body.faultstring]).toEqual([
        400,
        `Unknown attribute for argument ${argument}: ${name}`,
      ]);
    });
  });

  describe('that is changed', () => {
    it.each(Object.entries(fields))('says %s', async (name, field) => {
      const { id, undo, gone } = await target(field);
      const wrong: string[] = [];
      const say = async (what: string, values: object, want: Want): Promise<void> => {
        const reply = await client().put(url(id), { [key]: stage.told(values) });
        const fault = faultOf(reply, want, name, 200, key);
        if (fault !== undefined) wrong.push(`${what}: ${fault}`);
        if (reply.status === 200) await undo();
      };
      const beside = field.beside ?? {};
      if (field.put === 'unknown') {
        const [value = 'x'] = field.kind.taken.map(({ sent }) => stage.told(sent));
        const reply = await client().put(url(id), { [key]: { [name]: value } });
        expect([reply.status, reply.body.faultstring]).toEqual([
          400,
          `Unknown attribute for argument ${resource.argumentOnPut ?? argument}: ${name}`,
        ]);
        return gone();
      }
      if (field.nullOnPut !== undefined) {
        await say('null', { ...beside, [name]: null }, asPut(ofNull(field.nullOnPut)));
      }
      for (const { sent, shown } of field.kind.taken) {
        const value = stage.told(sent);
        await say(short(value), { ...beside, [name]: value }, { status: 200, shown: stage.told(shown) });
      }
      const before = await client().get(url(id));
      for (const value of field.kind.refused) {
        await say(
          short(value),
          { ...beside, [name]: value },
          { status: 400, names: isForeign(value, field) },
        );
      }
      expect(wrong).toEqual([]);
      expect((await client().get(url(id))).body).toEqual(before.body);
      await gone();
    });

    it.each([...resource.readOnly, 'nonsense'])('does not say %s', async (name) => {
      const reply = await client().put(url('00000000-0000-4000-8000-000000000000'), {
        [key]: { [name]: 'x' },
      });
      expect([reply.status, reply.body.faultstring]).toEqual([
        400,
        `Unknown attribute for argument ${resource.argumentOnPut ?? argument}: ${name}`,
      ]);
    });

    it('says something: an object under its key', async () => {
      const at = url('00000000-0000-4000-8000-000000000000');
      for (const [body, text] of [
        [{}, key],
        [{ [key]: null }, key],
        [{ [key]: [] }, key],
        [{ [key]: 'x' }, key],
        [{ [key]: {}, other: {} }, 'other'],
        [[], 'JSON'],
        ['x', 'JSON'],
        [undefined, 'Missing argument'],
      ] as const) {
        const reply = await client().put(at, body);
        expect([body, reply.status, reply.body.faultstring]).toEqual([
          body,
          400,
          expect.stringContaining(text),
        ]);
      }
    });
  });

  describe('that is shown', () => {
    it('has its keys and no others, chosen by `fields`', async () => {
      const made = await post(stage.told({ ...bodyOf({}), ...(shared && { name: ':fresh' }) }));
      expect(made.status).toBe(201);
      const id = idIn(made);
      const shown = (await client().get(url(id))).body[key] as Record<string, unknown>;
      const want = [
        ...resource.readOnly,
        ...Object.entries(fields).flatMap(([name, { hidden }]) => (hidden ? [] : [name])),
      ].filter((name) => !resource.sometimes?.includes(name));
      expect(Object.keys(shown).toSorted()).toEqual(want.toSorted());
      for (const name of want) {
        const one = await client().get(`${url(id)}?fields=${name}&fields=nonsense`);
        expect(one.body[key]).toEqual(name === 'tenant_id' ? {} : { [name]: shown[name] });
      }
      await clear(made);
    });

    it('is filtered and sorted by its stored attributes', async () => {
      const names = [...new Set([...resource.readOnly, ...Object.keys(fields)])];
      for (const name of names) {
        const listed = await client().get(
          `${url()}?${name}=${name === 'project_id' ? stage.member.projectId : 'x'}`,
        );
        const legal = !resource.noFilters.includes(name) || name === 'tags';
        expect([name, listed.status]).toEqual([name, legal ? 200 : 400]);
        const sorted = await client().get(`${url()}?sort=${name}:desc`);
        const sortable = legal && name !== 'tags' && !resource.sometimes?.includes(name);
        expect([name, sorted.status]).toEqual([name, sortable ? 200 : 400]);
        const twice = await client().get(`${url()}?${name}=x&${name}=y`);
        expect([name, twice.status]).toEqual([name, name === 'tags' ? 200 : 400]);
      }
      expect((await client().get(`${url()}?nonsense=x`)).status).toBe(400);
    });
  });
});

interface Want {
  readonly status: number;
  readonly shown?: unknown;
  /** The fault says which field. */
  readonly names?: boolean;
}

function ofNull(meaning: Null): Want {
  return meaning === 'refused' ? { status: 400 } : { status: 201, ...meaning };
}
const asPut = (want: Want): Want => (want.status === 201 ? { ...want, status: 200 } : want);

/** Of another JSON type than anything that is taken: then the fault has to name the field. */
function isForeign(value: unknown, { kind }: Field): boolean {
  const typeOf = (one: unknown): string => (Array.isArray(one) ? 'array' : typeof one);
  return kind.taken.length > 0 && kind.taken.every(({ sent }) => typeOf(sent) !== typeOf(value));
}

/** What is wrong with the reply. */
function faultOf(reply: Reply, want: Want, name: string, success: number, key: string): string | undefined {
  const said = `${reply.status} ${reply.body?.faultstring ?? ''}`;
  if (reply.status !== want.status) return `${said} instead of ${want.status}`;
  if (reply.status === success) {
    const value = (reply.body[key] as Record<string, unknown>)[name];
    return 'shown' in want &&
      want.shown !== undefined &&
      !isDeepStrictEqual(unordered(name, value), unordered(name, want.shown))
      ? `shown as ${short(value)} instead of ${short(want.shown)}`
      : undefined;
  }
  const { faultcode, faultstring, debuginfo } = reply.body as Record<string, unknown>;
  if (faultcode !== 'Client' || debuginfo !== null || typeof faultstring !== 'string' || faultstring === '') {
    return `no fault but ${reply.text}`;
  }
  return want.names === true && !faultstring.includes(name) ? `does not name the field: ${said}` : undefined;
}

/** Tags come in any order. */
const unordered = (name: string, value: unknown): unknown =>
  name === 'tags' && Array.isArray(value) ? new Set(value as string[]) : value;

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 60 ? `${text.slice(0, 40)}… (${text.length})` : text;
}
