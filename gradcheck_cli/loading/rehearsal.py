"""Run a model once, out of the way, to learn the shape of its output."""

from __future__ import annotations

import contextlib
import copy
import random
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from gradcheck_cli.loading.base import Batch
from gradcheck_cli.loading.program_end import as_error


@contextlib.contextmanager
def rehearsal(model: nn.Module) -> Iterator[nn.Module]:
    """A copy to try things on, with random states put back and warnings and prints kept off the report.

    A model that cannot be copied is tried itself and gets its parameters and buffers back.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(), warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        try:
            with _stand_in(model) as copied, as_error():
                yield copied
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)


@contextlib.contextmanager
def _stand_in(model: nn.Module) -> Iterator[nn.Module]:
    try:
        copied = copy.deepcopy(model)
    except Exception:  # locks, open files, generators and the like among its attributes
        tensors = [(t, t.detach().clone()) for t in (*model.parameters(), *model.buffers()) if not _is_lazy(t)]
        modes = [(m, m.training) for m in model.modules()]
        try:
            yield model
        finally:
            with torch.no_grad():
                for tensor, value in tensors:
                    tensor.copy_(value)
            for module, mode in modes:
                module.training = mode
        return
    yield copied


def _is_lazy(tensor: torch.Tensor) -> bool:
    return isinstance(tensor, (torch.nn.UninitializedParameter, torch.nn.UninitializedBuffer))


def output_of(model: nn.Module, batch: Batch, seed: int) -> Any:
    """The output of one forward on a copy; raises what the model raises."""
    with rehearsal(model) as copied:
        torch.manual_seed(seed)
        return copied(*batch.args, **batch.kwargs)
