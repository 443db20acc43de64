/** The name (common name and DNS SAN) in the controllers' client certificate. */
export const controllerName = 'livia-controller';

/** The name in the server certificate of an amphora's agent. */
export const amphoraName = (amphoraId: string): string => `amphora-${amphoraId}`;
