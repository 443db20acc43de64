import type { Server } from '../../plan/runtime/servers.ts';
import type { PoolReport } from '../../wire/report.ts';

/** What is told of a member to users. */
export type MemberState = PoolReport['members'][string];

/** A server as it runs. */
export interface RunningServer extends Server {
  readonly backend: string;
  readonly state: MemberState;
  /** It failed its checks. */
  readonly down: boolean;
}

/** Of `srv_op_state`. */
const [stopped, stopping] = [0, 3];
/** Bits of `srv_admin_state`: by command or configuration, and beside them inherited or without an address. */
const [forcedMaint, anyMaint, anyDrain] = [0x01, 0x23, 0x18];
/** Bit of `srv_check_state`. */
const checkEnabled = 0x04;

/** As `show stat` would call it, which costs HAProxy four times as much: 40 ms of 10,000 servers. */
function stateOf(operation: number, admin: number, weight: number, checked: boolean): MemberState {
  if ((admin & anyMaint) !== 0) return 'MAINT';
  if (operation === stopped || operation === stopping) return 'DOWN';
  if ((admin & anyDrain) !== 0) return 'DRAIN';
  if (!checked) return 'NO_CHECK';
  return weight === 0 ? 'DRAIN' : 'UP';
}

/** The answer to `show servers state`. */
export function parseServers(answer: string): RunningServer[] {
  return answer
    .split('\n')
    .filter((line) => /^\d+ \S+ \d+ /.test(line))
    .map((line) => {
      const cells = line.split(' ');
      const number = (column: number) => Number(cells[column]);
      const [operation, admin, weight] = [number(5), number(6), number(7)];
      const checked = (number(13) & checkEnabled) !== 0;
      return {
        backend: cells[1] ?? '',
        name: cells[3] ?? '',
        address: cells[4] ?? '',
        port: number(18),
        weight,
        maint: (admin & forcedMaint) !== 0,
        checked,
        // An address that was taken away is written as none, one that never was as a dash.
        checks: {
          address: ['-', '0.0.0.0'].includes(cells[22] ?? '-') ? undefined : cells[22],
          port: number(21) || undefined,
        },
        down: operation === stopped,
        state: stateOf(operation, admin, weight, checked),
      };
    });
}
