import type { FastifyInstance } from 'fastify';

export const containerFormats = ['ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed'];
export const diskFormats = [
  'ami',
  'ari',
  'aki',
  'vhd',
  'vhdx',
  'vmdk',
  'raw',
  'qcow2',
  'vdi',
  'iso',
  'ploop',
];

const text = { type: 'string' };
const nullableText = { type: ['null', 'string'] };
const number = { type: ['null', 'integer'] };
const fixed = { readOnly: true };

/** What an image has, as a client that builds its model from it reads it. */
const image = {
  name: 'image',
  properties: {
    id: {
      ...text,
      pattern: '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$',
    },
    name: { ...nullableText, maxLength: 255 },
    status: { ...text, ...fixed, enum: ['queued', 'active'] },
    visibility: { ...text, enum: ['public', 'private', 'shared', 'community'] },
    protected: { type: 'boolean' },
    os_hidden: { type: 'boolean' },
    owner: nullableText,
    container_format: { ...nullableText, enum: [null, ...containerFormats] },
    disk_format: { ...nullableText, enum: [null, ...diskFormats] },
    min_ram: { type: 'integer' },
    min_disk: { type: 'integer' },
    size: { ...number, ...fixed },
    virtual_size: { ...number, ...fixed },
    checksum: { ...nullableText, ...fixed },
    os_hash_algo: { ...nullableText, ...fixed },
    os_hash_value: { ...nullableText, ...fixed },
    created_at: { ...text, ...fixed },
    updated_at: { ...text, ...fixed },
    tags: { type: 'array', items: { ...text, maxLength: 255 } },
    self: { ...text, ...fixed },
    file: { ...text, ...fixed },
    schema: { ...text, ...fixed },
  },
  additionalProperties: text,
  links: [
    { rel: 'self', href: '{self}' },
    { rel: 'enclosure', href: '{file}' },
    { rel: 'describedby', href: '{schema}' },
  ],
};
const images = {
  name: 'images',
  properties: {
    images: { type: 'array', items: image },
    first: text,
    next: text,
    schema: text,
  },
  links: [
    { rel: 'first', href: '{first}' },
    { rel: 'next', href: '{next}' },
    { rel: 'describedby', href: '{schema}' },
  ],
};

export function schemaRoutes(app: FastifyInstance): void {
  app.get('/schemas/image', async () => image);
  app.get('/schemas/images', async () => images);
}
