import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { badRequest, Refusal } from '../refusal.ts';

/** Nova's microversions are 2.x; only x is kept. */
export const minMinor = 1;
export const maxMinor = 96;

/** Reads the wished microversion and says which one the answer is in. */
export function negotiate(scope: FastifyInstance): void {
  scope.addHook('onRequest', async (request, reply) => {
    const minor = wished(
      request.headers['openstack-api-version'],
      request.headers['x-openstack-nova-api-version'],
    );
    request.setDecorator('microversion', minor);
    say(reply, minor);
    if (minor < minMinor || minor > maxMinor) {
      throw new Refusal(
        406,
        `Version 2.${minor} is not supported by the API. Minimum is 2.${minMinor} and maximum is 2.${maxMinor}.`,
      );
    }
  });
}

/** The x of the 2.x the client asked for. */
export function minorOf(request: FastifyRequest): number {
  return request.getDecorator<number>('microversion');
}

function wished(general: string | string[] | undefined, old: string | string[] | undefined): number {
  const compute = String(general ?? '')
    .split(',')
    .map((each) => each.trim().split(/\s+/))
    .find(([service]) => service === 'compute')?.[1];
  const text = compute ?? (typeof old === 'string' ? old : undefined) ?? '2.1';
  if (text === 'latest') return maxMinor;
  const [, major, minor] = /^([1-9][0-9]*)\.([0-9]+)$/.exec(text) ?? [];
  if (major === undefined)
    throw badRequest(`API Version String ${text} is of invalid format. Must be of format MajorNum.MinorNum.`);
  return major === '2' ? Number(minor) : Number.MAX_SAFE_INTEGER;
}

function say(reply: FastifyReply, minor: number): void {
  const shown = `2.${Math.min(Math.max(minor, minMinor), maxMinor)}`;
  reply
    .header('openstack-api-version', `compute ${shown}`)
    .header('x-openstack-nova-api-version', shown)
    .header('vary', 'OpenStack-API-Version, X-OpenStack-Nova-API-Version');
}
