"""A large matrix is a long sequence of rows that differ in words only: rows of one shape are parsed once.

A row's shape is its text without its plain and its double-quoted words. The first row of a shape is parsed with a mark
in the place of each word; where a mark turns up as a value of its own, the words of another row of that shape can be
put there. They are lexically alike and resolve to text, so this is what the parser itself would read. A row whose words
are anything else is parsed alone, and a text in which rows cannot be told apart is not for this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

_SEQUENCE = re.compile(r"^ *interactions:[ ]*\n(?= +- )", re.MULTILINE)
_INDENT = re.compile(r" +(?=- )")
#: Plain text in front of one of these is not what it looks like.
_NOT_TEXT = r"(?!(?i:y|yes|n|no|true|false|on|off|null)\b)"
_DAY = r"\d{4}-\d\d-\d\d"
_QUOTED = r'"[ !#-\[\]-~\xa0-\u2027\u202a-\ud7ff]*"'
#: What stands behind `: ` and ends there. Outside of braces a comma is a letter like any other.
_WORD_IN_BRACES = re.compile(rf"(?<=: )({_NOT_TEXT}(?:\d+ )?[A-Za-z][\w ./()+-]*|{_DAY}|{_QUOTED})(?=[,}}\]\n])")
_WORD = re.compile(rf"(?<=: )({_NOT_TEXT}(?:\d+ )?[A-Za-z][\w ./()+,;-]*|{_DAY}|{_QUOTED})(?=\n)")
#: What gives a value a name, which may be given once in a document.
_ANCHOR = re.compile(r"(?:^|[\s\[{,])&", re.MULTILINE)
_MARK = "causeway-word-{}"
#: What stands in the outline in the place of the rows.
ROWS = "causeway-rows"

Fill = Callable[[list[str]], Any]


def split(text: str) -> tuple[str, list[str]] | None:
    """The text with one row in the place of its interactions, and their rows; None where that cannot be told."""
    found = list(_SEQUENCE.finditer(text))
    if len(found) != 1 or ROWS in text or _MARK.format("") in text:
        return None
    start = found[0].end()
    indent = _INDENT.match(text, start)
    assert indent is not None
    beyond = re.compile(rf"^(?!{indent[0]}(?:- | |\n)| *[#\n])", re.MULTILINE).search(text, start)
    end = beyond.start() if beyond else len(text)
    rows = re.split(rf"^(?={indent[0]}- )", text[start:end], flags=re.MULTILINE)[1:]
    return f"{text[:start]}{indent[0]}- {ROWS}\n{text[end:]}", rows


def read(rows: list[str], parse: Callable[[str], Any]) -> Iterator[Any]:
    """The value of each row; `parse` reads a text of YAML."""
    shapes: dict[tuple[str, ...], Fill | None] = {}
    words: dict[str, str] = {}
    for row in rows:
        parts = (_WORD_IN_BRACES if "{" in row or "[" in row else _WORD).split(row)
        shape = tuple(parts[::2])
        if shape not in shapes:
            shapes[shape] = _fill(shape, parse)
        fill = shapes[shape]
        if fill is None:
            yield _only(parse(row))
        else:
            yield fill([words.setdefault(word, word) for word in map(_text, parts[1::2])])


def _text(word: str) -> str:
    return word[1:-1] if word[0] == '"' else word.rstrip(" ")


def _only(parsed: Any) -> Any:
    if not isinstance(parsed, list) or len(parsed) != 1:
        raise ValueError("a row is no row")
    return parsed[0]


def _fill(shape: tuple[str, ...], parse: Callable[[str], Any]) -> Fill | None:
    """What makes a row of its words; None where a mark is not a value of its own."""
    if any(_ANCHOR.search(part) for part in shape):
        raise ValueError("a value has a name")
    marks = {_MARK.format(number): number for number in range(len(shape) - 1)}
    text = "".join(part + mark for part, mark in zip(shape, (*marks, ""), strict=True))
    try:
        return _filled(_only(parse(text)), marks)
    except LookupError:
        return None


def _filled(value: Any, marks: dict[str, int]) -> Fill:
    if isinstance(value, dict):
        if any(_MARK.format("") in str(key) for key in value):
            raise LookupError(value)
        pairs = [(key, _filled(item, marks)) for key, item in value.items()]
        return lambda words: {key: fill(words) for key, fill in pairs}
    if isinstance(value, list):
        fills = [_filled(item, marks) for item in value]
        return lambda words: [fill(words) for fill in fills]
    if isinstance(value, str) and value in marks:
        place = marks[value]
        return lambda words: words[place]
    if isinstance(value, str) and _MARK.format("") in value:
        raise LookupError(value)
    return lambda words: value
