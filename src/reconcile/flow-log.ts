import type { FlowLogSettings, HealthSettings } from '../platform/settings.ts';
import type { WantedFlowLog } from '../wire/wanted.ts';

/** What amphorae are to log of flows and where to; undefined: nothing. */
export function wantedFlowLog(
  { targets, file, file_port: port, facility, format }: FlowLogSettings,
  { receivers }: HealthSettings,
): WantedFlowLog | undefined {
  // The file is written where heartbeats are received.
  const ours = file === undefined ? [] : receivers.map((receiver) => receiver.replace(/:\d+$/, `:${port}`));
  const all = [...targets, ...ours];
  return all.length === 0 ? undefined : { targets: all, facility, format };
}
