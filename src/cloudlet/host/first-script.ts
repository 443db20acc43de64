import { posix } from 'node:path';
import type { InstanceSpec } from './host.ts';
import { addressLines, word } from './links.ts';

/**
 * What the first process of an instance does before the image's own script takes its place. It is a shell that reads
 * these two texts from a pipe: so nothing secret is ever in an argument, an environment or a file of the machine, and
 * the pipe's end (our death) ends a half-made instance.
 *
 * First text: joins its groups, says who it is (on file descriptor 3, its line of /proc/PID/stat), then makes mounts
 * and files. Second text, when its cards are in: addresses, the word `up` on descriptor 3, and the image's script.
 */
export function untilCards(spec: InstanceSpec, groups: readonly string[]): string {
  const files = [...spec.files, { path: bootScript, content: spec.bootScript, mode: 0o700 }];
  return [
    'set -e',
    ...groups.map((group) => `echo 0 > ${quote(group)}`),
    // Still the machine's own /proc, so the number is the machine's as well.
    'read -r stat < /proc/self/stat; echo "$stat" >&3',
    // In a chroot "/" is no mount of its own: there the change is made from the namespace's real root.
    'mount --make-rprivate / 2>/dev/null || ' +
      'nsenter --mount=/proc/self/ns/mnt mount --make-rprivate / 2>/dev/null || true',
    'mount -t proc proc /proc',
    `mount -t tmpfs -o mode=755,size=${Math.floor(spec.memoryBytes / 4)} tmpfs /run`,
    `hostname ${quote(spec.name.slice(0, 63))} || true`,
    // Addresses that are another amphora's at the moment can be listened on; IPv6 addresses are usable at once; a card
    // that comes up tells its addresses to neighbours who may know them as another card's.
    'for setting in ipv4/ip_nonlocal_bind=1 ipv6/ip_nonlocal_bind=1 ipv4/conf/all/arp_notify=1 ' +
      'ipv6/conf/default/accept_dad=0',
    'do file=/proc/sys/net/${setting%=*}; if [ -e "$file" ]; then echo "${setting#*=}" > "$file"; fi; done',
    'umask 077',
    ...files.flatMap(({ path, content, mode }) => {
      const place = quote(checkPlace(path));
      return [
        `mkdir -p ${quote(posix.dirname(path))}`,
        `printf %s ${quote(content)} > ${place}`, // printf is the shell's own: no argument of any process
        `chmod ${mode.toString(8)} ${place}`,
      ];
    }),
    '',
  ].join('\n');
}

export function fromCards(spec: InstanceSpec): string {
  const first = spec.nics[0];
  return [
    "ip -batch - <<'END'",
    'link set lo up',
    ...(first === undefined
      ? []
      : [
          ...addressLines('add', 'eth0', first.addresses),
          'link set eth0 up',
          ...first.gateways.map((gateway) => `route add default via ${word(gateway)}`),
        ]),
    'END',
    'umask 022',
    'echo up >&3',
    `exec sh ${bootScript} </dev/null 3>&-`,
    '',
  ].join('\n');
}

const bootScript = '/run/boot';

/** All else than /run is the machine's own disk, seen by the machine and by every other instance. */
function checkPlace(path: string): string {
  if (!path.startsWith('/run/') || posix.normalize(path) !== path || path.endsWith('/')) {
    throw new Error(`an instance can be given files below /run only, not ${path}`);
  }
  return path;
}

/** One word of the shell, whatever is in the text. Throws for the one character that no shell can hold. */
export function quote(text: string): string {
  if (text.includes('\0')) throw new Error('a text with a NUL character cannot be put into an instance');
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
