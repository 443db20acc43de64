import { word } from './quote.ts';

/** Names of proxies that are ours: they are in no statistics, and no user's listener or pool. */
export const isInternal = (proxy: string): boolean => proxy.startsWith('prometheus-');

const metricsBackend = 'prometheus-metrics';

/** Where a PROMETHEUS listener leads to. */
export const toMetrics = [
  'http-request return status 404 unless { path /metrics }',
  `default_backend ${metricsBackend}`,
];

export interface ExporterPaths {
  /** Where HAProxy tells its own metrics. */
  readonly exporterSocket: string;
  /** Where the agent tells them by Octavia's names. */
  readonly metricsSocket: string;
}

/** The way of a scrape: from the listener to the agent, and from the agent to HAProxy's own exporter. */
export function exporterProxies(paths: ExporterPaths): readonly (readonly string[])[] {
  return [
    [
      'frontend prometheus-exporter',
      'mode http',
      `bind ${word(`unix@${paths.exporterSocket}`)} mode 600`,
      'timeout client 10s',
      'http-request use-service prometheus-exporter',
    ],
    [
      `backend ${metricsBackend}`,
      'mode http',
      'timeout connect 5s',
      'timeout server 30s',
      `server agent ${word(`unix@${paths.metricsSocket}`)}`,
    ],
  ];
}
