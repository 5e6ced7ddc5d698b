// @cvplus/improvement-orchestrator
export type Improvement = { skills: string[]; improved: number };

export interface Actions {
  apply(skills: string[], suggestions: string[], transaction?: string): Promise<{ skills: string[] }>;
}

const AT_A_TIME = 3;

export class ImprovementOrchestrator {
  readonly #actions: Actions;

  constructor(actions: Actions) {
    this.#actions = actions;
  }

  async improve(skills: string[], suggestions: string[], transaction?: string): Promise<Improvement> {
    const applied = await this.#actions.apply(skills, suggestions, transaction);
    const before = new Set(skills);
    return { skills: applied.skills, improved: applied.skills.filter((skill) => !before.has(skill)).length };
  }

  async priorities(suggestions: string[]): Promise<string[]> {
    return [...new Set(suggestions)].slice(0, AT_A_TIME);
  }
}
