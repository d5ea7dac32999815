"""Make a batch where there is no data: from the layers that receive the input, tried out on a copy."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.found_data import MINIMUM_KEPT, FoundData
from gradcheck_cli.loading.frames import one_line
from gradcheck_cli.loading.input_anchors import anchors
from gradcheck_cli.loading.input_specs import Spec
from gradcheck_cli.loading.rehearsal import rehearsal
from gradcheck_cli.loading.signatures import Signature
from gradcheck_cli.loading.transfer import to_place

_TRIES = 80
_SECONDS = 20.0  # for all tries together
_TRIAL_ROWS = 2
_MISMATCH = re.compile(r"mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)")


def synthesise(context: Context, model: nn.Module, forward: Signature) -> FoundData:
    """A batch of random numbers that the model accepts; raises E339 when none is found."""
    names = [*forward.required, *forward.required_keywords] or list(forward.positional[:1])
    with rehearsal(model) as copied:
        options = anchors(copied, names)
        search = _Search(context, copied, names)
        for specs in options:
            made = search.first_accepted(specs)
            if made is not None:
                _say_so(context, made[0], specs)
                leading = tuple(names) == forward.positional[: len(names)]
                raws = [tuple(batch.values()) if leading else batch for batch in made]
                return FoundData(raws=raws, origin="synthesised", has_target=False, made=True)
    raise _not_inferred(context, names, options, search.last_error)


class _Search:
    """Tries shapes on a copy within a budget of tries and seconds."""

    def __init__(self, context: Context, model: nn.Module, names: list[str]) -> None:
        self.context, self.model, self.names = context, model, names
        self.tries, self.deadline = 0, time.monotonic() + _SECONDS
        self.last_error: BaseException | None = None

    def first_accepted(self, specs: Mapping[str, Spec]) -> list[dict[str, Tensor]] | None:
        """Batches of the first combination of shapes that runs."""
        too_big: tuple[int, ...] | None = None
        too_small: tuple[int, ...] | None = None
        for shapes in _combinations(specs):
            first = shapes[self.names[0]]
            if (too_big and _not_smaller(first, too_big)) or (too_small and _not_smaller(too_small, first)):
                continue
            if self.tries >= _TRIES or time.monotonic() > self.deadline:
                return None
            if self._accepts(specs, shapes, _TRIAL_ROWS):
                rows = max(min(spec.rows for spec in specs.values()), _TRIAL_ROWS)
                rows = rows if self._accepts(specs, shapes, rows) else _TRIAL_ROWS
                return [self._batch(specs, shapes, rows, number) for number in range(MINIMUM_KEPT)]
            mismatch = _MISMATCH.search(str(self.last_error))
            if mismatch and len(first) > 1:  # a linear layer behind the convolutions says on which side the size lies
                if int(mismatch[1]) > int(mismatch[2]):
                    too_big = first
                else:
                    too_small = first
        return None

    def _accepts(self, specs: Mapping[str, Spec], shapes: Mapping[str, tuple[int, ...]], rows: int) -> bool:
        self.tries += 1
        try:
            self.model(**self._batch(specs, shapes, rows))
        except GradcheckError:
            raise
        except Exception as exc:
            self.last_error = exc
            return False
        return True

    def _batch(
        self, specs: Mapping[str, Spec], shapes: Mapping[str, tuple[int, ...]], rows: int, number: int = 0
    ) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(self.context.settings.seed + number)
        batch = {name: spec.make(shapes[name], rows, generator) for name, spec in specs.items()}
        place: Callable[[Any], Any] = to_place(self.model, self.context.settings)
        return {name: place(tensor) for name, tensor in batch.items()}


def _combinations(specs: Mapping[str, Spec]) -> Iterator[dict[str, tuple[int, ...]]]:
    """All shapes of one input; of several inputs of one kind first those of equal rank in the lists, then all others."""
    names = list(specs)
    lists = [specs[name].shapes for name in names]
    seen = set()
    alike = len(lists) > 1 and len({spec.kind for spec in specs.values()}) == 1
    aligned = itertools.zip_longest(*lists) if alike else ()
    for shapes in (*aligned, *itertools.product(*lists)):
        if None not in shapes and shapes not in seen:
            seen.add(shapes)
            yield dict(zip(names, shapes, strict=True))


def _not_smaller(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether every extent behind the channels is at least as large."""
    return len(shape) == len(other) and all(a >= b for a, b in zip(shape[1:], other[1:], strict=True))


def _say_so(context: Context, made: Mapping[str, Tensor], specs: Mapping[str, Spec]) -> None:
    for name, tensor in made.items():
        spec = specs[name]
        what = (
            f"random integers below {spec.high}"
            if spec.kind == "integers"
            else "all true"
            if spec.kind == "booleans"
            else "random normal numbers"
        )
        source = f", shaped for `{spec.layer}`" if spec.layer else ""
        context.assume(f"no data was found: `{name}` is made up, {what} of shape {list(tensor.shape)}{source}")


def _not_inferred(
    context: Context, names: list[str], options: list[dict[str, Spec]], last: BaseException | None
) -> GradcheckError:
    tried = sorted({spec.layer for specs in options for spec in specs.values() if spec.layer})
    why = (
        f"shapes made up for {', '.join(f'`{layer}`' for layer in tried)} failed"
        if tried
        else "no layer tells the shape of the input"
    )
    if last is not None:
        why += f", the last with {one_line(last, 160)}"
    why = "; ".join([why, *context.left_out])
    flags = (
        " ".join(f"--input {name}=SHAPE" for name in names)
        if len(names) > 1
        else "--input 8,3,224,224 (int:8,128 for integers)"
    )
    return GradcheckError(
        "E339",
        "no data was found and the model's input cannot be inferred",
        why,
        f"add `x` (and `y`) to the file, or use {flags} or --data FILE",
    )
