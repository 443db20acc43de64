import type { Host, HostOptions } from './host.ts'

export async function openHost(options: HostOptions): Promise<Host> {
  throw new Error(`the host side of the cloudlet "${options.name}" is not built yet`)
}
