/**
 * The world is slow or broken. `later`: try again, nothing is lost. `never`: the wish itself cannot be met, the
 * message says why in a sentence for a person.
 */
export class DriverError extends Error {
  readonly retry: 'later' | 'never';
  /** HTTP status of the service's answer, when there was one. */
  readonly status: number | undefined;
  constructor(message: string, options: { retry: 'later' | 'never'; status?: number; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'DriverError';
    this.retry = options.retry;
    this.status = options.status;
  }
}
