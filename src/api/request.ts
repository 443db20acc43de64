import type { AmphoraAgent, Compute, Identity, Images, Networking, Secrets } from '../clouds/clouds.ts';
import type { Deployment } from '../lb/defaults.ts';
import { type Problem, unknownArgument } from '../lb/problems.ts';
import type { Log } from '../platform/log.ts';
import type { Store } from '../store/store.ts';
import type { RequestPatience } from './connections.ts';
import type { Refusal } from './faults.ts';
import type { ApiCaller, Policy } from './policy.ts';
import type { RemoteSettings } from './policy-remote.ts';

/** What the API stands on. */
export interface Api {
  readonly store: Store;
  readonly identity: Identity;
  readonly secrets: Secrets;
  readonly networking: Networking;
  readonly compute: Compute;
  readonly images: Images;
  readonly agent: AmphoraAgent;
  readonly config: ApiConfig;
  readonly log: Log;
  readonly clock: () => Date;
  readonly newId: () => string;
}

export interface ApiConfig {
  readonly deployment: Deployment;
  /** Who is asking: whom Keystone says; or whom the headers say, as an admin (`noauth`) or under the policy. */
  readonly authStrategy: 'keystone' | 'noauth' | 'testing';
  readonly follows: Follows;
  readonly vips: VipSettings;
  /** Look networks, subnets and ports up with Livia's rights instead of the caller's. */
  readonly invisibleResources: boolean;
  /** Rows of a page at most; null: no cap. */
  readonly paginationMaxLimit: number | null;
  /** Base of paging links; null: the request's own URL. */
  readonly apiBaseUri: string | null;
  readonly maxBodyBytes: number;
  readonly patience: RequestPatience;
  /** Believe X-Forwarded-* headers. */
  readonly trustProxy: boolean;
  readonly policy: Policy;
  /** How other servers are asked that the policy names. */
  readonly remoteChecks: RemoteSettings;
  /** Answer `/healthcheck`. */
  readonly healthcheckEnabled: boolean;
  /** Milliseconds a health check is not repeated. */
  readonly healthcheckRefreshMs: number;
  /** Origins of pages in browsers that may use the API; `*`: any. */
  readonly corsAllowedOrigins: readonly string[];
  readonly defaultProvider: string;
  readonly providers: readonly { readonly name: string; readonly description: string }[];
}

/** What of a list's query is followed; the rest is passed over in silence. */
export interface Follows {
  readonly pagination: boolean;
  readonly sorting: boolean;
  readonly filtering: boolean;
  readonly fieldSelection: boolean;
}

/** How a VIP may be asked for, and on which networks: ids, in any case. */
export interface VipSettings {
  readonly bySubnet: boolean;
  readonly byNetwork: boolean;
  readonly byPort: boolean;
  /** Empty: any. */
  readonly validNetworks: readonly string[];
  readonly deniedNetworks: readonly string[];
}

/** One request, as a resource sees it. */
export interface ApiRequest {
  readonly caller: ApiCaller;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The URL the client used, without query: base of links. */
  readonly url: string;
  /** Undefined: none was sent. */
  readonly body: Buffer | undefined;
}

/** Body undefined: an empty answer. */
export interface Answer {
  readonly status: 200 | 201 | 202 | 204;
  readonly body?: unknown;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** As the router writes it: `/v2/lbaas/pools/:id`. */
  readonly path: string;
  readonly handle: (request: ApiRequest) => Promise<Answer | Problem | Refusal>;
}

export const ok = (body: unknown): Answer => ({ status: 200, body });

/** Requests that take no query, or only the named keys. */
export function strayQuery(request: ApiRequest, ...allowed: readonly string[]): Problem | undefined {
  const stray = [...new Set(request.query.keys())].filter((name) => !allowed.includes(name));
  return stray.length === 0 ? undefined : unknownArgument(stray);
}
