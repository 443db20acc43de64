import { usedBytes } from './memory.ts';

const lookEveryMs = 20;

/** The most memory that was in use while HAProxy last loaded a configuration, as seen every 20 ms. */
export function reloadPeak() {
  let lastBytes: number | null = null;
  return {
    lastBytes: (): number | null => lastBytes,

    async during<T>(work: () => Promise<T>): Promise<T> {
      let peak = await usedBytes();
      const timer = setInterval(() => {
        void usedBytes().then((bytes) => (peak = Math.max(peak, bytes)));
      }, lookEveryMs);
      try {
        return await work();
      } finally {
        clearInterval(timer);
        lastBytes = Math.max(peak, await usedBytes());
      }
    },
  };
}
