/** How a run on a load balancer ended. */
export type Rest =
  /** All is as it should be. */
  | { readonly kind: 'done' }
  /** Something is under way elsewhere, longer than a run waits. */
  | { readonly kind: 'under-way'; readonly reason: string }
  /** Settled, but something in it is not as wished; shown where it is. */
  | { readonly kind: 'imperfect'; readonly reason: string }
  /** It did not work out. `never`: not before somebody changes something. */
  | { readonly kind: 'failed'; readonly retry: 'later' | 'never'; readonly reason: string };
