import Type from 'typebox';
import type { Images } from './clouds.ts';
import type { Session } from './session.ts';

const Listed = Type.Object({ images: Type.Array(Type.Object({ id: Type.String() })) });

export function glanceImages(session: Session): Images {
  return {
    async newest(tag) {
      const { images } = await session.read(Listed, 'image', 'GET', '/images', {
        query: { tag, status: 'active', sort_key: 'created_at', sort_dir: 'desc', limit: '1' },
      });
      return images[0]?.id;
    },
  };
}
