import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Body, bootScript, openTestCloud, type TestCloud } from '../cloudlet.fixture.ts';

let cloud: TestCloud;
beforeEach(async () => {
  cloud = await openTestCloud();
});
afterEach(() => cloud.destroy());

const v2 = '/image/v2';
const raw = { headers: { 'content-type': 'application/octet-stream' } };
const patch = (id: string, operations: object[]) =>
  cloud.ask('PATCH', `${v2}/images/${id}`, JSON.stringify(operations), {
    headers: { 'content-type': 'application/openstack-images-v2.1-json-patch' },
  });
const make = async (more: object = {}): Promise<Body> =>
  (
    await cloud.ask('POST', `${v2}/images`, {
      name: 'i',
      container_format: 'bare',
      disk_format: 'raw',
      ...more,
    })
  ).body;

describe('images', () => {
  it('of a new cloud are one: the boot script, tagged amphora', async () => {
    const { images } = (await cloud.ask('GET', `${v2}/images?tag=amphora&status=active`)).body;
    expect(images).toMatchObject([
      {
        name: 'amphora-livia',
        status: 'active',
        tags: ['amphora'],
        size: bootScript.length,
        checksum: createHash('md5').update(bootScript).digest('hex'),
      },
    ]);
    expect((await cloud.ask('GET', `${v2}/images/${images[0].id}/file`)).text).toBe(bootScript);
  });

  it('are queued until their data is there, which cannot be changed', async () => {
    const image = await make({ kernel: 'none', status: 'active', size: 5 });
    expect(image).toMatchObject({
      status: 'queued',
      kernel: 'none',
      size: null,
      file: `/v2/images/${image.id}/file`,
    });
    const bytes = Buffer.from([0, 255, 1, 254]);
    expect((await cloud.ask('PUT', `${v2}/images/${image.id}/file`, bytes, raw)).status).toBe(204);
    expect((await cloud.ask('GET', `${v2}/images/${image.id}`)).body).toMatchObject({
      status: 'active',
      size: 4,
    });
    expect((await cloud.ask('GET', `${v2}/images/${image.id}/file`)).bytes.equals(bytes)).toBe(true);
    expect((await cloud.ask('PUT', `${v2}/images/${image.id}/file`, bytes, raw)).status).toBe(409);
    expect((await cloud.ask('DELETE', `${v2}/images/${image.id}`)).status).toBe(204);
    expect((await cloud.ask('GET', `${v2}/images/${image.id}`)).body.code).toBe('404 Not Found');
  });

  it('are found by tags, the newest first when asked', async () => {
    const older = await make({ tags: ['x', 'y'] });
    const newer = await make({ tags: ['x'] });
    const ids = async (query: string) =>
      (await cloud.ask('GET', `${v2}/images?${query}`)).body.images.map((each: Body) => each.id);
    expect(await ids('tag=x&tag=y')).toEqual([older.id]);
    expect(await ids('tag=x&sort_key=created_at&sort_dir=desc&limit=1')).toEqual([newer.id]);
    expect(await ids(`id=in:${older.id},${newer.id}&sort=created_at:desc`)).toEqual([newer.id, older.id]);
    await cloud.ask('PUT', `${v2}/images/${newer.id}/tags/z`);
    expect(await ids('tag=z')).toEqual([newer.id]);
    await cloud.ask('DELETE', `${v2}/images/${newer.id}/tags/z`);
    expect(await ids('tag=z')).toEqual([]);
    expect((await cloud.ask('GET', `${v2}/images?limit=1`)).body.next).toMatch(
      /^\/v2\/images\?limit=1&marker=/,
    );
  });

  it('are changed by patches, as far as they may', async () => {
    const { id } = await make({ colour: 'red' });
    const answer = await patch(id, [
      { op: 'replace', path: '/name', value: 'new' },
      { op: 'add', path: '/shape', value: 'round' },
      { op: 'remove', path: '/colour' },
      { op: 'replace', path: '/protected', value: true },
    ]);
    expect(answer.body).toMatchObject({ name: 'new', shape: 'round', protected: true });
    expect(answer.body).not.toHaveProperty('colour');
    expect((await patch(id, [{ op: 'replace', path: '/status', value: 'active' }])).status).toBe(403);
    expect((await patch(id, [{ op: 'replace', path: '/min_ram', value: 'much' }])).status).toBe(400);
    expect((await cloud.ask('DELETE', `${v2}/images/${id}`)).status).toBe(403);
  });

  it('are changed by patches of the older form', async () => {
    const { id } = await make();
    const { body } = await cloud.ask(
      'PATCH',
      `${v2}/images/${id}`,
      JSON.stringify([
        { replace: '/name', value: 'new' },
        { add: '/shape', value: 'round' },
      ]),
      { headers: { 'content-type': 'application/openstack-images-v2.0-json-patch' } },
    );
    expect(body).toMatchObject({ name: 'new', shape: 'round' });
  });

  it('have formats that Glance knows, and a schema that says so', async () => {
    const wrong = await cloud.ask('POST', `${v2}/images`, { disk_format: 'floppy' });
    expect(wrong.status).toBe(400);
    const { properties } = (await cloud.ask('GET', `${v2}/schemas/image`)).body;
    expect(properties.disk_format.enum).toContain('qcow2');
    expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys(await make())));
  });

  it('of others are not seen unless public, which only an admin can make them', async () => {
    const { id } = await make({ visibility: 'private' });
    const { token } = await cloud.someone('alice');
    expect((await cloud.ask('GET', `${v2}/images/${id}`, undefined, { as: token })).status).toBe(404);
    await patch(id, [{ op: 'replace', path: '/visibility', value: 'public' }]);
    expect((await cloud.ask('GET', `${v2}/images/${id}`, undefined, { as: token })).status).toBe(200);
    expect((await cloud.ask('DELETE', `${v2}/images/${id}`, undefined, { as: token })).status).toBe(403);
    const wish = { name: 'x', visibility: 'public' };
    expect((await cloud.ask('POST', `${v2}/images`, wish, { as: token })).status).toBe(403);
  });
});
