"""Random small matrices, and how they are printed when one of them is a counterexample."""

from __future__ import annotations

from hypothesis import strategies as st

from causeway.model.matrix import (
    L_P,
    MIXED,
    P_L,
    P_P,
    Evidence,
    Interaction,
    Kind,
    Matrix,
    Pair,
    Phase,
    Routing,
    Scope,
    Service,
    Status,
    Traffic,
)

VERIFIED = Evidence(Status.VERIFIED, "tests")
INCOMPATIBLE = Evidence(Status.INCOMPATIBLE, "it breaks")
STALE = Evidence(Status.VERIFIED, "old tests", stale="expired")
ACCEPTED = Evidence(Status.VERIFIED, "accepted unknown", accepted=True)
ALL = dict.fromkeys(MIXED, VERIFIED)

_evidence = st.sampled_from([None, VERIFIED, INCOMPATIBLE, STALE, ACCEPTED])
_either_way = st.sampled_from([(VERIFIED, VERIFIED), (None, VERIFIED), (VERIFIED, None), (None, None), None])
#: Package to package is always exposed: mostly verified, or hardly a matrix would be safe.
_in_the_end = st.sampled_from([VERIFIED] * 12 + [None, INCOMPATIBLE, STALE])


@st.composite
def _interaction(draw: st.DrawFn, services: list[str], dependencies: list[str]) -> Interaction:
    ends = st.sampled_from(services * 3 + dependencies)
    consumer, provider = draw(ends), draw(ends)
    forward, backward = draw(_either_way) or (draw(_evidence), draw(_evidence))
    evidence = {P_L: forward, L_P: backward, P_P: draw(_in_the_end)}
    return Interaction(
        consumer,
        provider,
        draw(st.sampled_from([Kind.CALL, Kind.CALL, Kind.STATE])),
        draw(st.sampled_from([Routing.REQUEST, Routing.REQUEST, Routing.INDEPENDENT])),
        draw(st.sampled_from(Scope)),
        {pair: found for pair, found in evidence.items() if found is not None},
    )


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    """Up to four services, three phases, six interactions, a dependency, cohorts, ladders and traffic kinds."""
    names = ["A", "B", "C", "D"][: draw(st.sampled_from([4, 3, 2, 1]))]
    ladder = draw(st.sampled_from([(50, 100), (100,), (25, 75, 100)]))
    services = {
        name: Service(
            name,
            strategy=draw(st.sampled_from(["direct", "direct", "feature_toggle", "state_preservation", "dual_write"])),
            ladder=draw(st.sampled_from([ladder] * 7 + [(50, 100)])),
            cohort=draw(st.sampled_from(["user"] * 7 + ["tenant"])),
            traffic=draw(st.sampled_from([Traffic.FLAG] * 7 + [Traffic.URL_MAP])),
        )
        for name in names
    }
    phase_of = [draw(st.sampled_from([0, 0, 0, 1, 2])) for _ in names]
    phases = tuple(
        Phase(f"p{n}", tuple(name for name, p in zip(names, phase_of, strict=True) if p == n)) for n in range(3)
    )
    dependencies = ["X"][: draw(st.integers(0, 1))]
    interactions = tuple(
        draw(
            st.lists(
                _interaction(names, dependencies), max_size=5, unique_by=lambda i: (i.consumer, i.provider, i.kind)
            )
        )
    )
    acknowledged = frozenset(name for name in names if draw(st.booleans()))
    return Matrix(services, phases, tuple(dependencies), interactions, acknowledged, side_by_side=draw(st.booleans()))


def show(matrix: Matrix) -> str:
    """A matrix on a few lines."""
    lines = [f"{p.name}: {', '.join(_service(matrix.services[name]) for name in p.services)}" for p in matrix.phases]
    lines += [f"{i} {i.routing} {i.scope} {{{_pairs(i)}}}" for i in matrix.interactions]
    lines.append(f"acknowledged: {sorted(matrix.acknowledged)}, side by side: {matrix.side_by_side}")
    return "\n".join(lines)


def _service(service: Service) -> str:
    return f"{service.name} {service.strategy} {list(service.ladder)} {service.cohort} {service.traffic}"


def _pairs(i: Interaction) -> str:
    said: dict[Pair, str] = {pair: found.stale or found.source for pair, found in i.evidence.items()}
    return ", ".join(f"{pair}: {text}" for pair, text in said.items())
