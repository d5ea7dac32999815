"""What a loss must be so that backward can start from it (E451, E452, E453, E454)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.frames import defined_at, shown_from


def scalar_of(value: Any) -> Any:
    """The loss in what a loss function or training step returned: itself, the entry `loss`, or the one scalar of a tuple."""
    if isinstance(value, Mapping) and "loss" in value:
        return value["loss"]
    if isinstance(value, (tuple, list)):
        scalars = [v for v in value if isinstance(v, Tensor) and v.numel() == 1 and v.is_floating_point()]
        return scalars[0] if scalars else value[0] if value else value
    return value


def check_loss(value: Any, name: str, reduce: str | None = None, function: Callable[..., Any] | None = None) -> Tensor:
    """A real scalar; `function` is the user's, for its line in the message."""
    loss = scalar_of(value)
    error = _no_tensor(loss, name, function) if not isinstance(loss, Tensor) else None
    if isinstance(loss, Tensor) and loss.numel() != 1:
        if reduce is None:
            error = GradcheckError(
                "E451",
                f"the loss `{name}` is not one number but of shape {list(loss.shape)}",
                "backward needs a scalar",
                "use --reduce mean (or sum), or reduce it in the loss function",
            )
        else:
            loss = loss.mean() if reduce == "mean" else loss.sum()
    if error is None and not loss.is_floating_point():
        error = GradcheckError(
            "E452",
            f"the loss `{name}` is of dtype {str(loss.dtype).removeprefix('torch.')}",
            "a gradient is defined for a real floating-point loss only",
            "take its absolute value or real part" if loss.is_complex() else "compute it from floating-point values",
        )
    if error is not None:
        error.where = defined_at(function, shown_from()) if function is not None else None
        raise error
    scalar: Tensor = loss.reshape(())
    return scalar


def _no_tensor(loss: Any, name: str, function: Callable[..., Any] | None) -> GradcheckError:
    if loss is None and function is None:
        return GradcheckError(
            "E454",
            f"`{name}` gave no loss: it is None",
            "Hugging Face models compute a loss only when labels are given",
            "put `labels` into the batch",
        )
    if loss is None:
        return GradcheckError(
            "E454", f"`{name}` gave no loss: it is None", "the function ends without returning the loss", "return the loss"
        )
    return GradcheckError(
        "E453",
        f"`{name}` gave a {type(loss).__name__}, not a tensor",
        "a number has no gradient (`.item()` drops it)",
        "return the loss tensor itself",
    )
