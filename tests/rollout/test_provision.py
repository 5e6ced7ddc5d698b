"""What the Pulumi program puts together from config: the hook, alerts, channels."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from causeway import flags
from causeway.config.records import Cloud
from causeway.errors import ConfigError
from causeway.model.moves import Place
from causeway.model.observation import MetricNames, Metrics, Scrape
from causeway.rollout import provision
from causeway.rollout.desired import flag_set
from components.schedulers import schedule
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import World


@pytest.fixture
def hook(here: World, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """The hook of the flag set for a wanted place, over the world's documents."""
    monkeypatch.setattr(provision, "FirestoreStore", lambda project: here.store)
    monkeypatch.setattr(provision.pulumi.log, "info", lambda text: None)
    monkeypatch.delenv(provision.REASON, raising=False)
    return lambda place: provision._legal_move(here.config, "demo", place)


def inputs(here: World, place: Place) -> SimpleNamespace:
    """What Pulumi hands a hook where the stack has applied that place."""
    definition = flags.build(flag_set(here.config, place))
    fields = {"definition": {"stringValue": definition}, "position": {"stringValue": place.position}}
    return SimpleNamespace(old_inputs={"fields": json.dumps(fields)})


def test_the_first_update_is_infrastructure(hook) -> None:  # type: ignore[no-untyped-def]
    for nothing in (None, {}):
        hook(Place("infrastructure"))(SimpleNamespace(old_inputs=nothing))
        with pytest.raises(RuntimeError, match="is not where a plan starts"):
            hook(Place("low/Reader/50"))(SimpleNamespace(old_inputs=nothing))


def test_an_illegal_move_is_refused_in_the_model_s_words(here: World, hook) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RuntimeError, match=r"2 steps ahead of infrastructure.*Go to low/Reader/50 next"):
        hook(Place("low/Reader/100"))(inputs(here, Place("infrastructure")))


def test_a_step_needs_the_journal_and_a_way_back_its_reason(here, hook, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RuntimeError, match="has not been judged good"):
        hook(Place("low/Reader/50"))(inputs(here, Place("infrastructure")))
    with runner_of(here) as runner:
        runner.walk("infrastructure")
    hook(Place("low/Reader/50"))(inputs(here, Place("infrastructure")))
    with pytest.raises(RuntimeError, match="by accident"):
        hook(Place("infrastructure"))(inputs(here, Place("low/Reader/50")))
    monkeypatch.setenv(provision.REASON, "it is slow")
    hook(Place("infrastructure"))(inputs(here, Place("low/Reader/50")))


def test_a_flag_set_that_nobody_can_read_is_refused(hook) -> None:  # type: ignore[no-untyped-def]
    fields = json.dumps({"definition": {"stringValue": "{}"}, "position": {"stringValue": "x"}})
    with pytest.raises(RuntimeError):
        hook(Place("low/Reader/50"))(SimpleNamespace(old_inputs={"fields": fields}))


def test_without_a_project_nothing_is_registered(here: World) -> None:
    with pytest.raises(ConfigError, match="names no project"):
        provision.provision(replace(here.config, project=None))


def test_every_service_and_guardrail_has_its_alert_and_every_job_its_missed_run(here: World) -> None:
    names = MetricNames("requests", "errors", "latency", offered="offered")
    config = replace(here.config, metrics=Metrics(Scrape(("http://127.0.0.1:1/metrics",)), names))
    runs = schedule("test", {"critical": "realtime", "high": "hourly", "medium": "daily"})
    found = [alert.name for alert in provision._alerts(config, runs)]
    for service in config.matrix.services:
        for guardrail in ("error_rate", "response_time", "throughput", "availability"):
            assert found.count(f"{service}-{guardrail}") == 1
    assert len(found) == 4 * len(config.matrix.services) + len(runs.scheduled)
    assert len(set(found)) == len(found)


def test_each_address_is_a_channel(here: World) -> None:
    cloud = Cloud(alert_emails=("a@example.org", "b@example.org"))
    found = provision._channels(replace(here.config, cloud=cloud))
    assert [(each.name, each.labels["email_address"]) for each in found] == [
        ("email-0", "a@example.org"),
        ("email-1", "b@example.org"),
    ]


def test_channels_whose_address_no_monitor_would_know_are_named(here: World) -> None:
    """Prevents: a stack in the cloud that looks watched, and whose alerts end in a file of a container."""
    notify = {"critical": ("env:TEAM", "env:ONCALL", "file:out/alerts")}
    cloud = Cloud(image="image", secrets={"TEAM": "team"})
    config = replace(here.config, notify=notify, cloud=cloud)
    address, policies = provision.unheard(config)
    assert "env:ONCALL" in address
    assert "alert_emails" in policies
    heard = replace(cloud, secrets={"TEAM": "team", "ONCALL": "oncall"}, alert_emails=("oncall@example.org",))
    assert provision.unheard(replace(config, cloud=heard)) == []
    assert provision.unheard(replace(config, cloud=Cloud())) == [], "a monitor that you start has your environment"
