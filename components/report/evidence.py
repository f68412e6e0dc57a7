# SPDX-License-Identifier: Apache-2.0
"""The evidence of a finding as texts: JSON values in, bounded tables out."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from components.report import formats
from components.report.page import Evidence, Grid, Pairs

MAX_ENTRIES = 20
"""Entries of one list or object that are shown."""
MAX_ROWS = 10
"""Rows of a list of objects."""
MAX_COLUMNS = 8
"""Columns of a list of objects."""
MAX_TEXT = 300
"""Characters of one value."""
MAX_VALUES = 200
"""Values of one finding's evidence, over all its lists and objects."""

_DEEPEST = 4
_LONGEST_INLINE = 100  # Characters up to which a small object is one line of text.
_NAMES = {
    "interval_95": "95 % interval",
    "share_interval_95": "Share, 95 % interval",
}


def show(evidence: Mapping[str, Any], omit: Sequence[str] = ()) -> Pairs:
    """Turns the evidence of a finding into names and values.

    Whatever it holds, the result is bounded; it says how much was left out.

    Args:
      evidence: JSON values by name.
      omit: Names that are shown elsewhere.

    Returns:
      Without entries if there is nothing to show.
    """
    left = {key: value for key, value in evidence.items() if key not in omit}
    return _Reader().pairs(left, depth=0, style="")


class _Reader:
    """Reads one evidence, and knows how many more values may be shown."""

    def __init__(self) -> None:
        self._values = MAX_VALUES

    def pairs(self, entries: Mapping[str, Any], depth: int, style: str) -> Pairs:
        shown = []
        for key, value in list(entries.items())[:MAX_ENTRIES]:
            if self._values <= 0:
                break
            # Below the first level, names are often data: classes, splits.
            name = _title(key) if depth == 0 else _clip(formats.name(str(key)))
            own = f"{style} {key}" if depth == 0 else style
            shown.append((name, self._read(value, depth + 1, own)))
        return Pairs(tuple(shown), len(entries) - len(shown))

    def _read(self, value: Any, depth: int, style: str) -> Evidence:
        self._values -= 1
        if depth >= _DEEPEST or not value or not isinstance(value, dict | list | tuple):
            return _text(value, style)
        if isinstance(value, dict):
            return _inline(value, style) or self.pairs(value, depth, style)
        if all(isinstance(item, dict) and item for item in value):
            return self._grid(value)
        if not any(isinstance(item, dict | list | tuple) for item in value):
            return _line(value, style)
        return self.pairs(
            {str(k): item for k, item in enumerate(value, start=1)}, depth, style
        )

    def _grid(self, items: Sequence[Mapping[str, Any]]) -> Grid:
        keys = list(dict.fromkeys(key for item in items for key in item))
        shown = keys[:MAX_COLUMNS]
        rows: list[tuple[str, ...]] = []
        for item in items[:MAX_ROWS]:
            if self._values <= 0:
                break
            self._values -= len(shown)
            rows.append(tuple(_text(item[k], k) if k in item else "–" for k in shown))
        return Grid(
            tuple(map(_title, shown)),
            tuple(rows),
            len(items) - len(rows),
            len(keys) - len(shown),
        )


def _title(key: str) -> str:
    words = formats.name(str(key).replace("_", " "))
    if words.startswith("num "):
        words = f"number of {words[4:]}"
    return _NAMES.get(key) or _clip(words[:1].upper() + words[1:])


def _line(values: Sequence[Any], style: str) -> str:
    """Returns scalars on one line; two that are an interval as such."""
    if "interval" in style and len(values) == 2:
        return " to ".join(_text(value, style) for value in values)
    texts = [_text(value, style) for value in values[:MAX_ENTRIES]]
    more = len(values) - len(texts)
    return ", ".join(texts) + (f" and {more:,} more" if more else "")


def _inline(entries: Mapping[str, Any], style: str) -> str:
    """Returns a small object as `train 12, eval 3`; empty if it is not small."""
    if len(entries) > MAX_ENTRIES or any(
        isinstance(value, dict | list | tuple) for value in entries.values()
    ):
        return ""
    text = ", ".join(
        f"{formats.name(str(key))} {_text(value, style)}"
        for key, value in entries.items()
    )
    return text if len(text) <= _LONGEST_INLINE else ""


def _text(value: Any, style: str) -> str:
    """Returns one value; `style`, the names above it, says what its unit is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ([], {}, ()):
        return "none"
    if isinstance(value, str):
        return _clip(formats.name(value))
    if isinstance(value, int | float) and ("share" in style or "accuracy" in style):
        return formats.share(value)
    if isinstance(value, int):
        # No separators in what may be a year or an id.
        return formats.count(value) if _is_count(style) else str(value)
    if isinstance(value, float):
        return formats.number(value)
    if isinstance(value, dict) and (text := _inline(value, style)):
        return text
    if isinstance(value, list | tuple) and not any(
        isinstance(item, dict | list | tuple) for item in value
    ):
        return _clip(_line(value, style)) or "none"
    return _clip(formats.clean(json.dumps(value, ensure_ascii=False, default=str)))


def _is_count(style: str) -> bool:
    return any(word in style for word in ("num_", "counts", "examples"))


def _clip(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
