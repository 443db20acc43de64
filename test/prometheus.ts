import { execFileSync } from 'node:child_process';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What Prometheus' own parser, the one of its Python client, reads in a text; throws when it does not take it. */
export function parseMetrics(text: string): readonly Sample[] {
  const parse = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
names = [family.name for family in families]
assert len(names) == len(set(names)), 'a family is told in several places'
print(json.dumps([{'name': s.name, 'labels': s.labels, 'value': s.value} for f in families for s in f.samples]))`;
  const json = execFileSync('/usr/bin/python3', ['-c', parse], {
    input: text,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  return JSON.parse(json) as Sample[];
}

/** The one sample of that name with these labels, whatever others it has; undefined: there is none. */
export function valueOf(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  if (found.length > 1) throw new Error(`${found.length} samples of ${name} ${JSON.stringify(labels)}`);
  return found[0]?.value;
}
