import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../../platform/files.ts';
import { type Caller, isAdmin, owns } from '../caller.ts';
import type { Collection, Records } from '../records.ts';

export interface Image {
  readonly id: string;
  readonly name: string | null;
  readonly status: 'queued' | 'active';
  readonly visibility: 'public' | 'private' | 'shared' | 'community';
  readonly owner: string;
  readonly protected: boolean;
  readonly os_hidden: boolean;
  readonly container_format: string | null;
  readonly disk_format: string | null;
  readonly min_ram: number;
  readonly min_disk: number;
  readonly size: number | null;
  /** MD5, as Glance has it. */
  readonly checksum: string | null;
  /** SHA-512. */
  readonly os_hash_value: string | null;
  readonly tags: readonly string[];
  readonly created_at: string;
  readonly updated_at: string;
  /** What a user added: a name and a text each. */
  readonly properties: Readonly<Record<string, string>>;
}

export interface Images {
  readonly collection: Collection<Image>;
  /** A new one without data. */
  create(image: Pick<Image, 'owner'> & Partial<Image>): Image;
  change(image: Image, change: Partial<Image>): Image;
  /** Takes the bytes; active from then on. */
  store(image: Image, data: Buffer): Promise<Image>;
  data(id: string): Promise<Buffer>;
  remove(id: string): Promise<void>;
  sees(caller: Caller, image: Image): boolean;
}

/** Descriptions in the records, bytes in `folder`. */
export function openImages(records: Records, folder: string, now: () => Date): Images {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const collection = records.collection<Image>('image');
  const file = (id: string) => join(folder, id);
  const time = () => `${now().toISOString().slice(0, 19)}Z`;
  const change = (image: Image, what: Partial<Image>) =>
    collection.put({ ...image, ...what, updated_at: time() });

  return {
    collection,
    change,
    create(image) {
      const made = time();
      return collection.put({
        id: randomUUID(),
        name: null,
        status: 'queued',
        visibility: 'shared',
        protected: false,
        os_hidden: false,
        container_format: null,
        disk_format: null,
        min_ram: 0,
        min_disk: 0,
        size: null,
        checksum: null,
        os_hash_value: null,
        tags: [],
        created_at: made,
        updated_at: made,
        properties: {},
        ...image,
      });
    },
    async store(image, data) {
      await writeWhole(file(image.id), data);
      return change(collection.get(image.id) ?? image, {
        status: 'active',
        size: data.length,
        checksum: createHash('md5').update(data).digest('hex'),
        os_hash_value: createHash('sha512').update(data).digest('hex'),
      });
    },
    async data(id) {
      if (!existsSync(file(id))) throw new Error(`image ${id} has no data`);
      return readFile(file(id));
    },
    async remove(id) {
      collection.remove(id);
      await rm(file(id), { force: true });
    },
    sees: (caller, image) =>
      isAdmin(caller) ||
      owns(caller, image.owner) ||
      image.visibility === 'public' ||
      image.visibility === 'community',
  };
}
