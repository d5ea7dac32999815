"""What is known of the moment at which the user's code raised."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Subject
from gradcheck_cli.loading.input_specs import spec_of
from gradcheck_cli.loading.tensor_tree import named_tensors


def innermost_module(error: BaseException, model: nn.Module) -> str | None:
    """The name of the model's innermost module that the exception passed through, None when it passed through none."""
    names = {id(module): name for name, module in model.named_modules()}
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if (name := names.get(id(frame.f_locals.get("self")))) is not None:
            found = name
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The subject, the batch it ran on, the phase, and the innermost unfinished module (None: all had returned)."""

    subject: Subject
    batch: Batch
    phase: str
    layer: str | None

    @property
    def module(self) -> nn.Module | None:
        """The module that raised, None outside any module or for names that are no submodules."""
        if self.layer is None:
            return None
        try:
            return self.subject.model.get_submodule(self.layer)
        except AttributeError:  # a module in a plain list, one made in forward
            return None

    @property
    def shown_layer(self) -> str:
        module = self.module
        kind = f" ({type(module).__name__})" if module is not None else ""
        return f"`{self.layer}`{kind}" if self.layer else f"the model itself{kind}"

    @property
    def place(self) -> str:
        """The layer that raised, or "an operation" when it is not known."""
        return self.shown_layer if self.layer is not None else "an operation"

    @property
    def is_first(self) -> bool:
        """Whether the module that raised is the first that says what it takes, so that the batch itself must be wrong."""
        for name, module in self.subject.model.named_modules():
            if spec_of(module, name, self.subject.model) is not None:
                return bool(name == self.layer)
        return False

    def tensors(self) -> dict[str, Tensor]:
        """The model's input tensors by name or position."""
        args = [(path, t) for path, t in named_tensors(list(self.batch.args))]
        return dict([*args, *named_tensors(dict(self.batch.kwargs))])

    def inputs(self) -> str:
        """Shapes and dtypes of the inputs in words."""
        described = [
            f"{f'input {name}' if name.isdigit() else name} {list(t.shape)} {str(t.dtype).removeprefix('torch.')}"
            for name, t in self.tensors().items()
        ]
        return ", ".join(described) or "no tensors"
