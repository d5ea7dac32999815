"""Read the tensors of batches by name, and put others in their places."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from gradcheck_cli.loading.base import Batch
from gradcheck_cli.loading.signatures import TARGET_NAMES
from gradcheck_cli.loading.tensor_tree import map_tensors
from gradcheck_cli.probing.tensors import named_tensors_in, tensors_in
from gradcheck_cli.trials.base import NotApplicable


def inputs_of(batch: Batch) -> dict[str, Tensor]:
    """The tensors that the model is called with, by their names in records.InputProfile; targets among them left out."""
    targets = {id(t) for t in tensors_in(batch.target)}
    found: dict[str, Tensor] = {}
    for path, tensor in _given(batch):
        is_target = path.rsplit(".", 1)[-1] in TARGET_NAMES or (id(tensor) in targets and not path.isdigit())
        if not is_target:
            found[f"input {path}" if path.isdigit() else path] = tensor
    return found


def together(batches: Sequence[Batch]) -> dict[str, list[Tensor]]:
    """The inputs of all batches by name, those that every batch has."""
    each = [inputs_of(batch) for batch in batches]
    return {name: [inputs[name] for inputs in each] for name in each[0] if all(name in inputs for inputs in each)}


def with_tensors(batch: Batch, changes: Mapping[int, Tensor]) -> Batch:
    """The batch with tensors replaced by identity, so that one that is input and target at once changes in both places.

    Raises NotApplicable when one of them is held by an object that cannot be built again.
    """
    placed: set[int] = set()

    def change(tensor: Tensor) -> Tensor:
        placed.add(id(tensor))
        return changes.get(id(tensor), tensor)

    changed = dataclasses.replace(
        batch,
        args=map_tensors(batch.args, change),
        kwargs=map_tensors(dict(batch.kwargs), change),
        target=map_tensors(batch.target, change),
    )
    present = {id(t) for t in (*(t for _, t in _given(batch)), *tensors_in(batch.target))}
    if (changes.keys() & present) - placed:
        raise NotApplicable("the batch is held by an object that cannot be built again with other values")
    return changed


def is_also_target(before: Batch, changes: Mapping[int, Tensor]) -> bool:
    """Say whether a changed input is what the output is compared with, as in an autoencoder."""
    return bool(changes) and (before.target is None or any(id(t) in changes for t in tensors_in(before.target)))


def _given(batch: Batch) -> Iterator[tuple[str, Tensor]]:
    yield from named_tensors_in(list(batch.args))
    yield from named_tensors_in(dict(batch.kwargs))
