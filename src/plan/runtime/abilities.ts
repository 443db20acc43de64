/** What a HAProxy can do at run time beyond version 2.6. */
export interface Abilities {
  /** A server that is added has the cookie of its address at once: 3.0. Before, once its address has changed. */
  readonly cookiesAtOnce: boolean;
  /** `set server … check-addr` takes an address: until 3.4.0, which calls every one invalid (so does 3.5-dev5). */
  readonly checkAddresses: boolean;
  /** A listener that is full takes another limit of connections: before, `set maxconn frontend` is a deadlock then. */
  readonly limitsWhenFull: boolean;
  /** A backend can be made of a `defaults` section that HAProxy has loaded, and can go: 3.4. */
  readonly backends: boolean;
}

/** Of a version such as `2.6.12-1+deb12u4`; of one that is not understood, what every HAProxy can. */
export function abilitiesOf(version: string): Abilities {
  const [, major = 0, minor = 0] = (/^(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  const since = (...first: [number, number]) => major > first[0] || (major === first[0] && minor >= first[1]);
  return {
    cookiesAtOnce: since(3, 0),
    checkAddresses: !since(3, 4),
    limitsWhenFull: since(3, 1),
    backends: since(3, 4),
  };
}
