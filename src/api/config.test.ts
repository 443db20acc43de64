import { describe, expect, it } from 'vitest';
import { makeLog } from '../platform/log.ts';
import { apiConfig } from './config.ts';
import { standardConfig } from './server.ts';
import { operatorSettings } from './settings.fixture.ts';

const log = makeLog('config-test', 'silent');
const configOf = (said: object) => apiConfig(operatorSettings(said), log);

describe('Settings', () => {
  it('nobody wrote down mean what the API does by itself', async () => {
    const { policy: _, maxBodyBytes: __, ...standard } = standardConfig;
    expect(await configOf({})).toMatchObject(standard);
  });

  it.each([
    [{ tls_cipher_prohibit_list: 'X:DHE-RSA-CHACHA20-POLY1305' }, 'default_listener_ciphers'],
    [{ default_pool_ciphers: 'A:B', tls_cipher_prohibit_list: 'B' }, 'default_pool_ciphers: B'],
    [{ minimum_tls_version: 'TLSv1.3' }, 'default_listener_tls_versions: TLSv1.2'],
    [
      { minimum_tls_version: 'TLSv1.2', default_pool_tls_versions: ['TLSv1.1', 'TLSv1.3'] },
      'default_pool_tls_versions: TLSv1.1',
    ],
    [{ default_provider_driver: 'ovn' }, 'ovn is not among'],
    [{ enabled_provider_drivers: { octavia: '' } }, 'amphora is not among'],
    [{ enabled_provider_drivers: { amphora: '', ovn: '' } }, 'no driver ovn'],
  ])('that contradict each other are refused: %j', async (load_balancing, text) => {
    const refusal = configOf({ load_balancing });
    await expect(refusal).rejects.toThrow(text);
    await expect(refusal).rejects.not.toThrow('\n');
  });

  it.each([
    { api: { auth_strategy: 'none' } },
    { api: { pagination_max_limit: 'all' } },
    { load_balancing: { default_listener_tls_versions: [] } },
    { load_balancing: { default_listener_alpn_protocols: ['h3'] } },
    { load_balancing: { default_listener_ciphers: 'A B' } },
    { load_balancing: { timeout_client_data: -1 } },
    { quotas: { default_pool_quota: -2 } },
    { networking: { denylist: [] } },
  ])('that are no settings are refused: %j', (said) => {
    expect(() => operatorSettings(said)).toThrow();
  });
});
