"""Errors of the machine and the installation: memory, recursion, devices, determinism, mismatched packages."""

from __future__ import annotations

import re

import torch

from gradcheck_cli.errors import GradcheckError, message
from gradcheck_cli.loading.frames import one_line

_NO_CUDA = re.compile(
    r"Torch not compiled with CUDA|Found no NVIDIA driver|No CUDA GPUs are available|CUDA driver version is insufficient"
    r"|invalid device ordinal|PyTorch is not linked with support for|Attempting to deserialize object on a CUDA device",
    re.I,
)
_MEMORY = re.compile(
    r"(?:not enough|can't allocate) memory: you tried to allocate (\d+) bytes|CUDA out of memory|out of memory", re.I
)


def translate(exc: BaseException) -> GradcheckError | None:
    """E564, E566, E567, E568, E569 or E571, or None when the machine is not to blame."""
    text = message(exc)
    if isinstance(exc, RecursionError):
        return GradcheckError(
            "E566", "the code calls itself without end", one_line(exc), "look for a forward or __init__ that calls itself"
        )
    if isinstance(exc, (MemoryError, torch.OutOfMemoryError)) or (isinstance(exc, RuntimeError) and _MEMORY.search(text)):
        return _memory(text)
    if _NO_CUDA.search(text):
        return GradcheckError(
            "E567",
            "a device was asked for that is not here",
            one_line(exc),
            "use --device cpu; if the file itself says `.cuda()`, make that depend on torch.cuda.is_available()",
        )
    if "does not have a deterministic implementation" in text:
        operation = text.split(" does not have", 1)[0].split()[-1]
        return GradcheckError(
            "E568",
            f"`{operation}` has no deterministic implementation",
            "the file asks for deterministic algorithms",
            "use torch.use_deterministic_algorithms(True, warn_only=True), or --device cpu",
        )
    if re.search(r"operator torchvision::\w+ does not exist|operator torchaudio::\w+ does not exist", text):
        return GradcheckError(
            "E571",
            "torch and torchvision (or torchaudio) do not belong together",
            one_line(exc),
            f"install the torchvision made for torch {torch.__version__.split('+')[0]}",
        )
    if "Default process group has not been initialized" in text:
        return GradcheckError(
            "E569",
            "the model needs a distributed process group",
            one_line(exc),
            "scan the model before it is wrapped for distributed training",
        )
    return None


def _memory(text: str) -> GradcheckError:
    match = _MEMORY.search(text)
    asked = (
        f"one tensor asked for {int(match.group(1)) / 2**30:.1f} GiB" if match and match.group(1) else "an allocation failed"
    )
    return GradcheckError("E564", "memory ran out", asked, "use a smaller batch, or a smaller --input")
