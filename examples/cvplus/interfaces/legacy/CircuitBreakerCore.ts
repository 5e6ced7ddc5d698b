export type State = "closed" | "open" | "half_open";

export interface Permit {
  allowed: boolean;
  attempts: number;
  fallback: string[];
}

export class CircuitBreakerCore {
  private failures: { [name: string]: number } = {};

  constructor(private fallbacks: (gaps: string[]) => Promise<string[]>, private budget: (failures: number) => number) {}

  async permit(name: string, gaps: string[]): Promise<Permit> {
    const failures = this.failures[name] || 0;
    return { allowed: failures < 5, attempts: this.budget(failures), fallback: await this.fallbacks(gaps) };
  }

  async record(name: string, ok: boolean): Promise<State> {
    this.failures[name] = ok ? 0 : (this.failures[name] || 0) + 1;
    return this.state(name);
  }

  state(name: string): State {
    const failures = this.failures[name] || 0;
    if (failures >= 5) return "open";
    return failures > 0 ? "half_open" : "closed";
  }

  static readonly version: number = 3;
}
