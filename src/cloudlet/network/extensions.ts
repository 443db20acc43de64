/** What of Neutron beyond its core is truly offered: alias, name, description. */
const offered: readonly (readonly [string, string, string])[] = [
  ['allowed-address-pairs', 'Allowed Address Pairs', 'Addresses beside its own that a port may use'],
  ['binding', 'Port Binding', 'Where a port is plugged'],
  ['external-net', 'Neutron external network', 'Attribute router:external of networks'],
  ['filter-validation', 'Filter parameters validation', 'Unknown filters are refused'],
  ['ip-substring-filtering', 'IP address substring filtering', 'Ports by a part of their address'],
  ['net-mtu', 'Network MTU', 'Attribute mtu of networks'],
  ['pagination', 'Pagination support', 'Lists in pages'],
  ['port-security', 'Port Security', 'Attribute port_security_enabled'],
  ['port-security-groups-filtering', 'Port filtering on security groups', 'Ports by their security group'],
  ['project-id', 'project_id field enabled', 'Attribute project_id beside tenant_id'],
  ['quotas', 'Quota management support', 'Quotas of a project'],
  ['security-group', 'security-group', 'Security groups and their rules'],
  ['security-groups-normalized-cidr', 'Normalized CIDR', 'Attribute normalized_cidr of rules'],
  ['sorting', 'Sorting support', 'Lists in order'],
  ['standard-attr-description', 'standard-attr-description', 'Attribute description'],
  ['standard-attr-revisions', 'Resource revision numbers', 'Attribute revision_number'],
  ['standard-attr-tag', 'Tag support', 'Tags of networks, subnets, ports and security groups'],
  ['standard-attr-timestamp', 'Resource timestamps', 'Attributes created_at and updated_at'],
  ['stateful-security-group', 'Stateful security group', 'Attribute stateful of security groups'],
  ['tag-ports-during-bulk-creation', 'Tag ports during creation', 'Tags in the creation of a port'],
];

export const extensions = offered.map(([alias, name, description]) => ({
  alias,
  name,
  description,
  updated: '2022-10-05T00:00:00-00:00',
  links: [],
}));
