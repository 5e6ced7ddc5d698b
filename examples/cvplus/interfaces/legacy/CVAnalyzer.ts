// As the monolith has grown it: a class behind a shared instance.
export interface CV {
  skills: string[];
  years: number;
  summary: string;
  languages?: string[];
}

export interface Analysis {
  score: number;
  skills: string[];
  gaps: string[];
}

export class CVAnalyzer {
  private cache: Map<string, Analysis> = new Map();

  constructor(private market: readonly string[]) {}

  async analyze(cv: CV): Promise<Analysis> {
    const key = JSON.stringify(cv);
    let analysis = this.cache.get(key);
    if (!analysis) {
      const skills = cv.skills.filter((skill) => this.market.indexOf(skill) >= 0);
      const gaps = this.market.filter((skill) => cv.skills.indexOf(skill) < 0);
      analysis = { score: Math.min(100, 40 + 5 * skills.length + 2 * Math.min(cv.years, 10)), skills, gaps };
      this.cache.set(key, analysis);
    }
    return analysis;
  }
}
