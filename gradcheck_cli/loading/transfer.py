"""Bring model and data to the device and dtype of the scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import environment_errors
from gradcheck_cli.loading.frames import one_line
from gradcheck_cli.loading.tensor_tree import map_tensors
from gradcheck_cli.settings import Settings

_DTYPES = ("float32", "float64", "bfloat16", "float16")


def device_of(settings: Settings) -> torch.device:
    """The device asked for; raises E567 when it is not here."""
    try:
        device = torch.device(settings.device)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as exc:
        error = environment_errors.translate(exc)
        if error is not None and error.id == "E567":
            error.what = f"--device {settings.device} is not here"
            error.do = "use --device cpu, or install a torch build for that device"
            raise error from None
        raise GradcheckError(
            "E567", f"--device {settings.device} is not usable", one_line(exc, 80), "use --device cpu"
        ) from None
    return device


def dtype_of(settings: Settings) -> torch.dtype | None:
    """The floating dtype asked for, None for the model's own; raises E675."""
    if settings.dtype is None:
        return None
    if settings.dtype not in _DTYPES:
        raise GradcheckError(
            "E675", f"--dtype {settings.dtype}: no such dtype", f"known are {', '.join(_DTYPES)}", "use one of them"
        )
    dtype = getattr(torch, settings.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype


def move_model(model: nn.Module, settings: Settings) -> None:
    """Move parameters and buffers of a model or loss in place; floating ones change dtype too."""
    device, dtype = device_of(settings), dtype_of(settings)
    if device.type != "cpu" or any(p.device != device for p in model.parameters()):
        model.to(device)
    if dtype is not None:
        model.to(dtype)


def to_place(model: nn.Module, settings: Settings, *, made: bool = True) -> Callable[[Any], Any]:
    """A function that moves a structure of tensors to the scan's device; floating ones get --dtype.

    `made` tensors are ours and get the model's own dtype where --dtype is not given; the user's keep theirs.
    """
    device, dtype = device_of(settings), dtype_of(settings)
    if dtype is None and made:
        dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)

    def move(tensor: Tensor) -> Tensor:
        wanted = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
        return tensor if tensor.device == device and tensor.dtype == wanted else tensor.to(device, wanted)

    return lambda tree: map_tensors(tree, move)
