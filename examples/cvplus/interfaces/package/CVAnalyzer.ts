// @cvplus/cv-analyzer
export interface CV {
  readonly skills: string[];
  readonly years: number;
  readonly summary: string;
  readonly languages?: string[];
}

export interface Analysis {
  score: number;
  skills: string[];
  gaps: string[];
}

export class CVAnalyzer {
  readonly #market: ReadonlySet<string>;

  constructor(market: readonly string[]) {
    this.#market = new Set(market);
  }

  async analyze(profile: CV): Promise<Analysis> {
    const own = new Set(profile.skills);
    const skills = [...this.#market].filter((skill) => own.has(skill)).sort();
    const gaps = [...this.#market].filter((skill) => !own.has(skill)).sort();
    const score = 40 + 5 * skills.length + 2 * Math.min(profile.years, 10);
    return { score: Math.min(score, 100), skills, gaps };
  }
}
