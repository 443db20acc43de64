/**
 * "No", said to a client. Thrown, so that it also rolls back the transaction it was raised in; the server turns it
 * into the error body of the service that was asked.
 */
export class Refusal extends Error {
  readonly status: number;
  /** Neutron's exception name, such as `IpAddressInUse`; other services name their errors by status alone. */
  readonly type: string | undefined;

  constructor(status: number, message: string, type?: string) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.type = type;
  }
}

export function badRequest(message: string, type = 'BadRequest'): Refusal {
  return new Refusal(400, message, type);
}

export function forbidden(message = 'You are not authorized to perform the requested action.'): Refusal {
  return new Refusal(403, message, 'PolicyNotAuthorized');
}

export function notFound(message: string, type = 'HTTPNotFound'): Refusal {
  return new Refusal(404, message, type);
}

export function conflict(message: string, type = 'Conflict'): Refusal {
  return new Refusal(409, message, type);
}
