import { hostname, totalmem } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Log } from '../platform/log.ts';
import { compute } from './compute/compute.ts';
import { openInstances } from './compute/instances.ts';
import { openNova } from './compute/records.ts';
import type { Config } from './config.ts';
import type { Host } from './host/host.ts';
import { makeServer } from './http.ts';
import { openDirectory } from './identity/directory.ts';
import { identity } from './identity/identity.ts';
import { openTokens } from './identity/tokens.ts';
import { image } from './images/image-routes.ts';
import { openImages } from './images/images.ts';
import { network } from './network/network.ts';
import { openNet } from './network/records.ts';
import { openWiring } from './network/wiring.ts';
import type { Records } from './records.ts';
import { keyManager } from './secrets/key-manager.ts';
import { seed } from './seed.ts';
import { openVault } from './vault.ts';

export interface Cloudlet {
  /** Not listening yet. */
  readonly app: FastifyInstance;
  /** Stops answering and ends what is under way; the instances stay. Records and host are the caller's to close. */
  close(): Promise<void>;
}

export interface CloudletParts {
  readonly config: Config;
  readonly records: Records;
  readonly host: Host;
  readonly log: Log;
  readonly now?: () => Date;
  /** Bytes of the machine's memory. */
  readonly memoryBytes?: number;
}

/** The one-machine cloud: five OpenStack services in one server, on `records` and `host`. */
export async function openCloudlet(parts: CloudletParts): Promise<Cloudlet> {
  const { config, records, host, log, now = () => new Date() } = parts;
  const vault = await openVault(join(config.state_dir, 'secret-key'));
  const directory = openDirectory(records);
  const tokens = openTokens(records, directory, config.token_seconds, now);
  const images = openImages(records, join(config.state_dir, 'images'), now);
  const net = openNet(records, now);
  const nova = openNova(records, now);
  await seed(records, { directory, nova, net, images }, config);

  const wiring = openWiring(net, host);
  for (const each of net.networks.all()) await wiring.network(each);
  await wiring.settle();

  const ramLimit = ((parts.memoryBytes ?? totalmem()) / 1024 / 1024) * config.ram_allocation_ratio;
  const { settle } = wiring;
  const instances = openInstances({ nova, net, images, host, vault, ramLimit, settle, log });
  await instances.resume();

  const app = makeServer();
  const url = (prefix: string) => `${config.public_url}${prefix}`;
  const door = { callerOf: tokens.callerOf, identityUrl: url('/identity'), log };
  const serverParts = {
    ...{ nova, net, images, vault, instances },
    hostname: hostname(),
    base: url('/compute/v2.1'),
    instancesFolder: join(config.state_dir, 'instances'),
  };
  const services = {
    '/identity': async (scope) => identity(scope, { records, directory, tokens, door, now }),
    '/key-manager': async (scope) =>
      keyManager(scope, { records, vault, door, publicUrl: url('/key-manager'), now }),
    '/compute': async (scope) => compute(scope, serverParts, door),
    '/network': async (scope) =>
      network(scope, {
        ...{ net, door, wiring },
        publicUrl: url('/network'),
        portRemoved: (port) => instances.portRemoved(port),
      }),
    '/image': async (scope) => image(scope, images, door, url('/image')),
  } satisfies Record<string, (scope: FastifyInstance) => Promise<void>>;
  for (const [prefix, service] of Object.entries(services)) app.register(service, { prefix });
  app.addHook('onResponse', async (request, reply) => {
    log.debug(
      { method: request.method, path: request.url, status: reply.statusCode, ms: reply.elapsedTime },
      'request',
    );
  });
  await app.ready();

  return {
    app,
    async close() {
      await app.close();
      await instances.settle();
    },
  };
}
