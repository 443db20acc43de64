import type { AmphoraAvailabilityZoneData } from '../lb/availability-zone.ts';
import type { AmphoraFlavorData } from '../lb/flavor.ts';
import { issueAmphora } from '../pki/ca.ts';
import { heartbeatKey } from '../pki/heartbeat-key.ts';
import { type Boot, bootFile } from '../wire/boot.ts';
import type { Context } from './context.ts';

/** An amphora's certificate outlives it: it is replaced by a new amphora, never renewed in place. */
const certificateDays = 3650;

/** What the instance is born with, as user data for Nova, and until when its certificate is good. */
export async function bootData(
  { authority, secretKey, settings }: Context,
  amphoraId: string,
): Promise<{ readonly userData: string; readonly certExpiration: Date }> {
  const issued = await issueAmphora(authority, amphoraId, { days: certificateDays });
  const boot: Boot = {
    wire: 1,
    amphoraId,
    port: settings.amphora.agent_port,
    certificatePem: issued.certificatePem,
    keyPem: issued.keyPem,
    caPem: authority.certificatePem,
    heartbeat: {
      receivers: [...settings.health.receivers],
      intervalMs: settings.health.heartbeat_interval_ms,
      key: heartbeatKey(secretKey, amphoraId).toString('base64'),
    },
  };
  const file = { path: bootFile, permissions: '0600', owner: 'root:root', content: JSON.stringify(boot) };
  // JSON is YAML.
  const userData = `#cloud-config\n${JSON.stringify({ write_files: [file] })}\n`;
  return { userData, certExpiration: issued.notAfter };
}

/** The settings of the load balancer's flavor; empty without one. Throws when the data is not JSON: the API checked. */
export async function flavorData({ store }: Context, flavorId: string | null): Promise<AmphoraFlavorData> {
  if (flavorId === null) return {};
  const flavor = await store.lists.show('flavor', flavorId);
  const profile = flavor && (await store.lists.show('flavorProfile', flavor.flavorProfileId));
  return profile === undefined ? {} : (JSON.parse(profile.flavorData) as AmphoraFlavorData);
}

/** The settings of the load balancer's availability zone; empty without one. */
export async function zoneData(
  { store }: Context,
  availabilityZone: string | null,
): Promise<AmphoraAvailabilityZoneData> {
  if (availabilityZone === null) return {};
  const zone = await store.lists.show('availabilityZone', availabilityZone);
  const profile = zone && (await store.lists.show('availabilityZoneProfile', zone.availabilityZoneProfileId));
  return profile === undefined
    ? {}
    : (JSON.parse(profile.availabilityZoneData) as AmphoraAvailabilityZoneData);
}
