import { NeedsReload } from './steps.ts';

const ofBackend =
  /^(timeout check |option (httpchk|tcp-check|external-check)$|http-check |external-check |load-server-state)/;

/** Whether the servers of a backend are checked, by its lines. */
export const hasChecks = (lines: readonly string[]): boolean =>
  lines.some((line) => /^default-server (.* )?check( |$)/.test(line));

/** The lines of the same backend without its monitor. */
export function withoutChecks(lines: readonly string[]): string[] {
  if (!hasChecks(lines)) return [...lines];
  return lines.flatMap((line) => {
    if (ofBackend.test(line)) return [];
    if (line.startsWith('server ')) return [line.replace(/ addr \S+ port \d+/, '')];
    if (!line.startsWith('default-server ')) return [line];
    const rest = line.replace(/ check( .*)?$/, '');
    return rest === 'default-server' ? [] : [rest];
  });
}

/** A check under way when checks are switched off may still fail. It takes no server out unless one failure does. */
export function refuseIfOneFailureCounts(lines: readonly string[]): void {
  if (lines.some((line) => /^default-server .*check .*\bfall 1 /.test(line))) {
    throw new NeedsReload('a monitor that takes members out at the first failure');
  }
}
