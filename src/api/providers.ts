import { type Problem, problem } from '../lb/problems.ts';
import type { ApiConfig } from './request.ts';

/** Undefined: the deployment offers the provider. */
export function providerProblem({ providers }: ApiConfig, provider: string): Problem | undefined {
  return providers.some(({ name }) => name === provider)
    ? undefined
    : problem(400, `Provider '${provider}' is not enabled.`);
}
