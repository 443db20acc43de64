import Type, { type Static } from 'typebox';

/**
 * What an amphora is born with. The controller writes it into the instance's user data (`#cloud-config` with
 * `write_files`), the agent reads it from `bootFile`. All of it lives on tmpfs, readable by root alone.
 */
export const bootFile = '/run/livia/agent.json';

export const Boot = Type.Object(
  {
    wire: Type.Literal(1),
    amphoraId: Type.String(),
    /** TCP port of the agent's HTTPS server, on every address of the management card. */
    port: Type.Integer(),
    /** PEM: the agent's certificate (SAN `amphora-<id>`), its key, and the CA both sides trust. */
    certificatePem: Type.String(),
    keyPem: Type.String(),
    caPem: Type.String(),
    heartbeat: Type.Object({
      /** `address:port` of every receiver. */
      receivers: Type.Array(Type.String()),
      intervalMs: Type.Integer(),
      /** HMAC-SHA-256 key, base64, for this amphora alone. */
      key: Type.String(),
    }),
  },
  { additionalProperties: false },
);
export type Boot = Static<typeof Boot>;
