"""Run an edited model once on its first batch, on a copy, and report which calls were really replaced."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from gradcheck_cli.errors import GradcheckError, brief
from gradcheck_cli.loading.base import Outcome
from gradcheck_cli.probing.capture import Capture, graph_of
from gradcheck_cli.probing.copying import copy_model
from gradcheck_cli.probing.graph import Graph
from gradcheck_cli.probing.parameters import parameters_in
from gradcheck_cli.probing.probe import training_mode
from gradcheck_cli.probing.process_state import ProcessState
from gradcheck_cli.probing.running import seed_everything
from gradcheck_cli.probing.sandbox import untouched
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.scoped import Seen, ledger

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One forward pass: what the rewrites saw, the graph of the loss, and the module calls; not to be kept."""

    model: nn.Module  # that was run: a copy, unless the model cannot be copied
    outcome: Outcome
    seen: list[Seen]
    graph: Graph
    capture: Capture

    def replaced(self, owner: str | None, kind: str) -> bool:
        """Say whether a call of the kind was replaced in the owner."""
        return any(s.replaced for s in self.seen if s.owner == owner and s.kind == kind)

    def in_graph(self, owner: str | None, kind: str) -> list[Seen]:
        """Return the calls of one kind in the owner's first forward whose results the loss depends on, in order."""
        all_of = [s for s in self.seen if s.owner == owner and s.kind == kind]
        return [s for s in all_of if s.forward == all_of[0].forward and s.node in self.graph.position]

    def reached(self) -> set[str]:
        """Return the names of the parameters that the loss reaches."""
        ids, _ = parameters_in(self.graph)
        return {name for name, p in self.model.named_parameters() if id(p) in ids}


def rehearse(setup: Setup, look: Callable[[Rehearsal], _T]) -> _T:
    """Run the forward pass once and return what `look` makes of it. Raises NotApplicable when the edited model does not run.

    It is a copy that runs, so that an edit which is lost in copying replaces nothing here either. Model, random state and
    modes of the process stay as they were.
    """
    seen: list[Seen] = []
    state = ProcessState()
    with _copied(setup.subject.model) as model, Capture(model) as capture:
        token = ledger.set(seen)
        graph = Graph([])
        try:
            seed_everything(setup.seed)
            with training_mode(model), torch.enable_grad():
                outcome = setup.objective.compute(model, setup.subject.batches[0])
            graph = graph_of(outcome.loss)
            answer = look(Rehearsal(model, outcome, seen, graph, capture))
            del outcome
            return answer
        except NotApplicable:
            raise
        except (GradcheckError, RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise NotApplicable(f"the edited model does not run: {brief(error)}") from error
        finally:
            ledger.reset(token)
            state.restore()
            seen.clear()  # nodes go one by one, loss side first: torch would free a long chain of them recursively
            capture.release()
            graph.release()


@contextlib.contextmanager
def _copied(model: nn.Module) -> Iterator[nn.Module]:
    try:
        twin = copy_model(model).model
    except Exception:  # then nobody else copies it either
        with untouched(model):
            yield model
    else:
        yield twin
