import { isProblem, problem, type Problem } from '../../lb/problems.ts';
import type { Tree } from '../../lb/tree.ts';
import { found } from '../collection.ts';
import { authorize } from '../policy.ts';
import { type Answer, type Api, type ApiRequest, ok, type Route, strayQuery } from '../request.ts';
import { amphorae } from './amphorae.ts';

type AgentStatus = Awaited<ReturnType<Api['agent']['status']>>;

/** Livia's addition to Octavia: what an amphora itself says of its memory, and of its changes. */
export function amphoraReportRoutes(api: Api): readonly Route[] {
  const one = '/livia/v1/amphorae/:id';
  return [
    { method: 'GET', path: `${one}/changes`, handle: (request) => show(api, request, changes) },
    { method: 'GET', path: `${one}/memory`, handle: (request) => show(api, request, memory) },
  ];
}

/** A `DriverError` when its agent does not answer. */
async function show(
  api: Api,
  request: ApiRequest,
  view: (status: AgentStatus) => object,
): Promise<Answer | Problem> {
  const wrong = strayQuery(request) ?? authorize(request.caller, 'amphora:get_one', request.caller.projectId);
  if (wrong !== undefined) return wrong;
  const amphora = await found(api, amphorae, request.params['id'] ?? '');
  if (isProblem(amphora)) return amphora;
  const { id, lbNetworkIp, status } = amphora;
  if (lbNetworkIp === null || status !== 'ALLOCATED') return problem(409, `Amphora ${id} is ${status}.`);
  return ok(view(await api.agent.status({ id, address: lbNetworkIp })));
}

const changes = ({ changes: list = [] }: AgentStatus): object => ({
  changes: list.map(({ durationMs, ...change }) => ({ ...change, duration_ms: durationMs })),
});

function memory({ memory: told }: AgentStatus): object {
  const { budget, haproxy } = told;
  return {
    memory: {
      inequality:
        '(max_reloads + 3) * (worker_bytes + cache_bytes) + 2 * maxconn * connection_bytes' +
        ' + tcp_bytes + reserved_bytes = worst_case_bytes <= limit_bytes',
      budget:
        budget === undefined
          ? null
          : {
              max_reloads: budget.maxReloads,
              hard_stop_after_seconds: budget.hardStopAfterSeconds,
              maxconn: budget.maxconn,
              worker_bytes: budget.workerBytes,
              cache_bytes: budget.cacheBytes,
              connection_bytes: budget.connectionBytes,
              tcp_bytes: budget.tcpBytes,
              reserved_bytes: budget.reservedBytes,
              worst_case_bytes: budget.worstCaseBytes,
              limit_bytes: budget.limitBytes,
            },
      measured: {
        used_bytes: told.usedBytes,
        peak_bytes: told.peakBytes ?? null,
        agent_bytes: told.agentBytes ?? null,
        tcp_bytes: told.tcpBytes ?? null,
        tcp_limit_bytes: told.tcpLimitBytes ?? null,
        haproxy: haproxy.map(({ pid, role, rssBytes, generation }) => ({
          ...{ pid, role, generation },
          rss_bytes: rssBytes,
        })),
      },
      // A worker that loads beside those that serve, after a check without the cache.
      next_reload:
        budget === undefined
          ? null
          : {
              cost_bytes: budget.workerBytes + budget.cacheBytes,
              used_then_bytes: told.usedBytes + budget.workerBytes + budget.cacheBytes,
              limit_bytes: budget.limitBytes,
            },
    },
  };
}

/** What of the load balancer is done otherwise than wished, each thing once; an amphora that keeps silent says so. */
export async function warningsOf(api: Api, tree: Tree): Promise<readonly { id: string; text: string }[]> {
  const rows = await api.store.amphorae.of(tree.loadBalancer.id);
  const told = await Promise.all(
    rows
      .filter(({ status, lbNetworkIp }) => status === 'ALLOCATED' && lbNetworkIp !== null)
      .map(async ({ id, lbNetworkIp }) => {
        try {
          return (await api.agent.status({ id, address: lbNetworkIp ?? '' })).warnings ?? [];
        } catch {
          return [{ id, text: 'the amphora does not answer: what it warns of is not known' }];
        }
      }),
  );
  return [...new Map(told.flat().map((one) => [JSON.stringify(one), one])).values()];
}
