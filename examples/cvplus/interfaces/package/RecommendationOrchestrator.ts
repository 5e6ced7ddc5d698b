// @cvplus/recommendation-orchestrator
export interface CV {
  skills: string[];
  years: number;
  summary: string;
}

export interface Analysis {
  score: number;
  skills: string[];
  gaps: string[];
}

export interface Draft extends Analysis {
  lines: string[];
  problems: string[];
}

export interface Steps {
  analyze(cv: CV): Promise<Analysis>;
  clean(text: string): Promise<string[]>;
  validate(score: number, lines: string[]): Promise<string[]>;
}

export class RecommendationOrchestrator {
  readonly #steps: Steps;

  constructor(steps: Steps) {
    this.#steps = steps;
  }

  async draft(cv: CV): Promise<Draft> {
    const [analysis, lines] = [await this.#steps.analyze(cv), await this.#steps.clean(cv.summary)];
    return { ...analysis, lines, problems: await this.#steps.validate(analysis.score, lines) };
  }
}
