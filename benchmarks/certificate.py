"""How the certificate and the plan grow: time and memory for CVPlus, 1,000 and 10,000 services.

In memory, and through the command, which reads and checks the same as YAML first. `check` refuses what no flag set
could hold, so it is measured with as many services as fit.

.venv/bin/python -m benchmarks.certificate
"""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

from causeway.config import from_file
from causeway.errors import Exit
from causeway.model.certificate import certify
from causeway.model.matrix import L_P, P_L, P_P, Evidence, Interaction, Kind, Matrix, Phase, Routing, Service, Status
from causeway.model.plan import build

STACK = Path(__file__).parents[1] / "stacks" / "Pulumi.local.yaml"
LIMITS = {"seconds": 3.0, "megabytes": 500.0, "growth": 12.0, "cvplus_ms": 20.0}
SMALL, LARGE, FITTING = 1_000, 10_000, 1_600
T = TypeVar("T")
VERIFIED = Evidence(Status.VERIFIED, "tests")


class Figures(NamedTuple):
    """Processor seconds for plan, certificate and JSON (a busy machine does not count), and peak memory in MB."""

    plan: float
    certificate: float
    json: float
    megabytes: float
    status: str

    @property
    def seconds(self) -> float:
        return self.plan + self.certificate + self.json


def random_matrix(services: int, per_service: int = 5, seed: int = 1) -> Matrix:
    """Mixed kinds and routings over three phases; a third of the pairs that an order can avoid have no evidence."""
    rng = random.Random(seed)
    names = [f"service-{n}" for n in range(services)]
    interactions = []
    for _ in range(services * per_service):
        # Consumers come later than their providers, so that an order exists.
        provider, consumer = sorted(rng.sample(range(services), 2))
        evidence = {L_P: VERIFIED, P_P: VERIFIED}
        kind = rng.choice([Kind.CALL, Kind.CALL, Kind.STATE])
        if kind is Kind.STATE or rng.random() < 0.67:
            evidence[P_L] = VERIFIED
        routing = rng.choice(list(Routing))
        interactions.append(Interaction(names[consumer], names[provider], kind, routing, evidence=evidence))
    third = -(-services // 3)
    phases = tuple(Phase(f"phase-{n}", tuple(names[n * third : (n + 1) * third])) for n in range(3))
    return Matrix({name: Service(name) for name in names}, phases, (), tuple(interactions))


def timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def measure(services: int) -> Figures:
    """The best of three, in a process of its own, so that its peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (services,))


def _measure(services: int) -> Figures:
    matrix = random_matrix(services)
    return min((_once(matrix) for _ in range(3)), key=lambda figures: figures.seconds)


def _once(matrix: Matrix) -> Figures:
    plan_seconds, plan = timed(lambda: build(matrix))
    seconds, certificate = timed(lambda: certify(matrix, plan))
    json_seconds, _ = timed(lambda: json.dumps(certificate.as_dict()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    return Figures(plan_seconds, seconds, json_seconds, peak, str(certificate.status))


def unproven(services: int, per_service: int = 5) -> Matrix:
    """What a team starts with: no evidence at all, so that nearly everything has to move together."""
    found = random_matrix(services, per_service)
    rows = tuple(replace(each, evidence={}, kind=Kind.CALL, routing=Routing.REQUEST) for each in found.interactions)
    both_ways = tuple(replace(each, consumer=each.provider, provider=each.consumer) for each in rows[::2])
    names = tuple(found.services)
    return replace(found, phases=(Phase("all", names),), interactions=(*rows[1::2], *both_ways))


def written(matrix: Matrix) -> str:
    """A matrix as config. Every piece of evidence has words of its own."""
    rows = {(i.consumer, i.provider, i.kind): i for i in matrix.interactions}  # a config says nothing twice
    lines = ["config:", "  causeway:phases:"]
    lines += [f"    - {{name: {phase.name}, services: [{', '.join(phase.services)}]}}" for phase in matrix.phases]
    lines += ["  causeway:matrix:", "    services:"]
    lines += [f"      {name}: {{strategy: direct}}" for name in matrix.services]
    lines.append("    interactions:")
    for number, i in enumerate(rows.values()):
        said = ", ".join(f'{pair}: {{verified: "run {number} of the {pair} tests"}}' for pair in i.evidence)
        ends = f"consumer: {i.consumer}, provider: {i.provider}, kind: {i.kind}, routing: {i.routing}"
        lines.append(f"      - {{{ends}, evidence: {{{said}}}}}")
    return "\n".join(lines) + "\n"


def through_the_command(matrix: Matrix, *command: str) -> tuple[float, float]:
    """Processor seconds and peak MB of a command: start, YAML, schema, plan, certificate and output."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "large.yaml"
        file.write_text(written(matrix), encoding="utf-8")
        causeway = Path(sys.executable).with_name("causeway")
        process = subprocess.Popen([str(causeway), *command, "--config", str(file)], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (Exit.OK, Exit.UNKNOWN):
        raise RuntimeError(f"causeway {' '.join(command)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def cvplus_milliseconds() -> float:
    """The median of 50 certificates of the stack's own matrix."""
    matrix = from_file(STACK, today=datetime.date(2025, 9, 1)).matrix
    return 1000 * sorted(timed(lambda: certify(matrix))[0] for _ in range(50))[25]


def main() -> int:
    """Print the figures beside their limits; 0 if all are met."""
    milliseconds = cvplus_milliseconds()
    print(f"CVPlus: certificate {milliseconds:.2f} ms (limit {LIMITS['cvplus_ms']:.0f})")
    small, large = measure(SMALL), measure(LARGE)
    for services, found in ((SMALL, small), (LARGE, large)):
        print(
            f"{services:,} services, {services * 5:,} interactions in memory: {found.status}, plan {found.plan:.2f} s, "
            f"certificate {found.certificate:.2f} s, its JSON {found.json:.2f} s, {found.megabytes:.0f} MB"
        )
    growth = (large.plan + large.certificate) / (small.plan + small.certificate)
    print(f"growth of plan and certificate ×{growth:.1f} (limit ×{LIMITS['growth']:.0f})")
    met = milliseconds <= LIMITS["cvplus_ms"] and growth <= LIMITS["growth"]
    for matrix, command in (
        (random_matrix(SMALL), ("plan", "--json", "--changes")),
        (random_matrix(LARGE), ("plan", "--json", "--changes")),
        (unproven(LARGE), ("plan", "--json", "--changes")),
        (random_matrix(FITTING), ("check", "--json")),
        (unproven(FITTING), ("check", "--json")),
    ):
        seconds, megabytes = through_the_command(matrix, *command)
        evidence = "no evidence" if not matrix.interactions[0].evidence else "evidence"
        print(
            f"{len(matrix.services):,} services, {evidence}, `causeway {' '.join(command)}`: {seconds:.1f} s of "
            f"processor time (limit {LIMITS['seconds']:.0f}), {megabytes:.0f} MB (limit {LIMITS['megabytes']:.0f})"
        )
        met = met and seconds <= LIMITS["seconds"] and megabytes <= LIMITS["megabytes"]
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
