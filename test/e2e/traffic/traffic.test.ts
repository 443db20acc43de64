/**
 * Every feature of HTTP, TLS, L7 and TCP as a client at a VIP sees it: one service, and for each row a load balancer
 * of its own made over the API, small servers as members, and real clients.
 */
import { afterAll, beforeAll } from 'vitest';
import { httpRows } from './http-rows.ts';
import { l7Rows } from './l7-rows.ts';
import { monitorRows } from './monitor-rows.ts';
import { poolRows } from './pool-rows.ts';
import { openStage, type Stage } from './stage.ts';
import { tcpRows } from './tcp-rows.ts';
import { tlsRows } from './tls-rows.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

httpRows(() => stage);
tlsRows(() => stage);
l7Rows(() => stage);
poolRows(() => stage);
tcpRows(() => stage);
monitorRows(() => stage);
