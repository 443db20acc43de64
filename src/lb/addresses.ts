/** Addresses as text; they are legal IPv4 or IPv6 addresses or CIDRs when they come here. */

export function ipVersion(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/** In the list, however it is written: IPv6 shortened or not, IPv4 wrapped into IPv6. */
export function isReserved(address: string, reserved: readonly string[]): boolean {
  return reserved.some((other) => comparable(other) === comparable(address));
}

/** The same text for the same host. */
function comparable(address: string): string {
  if (ipVersion(address) === 4) return address;
  const groups = ipv6Groups(address);
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (!mapped) return groups.map((group) => group.toString(16)).join(':');
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.');
}

/** The eight numbers of an IPv6 address. */
function ipv6Groups(address: string): readonly number[] {
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const front = groupsOf(head);
  if (tail === undefined) return front;
  const back = groupsOf(tail);
  return [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
}

function groupsOf(text: string): readonly number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
