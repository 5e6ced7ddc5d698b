"""The gates' figures, simulated in this run: false alarms, detection, bursts, the rules others use, and speed.

    python benchmarks/gates.py [--quick]

Every figure is printed beside what it has to reach. The exit code is the number of those that were missed.
The scenarios are those of `docs/reference/gates.md`. `--quick` takes a tenth of the runs, whose noise may miss a
figure; it exits with 0.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import binom, mannwhitneyu

from causeway.model.guardrails import Guardrail, Guardrails, Measure
from causeway.model.observation import Soak as SoakRules
from causeway.model.risk import ALPHA, BETA
from causeway.model.simulation import NEVER, Counts, Outcome, Scenario, play
from causeway.model.soak import Soak
from causeway.model.window import Histogram, Tally, Throughput, Window

GUARDRAIL = Guardrail(Measure.ERROR_RATE, warn=0.02, roll_back=0.05)
LIMIT = GUARDRAIL.roll_back
RULES = SoakRules(interval=30, checks=10, requests=500)
WINDOWS = 360
HEALTHY = 0.01
RATES = (0.08, 0.10, 0.20, 0.50)
REQUESTS = (10, 50)
LATE = 60
#: A rule that rolls back more of the services that keep the limit is no rival, however fast it is.
FALSE = 0.05

#: A rule says in which window it rolls each run back, `NEVER` if it does not. It is given the package's failed and
#: all requests and those of a legacy that fails at the healthy rate, each (windows, runs).
Rule = Callable[[Counts, Counts, Counts, Counts], Counts]


@dataclass
class Bench:
    """Random numbers, the number of runs, and the figures that were missed."""

    rng: np.random.Generator
    share: float
    missed: list[str] = field(default_factory=list)

    def runs(self, full: int) -> int:
        return max(100, int(full * self.share))

    def reach(self, name: str, value: float, limit: float) -> str:
        """The figure with its limit and whether it was reached."""
        reached = value <= limit
        if not reached:
            self.missed.append(f"{name}: {value:.4g}, not <= {limit:.4g}")
        return f"{value:>8.4g}  <= {limit:<8.4g} {'reached' if reached else 'MISSED'}"


def first(hit: np.ndarray) -> Counts:
    """The first window, from 1, in which a condition (windows, runs) holds."""
    return np.where(hit.any(axis=0), hit.argmax(axis=0) + 1, NEVER)


# The rules


def ours(bad: Counts, total: Counts, legacy_bad: Counts, legacy_total: Counts) -> Counts:
    return play(bad, total, GUARDRAIL, RULES).rolled_back


def any_window(bad: Counts, total: Counts, legacy_bad: Counts, legacy_total: Counts) -> Counts:
    """Argo Rollouts: a measurement beyond the threshold fails, and `failureLimit` is 0 unless set."""
    return first(bad > LIMIT * total)


def five_windows(bad: Counts, total: Counts, legacy_bad: Counts, legacy_total: Counts) -> Counts:
    """Flagger: as many failed checks as `analysis.threshold` says, 5 in its guides; they add up and never reset."""
    return first(np.cumsum(bad > LIMIT * total, axis=0) >= 5)


def three_in_a_row(bad: Counts, total: Counts, legacy_bad: Counts, legacy_total: Counts) -> Counts:
    """What people make of the first two when they roll back too often."""
    hit = bad > LIMIT * total
    return first(np.vstack([np.zeros((2, bad.shape[1]), dtype=bool), hit[2:] & hit[1:-1] & hit[:-2]]))


def peeked(bad: Counts, total: Counts, legacy_bad: Counts, legacy_total: Counts) -> Counts:
    """An exact binomial test of "at most the limit" at level α, meant for one look and taken at every window."""
    failed, requests = np.cumsum(bad, axis=0), np.cumsum(total, axis=0)
    return first(binom.sf(failed - 1, requests, LIMIT) <= ALPHA)


def corrected(bad: Counts, total: Counts, legacy_bad: Counts, legacy_total: Counts) -> Counts:
    """The same at level α/360, Bonferroni's correction for as many looks: honest, with all looks back to the start."""
    failed, requests = np.cumsum(bad, axis=0), np.cumsum(total, axis=0)
    return first(binom.sf(failed - 1, requests, LIMIT) <= ALPHA / WINDOWS)


def kayenta(bad: Counts, total: Counts, legacy_bad: Counts, legacy_total: Counts) -> Counts:
    """Kayenta's judge (NetflixACAJudge): the error rates of each window, package against legacy.

    High if the lower end of the 98 % Mann-Whitney interval of the shift lies above a quarter of the Hodges-Lehmann
    estimate, which is to say, if the one-sided test at 1 % still rejects with the package shifted down by that
    quarter; the interval is clamped to the range of the data. Judged every 10 windows on the last 60.
    """
    rate, legacy = bad / np.maximum(total, 1), legacy_bad / np.maximum(legacy_total, 1)
    runs = bad.shape[1]
    found = np.full(runs, NEVER)
    live = np.arange(runs)
    for end in range(10, len(bad) + 1, 10):
        x, y = rate[max(0, end - 60) : end, live], legacy[max(0, end - 60) : end, live]
        shift = np.median((x[:, None] - y[None]).reshape(-1, len(live)), axis=0)
        margin = 0.25 * np.abs(shift)
        lowest = x.min(axis=0) - y.max(axis=0)
        unequal = (x != y).any(axis=0)
        with np.errstate(all="ignore"):
            rejects = mannwhitneyu(x - margin, y, alternative="greater", method="asymptotic", axis=0).pvalue < 0.01
            clamped = mannwhitneyu(x - lowest, y, alternative="greater", method="asymptotic", axis=0).pvalue >= 0.01
        high = unequal & np.where(clamped, lowest > margin, rejects)
        found[live[high]] = end
        live = live[~high]
        if not len(live):
            break
    return found


PEERS: dict[str, Rule] = {
    "any window above 5 % (Argo Rollouts)": any_window,
    "5 windows above 5 % (Flagger)": five_windows,
    "3 windows in a row above 5 %": three_in_a_row,
    "fixed-horizon test, peeked": peeked,
    "the same, corrected for 360 looks": corrected,
    "Mann-Whitney judge (Kayenta)": kayenta,
}


# The tables


def false_alarms(bench: Bench) -> None:
    runs = bench.runs(10_000)
    print(f"\nFalse alarms over {runs:,} runs of {WINDOWS} windows (harm is rolled back at {LIMIT:.0%})")
    print(f"{'true rate':>10} {'requests':>9}   {'false rollback':<28} false advance")
    for rate, requests in ((LIMIT, 10), (LIMIT, 50), (HEALTHY, 10), (HEALTHY, 50)):
        bad, total = Scenario(rate, requests, WINDOWS).draw(runs, bench.rng)
        outcome = play(bad, total, GUARDRAIL, RULES)
        back = bench.reach(f"false rollback at {rate:.0%}, {requests}", np.mean(outcome.rolled_back != NEVER), ALPHA)
        ahead = np.mean(outcome.advanced != NEVER)
        if rate == LIMIT:
            judged = bench.reach(f"false advance at {rate:.0%}, {requests}", ahead, BETA)
        else:
            judged = f"(advances: {ahead:.1%})"
        print(f"{rate:>10.0%} {requests:>9}   {back:<28} {judged}")


def information(rate: float) -> float:
    """KL divergence of one request at `rate` from the limit, in nats."""
    return rate * math.log(rate / LIMIT) + (1 - rate) * math.log((1 - rate) / (1 - LIMIT)) if rate < 1 else math.inf


def faulty(rate: float, requests: int, start: int, horizon: int = WINDOWS) -> Scenario:
    if start == 1:
        return Scenario(rate, requests, horizon)
    return Scenario(HEALTHY, requests, horizon, then=rate, change_at=start)


def detection(bench: Bench) -> None:
    runs = bench.runs(2_000)
    print(f"\nMedian windows from the fault's start to the rollback over {runs:,} runs; the bound is log(1/α) / KL")
    print(f"{'rate':>6} {'requests':>9} {'from':>5} {'bound':>7} {'ratio':>6}   median")
    for start, factor in ((1, 1.8), (LATE, 3.5)):
        for requests in REQUESTS:
            for rate in RATES:
                scenario = faulty(rate, requests, start)
                outcome = play(*scenario.draw(runs, bench.rng), GUARDRAIL, RULES)
                median = outcome.median_detection(scenario.fault_at(LIMIT)) or math.inf
                bound = -math.log(ALPHA) / information(rate) / requests
                name = f"detection of {rate:.0%} at {requests} from window {start}"
                judged = bench.reach(name, median, factor * bound + 1)
                print(f"{rate:>6.0%} {requests:>9} {start:>5} {bound:>7.2f} {median / bound:>6.2f} {judged}")


def bursts(bench: Bench) -> None:
    runs = bench.runs(2_000)
    print(
        f"\nBursty failures (beta-binomial in each window), {runs:,} runs of {WINDOWS} windows: the assumption breaks"
    )
    print(f"{'mean rate':>10} {'requests':>9} {'ρ':>6}   rolled back")
    for requests in REQUESTS:
        for burst in (0.0, 0.01, 0.1):
            scenario = Scenario(HEALTHY, requests, WINDOWS, burst=burst)
            outcome = play(*scenario.draw(runs, bench.rng), GUARDRAIL, RULES)
            print(f"{HEALTHY:>10.0%} {requests:>9} {burst:>6}   {np.mean(outcome.rolled_back != NEVER):.2%}")


def peers(bench: Bench) -> None:
    runs = bench.runs(1_000)
    nulls = [(rate, requests) for requests in REQUESTS for rate in (LIMIT, HEALTHY)]
    faults = [(rate, requests, start) for requests in REQUESTS for start in (1, LATE) for rate in RATES]
    print(
        f"\nThe rules others use, {runs:,} runs each; legacy fails at {HEALTHY:.0%}, in the nulls as the package does"
    )
    print("First the false rollbacks at rate/requests, then the median windows to find rate/requests@start; - never,")
    print("or no run left that had not been rolled back before the fault")
    header = [f"{rate:.0%}/{requests}" for rate, requests in nulls]
    header += [f"{rate:.0%}/{requests}@{start}" for rate, requests, start in faults]
    table: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ("ours", *PEERS)}
    for rate, requests in nulls:
        counts = [*Scenario(rate, requests, WINDOWS).draw(runs, bench.rng)]
        counts += Scenario(rate, requests, WINDOWS).draw(runs, bench.rng)
        for name, rule in (("ours", ours), *PEERS.items()):
            table[name][0].append(float(np.mean(rule(*counts) != NEVER)))
    for rate, requests, start in faults:
        scenario = faulty(rate, requests, start)
        counts = [*scenario.draw(runs, bench.rng), *Scenario(HEALTHY, requests, WINDOWS).draw(runs, bench.rng)]
        for name, rule in (("ours", ours), *PEERS.items()):
            outcome = Outcome(rule(*counts), np.zeros(runs, dtype=int))
            table[name][1].append(outcome.median_detection(start) or math.inf)
    for column in range(len(header)):
        width = 12
        if column % 5 == 0:
            print(f"\n{'':>38}" + "".join(f"{name:>{width}}" for name in header[column : column + 5]))
            for name, (false, medians) in table.items():
                cells = [f"{share:.1%}" for share in false]
                cells += ["-" if median == math.inf else f"{median:g}" for median in medians]
                print(f"{name:>38}" + "".join(f"{cell:>{width}}" for cell in cells[column : column + 5]))
    print()
    for name, rule in PEERS.items():
        if max(table[name][0]) > FALSE:
            print(f"{name}: false rollback up to {max(table[name][0]):.1%}, no rival")
        else:
            print(f"{name}: false rollback up to {max(table[name][0]):.1%}, a rival")
            rivalry(bench, name, rule, faults)


def rivalry(bench: Bench, name: str, rule: Rule, faults: list[tuple[float, int, int]]) -> None:
    """Ours against a rule that keeps the limit as well: medians on the same runs, and how sure their difference is."""
    runs, sooner = bench.runs(4_000), 0
    print(f"The same {runs:,} runs for both; our median less theirs lies between (bootstrap, 5 % over all cases)")
    print(f"{'case':>12} {'ours':>6} {'theirs':>6} {'between':>15}   runs in which they are sooner, later")
    for rate, requests, start in faults:
        bad, total = faulty(rate, requests, start).draw(runs, bench.rng)
        mine, theirs = (_waited(found(bad, total, bad, total), start) for found in (ours, rule))
        both = ~np.isnan(mine) & ~np.isnan(theirs)
        mine, theirs = mine[both], theirs[both]
        low, high = _between(mine, theirs, 0.05 / len(faults), bench.rng)
        sooner += low > 0
        medians = f"{np.median(mine):>6g} {np.median(theirs):>6g} {f'{low:g} … {high:g}':>15}"
        shares = f"{np.mean(theirs < mine):.0%}, {np.mean(theirs > mine):.0%}"
        print(f"{f'{rate:.0%}/{requests}@{start}':>12} {medians}   {shares}")
    print(f"cases it finds sooner than ours by more than noise: {bench.reach(f'{name}: found sooner', sooner, 0)}")


def _waited(rolled_back: Counts, start: int) -> np.ndarray:
    """Windows from the fault to the rollback: infinite without one, NaN for one before the fault."""
    waited = np.where(rolled_back == NEVER, np.inf, rolled_back - start + 1.0)
    return np.where((rolled_back != NEVER) & (rolled_back < start), np.nan, waited)


def _between(one: np.ndarray, other: np.ndarray, level: float, rng: np.random.Generator) -> tuple[float, float]:
    """The interval of the difference of two medians over the same runs, drawn again and again from them."""
    differences = []
    for _ in range(1_000):
        drawn = rng.integers(len(one), size=len(one))
        here, there = float(np.median(one[drawn])), float(np.median(other[drawn]))
        differences.append(0.0 if here == there else here - there)
    low, high = np.quantile(differences, [level / 2, 1 - level / 2], method="inverted_cdf")
    return float(low), float(high)


def speed(bench: Bench) -> None:
    services = [f"service-{number}" for number in range(1000)]
    soak = Soak.begin(services, Guardrails(), RULES, dict.fromkeys(services, 0.1))
    bounds = (0.1, 0.2, 0.3, 0.5, math.inf)
    seconds = []
    for window in range(80):
        failed = bench.rng.binomial(50, HEALTHY, 1000)
        look = [
            Window(
                name,
                Tally(int(f), 50),
                Histogram(bounds, (48, 2, 0, 0, 0)),
                Throughput(50, 50, 50, 50, 50),
                Tally(0, 6),
            )
            for name, f in zip(services, failed, strict=True)
        ]
        began = time.process_time()
        soak = soak.observe(look)
        if window >= 70:  # all 64 starts are live by then
            soak.verdict()
            seconds.append(time.process_time() - began)
    print("\nSeconds to observe and judge a window of 1,000 services x 4 guardrails, 64 live starts each:")
    print("the median of 10, in seconds of CPU, since other work on the machine must not count")
    print(bench.reach("seconds for 1,000 services", float(np.median(seconds)), 0.5))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--seed", type=int, default=2025)
    arguments = parser.parse_args()
    bench = Bench(np.random.default_rng(arguments.seed), 0.1 if arguments.quick else 1.0)
    began = time.perf_counter()
    for table in (speed, false_alarms, detection, bursts, peers):
        table(bench)
    wall, cpu = time.perf_counter() - began, time.process_time()
    print(f"\n{wall:.0f} s ({cpu:.0f} s of CPU); {len(bench.missed)} figures missed")
    for missed in bench.missed:
        print(f"  {missed}")
    return 0 if arguments.quick else len(bench.missed)


if __name__ == "__main__":
    sys.exit(main())
