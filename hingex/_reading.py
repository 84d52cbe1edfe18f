# SPDX-License-Identifier: BSD-3-Clause
"""How the file that a model was trained on was read: the conventions that predictions must share.

A model that was trained from a file has them in `reading_`, a dict with the key "format":

========  ===========================================================================
svmlight  zero_based (bool)
tsv       encoding ("utf-8"), label_column (int or None), text_column (int),
          columns (int or None), escapes (bool)
tagged    encoding ("utf-8"), word_column, tag_column (int), columns (int or None)
========  ===========================================================================

Models that were trained from arrays have no such attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["check_reading", "forget_reading", "kept", "remember_reading"]


def _is_bool(value: Any) -> bool:
    return type(value) is bool


def _is_column(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_column_or_none(value: Any) -> bool:
    return value is None or _is_column(value)


def _is_encoding(value: Any) -> bool:
    return value == "utf-8"


_FORMATS = {
    "svmlight": {"zero_based": _is_bool},
    "tsv": {"encoding": _is_encoding, "label_column": _is_column_or_none,
            "text_column": _is_column, "columns": _is_column_or_none, "escapes": _is_bool},
    "tagged": {"encoding": _is_encoding, "word_column": _is_column, "tag_column": _is_column,
               "columns": _is_column_or_none},
}  # fmt: skip


def check_reading(reading: Any) -> None:
    """Raise ValueError for a `reading_` that is none; None stands for a model without one."""
    if reading is None:
        return
    form = reading.get("format") if isinstance(reading, dict) else None
    rules = _FORMATS.get(form) if isinstance(form, str) else None
    if rules is None:
        raise ValueError("reading_ names no format of files that is known here")
    for key in sorted(rules.keys() | reading.keys() - {"format"}):
        if key not in rules or key not in reading or not rules[key](reading[key]):
            raise ValueError(f"reading_ has {key!r}: {reading.get(key)!r}, which is no convention "
                             f"of {reading['format']} files here")


def remember_reading(model: Any, source: Any) -> None:
    """Let the model keep the `reading` of what it was trained on, if that came from a file."""
    found = getattr(source, "reading", None)
    forget_reading(model)
    if isinstance(found, Mapping):
        model.reading_ = dict(found)


def forget_reading(model: Any) -> None:
    """What every fit on arrays does."""
    vars(model).pop("reading_", None)


def kept(model: Any, form: str, key: str, default: Any = None) -> Any:
    """A convention that the model was trained by; `default` if it does not tell."""
    reading = getattr(model, "reading_", None) or {}
    return reading.get(key, default) if reading.get("format") == form else default
