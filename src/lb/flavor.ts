/** What the operator offers: a flavor names a profile, the profile holds the provider's settings. */
export interface FlavorProfile {
  readonly id: string;
  readonly name: string;
  readonly providerName: string;
  /** JSON text, returned byte for byte as sent. */
  readonly flavorData: string;
}

export interface Flavor {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly flavorProfileId: string;
}

/** The parsed `flavor_data` of the amphora provider. */
export interface AmphoraFlavorData {
  readonly loadbalancer_topology?: 'SINGLE' | 'ACTIVE_STANDBY';
  readonly compute_flavor?: string;
  readonly amp_image_tag?: string;
  readonly sriov_vip?: boolean;
  readonly allow_member_sriov?: boolean;
}
