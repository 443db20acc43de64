import type { NamedResource } from './resource.ts';

export type L7PolicyAction = 'REJECT' | 'REDIRECT_TO_URL' | 'REDIRECT_TO_POOL' | 'REDIRECT_PREFIX';

export interface L7Policy extends NamedResource {
  readonly listenerId: string;
  readonly description: string | null;
  readonly action: L7PolicyAction;
  readonly redirectPoolId: string | null;
  readonly redirectUrl: string | null;
  readonly redirectPrefix: string | null;
  readonly redirectHttpCode: number | null;
  /** Dense 1..n within the listener. */
  readonly position: number;
}
