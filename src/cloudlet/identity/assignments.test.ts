import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Body, openTestCloud, passwordLogin, type TestCloud } from '../cloudlet.fixture.ts';

let cloud: TestCloud;
let role: (name: string) => string;
beforeEach(async () => {
  cloud = await openTestCloud();
  const { roles } = await get('/roles');
  role = (name) => roles.find((each: Body) => each.name === name).id;
});
afterEach(() => cloud.destroy());

const v3 = '/identity/v3';
const get = async (path: string) => (await cloud.ask('GET', `${v3}${path}`)).body;
const status = async (
  method: 'PUT' | 'GET' | 'HEAD' | 'DELETE' | 'POST' | 'PATCH',
  path: string,
  body?: Body,
) => (await cloud.ask(method, `${v3}${path}`, body)).status;
const make = async (kind: string, wish: Body): Promise<Body> => {
  const answer = await cloud.ask('POST', `${v3}/${kind}s`, { [kind]: wish });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body[kind];
};

/** Roles of the user in the project as a token says; undefined: no token is given. */
async function rolesIn(user: string, project: string): Promise<string[] | undefined> {
  const login = passwordLogin(user, user, project);
  const { body } = await cloud.ask('POST', `${v3}/auth/tokens`, login, { as: null });
  return body.token?.roles.map((each: Body) => each.name);
}

describe('a group', () => {
  it('gives its members its roles, for as long as they belong to it', async () => {
    const project = await make('project', { name: 'web' });
    const user = await make('user', { name: 'ann', password: 'ann' });
    const group = await make('group', { name: 'web-people', description: 'them' });
    expect(group).toMatchObject({ name: 'web-people', domain_id: 'default', description: 'them' });
    const grant = `/projects/${project.id}/groups/${group.id}/roles/${role('member')}`;
    const belong = `/groups/${group.id}/users/${user.id}`;
    expect(await status('PUT', grant)).toBe(204);
    expect(await rolesIn('ann', 'web')).toBeUndefined();
    expect(await status('HEAD', belong)).toBe(404);
    expect(await status('PUT', belong)).toBe(204);
    expect(await status('HEAD', belong)).toBe(204);
    expect(await rolesIn('ann', 'web')).toEqual(['member', 'reader']);
    expect((await get(`/groups/${group.id}/users`)).users).toMatchObject([{ name: 'ann' }]);
    expect((await get(`/users/${user.id}/groups`)).groups).toMatchObject([{ name: 'web-people' }]);
    expect((await get(`/role_assignments?group.id=${group.id}`)).role_assignments).toMatchObject([
      { group: { id: group.id }, scope: { project: { id: project.id } } },
    ]);
    const effective = await get(`/role_assignments?effective&user.id=${user.id}`);
    expect(effective.role_assignments).toHaveLength(2);
    expect(await status('DELETE', belong)).toBe(204);
    expect(await rolesIn('ann', 'web')).toBeUndefined();
    await status('PUT', belong);
    expect(await status('DELETE', `/groups/${group.id}`)).toBe(204);
    expect(await rolesIn('ann', 'web')).toBeUndefined();
    expect((await get(`/role_assignments?scope.project.id=${project.id}`)).role_assignments).toEqual([]);
  });
});

describe('an inherited role', () => {
  it('holds in all projects below, and not in the place itself', async () => {
    const parent = await make('project', { name: 'parent' });
    await make('project', { name: 'child', parent_id: parent.id });
    const user = await make('user', { name: 'ann', password: 'ann' });
    const path = `/OS-INHERIT/projects/${parent.id}/users/${user.id}/roles/${role('reader')}/inherited_to_projects`;
    expect(await status('PUT', path)).toBe(204);
    expect(await status('HEAD', path)).toBe(204);
    expect(await rolesIn('ann', 'child')).toEqual(['reader']);
    expect(await rolesIn('ann', 'parent')).toBeUndefined();
    const shown = await get(`/role_assignments?user.id=${user.id}&scope.OS-INHERIT:inherited_to=projects`);
    expect(shown.role_assignments[0].scope).toEqual({
      project: { id: parent.id },
      'OS-INHERIT:inherited_to': 'projects',
    });
    expect(await status('DELETE', path)).toBe(204);
    expect(await rolesIn('ann', 'child')).toBeUndefined();
    const domain = `/OS-INHERIT/domains/default/users/${user.id}/roles/${role('member')}/inherited_to_projects`;
    await status('PUT', domain);
    expect(await rolesIn('ann', 'parent')).toEqual(['member', 'reader']);
    expect(await status('DELETE', `/projects/${parent.id}`)).toBe(403);
  });
});

describe('an implied role', () => {
  it('comes with the one that implies it', async () => {
    const { id } = await make('role', { name: 'operator' });
    const path = `/roles/${id}/implies/${role('load-balancer_observer')}`;
    expect(await status('GET', path)).toBe(404);
    expect(await status('PUT', path)).toBe(201);
    expect((await get(`/roles/${id}/implies`)).role_inference.implies).toMatchObject([
      { name: 'load-balancer_observer' },
    ]);
    await cloud.someone('ann', 'operator');
    expect(await rolesIn('ann', 'ann')).toEqual(['load-balancer_observer', 'operator']);
    expect(await status('DELETE', path)).toBe(204);
    expect(await rolesIn('ann', 'ann')).toEqual(['operator']);
    expect(await status('PUT', `/roles/${id}/implies/${role('admin')}`)).toBe(403);
  });
});

describe('a domain that is disabled', () => {
  it('lets nobody in, and ends the tokens of those who are', async () => {
    const domain = await make('domain', { name: 'shop' });
    const project = await make('project', { name: 'p', domain_id: domain.id });
    const user = await make('user', { name: 'ann', password: 'ann', domain_id: domain.id });
    await status('PUT', `/projects/${project.id}/users/${user.id}/roles/${role('member')}`);
    const logIn = () =>
      cloud.ask(
        'POST',
        `${v3}/auth/tokens`,
        {
          auth: {
            identity: { methods: ['password'], password: { user: { id: user.id, password: 'ann' } } },
            scope: { project: { id: project.id } },
          },
        },
        { as: null },
      );
    const token = String((await logIn()).headers['x-subject-token']);
    const check = () =>
      cloud.ask('GET', `${v3}/auth/tokens`, undefined, { headers: { 'x-subject-token': token } });
    expect((await check()).status).toBe(200);
    await status('PATCH', `/domains/${domain.id}`, { domain: { enabled: false } });
    expect((await check()).status).toBe(404);
    expect((await logIn()).status).toBe(401);
  });
});

describe('a domain that is removed', () => {
  it('must be disabled first, and takes all in it along', async () => {
    const domain = await make('domain', { name: 'shop' });
    const parent = await make('project', { name: 'p', domain_id: domain.id });
    await make('project', { name: 'c', domain_id: domain.id, parent_id: parent.id });
    await make('user', { name: 'ann', domain_id: domain.id });
    expect(await status('DELETE', `/domains/${domain.id}`)).toBe(403);
    await status('PATCH', `/domains/${domain.id}`, { domain: { enabled: false } });
    expect(await status('DELETE', `/domains/${domain.id}`)).toBe(204);
    expect((await get(`/projects?domain_id=${domain.id}`)).projects).toEqual([]);
    expect((await get(`/users?domain_id=${domain.id}`)).users).toEqual([]);
  });
});

describe('an application credential', () => {
  it('is worth nothing once its user has lost the role, and makes no other unless unrestricted', async () => {
    const { userId, projectId, token } = await cloud.someone('ann');
    const path = `/users/${userId}/application_credentials`;
    const create = async (wish: Body, as: string) =>
      cloud.ask('POST', `${v3}${path}`, { application_credential: wish }, { as });
    const logIn = async ({ id, secret }: Body) =>
      cloud.ask(
        'POST',
        `${v3}/auth/tokens`,
        {
          auth: { identity: { methods: ['application_credential'], application_credential: { id, secret } } },
        },
        { as: null },
      );
    const lent = (await create({ name: 'lent' }, token)).body.application_credential;
    const free = (await create({ name: 'free', unrestricted: true }, token)).body.application_credential;
    expect([lent.unrestricted, free.unrestricted]).toEqual([false, true]);
    const tokenOf = async (which: Body) => String((await logIn(which)).headers['x-subject-token']);
    expect((await create({ name: 'x' }, await tokenOf(lent))).status).toBe(403);
    expect((await create({ name: 'x' }, await tokenOf(free))).status).toBe(201);
    expect((await logIn(free)).body.token.application_credential).toEqual({ id: free.id, restricted: false });
    expect((await create({ name: 'ruled', access_rules: [{ path: '/' }] }, token)).status).toBe(501);
    await status('DELETE', `/projects/${projectId}/users/${userId}/roles/${role('member')}`);
    expect((await logIn(lent)).status).toBe(401);
  });
});

describe('what is not offered', () => {
  it('is not found', async () => {
    for (const path of ['/OS-TRUST/trusts', '/credentials', '/registered_limits', '/policies']) {
      const answer = await cloud.ask('GET', `${v3}${path}`);
      expect([path, answer.status, answer.body.error.code]).toEqual([path, 404, 404]);
    }
  });
});
