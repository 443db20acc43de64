import { createHash } from 'node:crypto';
import type { Listener } from '../lb/listener.ts';
import type { Pool } from '../lb/pool.ts';
import type { CertificatePem, WantedBackendTls, WantedTls } from '../wire/wanted.ts';

/** What the key manager gave for a reference, or why it never will. */
export type Found<T> = { readonly value: T } | { readonly unavailable: string };

/** A certificate, PEM throughout. */
export interface Bundle {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly intermediatesPem: readonly string[];
}

/** What lies behind the references of a tree, by reference. */
export interface SecretFacts {
  readonly certificates: ReadonlyMap<string, Found<Bundle>>;
  /** CA and CRL texts. */
  readonly texts: ReadonlyMap<string, Found<string>>;
}

/** References to read from the key manager, each once. */
export interface SecretRefs {
  readonly certificates: readonly string[];
  readonly texts: readonly string[];
}

type ListenerRefs = Pick<
  Listener,
  'defaultTlsContainerRef' | 'sniContainerRefs' | 'clientCaTlsContainerRef' | 'clientCrlContainerRef'
>;

export function secretRefs(listeners: readonly Listener[], pools: readonly Pool[]): SecretRefs {
  const tlsListeners = listeners.filter(terminatesTls);
  const tlsPools = pools.filter((pool) => pool.tlsEnabled);
  return {
    certificates: distinct([
      ...tlsListeners.flatMap(certificateRefs),
      ...tlsPools.map((pool) => pool.tlsContainerRef),
    ]),
    texts: distinct([
      ...tlsListeners.flatMap((listener) => [
        listener.clientCaTlsContainerRef,
        listener.clientCrlContainerRef,
      ]),
      ...tlsPools.flatMap((pool) => [pool.caTlsContainerRef, pool.crlContainerRef]),
    ]),
  };
}

export function terminatesTls(listener: Listener): boolean {
  return listener.protocol === 'TERMINATED_HTTPS' || certificateRefs(listener).length > 0;
}

/** TLS towards the clients. When one secret is missing none is given: a listener must not lose half of its guard. */
export function listenerTls(listener: Listener, facts: SecretFacts): WantedTls {
  const reader = new Reader(facts);
  const certificates = certificateRefs(listener).map((ref) => reader.certificate(ref));
  const clientCaPem = reader.text(listener.clientCaTlsContainerRef);
  const clientCrlPem = reader.text(listener.clientCrlContainerRef);
  const { unavailable } = reader;
  const whole = unavailable === null;
  return {
    certificates: whole ? certificates.filter((certificate) => certificate !== null) : [],
    unavailable,
    clientAuthentication: listener.clientAuthentication,
    clientCaPem: whole ? clientCaPem : null,
    clientCrlPem: whole ? clientCrlPem : null,
    ciphers: listener.tlsCiphers,
    versions: [...(listener.tlsVersions ?? [])],
    alpn: [...(listener.alpnProtocols ?? [])],
    hstsMaxAge: listener.hstsMaxAge,
    hstsIncludeSubdomains: listener.hstsIncludeSubdomains,
    hstsPreload: listener.hstsPreload,
  };
}

/** TLS towards the members, or why it cannot be. */
export function poolTls(pool: Pool, facts: SecretFacts): Found<WantedBackendTls> {
  const reader = new Reader(facts);
  const tls: WantedBackendTls = {
    certificate: pool.tlsContainerRef === null ? null : reader.certificate(pool.tlsContainerRef),
    caPem: reader.text(pool.caTlsContainerRef),
    crlPem: reader.text(pool.crlContainerRef),
    ciphers: pool.tlsCiphers,
    versions: [...(pool.tlsVersions ?? [])],
    alpn: [...(pool.alpnProtocols ?? [])],
  };
  return reader.unavailable === null ? { value: tls } : { unavailable: reader.unavailable };
}

/** Takes values out of the facts and remembers the first reason why one is missing. */
class Reader {
  readonly #facts: SecretFacts;
  unavailable: string | null = null;

  constructor(facts: SecretFacts) {
    this.#facts = facts;
  }

  certificate(ref: string): CertificatePem | null {
    const bundle = this.#take(this.#facts.certificates, ref);
    if (bundle === null) return null;
    const pem = [bundle.privateKeyPem, bundle.certificatePem, ...bundle.intermediatesPem]
      .map((part) => `${part.trim()}\n`)
      .join('');
    return { name: createHash('sha256').update(pem).digest('hex'), pem };
  }

  text(ref: string | null): string | null {
    return ref === null ? null : this.#take(this.#facts.texts, ref);
  }

  #take<T>(facts: ReadonlyMap<string, Found<T>>, ref: string): T | null {
    const found = facts.get(ref);
    if (found === undefined) throw new Error(`the secret ${ref} was not read`);
    if ('value' in found) return found.value;
    this.unavailable ??= found.unavailable;
    return null;
  }
}

function certificateRefs(listener: ListenerRefs): readonly string[] {
  return distinct([listener.defaultTlsContainerRef, ...listener.sniContainerRefs]);
}

function distinct(refs: readonly (string | null)[]): readonly string[] {
  return [...new Set(refs.filter((ref) => ref !== null))];
}
