"""How the certificate and the plan grow: time and memory for CVPlus, 1,000 and 10,000 services.

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
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

from causeway.config import from_file
from causeway.model.certificate import certify
from causeway.model.matrix import L_P, P_L, P_P, Evidence, Interaction, Kind, Matrix, Phase, Routing, Service, Status
from causeway.model.plan import build

STACK = Path(__file__).parents[1] / "stacks" / "Pulumi.local.yaml"
LIMITS = {"seconds": 3.0, "megabytes": 500.0, "growth": 12.0, "cvplus_ms": 20.0}
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


def through_the_command(services: int) -> tuple[float, float]:
    """Processor seconds and peak MB of `causeway plan --json --changes`: start, YAML, schema, plan and output.

    Evidence is worded alike everywhere, which is kind to the check of the config: it looks at equal rows once.
    """
    matrix = random_matrix(services)
    rows = {(i.consumer, i.provider, i.kind): i for i in matrix.interactions}  # a config says nothing twice
    lines = ["config:", "  causeway:phases:"]
    lines += [f"    - {{name: {phase.name}, services: [{', '.join(phase.services)}]}}" for phase in matrix.phases]
    lines += [
        "  causeway:matrix:",
        "    services:",
        *(f"      {name}: {{strategy: direct}}" for name in matrix.services),
    ]
    lines.append("    interactions:")
    for i in rows.values():
        said = ", ".join(f"{pair}: {{verified: {found.source}}}" for pair, found in i.evidence.items())
        ends = f"consumer: {i.consumer}, provider: {i.provider}, kind: {i.kind}, routing: {i.routing}"
        lines.append(f"      - {{{ends}, evidence: {{{said}}}}}")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "large.yaml"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        causeway = Path(sys.executable).with_name("causeway")
        command = [str(causeway), "plan", "--config", str(file), "--json", "--changes"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def cvplus_milliseconds() -> float:
    """The median of 50 certificates of the stack's own matrix."""
    matrix = from_file(STACK, today=datetime.date(2025, 9, 1)).matrix
    return 1000 * sorted(timed(lambda: certify(matrix))[0] for _ in range(50))[25]


def main() -> int:
    """Print the figures beside their limits; 0 if all are met."""
    milliseconds = cvplus_milliseconds()
    small, large = measure(1_000), measure(10_000)
    growth = large.seconds / small.seconds
    print(f"CVPlus: certificate {milliseconds:.2f} ms (limit {LIMITS['cvplus_ms']:.0f})")
    for services, found in ((1_000, small), (10_000, large)):
        print(
            f"{services:,} services, {services * 5:,} interactions: {found.status}, plan {found.plan:.2f} s, "
            f"certificate {found.certificate:.2f} s, JSON {found.json:.2f} s, {found.megabytes:.0f} MB"
        )
    for services in (1_000, 10_000):
        seconds, megabytes = through_the_command(services)
        print(
            f"{services:,} services through `causeway plan --json --changes`: "
            f"{seconds:.1f} s, {megabytes:.0f} MB (no limit)"
        )
    print(
        f"model and JSON together {large.seconds:.2f} s of processor time (limit 3), growth ×{growth:.1f} (limit ×12)"
    )
    met = (
        milliseconds <= LIMITS["cvplus_ms"]
        and large.seconds <= LIMITS["seconds"]
        and large.megabytes <= LIMITS["megabytes"]
        and growth <= LIMITS["growth"]
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
