// @cvplus/action-orchestrator
export type Applied = { skills: string[]; outcome?: string };

type Priorities = (suggestions: string[]) => Promise<string[]>;
type Transform = (skills: string[], actions: string[]) => Promise<string[]>;
type Commit = (transaction: string, skills: string[]) => Promise<string>;

export class ActionOrchestrator {
  readonly #priorities: Priorities;
  readonly #transform: Transform;
  readonly #commit: Commit;

  constructor(priorities: Priorities, transform: Transform, commit: Commit) {
    this.#priorities = priorities;
    this.#transform = transform;
    this.#commit = commit;
  }

  async apply(skills: string[], suggestions: string[], transaction?: string): Promise<Applied> {
    const changed = await this.#transform(skills, await this.#priorities(suggestions));
    return transaction === undefined
      ? { skills: changed }
      : { skills: changed, outcome: await this.#commit(transaction, changed) };
  }
}
