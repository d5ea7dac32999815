"""What a case of the zoo is, and the batches and objectives that most cases share.

A case builds its subject without the loader, so that the benchmark measures the verdict and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Objective, OptimizerSpec, Outcome, Subject

BATCHES = 3  # a confirmation looks at other batches than the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One network with the verdict it deserves.

    `expect` empty: healthy, every error or warning is a false alarm but those in `also_allowed`, which `defence` justifies.
    `expect` given: sick, any of these codes at error or warning counts as recalled; `also_allowed` are true beside it.
    `mechanism` lists, for a healthy case, what makes it look sick (numbers of MECHANISMS); for a sick one, what is wrong.
    """

    name: str
    family: str
    mechanism: str
    build: Callable[[int], Subject]
    expect: frozenset[str] = frozenset()
    also_allowed: frozenset[str] = frozenset()
    defence: str = ""


MECHANISMS = {
    "1": "zero by design at step 0",
    "2": "layer scale",
    "3": "bias that cannot matter",
    "4": "small query and key side",
    "5": "structurally idle parameters",
    "6": "random zeros",
    "7": "sample too small or careless",
    "8": "sparse embedding rows",
    "9": "large for a reason",
    "10": "encoder side of an encoder-decoder",
    "11": "loss on one token only",
    "12": "shared or recomputed layers",
}

MakeBatch = Callable[[], Batch]
MakeModel = Callable[[], nn.Module]


def build_subject(
    name: str,
    model: MakeModel,
    batch: MakeBatch,
    objectives: tuple[Objective, ...],
    optimizer: OptimizerSpec | None,
    seed: int,
) -> Subject:
    """Build model and batches from one seed; the model comes first, so that a batch of another size changes no weight."""
    torch.manual_seed(seed)
    net = model()
    batches = tuple(batch() for _ in range(BATCHES))
    return Subject(model=net.train(), batches=batches, objectives=objectives, optimizer=optimizer, sites={}, target=name)


def healthy(
    name: str,
    family: str,
    model: MakeModel,
    batch: MakeBatch,
    objective: Objective | tuple[Objective, ...],
    *,
    mechanism: str = "",
    allowed: Iterable[str] = (),
    defence: str = "",
    optimizer: OptimizerSpec | None = None,
) -> Case:
    """Declare a healthy network; codes in `allowed` need a `defence`."""
    objectives = objective if isinstance(objective, tuple) else (objective,)
    build = partial(build_subject, name, model, batch, objectives, optimizer)
    return Case(name=name, family=family, mechanism=mechanism, build=build, also_allowed=frozenset(allowed), defence=defence)


def sick(
    name: str,
    family: str,
    mechanism: str,
    model: MakeModel,
    batch: MakeBatch,
    objective: Objective | tuple[Objective, ...],
    *,
    expect: Iterable[str],
    also: Iterable[str] = (),
    optimizer: OptimizerSpec | None = None,
) -> Case:
    """Declare a sick network and the codes any of which names its disease."""
    objectives = objective if isinstance(objective, tuple) else (objective,)
    build = partial(build_subject, name, model, batch, objectives, optimizer)
    return Case(
        name=name,
        family=family,
        mechanism=mechanism,
        build=build,
        expect=frozenset(expect),
        also_allowed=frozenset(also),
    )


# --- objectives ---------------------------------------------------------------------------------------------------


def supervised(kind: str, loss: Callable[[Any, Any], Tensor], ignore_index: int | None = None) -> Objective:
    """Make an objective of the kind `loss(model(*args), target)`."""

    def compute(model: nn.Module, batch: Batch) -> Outcome:
        output = model(*batch.args, **batch.kwargs)
        return Outcome(loss=loss(output, batch.target), output=output, target=batch.target)

    return Objective(name="loss", kind=kind, origin="found: loss_fn", compute=compute, ignore_index=ignore_index)


def custom(compute: Callable[[nn.Module, Batch], Outcome], name: str = "loss") -> Objective:
    """Make an objective of a training step that is more than one call and one loss."""
    return Objective(name=name, kind="other", origin=f"found: {name}", compute=compute)


def _own_loss(model: nn.Module, batch: Batch) -> Outcome:
    output = model(*batch.args, **batch.kwargs)
    return Outcome(loss=output.loss, output=output)


def _per_token(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, -2), target.flatten())


CLASSIFY = supervised("cross_entropy", lambda output, target: F.cross_entropy(output, target))
PER_TOKEN = supervised("cross_entropy", _per_token)
REGRESS = supervised("mse", lambda output, target: F.mse_loss(output, target))
SMOOTH_REGRESS = supervised("huber", lambda output, target: F.smooth_l1_loss(output, target))
ABSOLUTE = supervised("l1", lambda output, target: F.l1_loss(output, target))
BINARY = supervised("bce_logits", lambda output, target: F.binary_cross_entropy_with_logits(output, target))
NEGATIVE_LOG_LIKELIHOOD = supervised("nll", lambda output, target: F.nll_loss(output, target))
OWN_LOSS = Objective(name="model loss", kind="model", origin="the model's own .loss", compute=_own_loss)
