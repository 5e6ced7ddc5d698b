// @cvplus/cache-manager
export interface Profile {
  user: string;
  headline: string;
}

export interface Options {
  ttl?: number;
  fresh?: boolean;
}

type Entry = { value: Profile; until: number };

export class CacheManager {
  readonly #entries = new Map<string, Entry>();
  readonly #load: (user: string) => Promise<Profile | undefined>;
  readonly #now: () => number;

  constructor(load: (user: string) => Promise<Profile | undefined>, now: () => number) {
    this.#load = load;
    this.#now = now;
  }

  async profile(user: string, { ttl = 60, fresh = false }: Options = {}): Promise<Profile | null> {
    const entry = this.#entries.get(user);
    if (entry !== undefined && entry.until > this.#now() && !fresh) return entry.value;
    const value = await this.#load(user);
    if (value === undefined) return null;
    this.#entries.set(user, { value, until: this.#now() + ttl });
    return value;
  }

  invalidate(user: string): void {
    this.#entries.delete(user);
  }
}
