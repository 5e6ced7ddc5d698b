export interface Profile {
  user: string;
  headline: string;
}

export interface Options {
  ttl?: number;
  fresh?: boolean;
}

export class CacheManager {
  private entries: { [key: string]: { value: Profile; until: number } } = {};

  constructor(private load: (user: string) => Promise<Profile | undefined>, private now: () => number) {}

  async profile(user: string, options?: Options): Promise<Profile | null> {
    const entry = this.entries[user];
    if (entry && entry.until > this.now() && !(options && options.fresh)) return entry.value;
    const value = await this.load(user);
    if (!value) return null;
    this.entries[user] = { value, until: this.now() + ((options && options.ttl) || 60) };
    return value;
  }

  invalidate(user: string): void {
    delete this.entries[user];
  }
}
