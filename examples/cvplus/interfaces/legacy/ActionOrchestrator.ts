export interface Applied {
  skills: string[];
  outcome?: string;
}

export class ActionOrchestrator {
  constructor(
    private priorities: (suggestions: string[]) => Promise<string[]>,
    private transform: (skills: string[], actions: string[]) => Promise<string[]>,
    private commit: (transaction: string, skills: string[]) => Promise<string>,
  ) {}

  async apply(skills: string[], suggestions: string[], transaction?: string): Promise<Applied> {
    const actions = await this.priorities(suggestions);
    const result: Applied = { skills: await this.transform(skills, actions) };
    if (transaction !== undefined) result.outcome = await this.commit(transaction, result.skills);
    return result;
  }
}
