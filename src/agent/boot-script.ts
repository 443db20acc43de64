import { dirname, join } from 'node:path';

const quoted = (path: string): string => `'${path.replaceAll("'", `'\\''`)}'`;

/**
 * The image of a one-machine amphora: what its PID 1 runs. It starts the agent again whenever it dies, and passes a
 * wish to stop on to it. HAProxy outlives a killed agent and is adopted by the next one, or becomes this shell's
 * child, whose `wait` reaps it. Compiled code is kept beside the bundle, for all amphorae of the machine.
 */
export function bootScript(nodePath: string, bundlePath: string): string {
  return `#!/bin/sh
# Boot script of a Livia amphora.
agent=
stop() {
  trap '' TERM INT
  [ -n "$agent" ] && kill -TERM "$agent" 2>/dev/null && wait "$agent"
  exit 0
}
# One that ends at once is likely to do so again: it is started ever less often, so that it costs the machine nothing.
pause=0
trap stop TERM INT
export NODE_COMPILE_CACHE=${quoted(join(dirname(bundlePath), '.compile-cache'))}
while :; do
  started=$(date +%s)
  ${quoted(nodePath)} --max-semi-space-size=1 ${quoted(bundlePath)} &
  agent=$!
  wait "$agent"
  agent=
  [ $(($(date +%s) - started)) -ge 10 ] && pause=0
  sleep "$pause.2" &
  wait $!
  pause=$((pause * 2 + 1))
  [ "$pause" -gt 30 ] && pause=30
done
`;
}
