"""The demo application: equal answers, honest attribution, decisions at the edge, actions that really do it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.client.routing import member
from causeway.model.stage import Stage
from examples.cvplus import cache, jobs, transactions
from examples.cvplus.database import Memory, Write
from examples.cvplus.dependencies import MARKET
from examples.cvplus.front import FAILED_HEADER, FAULT_HEADER, PACKAGE_HEADER, PROBES, VERSION_HEADER
from examples.cvplus.runtime import SERVICES
from examples.cvplus.seed import cv_of, seed
from tests.examples.harness import LEGACY, PACKAGE, CVPlus

ANN = "/cv/ann/improvements"
ALL = dict.fromkeys(SERVICES, 100)
BOTH = {"CacheManager": {"writes": "both"}}


# --- behind preserved interfaces -------------------------------------------------------------------------------------

skills = st.lists(st.sampled_from([*MARKET, "cobol"]), unique=True)
words = st.lists(st.sampled_from(sorted(MARKET)), max_size=6)
arguments: dict[tuple[str, str], st.SearchStrategy[dict[str, Any]]] = {
    ("CVAnalyzer", "analyze"): st.fixed_dictionaries(
        {"cv": st.fixed_dictionaries({"skills": skills, "years": st.integers(0, 60)})}
    ),
    ("ImprovementOrchestrator", "improve"): st.fixed_dictionaries(
        {"skills": skills, "suggestions": words.map(lambda found: [f"learn:{word}" for word in found])}
    ),
    ("ImprovementOrchestrator", "priorities"): st.fixed_dictionaries({"suggestions": words}),
    ("CacheManager", "profile"): st.fixed_dictionaries({"user": st.sampled_from(["user-0001", "nobody"])}),
    ("RecommendationGenerator", "generate"): st.fixed_dictionaries({"gaps": skills}),
    ("RecommendationGenerator", "fallback"): st.fixed_dictionaries({"gaps": skills}),
    ("CircuitBreakerCore", "permit"): st.fixed_dictionaries({"name": st.just("ai"), "gaps": skills}),
    ("CircuitBreakerCore", "record"): st.fixed_dictionaries({"name": st.just("ai"), "ok": st.booleans()}),
    ("RecommendationOrchestrator", "draft"): st.fixed_dictionaries({"cv": st.text(max_size=6).map(cv_of)}),
    ("ActionOrchestrator", "apply"): st.fixed_dictionaries({"skills": skills, "suggestions": words}),
}


@pytest.mark.parametrize(("service", "method"), sorted(arguments))
def test_legacy_and_package_answer_alike(service: str, method: str) -> None:
    @settings(max_examples=25)
    @given(arguments[service, method])
    def alike(given_arguments: dict[str, Any]) -> None:
        async def both() -> None:
            answers = []
            for version in (LEGACY, PACKAGE):
                app = CVPlus(Memory())
                answers.append(await app.runtime.mesh.call(service, method, given_arguments, version=version))
            assert answers[0] == answers[1]

        asyncio.run(both())

    alike()


def test_every_service_can_be_asked_on_its_own_in_both_versions() -> None:
    async def run() -> None:
        app = CVPlus()
        for service in PROBES:
            legacy = await app.get(f"/services/{service}?user=ann", **{VERSION_HEADER: "legacy"})
            package = await app.get(f"/services/{service}?user=ann", **{VERSION_HEADER: "package"})
            assert legacy.status_code == package.status_code == 200
            assert legacy.json() == package.json()
            assert (await app.get(f"/health/{service}/package")).status_code == 200
        assert (await app.get("/services/Nobody")).status_code == 404
        assert (await app.get("/services/CVAnalyzer", **{VERSION_HEADER: "newest"})).status_code == 400
        assert set(PROBES) == set(SERVICES)

    asyncio.run(run())


# --- routing ---------------------------------------------------------------------------------------------------------


def test_each_request_is_decided_at_the_edge_for_its_user() -> None:
    async def run() -> None:
        app = CVPlus()
        app.flags.set({"CVAnalyzer": 100, "ImprovementOrchestrator": 50})
        seen = set()
        for number in range(30):
            answer = await app.get(f"/cv/user-{number}/improvements")
            again = await app.get(f"/cv/user-{number}/improvements")
            assert answer.headers[PACKAGE_HEADER] == again.headers[PACKAGE_HEADER]
            seen.add(answer.headers[PACKAGE_HEADER])
        assert seen == {"CVAnalyzer", "CVAnalyzer,ImprovementOrchestrator"}
        assert app.requests("CVAnalyzer", PACKAGE, "ok") == 60
        assert app.requests("CVAnalyzer", LEGACY, "ok") == 0
        assert app.value("cvplus_offered_total", service="CVAnalyzer", cohort="package") == 60

    asyncio.run(run())


def test_nobody_outside_can_choose_a_version() -> None:
    async def run() -> None:
        answer = await CVPlus().get(ANN, baggage=member("local", frozenset(SERVICES)))
        assert answer.headers[PACKAGE_HEADER] == ""

    asyncio.run(run())


def test_a_feature_toggle_opens_the_package_and_nothing_else_does() -> None:
    async def run() -> None:
        app = CVPlus()
        app.flags.set({"RecommendationGenerator": 100})
        assert (await app.get(ANN)).headers[PACKAGE_HEADER] == ""
        assert (await app.hook("RecommendationGenerator", "toggle")).json() == {"toggle": "on"}
        assert (await app.get(ANN)).headers[PACKAGE_HEADER] == "RecommendationGenerator"
        restarted = CVPlus(app.database)
        await restarted.runtime.load()
        restarted.flags.set({"RecommendationGenerator": 100})
        assert (await restarted.get(ANN)).headers[PACKAGE_HEADER] == "RecommendationGenerator"
        assert (await app.hook("RecommendationGenerator", "toggle-off")).json() == {"toggle": "off"}
        assert (await app.get(ANN)).headers[PACKAGE_HEADER] == ""

    asyncio.run(run())


# --- metrics and faults ----------------------------------------------------------------------------------------------


def test_series_exist_before_the_first_request() -> None:
    """A missing series and a zero mean different things to a gate."""
    app = CVPlus()
    for service in SERVICES:
        for version in (LEGACY, PACKAGE):
            assert app.requests(service, version, "error") == 0
            assert app.value("cvplus_request_seconds_count", service=service, version=version) == 0
            assert app.value("cvplus_offered_total", service=service, cohort=version) == 0
    assert app.value("cvplus_build_info", service="CVAnalyzer", version="package", build="1.0.0") == 1


def test_a_failure_belongs_to_whoever_failed() -> None:
    """Otherwise one faulty service fires the guardrails of all its callers."""

    async def run() -> None:
        app = CVPlus()
        app.flags.set(ALL)
        await app.post("/faults", service="CVAnalyzer", version="package", error_rate=1)
        answer = await app.get(ANN)
        assert answer.status_code == 502
        assert answer.headers[FAILED_HEADER] == "CVAnalyzer@package"
        assert answer.headers[FAULT_HEADER] == "injected"
        assert "CVAnalyzer" in answer.headers[PACKAGE_HEADER]
        assert app.requests("CVAnalyzer", PACKAGE, "error") == 1
        assert app.requests("RecommendationOrchestrator", PACKAGE, "error") == 0
        assert app.requests("RecommendationOrchestrator", PACKAGE, "dependency") == 1
        edge = {"consumer": "RecommendationOrchestrator", "provider": "CVAnalyzer", "outcome": "error"}
        versions = {"consumer_version": "package", "provider_version": "package"}
        assert app.value("cvplus_edge_requests_total", **edge, **versions) == 1
        assert (await app.get("/health/CVAnalyzer/package")).status_code == 503

    asyncio.run(run())


def test_a_service_that_is_called_back_counts_its_failure_once() -> None:
    """RecommendationGenerator calls CircuitBreakerCore, which calls RecommendationGenerator."""

    async def run() -> None:
        app = CVPlus()
        generator = app.runtime.mesh._methods["RecommendationGenerator", LEGACY]

        async def broken(gaps: list[str]) -> dict[str, Any]:
            raise ValueError("no table")

        app.runtime.mesh.register("RecommendationGenerator", LEGACY, {**generator, "fallback": broken})
        assert (await app.get(ANN)).status_code == 502
        assert app.requests("RecommendationGenerator", LEGACY, "error") == 1
        assert app.requests("RecommendationGenerator", LEGACY, "dependency") == 1
        assert app.requests("CircuitBreakerCore", LEGACY, "dependency") == 1

    asyncio.run(run())


def test_time_belongs_to_whoever_took_it() -> None:
    async def run() -> None:
        app = CVPlus()
        await app.post("/faults", service="CVAnalyzer", version="legacy", latency=3)
        assert (await app.get(ANN)).status_code == 200
        slow = app.value("cvplus_request_seconds_sum", service="CVAnalyzer", version="legacy")
        caller = app.value("cvplus_request_seconds_sum", service="RecommendationOrchestrator", version="legacy")
        assert slow == pytest.approx(3.024)
        assert caller == pytest.approx(0.02)

    asyncio.run(run())


def test_a_fault_strikes_one_version_and_ends_when_a_fix_is_shipped() -> None:
    async def run() -> None:
        app = CVPlus()
        await app.post("/faults", service="CVAnalyzer", version="package", error_rate=1)
        assert (await app.get(ANN)).status_code == 200
        app.flags.set(ALL)
        assert (await app.get(ANN)).status_code == 502
        assert (await app.post("/ship", service="CVAnalyzer")).json() == {"service": "CVAnalyzer", "build": "1.0.1"}
        assert (await app.get(ANN)).status_code == 200
        assert app.value("cvplus_build_info", service="CVAnalyzer", version="package", build="1.0.1") == 1
        assert 'build="1.0.0",service="CVAnalyzer"' not in (await app.get("/metrics")).text
        assert (await app.get("/faults")).json() == {"faults": []}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/faults", {"service": "CVAnalyzer", "version": "package", "error_rate": 2}, 400),
        ("/faults", {"service": "CVAnalyzer", "version": "newest"}, 400),
        ("/faults", {"version": "package"}, 400),
        ("/faults", {"service": "Nobody", "version": "package"}, 404),
        ("/ship", {}, 400),
        ("/ship", {"service": "Nobody"}, 404),
        ("/hooks/CVAnalyzer/dance", {}, 404),
        ("/hooks/Nobody/drain", {}, 404),
    ],
)
def test_a_wrong_switch_changes_nothing_and_says_why(path: str, body: dict[str, Any], status: int) -> None:
    async def run() -> None:
        app = CVPlus()
        answer = await app.post(path, **body)
        assert answer.status_code == status
        assert answer.json()["why"]
        assert app.runtime.faults.listed() == []

    asyncio.run(run())


# --- actions of the strategies ---------------------------------------------------------------------------------------


def test_dual_write_backfill_parity() -> None:
    async def run() -> None:
        app = CVPlus()
        await app.get("/cv/old/improvements")
        assert (await app.hook("CacheManager", "dual-write")).status_code == 409  # the flag does not say so yet
        assert (await app.hook("CacheManager", "backfill")).status_code == 409
        app.flags.set({}, BOTH)
        assert (await app.hook("CacheManager", "dual-write")).json() == {"writes": "both", "behind": []}
        await app.get("/cv/new/improvements")
        parity = await app.hook("CacheManager", "verify-parity")
        assert (parity.status_code, parity.json()["different"]) == (409, 1)
        assert (await app.hook("CacheManager", "backfill")).json() == {"mended": 1}
        assert (await app.hook("CacheManager", "backfill")).json() == {"mended": 0}
        parity = await app.hook("CacheManager", "verify-parity")
        assert (parity.status_code, parity.json()["compared"], parity.json()["different"]) == (200, 2, 0)
        assert await app.database.documents(cache.LEGACY) == await app.database.documents(cache.PACKAGE)

    asyncio.run(run())


def test_breakers_are_handed_over_and_back_without_a_change() -> None:
    async def run() -> None:
        app = CVPlus()
        for _ in range(3):
            app.runtime.breakers.record("ai", ok=False)
        kept = (await app.hook("CircuitBreakerCore", "snapshot")).json()
        moved = (await app.hook("CircuitBreakerCore", "hand-over")).json()
        assert (moved["moved"], moved["digest"]) == (True, kept["digest"])
        assert (await app.hook("CircuitBreakerCore", "hand-over")).json()["moved"] is False
        restarted = CVPlus(app.database)
        await restarted.runtime.load()
        assert restarted.runtime.breakers.state() == app.runtime.breakers.state()
        assert (await app.hook("CircuitBreakerCore", "restore")).json() == {"restored": False}
        app.runtime.breakers.record("ai", ok=False)
        assert (await app.hook("CircuitBreakerCore", "restore")).json()["restored"] is True
        assert (await app.hook("CircuitBreakerCore", "hand-back")).json()["digest"] == kept["digest"]
        found = await app.database.documents("circuit_breakers")
        assert {name: fields for name, fields in found.items() if name != "_snapshot"} == app.runtime.breakers.state()

    asyncio.run(run())


def test_work_finishes_on_the_version_that_began_it() -> None:
    async def run() -> None:
        app = CVPlus()
        app.flags.set(ALL)
        assert (await app.client.post(ANN)).status_code == 202
        app.flags.set({})
        before = app.requests("RecommendationOrchestrator", PACKAGE, "ok")
        for _ in range(4):
            await app.runtime.jobs.step()
        assert app.requests("RecommendationOrchestrator", PACKAGE, "ok") == before + 2
        assert app.requests("RecommendationOrchestrator", LEGACY, "ok") == 0
        assert [work["state"] for work in (await app.database.documents(jobs.WORKFLOWS)).values()] == ["done"]
        assert [work["state"] for work in (await app.database.documents(jobs.JOBS)).values()] == ["done"]
        assert list(await app.database.documents(jobs.RECOMMENDATIONS)) == ["ann"]

    asyncio.run(run())


def test_work_calls_no_package_that_its_user_has_lost() -> None:
    """Prevents jobs from asking a package that a rollback has taken back, seconds after its traffic had moved."""

    async def run() -> None:
        app = CVPlus()
        app.flags.set(ALL)
        await app.client.post(ANN)
        app.flags.set({"RecommendationOrchestrator": 100})
        offered = {name: app.value("cvplus_offered_total", service=name, cohort=PACKAGE) for name in ALL}
        for _ in range(4):
            await app.runtime.jobs.step()
        after = {name: app.value("cvplus_offered_total", service=name, cohort=PACKAGE) for name in ALL}
        asked = {name for name in ALL if after[name] > offered[name]}
        assert asked == {"RecommendationOrchestrator", "ImprovementOrchestrator"}, "these two began it"
        assert [work["state"] for work in (await app.database.documents(jobs.WORKFLOWS)).values()] == ["done"]

    asyncio.run(run())


def test_another_process_goes_on_with_what_one_has_left() -> None:
    async def run() -> None:
        app = CVPlus()
        await app.client.post(ANN)
        await app.runtime.jobs.step()
        heir = CVPlus(app.database)
        await heir.runtime.load()
        for _ in range(3):
            await heir.runtime.jobs.step()
        assert heir.runtime.jobs.running("RecommendationOrchestrator", LEGACY) == 0
        assert list(await app.database.documents(jobs.RECOMMENDATIONS)) == ["ann"]

    asyncio.run(run())


def test_compensation_takes_back_what_was_published_and_begins_again_on_legacy() -> None:
    async def run() -> None:
        app = CVPlus()
        before = {"user": "ann", "score": 1, "gaps": []}
        await app.database.commit(Write("recommendations/ann", before))
        app.flags.set(ALL)
        await app.client.post(ANN)
        for _ in range(2):  # drafted and published, not yet announced
            await app.runtime.jobs.step()
        assert await app.database.get("recommendations/ann") != before
        app.flags.set({})
        done = (await app.hook("RecommendationOrchestrator", "compensate")).json()
        assert done["compensated"] == 1
        assert await app.database.get("recommendations/ann") == before
        assert (await app.hook("RecommendationOrchestrator", "compensate")).json()["compensated"] == 0
        legacy = app.requests("RecommendationOrchestrator", LEGACY, "ok")
        for _ in range(3):
            await app.runtime.jobs.step()
        assert app.requests("RecommendationOrchestrator", LEGACY, "ok") > legacy
        (work,) = (await app.database.documents(jobs.WORKFLOWS)).values()
        assert (work["state"], work["attempt"], work["version"]) == ("done", 2, "legacy")

    asyncio.run(run())


def test_draining_waits_for_legacy_and_says_what_is_left() -> None:
    async def run() -> None:
        app = CVPlus()
        await app.client.post(ANN)
        found = await app.hook("ImprovementOrchestrator", "drain")
        assert (found.status_code, found.json()["left"]) == (409, 1)  # nobody works on it
        background = asyncio.create_task(app.runtime.run())
        assert (await app.hook("ImprovementOrchestrator", "drain")).json()["left"] == 0
        background.cancel()

    asyncio.run(run())


@pytest.mark.parametrize(("prepared", "outcome"), [(["transformation", "record"], "committed"), ([], "aborted")])
def test_what_an_old_epoch_left_in_doubt_is_settled(prepared: list[str], outcome: str) -> None:
    async def run() -> None:
        app = CVPlus()
        doubt = {"epoch": 0, "prepared": prepared, "outcome": None, "result": {}, "at": app.runtime.transactions._now()}
        await app.database.commit(Write(f"{transactions.COLLECTION}/t", doubt))
        assert (await app.hook("ActionOrchestrator", "settle")).json() == {"epoch": 0, "committed": 0, "aborted": 0}
        app.flags.set({}, epoch=1)
        assert (await app.hook("ActionOrchestrator", "settle")).json()[outcome] == 1
        assert (await app.hook("ActionOrchestrator", "settle")).json()[outcome] == 0
        settled = await app.database.get(f"{transactions.COLLECTION}/t")
        assert settled is not None
        assert settled["outcome"] == outcome

    asyncio.run(run())


def test_legacy_is_retired_only_when_the_flag_says_so_and_its_work_is_done() -> None:
    async def run() -> None:
        app = CVPlus()
        app.flags.set(ALL)
        assert (await app.hook("CVAnalyzer", "retire-legacy")).status_code == 409
        app.flags.set(ALL, stage=Stage.RETIRED)
        for service in SERVICES:
            assert (await app.hook(service, "retire-legacy")).json()["retired"] is True
        await app.hook("RecommendationGenerator", "toggle")
        assert (await app.get(ANN)).status_code == 200
        assert (await app.get("/health/CVAnalyzer/legacy")).status_code == 503
        asked = await app.get("/services/CVAnalyzer", **{VERSION_HEADER: "legacy"})
        assert (asked.status_code, asked.headers[FAILED_HEADER]) == (502, "CVAnalyzer@legacy")
        assert (await app.hook("CVAnalyzer", "revive")).json() == {"retired": False, "mended": 0}
        assert (await app.get("/health/CVAnalyzer/legacy")).status_code == 200

    asyncio.run(run())


def test_draining_waits_for_the_requests_under_way() -> None:
    """A request decided for legacy must not meet a legacy that has been retired meanwhile."""

    async def run() -> None:
        app = CVPlus()
        with app.runtime.requests.under_way():
            assert (await app.hook("ImprovementOrchestrator", "drain")).status_code == 409
        assert (await app.hook("ImprovementOrchestrator", "drain")).status_code == 200

    asyncio.run(run())


def test_the_seed_holds_every_collection_that_is_backed_up() -> None:
    async def run() -> None:
        database = Memory()
        written = await seed(database, users=20)
        assert written == len(database.held)
        assert await seed(database, users=20) == 0
        backed_up = {
            *("user_cvs", "recommendations", "user_subscriptions", "processing_jobs", "user_profiles"),
            *("cache_entries", "analytics_events", "system_config", "template_data", "user_preferences"),
        }
        assert backed_up <= {path.partition("/")[0] for path in database.held}
        app = CVPlus(database)
        await app.runtime.load()
        assert app.runtime.jobs.running("ImprovementOrchestrator", LEGACY) == 0

    asyncio.run(run())
