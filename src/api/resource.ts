import type { DisplayName } from '../lb/problems.ts';
import type { ViewKind, Views } from '../store/store.ts';
import { fields, type Fields, type Render, renderer, unsent } from './fields.ts';
import { boolean, instant, list, oneOf, text, uuid } from './types.ts';

/** One resource of the API: its names, its table of fields, and how its rows look. */
export interface Resource<K extends ViewKind, F extends Fields> {
  readonly kind: K;
  readonly name: DisplayName;
  /** What stands in paths where there is no id. */
  readonly key?: 'name';
  /** Path of a body in fault texts, `listener_.listener`; its end is the key of one object. */
  readonly argument: string;
  /** Where updates name it differently. */
  readonly argumentOnPut?: string;
  /** Key of a list, and with `_links` that of its links. */
  readonly many: string;
  readonly links: string;
  /** Its table. */
  readonly fields: F;
  readonly render: Render<Views[K]>;
}

export function resource<K extends ViewKind, const F extends Fields>(definition: {
  kind: K;
  name: DisplayName;
  key?: 'name';
  argument: string;
  argumentOnPut?: string;
  many: string;
  links?: string;
  fields: F;
}): Resource<K, F> {
  return {
    links: `${definition.many}_links`,
    ...definition,
    render: renderer<Views[K]>(definition.fields),
  };
}

/** Key of one object in bodies: `listener` of `listener_.listener`. */
export function keyOf({ argument }: { readonly argument: string }): string {
  return argument.slice(argument.lastIndexOf('.') + 1);
}

const shownName = (key: 'name' | 'description') => (row: never) =>
  (row as Record<typeof key, string | null>)[key] ?? '';

export const id = fields({ id: { type: uuid(), always: true } });

export const named = fields({
  name: {
    type: text({ max: 255 }),
    post: 'optional',
    put: 'optional',
    default: '',
    show: shownName('name'),
    always: true,
  },
});

export const described = fields({
  description: {
    type: text({ max: 255 }),
    post: 'optional',
    put: 'optional',
    default: '',
    show: shownName('description'),
    always: true,
  },
});

/** What is disabled is not for new load balancers. */
export const enabled = fields({
  enabled: {
    type: boolean(),
    post: 'optional',
    put: 'optional',
    default: true,
    nullOnPost: true,
    nullOnPut: true,
  },
});

/** What all objects of a tree have. */
export const common = fields({
  adminStateUp: {
    type: boolean(),
    post: 'optional',
    put: 'optional',
    default: true,
    nullOnPost: false,
    nullOnPut: false,
  },
  provisioningStatus: {
    type: oneOf('ACTIVE', 'ERROR', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'DELETED'),
    always: true,
  },
  operatingStatus: {
    type: oneOf('ONLINE', 'OFFLINE', 'DEGRADED', 'ERROR', 'DRAINING', 'NO_MONITOR'),
    always: true,
  },
  createdAt: { type: instant(), always: true },
  updatedAt: { type: instant() },
  tags: {
    type: list(text({ max: 255 }), { unique: true }),
    post: 'optional',
    put: 'optional',
    default: [],
    nullOnPost: unsent,
    nullOnPut: unsent,
  },
});

/** Objects below a load balancer have its project, whatever a client says. */
export const inheritedProject = fields({
  projectId: { type: text({ max: 36 }), post: 'ignored', always: true },
  tenantId: {
    type: text({ max: 36 }),
    post: 'ignored',
    stored: false,
    show: (row: { readonly projectId: string }) => row.projectId,
    always: true,
  },
});
