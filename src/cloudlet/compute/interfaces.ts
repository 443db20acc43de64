import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { requireMember } from '../caller.ts';
import { callerOf, param, read } from '../http.ts';
import type { Port } from '../network/records.ts';
import { badRequest, conflict, notFound } from '../refusal.ts';
import { portsOf } from './cards.ts';
import { minorOf } from './microversion.ts';
import { changeServer, type Server } from './records.ts';
import { takeCard } from './server-create.ts';
import { findServer, type ServerParts } from './server-routes.ts';

const Attach = Type.Object({
  interfaceAttachment: Type.Object({
    port_id: Type.Optional(Type.String()),
    net_id: Type.Optional(Type.String()),
    fixed_ips: Type.Optional(Type.Array(Type.Object({ ip_address: Type.String() }), { maxItems: 1 })),
    tag: Type.Optional(Type.String()),
  }),
});

/** `/servers/{id}/os-interface`: cards put in and taken out while the instance runs. */
export function interfaceRoutes(app: FastifyInstance, parts: ServerParts): void {
  const { nova, net, instances } = parts;
  const path = '/servers/:id/os-interface';
  const view = (port: Port, minor: number) => ({
    port_id: port.id,
    net_id: port.network_id,
    mac_addr: port.mac_address,
    port_state: port.status,
    fixed_ips: port.fixed_ips.map(({ subnet_id, ip_address }) => ({ subnet_id, ip_address })),
    ...(minor >= 70 && { tag: null }),
  });

  app.get(path, async (request) => ({
    interfaceAttachments: portsOf(net, findServer(parts, request)).map((port) =>
      view(port, minorOf(request)),
    ),
  }));

  app.get(`${path}/:port`, async (request) => {
    const port = portsOf(net, findServer(parts, request)).find((each) => each.id === param(request, 'port'));
    if (port === undefined) throw notFound(`Port id ${param(request, 'port')} could not be found.`);
    return { interfaceAttachment: view(port, minorOf(request)) };
  });

  app.post(path, async (request) => {
    const server = own(request);
    const wish = read(Attach, request.body).interfaceAttachment;
    if ((wish.port_id === undefined) === (wish.net_id === undefined)) {
      throw badRequest('One of net_id and port_id must be given.');
    }
    if (net.ports.get(wish.port_id ?? '')?.['binding:vnic_type'] === 'direct') {
      throw badRequest(`Failed to claim PCI device for ${server.id} to attach interface: no host has any.`);
    }
    const card = nova.records.transaction(() => {
      const taken = takeCard(
        parts,
        callerOf(request),
        server.id,
        {
          port: wish.port_id ?? null,
          uuid: wish.net_id ?? null,
          fixed_ip: wish.fixed_ips?.[0]?.ip_address ?? null,
        },
        [],
      );
      changeServer(nova, server.id, { cards: [...server.cards, taken] });
      return taken;
    });
    await instances.attach(server.id, card.port_id);
    const port = net.ports.get(card.port_id);
    if (port === undefined) throw conflict(`Port ${card.port_id} was removed meanwhile.`);
    return { interfaceAttachment: view(port, minorOf(request)) };
  });

  app.delete(`${path}/:port`, async (request, reply) => {
    const server = own(request);
    const port = param(request, 'port');
    if (!server.cards.some((card) => card.port_id === port)) {
      throw notFound(`Port id ${port} is not a card of instance ${server.id}.`);
    }
    await instances.detach(server.id, port);
    return reply.code(202).send();
  });

  function own(request: FastifyRequest): Server {
    requireMember(callerOf(request));
    const server = findServer(parts, request);
    if (server.vm_state !== 'active' && server.vm_state !== 'stopped') {
      throw conflict(
        `Cannot change the interfaces of instance ${server.id} while it is in vm_state ${server.vm_state}`,
      );
    }
    return server;
  }
}
