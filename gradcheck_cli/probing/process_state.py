"""The process-wide state a forward or backward may change: random generators, modes, hooks on every module."""

from __future__ import annotations

import random
import sys
from array import array
from collections.abc import Hashable
from typing import Any

import torch
from torch.nn.modules import module as module_hooks

from gradcheck_cli.probing.belongings import holds, refill
from gradcheck_cli.probing.bits import hash_bytes


class ProcessState:
    """Random generators, modes and global module hooks of the process."""

    def __init__(self) -> None:
        self.torch_state = torch.get_rng_state()
        self.cuda_states = torch.cuda.get_rng_state_all() if _cuda_ready() else None
        self.python_state = random.getstate()
        self.numpy_state = sys.modules["numpy"].random.get_state() if "numpy" in sys.modules else None
        self.grad_mode, self.dtype = torch.is_grad_enabled(), torch.get_default_dtype()
        self.deterministic = _deterministic()
        self.anomaly = (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled())
        self.hooks = [(table, list(table.items())) for table in global_hook_tables().values()]

    def restore(self) -> None:
        torch.set_rng_state(self.torch_state)
        if self.cuda_states is not None:
            torch.cuda.set_rng_state_all(self.cuda_states)
        random.setstate(self.python_state)
        if self.numpy_state is not None:
            sys.modules["numpy"].random.set_state(self.numpy_state)
        torch.set_grad_enabled(self.grad_mode)
        torch.set_default_dtype(self.dtype)
        torch.set_anomaly_enabled(*self.anomaly)
        if self.deterministic != _deterministic():  # the setter imports the compiler: only when needed
            torch.use_deterministic_algorithms(self.deterministic[0], warn_only=self.deterministic[1])
        for table, items in self.hooks:
            if not holds(table, items):
                refill(table, items)


def global_hook_tables() -> dict[str, dict[Any, Any]]:
    """The hook dictionaries of `torch.nn.modules.module` that apply to every module."""
    return {k: v for k, v in vars(module_hooks).items() if k.startswith("_global_") and isinstance(v, dict)}


def global_tokens() -> dict[str, Hashable]:
    """Tokens of the process-wide state a forward or backward may change."""
    tokens: dict[str, Hashable] = {
        "global torch random generator": hash_bytes(torch.get_rng_state().numpy().tobytes()),
        "global grad mode": torch.is_grad_enabled(),
        "global default dtype": str(torch.get_default_dtype()),
        "global deterministic mode": _deterministic(),
        "global anomaly mode": (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        "global module hooks": tuple((k, *((i, id(h)) for i, h in v.items())) for k, v in global_hook_tables().items()),
    }
    version, words, gauss = random.getstate()
    tokens["global random generator"] = hash_bytes(array("Q", words).tobytes() + repr((version, gauss)).encode())
    if _cuda_ready():
        states = torch.cuda.get_rng_state_all()
        tokens["global CUDA random generators"] = tuple(hash_bytes(s.numpy().tobytes()) for s in states)
    if "numpy" in sys.modules:
        name, keys, *rest = sys.modules["numpy"].random.get_state()
        tokens["global numpy random generator"] = (name, hash_bytes(keys.tobytes()), *rest)
    return tokens


def generator_state(generator: Any) -> Any:
    """Read the state of a torch, numpy or `random` generator as something `set_generator_state` takes back."""
    if isinstance(generator, torch.Generator):
        return generator.get_state().numpy().tobytes()
    if isinstance(generator, random.Random):
        return generator.getstate()
    numpy = sys.modules["numpy"]
    return generator.get_state() if isinstance(generator, numpy.random.RandomState) else generator.bit_generator.state


def set_generator_state(generator: Any, state: Any) -> None:
    """Put a generator back to a state read by `generator_state`."""
    if isinstance(generator, torch.Generator):
        generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    elif hasattr(generator, "bit_generator"):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def _cuda_ready() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
