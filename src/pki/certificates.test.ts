import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import forge from 'node-forge';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../platform/run.ts';
import { CertificateError } from './certificate-error.ts';
import { certificateName, hostNames, keyedCertificateOfPem, orderChain, wireCertificate } from './chain.ts';
import { checkCrl } from './crl.ts';
import { readPkcs12 } from './pkcs12.ts';

let folder = '';
const at = (name: string): string => join(folder, name);
const text = (name: string): string => readFileSync(at(name), 'utf8');
const openssl = (...args: string[]): Promise<string> => run(['openssl', ...args], { cwd: folder });
const pem = (name: string): string => new X509Certificate(text(name)).toString();

const keyKinds = {
  rsa: ['-newkey', 'rsa:2048'],
  ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  ed25519: ['-newkey', 'ed25519'],
};
const protections = {
  PBES2: [],
  'legacy RC2 and 3DES': ['-legacy'],
  'no encryption': ['-keypbe', 'NONE', '-certpbe', 'NONE'],
};

/** root ← middle ← leaf of each kind, all in `folder`. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'livia-bundles-'));
  const subject = (name: string): string[] => ['-subj', `/O=Müller & Söhne/CN=${name}`, '-utf8'];
  const ca = ['-addext', 'basicConstraints=critical,CA:TRUE'];
  await openssl(
    'req',
    '-x509',
    ...keyKinds.rsa,
    '-nodes',
    '-keyout',
    'root.key',
    '-out',
    'root.pem',
    '-days',
    '9',
    ...subject('root'),
  );
  await openssl(
    'req',
    '-x509',
    ...keyKinds.ec,
    '-nodes',
    '-keyout',
    'middle.key',
    '-out',
    'middle.pem',
    '-days',
    '9',
    ...subject('middle'),
    ...ca,
    '-CA',
    'root.pem',
    '-CAkey',
    'root.key',
  );
  for (const [kind, newKey] of Object.entries(keyKinds)) {
    await openssl(
      'req',
      '-x509',
      ...newKey,
      '-nodes',
      '-keyout',
      `${kind}.key`,
      '-out',
      `${kind}.pem`,
      '-days',
      '9',
      ...subject(`${kind}.example`),
      '-addext',
      `subjectAltName=DNS:www.${kind}.example,IP:192.0.2.1`,
      '-CA',
      'middle.pem',
      '-CAkey',
      'middle.key',
    );
  }
  writeFileSync(at('chain.pem'), text('root.pem') + text('middle.pem'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function bundle(name: string, ...options: string[]): Promise<Buffer> {
  await openssl(
    'pkcs12',
    '-export',
    '-inkey',
    'rsa.key',
    '-in',
    'rsa.pem',
    '-out',
    name,
    '-passout',
    'pass:',
    ...options,
  );
  return readFileSync(at(name));
}

describe('a PKCS#12 bundle', () => {
  for (const kind of Object.keys(keyKinds)) {
    for (const [protection, options] of Object.entries(protections)) {
      for (const mac of [[], ['-nomac']]) {
        it(`of an ${kind} key under ${protection}${mac.length > 0 ? ' without MAC' : ''} gives key, leaf and chain`, async () => {
          await openssl(
            'pkcs12',
            '-export',
            '-inkey',
            `${kind}.key`,
            '-in',
            `${kind}.pem`,
            '-certfile',
            'chain.pem',
            '-out',
            'one.p12',
            '-passout',
            'pass:',
            ...options,
            ...mac,
          );
          const read = readPkcs12(readFileSync(at('one.p12')));
          expect(read.certificatePem).toBe(pem(`${kind}.pem`));
          expect(read.intermediatesPem).toEqual([pem('middle.pem'), pem('root.pem')]);
          expect(createPrivateKey(read.privateKeyPem).equals(createPrivateKey(text(`${kind}.key`)))).toBe(
            true,
          );
        });
      }
    }
  }

  it('under a passphrase is refused with these words', async () => {
    for (const options of [[], ['-legacy'], ['-nomac'], ['-nomac', '-legacy']]) {
      const sealed = await bundle('sealed.p12', '-passout', 'pass:secret', ...options);
      expect(() => readPkcs12(sealed)).toThrow(new CertificateError('needs a passphrase'));
    }
  });

  it('without a key, and one without certificates, are refused with these words', async () => {
    const keyless = await bundle('keyless.p12', '-nokeys');
    expect(() => readPkcs12(keyless)).toThrow(new CertificateError('holds no private key'));
    const bare = await bundle('bare.p12', '-nocerts');
    expect(() => readPkcs12(bare)).toThrow(new CertificateError('holds no certificate'));
  });

  it('whose key belongs to another certificate is refused with these words', () => {
    const key = forge.pki.privateKeyFromPem(text('rsa.key'));
    const certificate = forge.pki.certificateFromPem(text('root.pem'));
    const mixed = forge.asn1.toDer(forge.pkcs12.toPkcs12Asn1(key, certificate, '')).getBytes();
    expect(() => readPkcs12(Buffer.from(mixed, 'latin1'))).toThrow(
      new CertificateError('the private key does not belong to the certificate'),
    );
  });

  it('that asks for millions of rounds of key derivation is refused instead of stopping the process', async () => {
    for (const options of [['-nomac'], ['-nomac', '-legacy'], ['-keypbe', 'NONE', '-certpbe', 'NONE']]) {
      const patient = (await bundle('patient.p12', ...options, '-iter', '70000')).toString('latin1');
      const asked = Buffer.from(patient.replaceAll('\x02\x03\x01\x11\x70', '\x02\x03\x7f\xff\xff'), 'latin1');
      expect(() => readPkcs12(asked)).toThrow(/asks for more than \d+ rounds/);
    }
  });

  it('of any other bytes is refused with a sentence and nothing else', async () => {
    const good = [
      await bundle('good.p12'),
      await bundle('plain.p12', '-keypbe', 'NONE', '-certpbe', 'NONE', '-nomac'),
    ];
    const refusedOrRead = (bytes: Buffer): void => {
      try {
        readPkcs12(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(CertificateError);
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(() => readPkcs12(Buffer.from(bytes))).toThrow(new CertificateError('is not a PKCS#12 bundle'));
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...good),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(),
        (whole, hits, cut) => {
          const bytes = Buffer.from(whole);
          for (const [place, byte] of hits) bytes[place % bytes.length] = byte;
          refusedOrRead(cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes);
        },
      ),
      { numRuns: 300 },
    );
    expect(() => readPkcs12(Buffer.from(text('rsa.pem')))).toThrow('is not a PKCS#12 bundle');
    expect(() => readPkcs12(Buffer.alloc(1_000_000, 0x30))).toThrow('is not a PKCS#12 bundle');
    expect(() => readPkcs12(Buffer.alloc(100_000, 0x30))).toThrow('is not a PKCS#12 bundle');
    expect(() => readPkcs12(randomBytes(5000))).toThrow('is not a PKCS#12 bundle');
  });
});

describe('a certificate given as PEM texts', () => {
  it('is put in order, and nothing but what was understood is handed on', () => {
    const keyed = keyedCertificateOfPem({
      certificate: `Bag Attributes\n  crt /etc/passwd\n${text('rsa.pem')}`,
      privateKey: text('rsa.key'),
      intermediates: text('chain.pem') + text('rsa.pem'),
    });
    expect(keyed.intermediatesPem).toEqual([pem('middle.pem'), pem('root.pem')]);
    const wire = wireCertificate(keyed);
    expect(wire.pem).not.toContain('passwd');
    expect(wire.pem.match(/BEGIN [A-Z ]+/g)).toEqual([
      'BEGIN PRIVATE KEY',
      ...Array(3).fill('BEGIN CERTIFICATE'),
    ]);
    expect(wire.name).toBe(certificateName(text('rsa.pem')));
    expect(wire.name).toMatch(/^[0-9a-f]{64}$/);
  });

  it('may have its key under the passphrase that comes with it', async () => {
    await openssl('pkey', '-in', 'rsa.key', '-aes256', '-passout', 'pass:open', '-out', 'sealed.key');
    const given = { certificate: text('rsa.pem'), privateKey: text('sealed.key') };
    expect(keyedCertificateOfPem({ ...given, passphrase: 'open' }).certificatePem).toBe(pem('rsa.pem'));
    expect(() => keyedCertificateOfPem(given)).toThrow('the private key needs a passphrase');
    expect(() => keyedCertificateOfPem({ ...given, passphrase: 'shut' })).toThrow(
      'the passphrase does not open',
    );
  });

  it('is refused with a sentence when key and certificate are no pair or cannot be read', () => {
    const given = { certificate: text('rsa.pem'), privateKey: text('rsa.key') };
    expect(() => keyedCertificateOfPem({ ...given, privateKey: text('ec.key') })).toThrow('does not belong');
    expect(() => keyedCertificateOfPem({ ...given, privateKey: 'none' })).toThrow('holds no private key');
    expect(() => keyedCertificateOfPem({ ...given, certificate: '' })).toThrow('holds no PEM certificate');
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
    expect(() => keyedCertificateOfPem({ ...given, certificate: broken })).toThrow('cannot be read');
  });

  it('keeps certificates that issued nothing, after the chain', () => {
    const one = (name: string): X509Certificate => new X509Certificate(text(name));
    const chain = orderChain(one('rsa.pem'), [
      one('ec.pem'),
      one('root.pem'),
      one('middle.pem'),
      one('root.pem'),
    ]);
    expect(chain.map((certificate) => certificate.fingerprint)).toEqual(
      ['middle.pem', 'root.pem', 'ec.pem'].map((name) => one(name).fingerprint),
    );
  });
});

describe('the host names of a certificate', () => {
  it('are its common name and its DNS names, not its addresses', () => {
    expect(hostNames(text('rsa.pem'))).toEqual(['rsa.example', 'www.rsa.example']);
  });

  it('cannot be faked by odd characters in another kind of name', async () => {
    await openssl(
      'req',
      '-x509',
      ...keyKinds.ec,
      '-nodes',
      '-keyout',
      'odd.key',
      '-out',
      'odd.pem',
      '-subj',
      '/CN=Odd.example',
      '-addext',
      'subjectAltName=email:"a, DNS:bank.example"@x.example,DNS:*.odd.example',
    );
    expect(hostNames(text('odd.pem'))).not.toContain('bank.example');
    expect(hostNames(text('odd.pem'))).toContain('*.odd.example');
  });

  it('are missed when there is none', async () => {
    await openssl(
      'req',
      '-x509',
      ...keyKinds.ec,
      '-nodes',
      '-keyout',
      'no.key',
      '-out',
      'no.pem',
      '-subj',
      '/O=Nobody',
      '-addext',
      'subjectAltName=IP:192.0.2.1',
    );
    expect(() => hostNames(text('no.pem'))).toThrow('has neither a common name nor a DNS name');
  });
});

describe('a revocation list', () => {
  it('is good when one of the CAs signed it, whatever their keys', async () => {
    for (const ca of ['root', 'middle']) {
      writeFileSync(at('index.txt'), '');
      writeFileSync(
        at('ca.cnf'),
        '[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=9\n',
      );
      await openssl(
        'ca',
        '-gencrl',
        '-config',
        'ca.cnf',
        '-cert',
        `${ca}.pem`,
        '-keyfile',
        `${ca}.key`,
        '-out',
        `${ca}.crl`,
      );
    }
    await checkCrl(text('root.crl'), text('root.pem'));
    await checkCrl(text('middle.crl'), text('chain.pem'));
    await expect(checkCrl(text('root.crl'), text('middle.pem'))).rejects.toThrow('is not signed by the CA');
    await expect(checkCrl(text('root.crl') + text('middle.crl'), text('root.pem'))).rejects.toThrow(
      'is not signed by the CA',
    );
    await expect(checkCrl(text('root.pem'), text('root.pem'))).rejects.toThrow(
      'holds no PEM revocation list',
    );
    const broken = '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----';
    await expect(checkCrl(broken, text('root.pem'))).rejects.toThrow('cannot be read');
  });
});
