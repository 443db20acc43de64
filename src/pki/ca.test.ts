import { readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { openAuthority } from './authority-folder.ts';
import { createAuthority, type Issued, issueAmphora, issueController, loadAuthority } from './ca.ts';
import { heartbeatKey, openSecretKey } from './heartbeat-key.ts';

const folders: string[] = [];
async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'livia-pki-'));
  folders.push(folder);
  return folder;
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const id = '0c3b2a52-6ea6-4f43-9de8-7bb2a1a4d0a1';

describe('the authority', () => {
  it('issues certificates with which agent and controller prove themselves to each other', async () => {
    const authority = await createAuthority();
    const server = await issueAmphora(authority, id, { days: 30 });
    const client = await issueController(authority, { days: 30 });
    expect(await greet(authority.certificatePem, server, client, `amphora-${id}`)).toBe('livia-controller');
  });

  it('makes no certificate of one amphora good for another, nor a server of a controller', async () => {
    const authority = await createAuthority();
    const server = await issueAmphora(authority, id, { days: 30 });
    const client = await issueController(authority, { days: 30 });
    const ca = authority.certificatePem;
    await expect(greet(ca, server, client, 'amphora-other')).rejects.toThrow(/altnames/);
    await expect(greet(ca, client, client, 'livia-controller')).rejects.toThrow(/purpose/);
    await expect(greet(ca, server, server, `amphora-${id}`)).rejects.toThrow();
    const stranger = await issueController(await createAuthority(), { days: 30 });
    await expect(greet(ca, server, stranger, `amphora-${id}`)).rejects.toThrow();
  });

  it('gives the amphora the asked life, its name alone, and a serial of its own', async () => {
    const authority = await createAuthority();
    const issued = await issueAmphora(authority, id, { days: 30 });
    const certificate = new X509Certificate(issued.certificatePem);
    expect(certificate.subjectAltName).toBe(`DNS:amphora-${id}`);
    expect(certificate.ca).toBe(false);
    expect(Math.abs(certificate.validToDate.getTime() - issued.notAfter.getTime())).toBeLessThan(1000);
    const days = (issued.notAfter.getTime() - Date.now()) / 86_400_000;
    expect(days).toBeCloseTo(30, 1);
    const again = new X509Certificate((await issueAmphora(authority, id, { days: 30 })).certificatePem);
    expect(again.serialNumber).not.toBe(certificate.serialNumber);
  });

  it('is not loaded from a certificate and a key that are no pair', async () => {
    const [one, other] = [await createAuthority(), await createAuthority()];
    await expect(loadAuthority(one.certificatePem, other.keyPem)).rejects.toThrow(/does not belong/);
    await expect(loadAuthority('nonsense', one.keyPem)).rejects.toThrow(/not a PEM/);
  });
});

describe("the authority's folder", () => {
  it('is filled once, readable by its owner alone, and read afterwards', async () => {
    const folder = join(await newFolder(), 'pki');
    const first = await openAuthority(folder);
    const second = await openAuthority(folder);
    expect(second.certificatePem).toBe(first.certificatePem);
    expect(second.controller).toEqual(first.controller);
    for (const name of ['ca.key', 'controller.pem'])
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    expect(new X509Certificate(first.controller.certificatePem).subjectAltName).toBe('DNS:livia-controller');
  });

  it('is one authority also when several controllers open it at once', async () => {
    const folder = await newFolder();
    const opened = await Promise.all(Array.from({ length: 5 }, () => openAuthority(folder)));
    expect(new Set(opened.map((authority) => authority.certificatePem)).size).toBe(1);
    for (const { certificatePem, controller } of opened) {
      expect(
        new X509Certificate(controller.certificatePem).verify(new X509Certificate(certificatePem).publicKey),
      ).toBe(true);
    }
  });

  it('survives a death between key and certificate', async () => {
    const folder = await newFolder();
    const before = await openAuthority(folder);
    unlinkSync(join(folder, 'ca.pem'));
    const after = await openAuthority(folder);
    expect(after.keyPem).toBe(before.keyPem);
    const issued = await issueAmphora(before, id, { days: 30 });
    expect(await greet(after.certificatePem, issued, after.controller, `amphora-${id}`)).toBe(
      'livia-controller',
    );
  });

  it('renews the client certificate when it nears its end or comes from another authority', async () => {
    const folder = await newFolder();
    const authority = await openAuthority(folder);
    for (const issued of [
      await issueController(authority, { days: 100 }),
      await issueController(await createAuthority(), { days: 700 }),
    ]) {
      writeFileSync(join(folder, 'controller.pem'), issued.keyPem + issued.certificatePem);
      const { controller } = await openAuthority(folder);
      expect(controller.certificatePem).not.toBe(issued.certificatePem);
      expect(readFileSync(join(folder, 'controller.pem'), 'utf8')).toContain(controller.certificatePem);
    }
  });
});

describe('the heartbeat key', () => {
  it('is the same for every controller and another for every amphora', async () => {
    const path = join(await newFolder(), 'pki', 'secret-key');
    const [one, other] = await Promise.all([openSecretKey(path), openSecretKey(path)]);
    expect(heartbeatKey(one, id)).toEqual(heartbeatKey(other, id));
    expect(heartbeatKey(one, id)).toHaveLength(32);
    expect(heartbeatKey(one, 'other')).not.toEqual(heartbeatKey(one, id));
  });

  it('is refused when the secret file was cut', async () => {
    const path = join(await newFolder(), 'secret-key');
    writeFileSync(path, 'short');
    await expect(openSecretKey(path)).rejects.toThrow(/holds 5 bytes/);
  });
});

/** One TLS connection: the client's name as the server sees it. */
function greet(
  ca: string,
  server: Pick<Issued, 'certificatePem' | 'keyPem'>,
  client: Pick<Issued, 'certificatePem' | 'keyPem'>,
  servername: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const listener = tls.createServer(
      { ca, cert: server.certificatePem, key: server.keyPem, requestCert: true, rejectUnauthorized: true },
      (socket) => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.on('error', reject).end();
      },
    );
    listener.on('tlsClientError', reject);
    listener.listen(0, '127.0.0.1', () => {
      const { port } = listener.address() as { port: number };
      const socket = tls.connect(
        { host: '127.0.0.1', port, ca, cert: client.certificatePem, key: client.keyPem, servername },
        () => socket.resume(),
      );
      socket.on('error', reject);
      socket.on('close', () => listener.close());
    });
  });
}
