import Type, { type Static } from 'typebox';

const cidr = Type.String({
  pattern: '^[0-9.]+/[0-9]+$',
  description: 'IPv4 network; .1 is the host, which is the gateway',
});

/** `cloudlet.toml`. Written once by whoever starts the cloudlet, kept afterwards; owner-readable only (passwords). */
export const Config = Type.Object(
  {
    listen_host: Type.String({ default: '127.0.0.1' }),
    listen_port: Type.Integer({ minimum: 0, maximum: 65_535 }),
    /** How clients reach this server, no slash at the end; hrefs and the catalog are made of it. */
    public_url: Type.String({ pattern: '^https?://.*[^/]$' }),
    /** Folder of the records, the key for secrets at rest, and the instances. */
    state_dir: Type.String(),
    /** Part of the names of links and cgroups; unique per running Livia on this machine. */
    name: Type.String({ pattern: '^[a-z0-9]{1,6}$' }),
    /** Public URL of the load balancer service for the catalog. */
    octavia_url: Type.String(),
    region: Type.String({ default: 'RegionOne' }),
    /** Password of user `admin`; read at every start, so that a change here takes effect. */
    admin_password: Type.String({ minLength: 1 }),
    /** Password of user `livia`, the control plane's. */
    service_password: Type.String({ minLength: 1 }),
    /** Life of a token, seconds. */
    token_seconds: Type.Integer({ default: 3600, minimum: 1 }),
    management_cidr: cidr,
    external_cidr: cidr,
    /** Nova's: how much RAM flavors may promise, as a multiple of the machine's. */
    ram_allocation_ratio: Type.Number({ default: 1.5, exclusiveMinimum: 0 }),
    /** File that becomes image `amphora-livia`: a shell script run as PID 1 of the instance. */
    boot_image: Type.String(),
  },
  { additionalProperties: false },
);
export type Config = Static<typeof Config>;
