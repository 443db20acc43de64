import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openCloudlet } from '../src/cloudlet/cloudlet.ts';
import { Config } from '../src/cloudlet/config.ts';
import { openHost } from '../src/cloudlet/host/open-host.ts';
import { openRecords } from '../src/cloudlet/records.ts';
import { loadConfig } from '../src/platform/config.ts';
import { makeLog } from '../src/platform/log.ts';

const log = makeLog('livia-cloudlet');

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined) throw new Error('usage: livia-cloudlet --config FILE');
  const config = await loadConfig(Config, values.config);
  const asked = new Promise<NodeJS.Signals>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, resolve);
  });

  const records = openRecords(join(config.state_dir, 'records.sqlite')); // first, as only one of us can have it
  const host = await openHost({ stateDir: config.state_dir, name: config.name, log });
  const cloudlet = await openCloudlet({ config, records, host, log });
  await cloudlet.app.listen({ host: config.listen_host, port: config.listen_port });
  log.info({ url: config.public_url, limits: host.limits }, 'the cloud is open');

  // A power-off: the instances go with us. Only a kill leaves them, to be adopted.
  log.info({ signal: await asked }, 'closing');
  await cloudlet.close();
  await host.close();
  records.close();
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    log.fatal({ err: error }, error instanceof Error ? error.message : String(error));
    process.exit(1);
  },
);
