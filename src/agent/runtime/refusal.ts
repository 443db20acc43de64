/** HAProxy did not take a command, or is not as it was told to be. Nobody's fault: a reload makes it so. */
export class RuntimeRefusal extends Error {}
