/** The PEM blocks of one label in a text, each with its armour and a line end, in order. What stands between is dropped. */
export function pemBlocks(text: string, label: string): string[] {
  const block = new RegExp(`-----BEGIN ${label}-----[A-Za-z0-9+/=\\s]+?-----END ${label}-----`, 'g');
  return [...text.matchAll(block)].map(([found]) => `${found.replaceAll('\r', '')}\n`);
}
