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

export class RecommendationGenerator {
  constructor(private breaker: Breaker, private ask: (gaps: string[]) => Promise<string[]>) {}

  async generate(gaps: string[]): Promise<Suggestions> {
    const permit = await this.breaker.permit("ai");
    for (let tries = 0; permit.allowed && tries < permit.attempts; tries++) {
      try {
        const suggestions = await this.ask(gaps);
        await this.breaker.record("ai", true);
        return { suggestions, source: Source.Ai };
      } catch (error) {
        await this.breaker.record("ai", false);
      }
    }
    return { suggestions: await this.fallback(gaps), source: Source.Fallback };
  }

  async fallback(gaps: string[]): Promise<string[]> {
    return gaps.map((gap) => "learn:" + gap).sort();
  }
}
