"""Functionality: requests of our own, and whether the answers are right.

What a probe cannot say because it could not be made is missing (None); what the service does wrong, including not
answering, is failed (False).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from string import Template
from typing import Any

import httpx

from causeway.errors import ConfigError
from causeway.model.matrix import Version
from causeway.model.observation import CompareProbe, Expected, HttpProbe, Request


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe found. `passed` is None where it could not be made."""

    passed: bool | None
    detail: str = ""


def ask(probe: HttpProbe, version: Version, client: httpx.Client) -> Answer:
    """Makes the request to one version and compares the answer with what is expected."""
    response = _send(probe, version, client)
    if isinstance(response, Answer):
        return response
    wrong = unexpected(probe.expected, response.status_code, response.text)
    return Answer(wrong is None, wrong or "")


def compare(probe: CompareProbe, client: httpx.Client) -> Answer:
    """Makes the request to both versions; the package fails by not answering, or answering otherwise than legacy."""
    legacy = _send(probe, Version.LEGACY, client)
    package = _send(probe, Version.PACKAGE, client)
    if isinstance(legacy, Answer):
        return Answer(None, f"nothing to compare with: legacy {legacy.detail}")
    if isinstance(package, Answer):
        return package
    if legacy.status_code != package.status_code:
        return Answer(False, f"answered {package.status_code}, legacy {legacy.status_code}")
    different = first_difference(_body(legacy), _body(package), probe.ignore)
    return Answer(different is None, different or "")


def check_templates(probe: HttpProbe | CompareProbe) -> None:
    """Raises ConfigError for a template that cannot be filled."""
    _filled(probe, Version.PACKAGE)


def unexpected(expected: Expected, status: int, text: str) -> str | None:
    """What is wrong with an answer; None if it is as expected."""
    if status != expected.status:
        return f"answered {status}, not {expected.status}"
    if expected.text is not None and expected.text not in text:
        return f'the answer lacks "{expected.text}"'
    if expected.json is not None:
        try:
            found = json.loads(text)
        except ValueError:
            return "the answer is no JSON"
        return lacking(expected.json, found)
    return None


def lacking(expected: object, found: object, path: str = "") -> str | None:
    """Where `found` does not contain `expected`: mappings by key, everything else by equality. None if it does."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key, value in expected.items():
            if key not in found:
                return f"{path}/{key} is not in the answer"
            deeper = lacking(value, found[key], f"{path}/{key}")
            if deeper is not None:
                return deeper
        return None
    return None if _same(expected, found) else f"{path or 'the answer'} is not as expected"


def first_difference(legacy: object, package: object, ignore: Sequence[str] = (), path: str = "") -> str | None:
    """The JSON pointer of the first place where two answers differ, outside of `ignore`; None if they agree.

    Values are not shown: they may be somebody's.
    """
    if any(_covers(pattern, path) for pattern in ignore):
        return None
    if isinstance(legacy, Mapping) and isinstance(package, Mapping):
        for key in sorted(legacy.keys() | package.keys()):
            here = f"{path}/{_escaped(key)}"
            if key in legacy and key in package:
                deeper = first_difference(legacy[key], package[key], ignore, here)
            else:
                missing = "package" if key in legacy else "legacy"
                deeper = (
                    None if any(_covers(pattern, here) for pattern in ignore) else f"{here} is missing in {missing}"
                )
            if deeper is not None:
                return deeper
        return None
    if isinstance(legacy, list) and isinstance(package, list) and len(legacy) == len(package):
        for number, (one, other) in enumerate(zip(legacy, package, strict=True)):
            deeper = first_difference(one, other, ignore, f"{path}/{number}")
            if deeper is not None:
                return deeper
        return None
    return None if _same(legacy, package) else f"{path or 'the answer'} differs from legacy"


def _send(probe: HttpProbe | CompareProbe, version: Version, client: httpx.Client) -> httpx.Response | Answer:
    """The whole answer, or what is wrong. The client's timeout bounds one read; all of them are bounded here."""
    request, deadline = _filled(probe, version), time.monotonic() + probe.timeout
    try:
        with client.stream(
            request.method, request.url, headers=request.headers, json=request.body, timeout=probe.timeout
        ) as response:
            body = b"".join(_until(deadline, response.iter_bytes()))
        kind = {name: response.headers[name] for name in ("content-type",) if name in response.headers}
        return httpx.Response(response.status_code, headers=kind, content=body)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        return Answer(None, f"the request cannot be made: {error}")
    except httpx.TimeoutException:
        return Answer(False, f"did not answer within {probe.timeout:g} s")
    except httpx.HTTPError as error:
        return Answer(False, f"did not answer ({type(error).__name__}: {error})")


def _until(deadline: float, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chain([b""], chunks):
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer takes too long as a whole")
        yield chunk


def _filled(probe: HttpProbe | CompareProbe, version: Version) -> Request:
    values = {"service": probe.service, "version": version.value, "user": probe.users.get(version, "")}
    request = probe.request
    return Request(
        url=_fill(request.url, values),
        method=request.method,
        headers={name: _fill(value, values) for name, value in request.headers.items()},
        body=_fill_all(request.body, values),
    )


def _fill(text: str, values: Mapping[str, str]) -> str:
    try:
        return Template(text).substitute(values)
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"the template {text} of a probe cannot be filled: {error}",
            "the probe would ask for something else",
            "It may use $service, $version and $user; a plain dollar is written $$.",
        ) from error


def _fill_all(body: Any, values: Mapping[str, str]) -> Any:
    if isinstance(body, str):
        return _fill(body, values)
    if isinstance(body, Mapping):
        return {key: _fill_all(value, values) for key, value in body.items()}
    if isinstance(body, list | tuple):
        return [_fill_all(value, values) for value in body]
    return body


def _body(response: httpx.Response) -> object:
    """The answer as JSON, or as text where it is none."""
    try:
        return response.json()
    except ValueError:
        return response.text


def _same(one: object, other: object) -> bool:
    """Equality of JSON values: True is not 1, and 1 is 1.0."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _covers(pattern: str, path: str) -> bool:
    """Whether the JSON pointer `path` lies at or below `pattern`, in which `*` stands for any member."""
    wanted, found = pattern.split("/"), path.split("/")
    return len(found) >= len(wanted) and all(want in ("*", have) for want, have in zip(wanted, found, strict=False))


def _escaped(key: str) -> str:
    """RFC 6901."""
    return key.replace("~", "~0").replace("/", "~1")
