import { setTimeout as pause } from 'node:timers/promises';
import Type from 'typebox';
import { cloudsContract } from '../../src/clouds/contract.fixture.ts';
import { openSession } from '../../src/clouds/session.ts';
import { openStack } from './ground.ts';

/** The clients against real services. */
cloudsContract('OpenStack', async () => {
  const cloud = openStack();
  const livia = await cloud.user('livia', ['admin']);
  const alice = await cloud.user('alice', ['member', 'creator']);
  const caller = openSession(alice.session);
  const { token } = await caller.login();

  await cloud.image(Buffer.alloc(4096));
  await pause(1100); // Glance tells them apart by seconds
  const newestImageId = await cloud.image(Buffer.alloc(4096));
  const flavorId = await cloud.flavor(512);
  const network = await cloud.network('contract', '10.77.0.0/24');

  return {
    session: livia.session,
    caller: { token, userId: alice.userId, projectId: alice.projectId },
    network,
    flavorId,
    imageTag: cloud.tag,
    newestImageId,
    async storeSecret(bytes, type) {
      const payload =
        type === 'text/plain'
          ? { payload: bytes.toString() }
          : { payload: bytes.toString('base64'), payload_content_encoding: 'base64' };
      const body = { payload_content_type: type, ...payload };
      const Stored = Type.Object({ secret_ref: Type.String() });
      return (await caller.read(Stored, 'key-manager', 'POST', '/secrets', { body })).secret_ref;
    },
    async storeContainer(secrets) {
      const secret_refs = Object.entries(secrets).map(([name, secret_ref]) => ({ name, secret_ref }));
      const body = { type: 'certificate', secret_refs };
      const Stored = Type.Object({ container_ref: Type.String() });
      return (await caller.read(Stored, 'key-manager', 'POST', '/containers', { body })).container_ref;
    },
    async deleteSecret(ref) {
      await caller.request('key-manager', 'DELETE', `/secrets/${ref.split('/').at(-1)}`);
    },
    boots: true,
    async close() {
      await caller.close();
      await cloud.clear();
    },
  };
});
