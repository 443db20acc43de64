import { randomUUID } from 'node:crypto';
import { cloudsContract } from './contract.fixture.ts';
import { startFakeCloud } from './fake-cloud.fixture.ts';

cloudsContract('a fake cloud that keeps state', async () => {
  const cloud = await startFakeCloud();
  const image = (created_at: string): string => {
    const id = randomUUID();
    cloud.state.images.push({ id, tags: ['amphora'], status: 'active', created_at });
    return id;
  };
  const newestImageId = image('2026-02-02T00:00:00Z');
  image('2026-01-01T00:00:00Z');
  cloud.state.images.push({ id: 'x', tags: ['amphora'], status: 'queued', created_at: '2026-03-03' });
  // The host users see may be another than the one Livia talks to.
  const ref = (kind: string, id: string): string => `https://barbican.example:9311/v1/${kind}/${id}`;
  return {
    session: cloud.session,
    caller: { token: cloud.token(), userId: 'alice-id', projectId: 'demo' },
    network: { id: cloud.networkId, name: 'net', subnetId: cloud.subnetId },
    flavorId: '10',
    imageTag: 'amphora',
    newestImageId,
    async storeSecret(bytes, type) {
      const id = randomUUID();
      cloud.state.secrets.set(id, { project: 'demo', type, bytes });
      return ref('secrets', id);
    },
    async storeContainer(secrets) {
      const id = randomUUID();
      const secret_refs = Object.entries(secrets).map(([name, secret_ref]) => ({ name, secret_ref }));
      cloud.state.containers.set(id, { project: 'demo', type: 'certificate', secret_refs });
      return ref('containers', id);
    },
    async deleteSecret(secretRef) {
      cloud.state.secrets.delete(secretRef.split('/').at(-1) ?? '');
    },
    boots: true,
    close: () => cloud.close(),
  };
});
