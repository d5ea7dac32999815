"""What every source of data hands on: batches as the user's file gives them, and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundData:
    """`raws` are batches before they are matched with forward.

    `pair` says that each is (input, target) for sure, `has_target` is False when it is all input, `made` that the values are
    ours, `cast` that floating numbers take the model's dtype (numpy and text have float64 without meaning it), `table` that
    targets are a column of a table, to be shaped as the loss wants them.
    """

    raws: Sequence[Any]
    origin: str
    pair: bool = False
    has_target: bool = True
    made: bool = False
    cast: bool = False
    table: bool = False


MINIMUM_KEPT = 3  # batches kept at least, where the source has them: the confirmation looks at more than one
