import type { Directory } from './directory.ts';

/** The catalog as it stands in tokens. */
export function catalog(directory: Directory): object[] {
  const endpoints = directory.endpoints.all().filter((endpoint) => endpoint.enabled);
  return directory.services
    .all()
    .filter((service) => service.enabled)
    .map((service) => ({
      id: service.id,
      type: service.type,
      name: service.name,
      endpoints: endpoints
        .filter((endpoint) => endpoint.service_id === service.id)
        .map((endpoint) => ({
          id: endpoint.id,
          interface: endpoint.interface,
          region_id: endpoint.region_id,
          region: endpoint.region_id,
          url: endpoint.url,
        })),
    }));
}
