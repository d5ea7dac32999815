"""Find the modules and parameters that an edit names, and run the copy once where an edit has to see it run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from gradcheck_cli.errors import GradcheckError, brief
from gradcheck_cli.probing.belongings import belongings
from gradcheck_cli.probing.calls import module_names
from gradcheck_cli.probing.probe import training_mode
from gradcheck_cli.probing.process_state import ProcessState
from gradcheck_cli.probing.running import seed_everything
from gradcheck_cli.trials.base import NotApplicable, Setup


def modules_by_name(model: nn.Module) -> dict[str, nn.Module]:
    """Return every module under the name that a profile gives it, and under its further names."""
    alive = {id(m): m for m in belongings(model).modules.values()}  # also those kept in plain lists
    found = {name: alive[key] for key, name in module_names(model).items() if key in alive}
    for name, module in model.named_modules(remove_duplicate=False):
        found.setdefault(plain(name), module)
    return found


def parameters_by_name(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return every parameter under each of its names, as a profile writes them."""
    return {plain(name): parameter for name, parameter in model.named_parameters(remove_duplicate=False)}


def plain(name: str) -> str:
    """Write a name of `named_modules` as a profile does: without what torch.compile puts in front."""
    return name.replace("_orig_mod.", "").removesuffix("_orig_mod").removesuffix(".")


def chosen_modules(model: nn.Module, names: Iterable[str]) -> list[tuple[str, nn.Module]]:
    """Return the named modules, shared ones once. Raises NotApplicable for a functional operation or an unknown name."""
    known, chosen = modules_by_name(model), dict[int, tuple[str, nn.Module]]()
    for name in names:
        if name not in known:
            raise NotApplicable(f"`{name}` is no module of the model")
        chosen.setdefault(id(known[name]), (name, known[name]))
    return list(chosen.values())


def materialise(setup: Setup) -> None:
    """Run the copy once if it has lazy modules, which get their parameters from the first input they see."""
    if any(isinstance(m, LazyModuleMixin) and m.has_uninitialized_params() for m in setup.subject.model.modules()):
        run_once(setup)


def run_once(setup: Setup) -> None:
    """Run the copy on its first batch in train mode; buffers, modes and the process's random state stay as they were.

    With gradients, since a forward pass may take some itself; compiled regions run eagerly, since hooks are to see inside.
    Raises NotApplicable when the model does not run.
    """
    model, process = setup.subject.model, ProcessState()
    with _kept(model), contextlib.ExitStack() as context:
        if "torch._dynamo" in sys.modules:
            context.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            seed_everything(setup.seed)
            with training_mode(model), torch.enable_grad():
                setup.objective.compute(model, setup.subject.batches[0])
        except (GradcheckError, RuntimeError, ValueError, TypeError, NotImplementedError) as error:
            raise NotApplicable(f"the model could not be run to see its layers at work: {brief(error)}") from error
        finally:
            process.restore()


@contextlib.contextmanager
def _kept(model: nn.Module) -> Iterator[None]:
    """Put buffers (running statistics) and modes back; what a lazy module got by running stays."""
    buffers = {name: b.detach().clone() for name, b in model.named_buffers() if not is_lazy(b)}
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        now = dict(model.named_buffers())
        with torch.no_grad():
            for name, value in buffers.items():
                if name in now and now[name].shape == value.shape:
                    now[name].copy_(value)
        for module, mode in modes:
            if module.training != mode:
                module.training = mode


def free_name(module: nn.Module, name: str) -> str:
    """Return a name for a new child: this one, or with a number behind it where it is taken."""
    number, free = 1, name
    while hasattr(module, free):
        number += 1
        free = f"{name}_{number}"
    return free
