import { isDeepStrictEqual } from 'node:util';
import type { FlowLogSettings, HealthSettings } from '../platform/settings.ts';
import type { AgentStatus } from '../wire/report.ts';
import type { WantedFlowLog, WantedHeartbeat } from '../wire/wanted.ts';
import type { Context } from './context.ts';

/** What of the deployment's settings the agents are told, with every tree. */
export interface AgentSettings {
  readonly heartbeat: WantedHeartbeat;
  readonly flowLog?: WantedFlowLog | undefined;
}

export function agentSettings({
  settings: { health, flow_logs: flowLogs },
}: Pick<Context, 'settings'>): AgentSettings {
  const { receivers, heartbeat_interval_ms: intervalMs } = health;
  return { heartbeat: { receivers: [...receivers], intervalMs }, flowLog: wantedFlowLog(flowLogs, health) };
}

/** What it was told was said before the settings changed. One that serves nothing yet was told nothing. */
export function hasOtherSettings(context: Context, { heartbeat, flowLog, report }: AgentStatus): boolean {
  return report.generation >= 0 && !isDeepStrictEqual({ heartbeat, flowLog }, agentSettings(context));
}

/** What amphorae are to log of flows and where to; undefined: nothing. */
function wantedFlowLog(
  { targets, file, file_port: port, facility, format }: FlowLogSettings,
  { receivers }: HealthSettings,
): WantedFlowLog | undefined {
  // The file is written where heartbeats are received.
  const ours = file === undefined ? [] : receivers.map((receiver) => receiver.replace(/:\d+$/, `:${port}`));
  const all = [...targets, ...ours];
  return all.length === 0 ? undefined : { targets: all, facility, format };
}
