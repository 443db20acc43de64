import { createServer } from 'node:net';
import { openTestCloud } from '../src/cloudlet/cloudlet.fixture.ts';
import { cloudsContract } from '../src/clouds/contract.fixture.ts';

/** The clients against the one-machine cloud over HTTP, its machine in memory. */
cloudsContract('the cloudlet', async () => {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const cloud = await openTestCloud({ config: { public_url: origin } });
  await cloud.app.listen({ host: '127.0.0.1', port });
  const caller = await cloud.someone('alice');
  const as = { as: caller.token };

  const image = async (): Promise<string> => {
    const body = {
      name: 'i',
      tags: ['contract'],
      disk_format: 'raw',
      container_format: 'bare',
      visibility: 'public',
    };
    const made = await cloud.ask('POST', '/image/v2/images', body);
    await cloud.ask('PUT', `/image/v2/images/${made.body.id}/file`, Buffer.from('#!/bin/sh\n'), {
      headers: { 'content-type': 'application/octet-stream' },
    });
    return String(made.body.id);
  };
  await image();
  const newestImageId = await image();
  await cloud.ask('POST', '/compute/v2.1/flavors', {
    flavor: { id: '10', name: 'ten', ram: 512, vcpus: 1, disk: 1 },
  });
  const { networks } = (await cloud.ask('GET', '/network/v2.0/networks?name=ext_net')).body;

  return {
    session: {
      authUrl: `${origin}/identity/v3`,
      username: 'livia',
      password: 'service-secret',
      projectName: 'service',
      userDomainName: 'Default',
      projectDomainName: 'Default',
      region: 'RegionOne',
      interface: 'public',
    },
    caller,
    network: { id: networks[0].id, name: 'ext_net', subnetId: networks[0].subnets[0] },
    flavorId: '10',
    imageTag: 'contract',
    newestImageId,
    async storeSecret(bytes, type) {
      const payload =
        type === 'text/plain'
          ? { payload: bytes.toString() }
          : { payload: bytes.toString('base64'), payload_content_encoding: 'base64' };
      const body = { payload_content_type: type, ...payload };
      return String((await cloud.ask('POST', '/key-manager/v1/secrets', body, as)).body.secret_ref);
    },
    async storeContainer(secrets) {
      const secret_refs = Object.entries(secrets).map(([name, secret_ref]) => ({ name, secret_ref }));
      const body = { type: 'certificate', secret_refs };
      return String((await cloud.ask('POST', '/key-manager/v1/containers', body, as)).body.container_ref);
    },
    async deleteSecret(ref) {
      await cloud.ask('DELETE', new URL(ref).pathname, undefined, as);
    },
    boots: true,
    close: () => cloud.destroy(),
  };
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
