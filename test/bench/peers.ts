/**
 * Servers to measure against in the same run, each its own process: `bare` answers the bytes of a file to everything;
 * `per-row` asks PostgreSQL once for a list of load balancers and then for what is around each.
 *
 *   node test/bench/peers.ts bare FILE | per-row SOCKET-FOLDER
 */
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'pg';

const [kind, from = ''] = process.argv.slice(2);

function send(response: ServerResponse, bytes: Buffer | string): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes) });
  response.end(bytes);
}

function bare(): (response: ServerResponse) => void {
  const bytes = readFileSync(from);
  return (response) => send(response, bytes);
}

function perRow(): (response: ServerResponse) => void {
  const pool = new Pool({ host: from, port: 5432, user: 'livia', database: 'livia', max: 10 });
  const idsBelow = async (table: string, id: string): Promise<unknown[]> =>
    (await pool.query(`select id from ${table} where load_balancer_id = $1 order by created_at, id`, [id]))
      .rows;
  const list = async (): Promise<string> => {
    const { rows } = await pool.query<{ id: string }>(
      `select * from load_balancers where provisioning_status <> 'DELETED' order by created_at, id limit 1000`,
    );
    const loadbalancers: object[] = [];
    for (const row of rows) {
      const [listeners, pools] = [await idsBelow('listeners', row.id), await idsBelow('pools', row.id)];
      loadbalancers.push({ ...row, listeners, pools });
    }
    return JSON.stringify({ loadbalancers });
  };
  return (response) => void list().then((text) => send(response, text));
}

const answer = kind === 'bare' ? bare() : perRow();
const server = createServer((_request, response) => answer(response));
server.listen(0, '127.0.0.1', () => {
  console.log((server.address() as AddressInfo).port);
});
process.on('SIGTERM', () => process.exit(0));
