export interface Improvement {
  skills: string[];
  improved: number;
}

export interface Actions {
  apply(skills: string[], suggestions: string[], transaction?: string): Promise<{ skills: string[] }>;
}

export class ImprovementOrchestrator {
  constructor(private actions: Actions) {}

  async improve(skills: string[], suggestions: string[], transaction?: string): Promise<Improvement> {
    const applied = await this.actions.apply(skills, suggestions, transaction);
    let improved = 0;
    for (const skill of applied.skills) {
      if (skills.indexOf(skill) < 0) improved = improved + 1;
    }
    return { skills: applied.skills, improved: improved };
  }

  async priorities(suggestions: string[]): Promise<string[]> {
    const chosen: string[] = [];
    for (const suggestion of suggestions) {
      if (chosen.length < 3 && chosen.indexOf(suggestion) < 0) chosen.push(suggestion);
    }
    return chosen;
  }
}
