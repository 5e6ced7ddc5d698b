"""What is asked of the application over HTTP: named, retried, confirmed; and in which order it is taken back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from causeway.config.records import Hooks
from causeway.errors import Held
from causeway.rollout import actions
from causeway.rollout.actions import HttpApplication
from tests.rollout.fakes import FakeApplication, Time, World


class Server(HTTPServer):
    """Answers each request with the next of `answers` (status, body), the last one for ever; keeps what came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, str]] = [(200, "{}")]
        self.came: list[tuple[str, str, object]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.came.append((self.command, self.path, json.loads(body) if body else None))
        answers = self.server.answers
        status, text = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST  # noqa: N815 - a name of http.server

    def log_message(self, *_: object) -> None:
        """A test's output is its own."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def application(server: Server, time: Time) -> HttpApplication:
    hooks = Hooks(f"{server.url}/hooks/$service/$action", legacy_health=f"{server.url}/health/$service")
    return HttpApplication(hooks, time.sleep)


def test_the_hook_gets_service_action_and_place_and_its_answer_is_kept(
    application: HttpApplication, server: Server
) -> None:
    server.answers = [(200, '{"copied": 3}')]
    assert application.perform("Writer", "backfill", {"position": "p"}) == {"performed": True, "copied": 3}
    assert server.came == [("POST", "/hooks/Writer/backfill", {"position": "p"})]


@pytest.mark.parametrize("answer", ["", "done", "[1]", "null"])
def test_any_answer_with_success_confirms(application: HttpApplication, server: Server, answer: str) -> None:
    server.answers = [(200, answer)]
    assert application.perform("Writer", "drain", {}) == {"performed": True}


def test_what_fails_is_asked_for_again(application: HttpApplication, server: Server, time: Time) -> None:
    server.answers = [(503, ""), (500, ""), (200, "{}")]
    assert application.perform("Writer", "drain", {})["performed"] is True
    assert len(server.came) == 3
    assert time.seconds > 0, "not at once"


def test_what_is_never_confirmed_holds_the_step(application: HttpApplication, server: Server) -> None:
    server.answers = [(503, "")]
    with pytest.raises(Held, match=r"drain of Writer was not confirmed by http.*503") as held:
        application.perform("Writer", "drain", {})
    assert len(server.came) == 4
    assert "idempotent" in held.value.remedy


def test_an_application_that_is_gone_holds_the_step(time: Time) -> None:
    closed = Server()
    closed.server_close()
    application = HttpApplication(Hooks(f"{closed.url}/$action"), time.sleep)
    with pytest.raises(Held, match="was not confirmed"):
        application.perform("Writer", "drain", {})


def test_without_a_hook_nothing_is_claimed_to_be_done(time: Time) -> None:
    found = HttpApplication(Hooks(), time.sleep)
    assert found.perform("Writer", "drain", {})["performed"] is False
    assert found.legacy_health("Writer") is None


def test_legacy_s_health_is_asked_per_service(application: HttpApplication, server: Server) -> None:
    assert application.legacy_health("Reader") is None
    assert server.came[-1][:2] == ("GET", "/health/Reader")
    server.answers = [(503, "")]
    wrong = application.legacy_health("Reader")
    assert wrong is not None and "503" in wrong and "/health/Reader" in wrong


# --- in which order -----------------------------------------------------------------------------------------------


def test_a_position_s_actions_are_performed(here: World) -> None:
    plan, application = here.config.plan, FakeApplication()
    done = actions.perform(application, plan, plan["high/Writer/backfill"])
    assert done == [{"service": "Writer", "action": "backfill", "performed": True}]
    assert actions.perform(application, plan, plan["high/Writer/50"]) == []
    retired = actions.perform(application, plan, plan["deprecation/retire-legacy"])
    assert [each["service"] for each in retired] == ["Reader", "Writer", "Saga"]


def test_the_first_action_that_is_not_confirmed_stops_the_rest(here: World) -> None:
    class Refusing(FakeApplication):
        def perform(self, service: str, action: str, facts: object) -> dict[str, object]:
            self.asked.append((service, action))
            raise Held("not confirmed", "stays", "mend")

    plan, application = here.config.plan, Refusing()
    with pytest.raises(Held):
        actions.perform(application, plan, plan["deprecation/retire-legacy"])
    assert len(application.asked) == 1


def test_a_falling_weight_settles_what_is_running(here: World) -> None:
    plan, application = here.config.plan, FakeApplication()
    actions.settle(application, plan, ["Reader", "Saga"], plan["infrastructure"])
    assert application.asked == [("Saga", "settle")]


def test_the_latest_action_is_taken_back_first_and_only_those_between(here: World) -> None:
    plan = here.config.plan

    def undone(here_: str, there: str) -> list[tuple[str, str]]:
        application = FakeApplication()
        actions.undo(application, plan, plan[here_], plan[there])
        return application.asked

    assert undone("deprecation/retire-legacy", "infrastructure") == [
        ("Saga", "revive"),
        ("Writer", "revive"),
        ("Reader", "revive"),
        ("Writer", "single-write"),
    ]
    assert undone("high/Writer/50", "high/Writer/dual-write") == []
    assert undone("high/Writer/dual-write", "low/Reader/100") == [("Writer", "single-write")]
