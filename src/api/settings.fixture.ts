import Value from 'typebox/value';
import {
  ApiSettings,
  LoadBalancingSettings,
  NetworkingSettings,
  QuotaSettings,
} from '../platform/api-settings.ts';
import { Strict } from '../platform/schemas.ts';

const Operator = Strict({
  api: ApiSettings,
  load_balancing: LoadBalancingSettings,
  networking: NetworkingSettings,
  quotas: QuotaSettings,
});

/** Settings as livia.toml would give them: what is not said has its default. Throws when a key or value is not legal. */
export function operatorSettings(said: object = {}) {
  return Value.Parse(Operator, Value.Default(Operator, structuredClone(said)));
}
