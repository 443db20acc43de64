/** Where the operator lets load balancers be: a zone names a profile, the profile holds the provider's settings. */
export interface AvailabilityZoneProfile {
  readonly id: string;
  readonly name: string;
  readonly providerName: string;
  /** JSON text, returned byte for byte as sent. */
  readonly availabilityZoneData: string;
}

/** Known by its name; there is no id. */
export interface AvailabilityZone {
  readonly name: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly availabilityZoneProfileId: string;
}

/** The parsed `availability_zone_data` of the amphora provider. */
export interface AmphoraAvailabilityZoneData {
  /** Nova's availability zone. */
  readonly compute_zone?: string;
  /** Kept and shown. Amphorae have no volumes, as in Octavia without a volume driver. */
  readonly volume_zone?: string;
  readonly management_network?: string;
  /** Ids of the networks a VIP may be on. */
  readonly valid_vip_networks?: readonly string[];
}
