import type { Service } from '../service.ts';
import type { Client, Row } from './client.ts';
import type { Secrets } from './secrets.ts';

/** What the groups of commands share: one service, and one client of its administrator. */
export interface Stage {
  readonly service: Service;
  readonly client: Client;
  readonly secrets: Secrets;
}

/** Areas run side by side, the tests of an area in turn. */
export const inTurn = { concurrent: false };

export const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
export const date = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/;

/** An empty list in the client's words: nothing at all, or `None` in younger releases. */
export const emptyList = { asymmetricMatch: (value: unknown) => value === '' || value === null };

/** The lines of a cell, sorted: the client sends tags in no order. */
export function lines(cell: unknown): string[] {
  return typeof cell === 'string' && cell !== '' ? cell.split('\n').toSorted() : [];
}

export function idsOf(rows: readonly Row[]): string[] {
  return rows.map((row) => row['id'] as string).toSorted();
}

/** A load balancer on the outer network that is ACTIVE; its id. */
export async function makeLoadBalancer({ service, client }: Stage, name: string): Promise<string> {
  const made = await client.run('create', '--name', name, '--vip-subnet-id', 'ext_net_subnet');
  await service.active(made['id']);
  return made['id'];
}
