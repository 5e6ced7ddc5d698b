// @cvplus/recommendation-generator
export enum Source {
  Ai = "ai",
  Fallback = "fallback",
}

export interface Suggestions {
  suggestions: string[];
  source: Source;
}

export interface Breaker {
  permit(name: string): Promise<{ allowed: boolean; attempts: number }>;
  record(name: string, ok: boolean): Promise<void>;
}

type Model = (gaps: string[]) => Promise<string[]>;

export class RecommendationGenerator {
  readonly #breaker: Breaker;
  readonly #model: Model;

  constructor(breaker: Breaker, model: Model) {
    this.#breaker = breaker;
    this.#model = model;
  }

  async generate(gaps: string[]): Promise<Suggestions> {
    const { allowed, attempts } = await this.#breaker.permit("ai");
    const suggestions = allowed ? await this.#asked(gaps, attempts) : undefined;
    return suggestions === undefined
      ? { suggestions: await this.fallback(gaps), source: Source.Fallback }
      : { suggestions, source: Source.Ai };
  }

  async fallback(gaps: string[]): Promise<string[]> {
    return gaps.map((gap) => `learn:${gap}`).sort();
  }

  async #asked(gaps: string[], attempts: number): Promise<string[] | undefined> {
    for (let tries = 0; tries < attempts; tries++) {
      const suggestions = await this.#model(gaps).catch(() => undefined);
      await this.#breaker.record("ai", suggestions !== undefined);
      if (suggestions !== undefined) return suggestions;
    }
    return undefined;
  }
}
