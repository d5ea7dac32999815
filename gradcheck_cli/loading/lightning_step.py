"""Lightning modules: the loss is what `training_step` returns; a step that needs a trainer gets a real one.

The trainer is stopped by an exception right before it would call backward, so that the loss with its graph is ours and no
optimizer takes a step.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.utils.data import DataLoader

from gradcheck_cli.errors import GradcheckError, message
from gradcheck_cli.loading.base import Batch, Objective, Outcome
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.frames import one_line
from gradcheck_cli.loading.import_errors import located
from gradcheck_cli.loading.loss_call import raw_of
from gradcheck_cli.loading.loss_check import check_loss
from gradcheck_cli.loading.objectives import last_output
from gradcheck_cli.loading.rehearsal import rehearsal


def lightning_package(model: nn.Module) -> str | None:
    """The import name of the Lightning package a model with a training_step descends from."""
    for base in type(model).__mro__:
        if base.__name__ == "LightningModule":
            return "lightning.pytorch" if base.__module__.startswith("lightning.") else "pytorch_lightning"
    return None


def has_training_step(model: nn.Module) -> bool:
    """Whether the model's own class wrote a training_step."""
    step = getattr(type(model), "training_step", None)
    return (
        lightning_package(model) is not None
        and step is not None
        and not step.__module__.startswith(("lightning.", "pytorch_lightning."))
    )


def find_objective(context: Context, model: nn.Module, batch: Batch) -> Objective:
    """`training_step` called directly if a copy can do that, else in a trainer; raises E459 when neither works."""
    with rehearsal(model) as copied:
        try:
            _check_step(_step(copied, batch))
            return _objective(run_directly, "found: training_step")
        except GradcheckError:
            raise
        except Exception as exc:
            if not _asks_for_trainer(exc):
                return _objective(run_directly, "found: training_step")  # its error is told when it is measured
            direct = exc
    with rehearsal(model) as copied:
        try:
            _in_trainer(copied, batch)
        except Exception as exc:
            raise located(_no_trainer(direct, exc), exc, context.base) from exc
    if not getattr(model, "automatic_optimization", True):
        context.assume("the training step optimizes by hand: the loss of its first manual_backward is measured")
    context.assume("`training_step` needs a trainer: it was run in Trainer(fast_dev_run=1), stopped before backward")
    return _objective(_in_trainer, "found: training_step, in a Trainer")


def _objective(run: Any, origin: str) -> Objective:
    def compute(model: nn.Module, batch: Batch) -> Outcome:
        with last_output(model) as seen:
            loss = check_loss(run(model, batch), "training_step")
        return Outcome(loss=loss, output=seen[-1] if seen else None, target=batch.target)

    return Objective(name="training_step", kind="model", origin=origin, compute=compute)


def run_directly(model: nn.Module, batch: Batch) -> Any:
    """What `training_step` returns without a trainer; its logging is quiet."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*self.log.*|.*`self.trainer` reference.*")
        return _step(model, batch)


def _step(model: nn.Module, batch: Batch) -> Any:
    step: Any = model.training_step
    names = [
        p.name for p in inspect.signature(step).parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    ]
    return step(raw_of(batch), 0) if len(names) > 1 else step(raw_of(batch))


def _check_step(value: Any) -> None:
    loss = value.get("loss") if isinstance(value, dict) else value
    if loss is None:
        raise GradcheckError(
            "E454",
            "`training_step` returned no loss",
            "it returned None, which makes Lightning skip the step",
            "return the loss, or {'loss': loss}",
        )


def _asks_for_trainer(exc: Exception) -> bool:
    text = message(exc)
    return (
        "not attached to a `Trainer`" in text
        or "trainer" in text.lower()
        or ("NoneType" in text and isinstance(exc, AttributeError))
    )


class _Stop(Exception):
    """Ends the fit; carries nothing, the loss is kept by the callback."""


def _in_trainer(model: nn.Module, batch: Batch) -> Tensor:
    """Run `fit` on this one batch up to the first backward and return the loss."""
    lightning = importlib.import_module(lightning_package(model) or "lightning.pytorch")
    losses: list[Tensor] = []

    class Stopper(lightning.Callback):  # type: ignore[name-defined,misc]
        def on_before_backward(self, _trainer: Any, _module: Any, loss: Tensor) -> None:
            losses.append(loss)
            raise _Stop

    loader: DataLoader[Any] = DataLoader([raw_of(batch)], batch_size=None)  # type: ignore[arg-type]
    device = next((p.device.type for p in model.parameters()), "cpu")
    with _quiet(), contextlib.suppress(_Stop):
        trainer = lightning.Trainer(
            fast_dev_run=1,
            accelerator="gpu" if device == "cuda" else device,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Stopper()],
        )
        trainer.fit(model, train_dataloaders=loader)
    if not losses:
        raise RuntimeError("the trainer ran the step and called no backward")
    return losses[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the trainer's banners off the report."""
    loggers = [logging.getLogger(n) for n in ("lightning.pytorch", "pytorch_lightning", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _no_trainer(direct: Exception, fitted: Exception) -> GradcheckError:
    return GradcheckError(
        "E459",
        "`training_step` needs a trainer, and a trainer could not run it",
        f"called directly: {one_line(direct, 120)}; in Trainer(fast_dev_run=1): {one_line(fitted, 120)}",
        "give a loss of output and target instead: --loss cross_entropy, or a function --loss NAME",
    )
