import type { Resource } from './resource.ts';

export type L7RuleType =
  | 'HOST_NAME'
  | 'PATH'
  | 'FILE_TYPE'
  | 'HEADER'
  | 'COOKIE'
  | 'SSL_CONN_HAS_CERT'
  | 'SSL_VERIFY_RESULT'
  | 'SSL_DN_FIELD';
export type L7CompareType = 'CONTAINS' | 'ENDS_WITH' | 'EQUAL_TO' | 'REGEX' | 'STARTS_WITH';

export interface L7Rule extends Resource {
  readonly l7PolicyId: string;
  readonly type: L7RuleType;
  readonly compareType: L7CompareType;
  readonly key: string | null;
  readonly value: string;
  readonly invert: boolean;
}
