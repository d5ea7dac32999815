"""Models to edit: a fresh copy for each trial, or the model itself where no copy stands on its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from gradcheck_cli.errors import brief
from gradcheck_cli.loading.base import Subject
from gradcheck_cli.probing.copying import copy_model
from gradcheck_cli.probing.probe import training_mode
from gradcheck_cli.probing.running import seed_everything
from gradcheck_cli.probing.sandbox import untouched


class Workbench:
    """Hands out the subject with a model that may be edited and trained; nothing of it outlives the block.

    A deep copy where that runs on its own. Where the model cannot be copied, or a closure in the copy leads back to the
    original, the original itself is handed out inside a sandbox that puts it back; `remark` says so.
    """

    def __init__(self, subject: Subject, seed: int) -> None:
        self._subject = subject
        self.remark = ""
        problem = _why_no_copy(subject, seed)
        self._in_place = problem is not None
        if problem is not None:
            self.remark = f"tried on the model itself, which was put back each time: {problem}"

    @contextmanager
    def fresh(self) -> Iterator[Subject]:
        """Yield the subject with the original weights, in a model that belongs to the caller until the block ends."""
        if self._in_place:
            with untouched(self._subject.model):
                yield self._subject
        else:
            yield dataclasses.replace(self._subject, model=copy_model(self._subject.model).model)


def _why_no_copy(subject: Subject, seed: int) -> str | None:
    """Run a copy once, forward and backward, and say what speaks against trials on copies."""
    try:
        twin = copy_model(subject.model)
    except Exception as error:  # a model's own `__deepcopy__` may raise anything
        return f"it cannot be copied ({type(error).__name__})"
    with twin.watch() as talk, training_mode(twin.model):
        for objective in subject.objectives:
            seed_everything(seed)
            try:
                loss = objective.compute(twin.model, subject.batches[0]).loss
                loss.backward()  # type: ignore[no-untyped-call]
            except Exception as error:  # whatever the user's code raises, the trials go on in place
                return f"a copy does not run ({brief(error)})"
    return "a closure in the copy leads back to the original" if talk else None
