import Type from 'typebox';

/** What tables of settings are made of: an unknown key is refused. */

export const Strict = <P extends Type.TProperties>(properties: P) =>
  Type.Object(properties, { additionalProperties: false });
/** May be left out: then every key has its default. */
export const Table = <P extends Type.TProperties>(properties: P) =>
  Type.Object(properties, { additionalProperties: false, default: {} });
export const Port = (fallback: number) => Type.Integer({ minimum: 0, maximum: 65_535, default: fallback });
export const Seconds = (fallback: number) => Type.Number({ minimum: 0, default: fallback });
