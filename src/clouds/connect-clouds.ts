import { type AgentClientOptions, amphoraAgents } from './agent-client.ts';
import { barbicanSecrets } from './barbican.ts';
import type { Clouds } from './clouds.ts';
import { glanceImages } from './glance.ts';
import { keystoneIdentity } from './keystone.ts';
import { identityUrl } from './login.ts';
import { neutronNetworking } from './neutron.ts';
import { novaCompute } from './nova.ts';
import { openSession, type SessionOptions } from './session.ts';

export interface CloudsOptions {
  readonly session: SessionOptions;
  /** How callers reach Keystone; without it, as Livia does. */
  readonly publicAuthUrl?: string;
  /** Default 10: how long a token that was revoked may still be taken. */
  readonly identityCacheSeconds?: number;
  readonly agent: AgentClientOptions;
}

/** The real surroundings: OpenStack's services by the catalog of Keystone, and the agents. Nothing is asked before the first call. */
export function connectClouds(options: CloudsOptions): Clouds & { close(): Promise<void> } {
  const session = openSession(options.session);
  const agent = amphoraAgents(options.agent);
  return {
    identity: keystoneIdentity(session, {
      publicUrl: options.publicAuthUrl ?? identityUrl(options.session.authUrl),
      cacheSeconds: options.identityCacheSeconds ?? 10,
    }),
    secrets: barbicanSecrets(session),
    networking: neutronNetworking(session),
    compute: novaCompute(session),
    images: glanceImages(session),
    agent,
    async close() {
      await Promise.all([session.close(), agent.close()]);
    },
  };
}
