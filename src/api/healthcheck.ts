import type { FastifyInstance, FastifyReply } from 'fastify';
import { refusal, refusalBody } from './faults.ts';
import type { Api } from './request.ts';

/** `/healthcheck`, for balancers in front of the API: no token, whatever form is liked best. 404 unless switched on. */
export function addHealthcheck(app: FastifyInstance, api: Api): void {
  if (!api.config.healthcheckEnabled) return;
  const look = remembered(api, () => failureOf(api));
  app.route({
    method: ['GET', 'HEAD'],
    url: '/healthcheck',
    handler: async (request, reply) => answer(reply, request.headers.accept ?? '', await look()),
  });
  app.route({
    method: ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'],
    url: '/healthcheck',
    handler: (_request, reply) =>
      reply
        .code(405)
        .header('allow', 'GET, HEAD')
        .send(refusalBody(refusal(405, 'The method is not allowed for this resource.'))),
  });
}

/** Undefined: all is well. */
async function failureOf({ store, log }: Api): Promise<string | undefined> {
  try {
    await store.ping();
    return undefined;
  } catch (error) {
    log.warn({ err: error }, 'the database does not answer a health check');
    return 'The database does not answer.';
  }
}

/** Asked at most once in the refresh interval, however many ask at once. */
function remembered<T>({ clock, config }: Api, ask: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly answer: Promise<T> } | undefined;
  return () => {
    const at = clock().getTime();
    if (last === undefined || at - last.at >= config.healthcheckRefreshMs) last = { at, answer: ask() };
    return last.answer;
  };
}

function answer(reply: FastifyReply, accept: string, failure: string | undefined): FastifyReply {
  const reason = failure ?? 'OK';
  reply.code(failure === undefined ? 200 : 503);
  if (/\bapplication\/json\b/i.test(accept)) {
    return reply
      .header('content-type', 'application/json; charset=utf-8')
      .send(JSON.stringify({ detailed: false, reasons: [reason] }));
  }
  return /\btext\/html\b/i.test(accept)
    ? reply
        .header('content-type', 'text/html; charset=utf-8')
        .send(`<html><head><title>Healthcheck Status</title></head><body><p>${reason}</p></body></html>`)
    : reply.header('content-type', 'text/plain; charset=utf-8').send(reason);
}
