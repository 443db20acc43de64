import Type from 'typebox';
import { type Caller, isAdmin, owns, projectFor } from '../caller.ts';
import { read } from '../http.ts';
import { conflict } from '../refusal.ts';
import { one } from '../lists.ts';
import { born, changed, type Net, type SecurityGroup, type SecurityGroupRule } from './records.ts';
import { type Resource, tagFilters } from './resource.ts';
import { putRule, ruleView } from './security-group-rules.ts';

const changeable = {
  name: Type.Optional(Type.String({ maxLength: 255 })),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  stateful: Type.Optional(Type.Boolean()),
};
const Create = Type.Object(
  { ...changeable, project_id: Type.Optional(Type.String()), tenant_id: Type.Optional(Type.String()) },
  { additionalProperties: false },
);
const Update = Type.Object(changeable, { additionalProperties: false });

export function securityGroupResource(net: Net): Resource<SecurityGroup> {
  return {
    one: 'security_group',
    many: 'security_groups',
    type: 'SecurityGroup',
    collection: net.groups,
    sees: (caller, group) => owns(caller, group.project_id),
    filters: [
      'id',
      'name',
      'description',
      'project_id',
      'stateful',
      'shared',
      'revision_number',
      'created_at',
      'updated_at',
    ],
    special: tagFilters<SecurityGroup>(),
    listing: (caller, query) => {
      const project = one(query, 'project_id') ?? one(query, 'tenant_id') ?? caller.projectId;
      if (project !== null && owns(caller, project)) defaultGroup(net, project);
    },
    view: (group) => ({
      ...group,
      tenant_id: group.project_id,
      shared: false,
      security_group_rules: rulesOf(net, group.id).map(ruleView),
    }),
    create(caller, body) {
      const { project_id, tenant_id, ...wish } = read(Create, body);
      const project = projectFor(caller, project_id ?? tenant_id);
      defaultGroup(net, project);
      if (wish.name === 'default') {
        throw conflict('Default security group already exists.', 'SecurityGroupDefaultAlreadyExists');
      }
      return makeGroup(net, { ...wish, project_id: project }, wish.stateful ?? true);
    },
    update(_caller, group, body) {
      const wish = read(Update, body);
      if (group.name === 'default' && wish.name !== undefined && wish.name !== 'default') {
        throw conflict('Updating default security group not allowed.', 'SecurityGroupCannotUpdateDefault');
      }
      if (group.name !== 'default' && wish.name === 'default')
        throw conflict('Default security group already exists.', 'SecurityGroupDefaultAlreadyExists');
      return net.groups.put(changed<SecurityGroup>(net, group, wish));
    },
    remove(caller: Caller, group) {
      if (group.name === 'default' && !isAdmin(caller)) {
        throw conflict(
          'Insufficient rights for removing default security group.',
          'SecurityGroupCannotRemoveDefault',
        );
      }
      if (net.ports.all().some((port) => port.security_groups.includes(group.id))) {
        throw conflict(`Security Group ${group.id} in use.`, 'SecurityGroupInUse');
      }
      for (const rule of net.rules.all()) {
        if (rule.security_group_id === group.id || rule.remote_group_id === group.id)
          net.rules.remove(rule.id);
      }
    },
  };
}

function rulesOf(net: Net, groupId: string): SecurityGroupRule[] {
  return net.rules.all().filter((rule) => rule.security_group_id === groupId);
}

/** The project's group of that name, made when first needed: its members reach each other and everywhere. */
export function defaultGroup(net: Net, projectId: string): SecurityGroup {
  const there = net.groups.all().find((group) => group.project_id === projectId && group.name === 'default');
  if (there !== undefined) return there;
  return net.records.transaction(() => {
    const wish = { name: 'default', description: 'Default security group', project_id: projectId };
    const group = makeGroup(net, wish, true);
    for (const ethertype of ['IPv4', 'IPv6'] as const) {
      putRule(net, group, { direction: 'ingress', ethertype, remote_group_id: group.id });
    }
    return group;
  });
}

function makeGroup(
  net: Net,
  wish: { name?: string; description?: string; project_id: string },
  stateful: boolean,
): SecurityGroup {
  const group = net.groups.put({ ...born(net, wish), stateful });
  for (const ethertype of ['IPv4', 'IPv6'] as const) putRule(net, group, { direction: 'egress', ethertype });
  return group;
}
