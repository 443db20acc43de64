import { notFound } from '../../lb/problems.ts';
import { warningsOf } from './amphora-reports.ts';
import { authorize } from '../policy.ts';
import { type Api, ok, type Route, strayQuery } from '../request.ts';
import { statusReasons } from '../status-tree.ts';
import { uuidOf } from '../types.ts';

/** Livia's addition to Octavia: why the objects of a load balancer are as they are, and what is done otherwise than wished. */
export function reasonRoutes(api: Api): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/livia/v1/loadbalancers/:id',
      async handle(request) {
        const stray = strayQuery(request);
        if (stray !== undefined) return stray;
        const id = request.params['id'] ?? '';
        const uuid = uuidOf(id);
        const tree = uuid === undefined ? undefined : await api.store.trees.read(uuid);
        if (tree === undefined) return notFound('Load Balancer', id);
        const denied = authorize(request.caller, 'loadbalancer:get_one', tree.loadBalancer.projectId);
        return denied ?? ok({ objects: statusReasons(tree), warnings: await warningsOf(api, tree) });
      },
    },
  ];
}
