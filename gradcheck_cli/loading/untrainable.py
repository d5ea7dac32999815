"""Models that torch builds and cannot train: registered inside themselves, or made of inference tensors (E566, E124)."""

from __future__ import annotations

from torch import nn

from gradcheck_cli.errors import GradcheckError


def check_trainable(model: nn.Module) -> None:
    """Raise for a module that contains itself, and for parameters that no optimizer may change."""
    if cycle := _cycle(model):
        raise GradcheckError(
            "E566",
            f"`{cycle}` is a module that contains itself",
            "train(), to() and state_dict() of torch follow registered modules without end",
            "keep such a reference unregistered, e.g. in a list: self.parent = [parent]",
        )
    frozen = next(
        (name for name, p in model.named_parameters() if not isinstance(p, nn.UninitializedParameter) and p.is_inference()),
        None,
    )
    if frozen is not None:
        raise GradcheckError(
            "E124",
            f"`{frozen}` was made under torch.inference_mode()",
            "autograd does not record such a tensor, and no optimizer may change it",
            "build the model outside inference_mode()",
        )


def _cycle(model: nn.Module) -> str:
    """The name under which a module is registered below itself; "" without such a module. Depth first, without recursion."""
    open_ids, done = {id(model)}, set[int]()
    stack = [(model, "", iter(list(model.named_children())))]
    while stack:
        module, name, children = stack[-1]
        key, child = next(children, ("", None))
        if child is None:
            stack.pop()
            open_ids.discard(id(module))
            done.add(id(module))
        elif id(child) in open_ids:
            return f"{name}.{key}" if name else key
        elif id(child) not in done:
            open_ids.add(id(child))
            stack.append((child, f"{name}.{key}" if name else key, iter(list(child.named_children()))))
    return ""
