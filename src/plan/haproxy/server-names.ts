import type { WantedMember } from '../../wire/wanted.ts';

/**
 * What HAProxy calls a member. A backup has another name, for no command makes a server one: without a reload it is a
 * server that comes, and one that goes when its last connections have ended.
 */
export const serverName = ({ id, backup }: Pick<WantedMember, 'id' | 'backup'>): string =>
  backup ? `${id}:backup` : id;

/** The id of the member that a server is. */
export const memberOf = (server: string): string => server.split(':')[0] ?? '';
