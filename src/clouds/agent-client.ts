import { isIPv6 } from 'node:net';
import { Agent } from 'undici';
import type { TSchema } from 'typebox';
import { amphoraName } from '../pki/names.ts';
import { AgentStatus, Outcome } from '../wire/report.ts';
import type { AmphoraAgent } from './clouds.ts';
import { DriverError } from './errors.ts';
import { exchange } from './exchange.ts';
import { messageOf } from './failure.ts';
import { understand } from './session.ts';

export interface AgentClientOptions {
  /** The authority both sides trust, and the controller's certificate and key. PEM. */
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  /** TCP port of the agents. */
  readonly port: number;
  /** For one request. Default 30,000. */
  readonly timeoutMs?: number;
}

/** An instance that is gone does not even refuse; whoever asks whether it lives should soon know. */
const connectTimeoutMs = 3000;
/** Connections are kept to this many amphorae at most: those spoken to last. */
const mostKept = 256;
/** Statuses with which an agent says that it does not understand the wish; asking again would change nothing. */
const notUnderstood = new Set([400, 413, 415, 422]);

export function amphoraAgents(options: AgentClientOptions): AmphoraAgent & { close(): Promise<void> } {
  // By id and address; maps keep the order of insertion: the one longest unused is first.
  const kept = new Map<string, Agent>();

  /** Only the amphora's own certificate is taken at its address: another instance may have the address by now. */
  function connectionsTo(amphora: { id: string; address: string }): Agent {
    const key = `${amphora.id} ${amphora.address}`;
    const agent = kept.get(key) ?? newConnections(amphora.id);
    kept.delete(key);
    kept.set(key, agent);
    const [eldestKey, eldest] = kept.entries().next().value ?? [];
    if (kept.size > mostKept && eldestKey !== undefined) {
      kept.delete(eldestKey);
      void eldest?.close(); // after the requests under way; it has no way to fail
    }
    return agent;
  }

  const newConnections = (id: string): Agent =>
    new Agent({
      connections: 2,
      keepAliveTimeout: 30_000,
      connect: {
        ca: options.caPem,
        cert: options.certificatePem,
        key: options.keyPem,
        servername: amphoraName(id),
        minVersion: 'TLSv1.3',
        timeout: connectTimeoutMs,
      },
    });

  async function ask<S extends TSchema>(
    schema: S,
    amphora: { id: string; address: string },
    method: 'GET' | 'PUT',
    path: string,
    body?: unknown,
  ) {
    const host = isIPv6(amphora.address) ? `[${amphora.address}]` : amphora.address;
    const who = `The agent of amphora ${amphora.id}`;
    const { status, bytes } = await exchange({
      dispatcher: connectionsTo(amphora),
      method,
      url: `https://${host}:${options.port}${path}`,
      headers: { accept: 'application/json' },
      body,
      timeoutMs: options.timeoutMs ?? 30_000,
      who,
    });
    if (status === 200) return understand(schema, bytes, who);
    throw new DriverError(`${who} answered ${status}: ${messageOf(bytes)}`, {
      retry: notUnderstood.has(status) ? 'never' : 'later',
      status,
    });
  }

  return {
    apply: (amphora, wanted) => ask(Outcome, amphora, 'PUT', '/v1/wanted', wanted),
    status: (amphora) => ask(AgentStatus, amphora, 'GET', '/v1/status'),
    async close() {
      await Promise.all([...kept.values()].map((agent) => agent.close()));
    },
  };
}
