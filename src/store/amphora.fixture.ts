import type { Amphora } from '../lb/amphora.ts';
import { born, uuid } from '../../test/trees.ts';

/** An amphora that serves; say only what matters. */
export const anAmphora = (changes: Partial<Amphora> = {}): Amphora => ({
  id: uuid(8),
  loadBalancerId: uuid(1),
  status: 'ALLOCATED',
  role: 'STANDALONE',
  computeId: uuid(2001),
  lbNetworkIp: '192.0.2.1',
  vrrpIp: '192.0.2.91',
  haIp: '192.0.2.90',
  vrrpPortId: uuid(2002),
  haPortId: uuid(1003),
  certExpiration: new Date('2026-12-24T00:00:00Z'),
  certBusy: false,
  vrrpInterface: null,
  vrrpId: 1,
  vrrpPriority: null,
  cachedZone: null,
  imageId: uuid(2003),
  computeFlavor: 'amphora',
  appliedGeneration: -1,
  outgoing: false,
  lastHeartbeatAt: null,
  createdAt: born,
  updatedAt: null,
  ...changes,
});
