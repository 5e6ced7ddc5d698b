export interface Draft {
  score: number;
  skills: string[];
  gaps: string[];
  lines: string[];
  problems: string[];
}

export interface Steps {
  analyze(cv: { skills: string[]; years: number; summary: string }): Promise<{
    score: number;
    skills: string[];
    gaps: string[];
  }>;
  clean(text: string): Promise<string[]>;
  validate(score: number, lines: string[]): Promise<string[]>;
}

export class RecommendationOrchestrator {
  constructor(private steps: Steps) {}

  async draft(cv: { skills: string[]; years: number; summary: string }): Promise<Draft> {
    const analysis = await this.steps.analyze(cv);
    const lines = await this.steps.clean(cv.summary);
    const problems = await this.steps.validate(analysis.score, lines);
    return { score: analysis.score, skills: analysis.skills, gaps: analysis.gaps, lines, problems };
  }
}
