// @cvplus/circuit-breaker-core
export type State = "half_open" | "closed" | "open";

export type Permit = { allowed: boolean; attempts: number; fallback: string[] };

const THRESHOLD = 5;

export class CircuitBreakerCore {
  /** The schema of the shared state. */
  static readonly version: number = 3;

  readonly #failures = new Map<string, number>();
  readonly #fallbacks: (gaps: string[]) => Promise<string[]>;
  readonly #budget: (failures: number) => number;

  constructor(fallbacks: (gaps: string[]) => Promise<string[]>, budget: (failures: number) => number) {
    this.#fallbacks = fallbacks;
    this.#budget = budget;
  }

  async permit(name: string, gaps: string[]): Promise<Permit> {
    const failures = this.#failures.get(name) ?? 0;
    const fallback = await this.#fallbacks(gaps);
    return { allowed: failures < THRESHOLD, attempts: this.#budget(failures), fallback };
  }

  async record(name: string, ok: boolean): Promise<State> {
    this.#failures.set(name, ok ? 0 : (this.#failures.get(name) ?? 0) + 1);
    return this.state(name);
  }

  state(name: string): State {
    const failures = this.#failures.get(name) ?? 0;
    return failures >= THRESHOLD ? "open" : failures > 0 ? "half_open" : "closed";
  }
}
