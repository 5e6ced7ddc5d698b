"""What can go wrong, in one shape: fact, consequence, remedy, and a stable exit code.

The codes are public (`docs/reference/exit-codes.md`); scripts depend on them.
"""

from __future__ import annotations

import re
from enum import IntEnum

#: A user and password in an address: what stands between `://` and the host.
_USER = re.compile(r"(?<=://)[^/?#\s@]+@")


def without_secrets(text: str) -> str:
    """A text that may be printed, kept and sent: addresses without who logs in there."""
    return _USER.sub("…@", text)


class Exit(IntEnum):
    """Exit codes of every `causeway` command."""

    OK = 0
    FAILED = 1
    USAGE = 2  # the command line or the config is wrong; click uses 2 as well
    UNKNOWN = 3  # certificate: some exposed pair has no evidence
    UNSAFE = 4  # certificate: some exposed pair is known to break, or stands in the way of any order
    REFUSED = 5  # the move is not legal from here; nothing changed
    HELD = 6  # not enough evidence to go on; nothing moved
    DRIFT = 7  # the cloud differs from the stack (Pulumi uses 7 as well)
    ROLLED_BACK = 8  # the gates sent traffic back
    UNREACHABLE = 9  # something this needs is missing or does not answer
    CONFLICT = 10  # somebody else moves this stack
    INTEGRITY = 11  # data is not what it should be: backup, restore, parity


class CausewayError(Exception):
    """A failure a person can act on.

    `fact` says what was found, `consequence` what it would lead to, `remedy` the command or line that mends it. None of
    them shows who logs in at an address.
    """

    code: Exit = Exit.FAILED

    def __init__(self, fact: str, consequence: str = "", remedy: str = "") -> None:
        self.fact, self.consequence, self.remedy = map(without_secrets, (fact, consequence, remedy))
        super().__init__(self.fact, self.consequence, self.remedy)

    def __str__(self) -> str:
        head = f"{self.fact}; {self.consequence}" if self.consequence else self.fact
        return f"{head}. {self.remedy}" if self.remedy else head

    def as_dict(self) -> dict[str, object]:
        """The same, for `--json`."""
        return {
            "error": type(self).__name__,
            "fact": self.fact,
            "consequence": self.consequence,
            "remedy": self.remedy,
            "exit_code": int(self.code),
        }


class ConfigError(CausewayError):
    """The stack's config does not say what it must."""

    code = Exit.USAGE


class MoveRefused(CausewayError):
    """The move is not legal from where the stack stands."""

    code = Exit.REFUSED


class Held(CausewayError):
    """There is not enough evidence to go on."""

    code = Exit.HELD


class Unreachable(CausewayError):
    """Something this needs is missing or does not answer."""

    code = Exit.UNREACHABLE


class Conflict(CausewayError):
    """Somebody else holds or has changed what this wanted to write."""

    code = Exit.CONFLICT


class IntegrityError(CausewayError):
    """Data is not what it should be."""

    code = Exit.INTEGRITY
