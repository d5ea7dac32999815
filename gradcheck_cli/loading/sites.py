"""The line of the user's code that builds each layer, seen while it is built.

torch calls a registration hook whenever a module or a parameter is set on a module. A parameter is set inside its layer's own
`__init__`, so the stack still holds the line that builds the layer. A layer without parameters is seen only when its parent
takes it: the line of the `self.act = ...` statement, or, inside `nn.Sequential(...)`, the line that the syntax tree gives for
that argument.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook, register_module_parameter_registration_hook

from gradcheck_cli.loading.call_sites import CallSites
from gradcheck_cli.loading.frames import is_ours, is_user_file, shown_path
from gradcheck_cli.records import SourceSite

_MODULE_FILE = nn.Module.__setattr__.__code__.co_filename
_Line = tuple[str, int]


class SiteRecorder:
    """Context manager that records registrations; keeps the modules alive so that their ids stay theirs."""

    def __init__(self) -> None:
        self._alive: list[nn.Module] = []
        self._built: dict[int, _Line | None] = {}  # id of module → line that constructs it
        self._placed: dict[int, tuple[_Line, bool, str]] = {}  # id of child → line that registers it, directly?, its name there
        self._parameters: dict[tuple[int, str], _Line] = {}
        self._handles: list[Any] = []

    def __enter__(self) -> SiteRecorder:
        self._handles = [
            register_module_module_registration_hook(self._on_module),
            register_module_parameter_registration_hook(self._on_parameter),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _on_module(self, owner: nn.Module, name: str, child: nn.Module | None) -> None:
        frame = sys._getframe(1)
        self._note_construction(owner, frame)
        if child is not None and id(child) not in self._placed and (line := _first_user_line(frame)) is not None:
            self._alive.append(child)
            self._placed[id(child)] = (line, _registers_directly(frame), name)

    def _on_parameter(self, owner: nn.Module, name: str, _parameter: nn.Parameter | None) -> None:
        frame = sys._getframe(1)
        self._note_construction(owner, frame)
        if _registers_directly(frame) and (line := _first_user_line(frame)) is not None:
            self._parameters.setdefault((id(owner), name), line)

    def _note_construction(self, module: nn.Module, frame: FrameType) -> None:
        if id(module) not in self._built:
            self._alive.append(module)
            self._built[id(module)] = _construction_line(module, frame)

    def sites(self, model: nn.Module, base: Path) -> Mapping[str, SourceSite]:
        """Module names, and names of parameters that the user's own classes hold, to the lines that build them."""
        found: dict[str, SourceSite] = {}
        calls = CallSites()
        for name, module in model.named_modules():
            line = self._built.get(id(module))
            exact = True
            if line is None and id(module) in self._placed:
                line, exact = self._registered_line(module, calls)
            if line is None:
                self._inherit(name, found)
            else:
                found[name] = SourceSite(file=shown_path(line[0], base), line=line[1], exact=exact)
            for parameter, _ in module.named_parameters(recurse=False):
                if (own := self._parameters.get((id(module), parameter))) is not None:
                    found[f"{name}.{parameter}" if name else parameter] = SourceSite(file=shown_path(own[0], base), line=own[1])
        return found

    @staticmethod
    def _inherit(name: str, found: dict[str, SourceSite]) -> None:
        """A copy made with deepcopy is never registered: it gets the line of the nearest module around it."""
        around = name
        while around and around not in found:
            around = around.rpartition(".")[0]
        if around in found:
            found[name] = SourceSite(file=found[around].file, line=found[around].line, exact=False)

    def _registered_line(self, module: nn.Module, calls: CallSites) -> tuple[_Line, bool]:
        line, direct, key = self._placed[id(module)]
        if direct:
            return line, True
        exact = calls.line_of(line, type(module).__name__, int(key) if key.isdigit() else None)
        return ((line[0], exact), True) if exact is not None else (line, False)


def _registers_directly(frame: FrameType) -> bool:
    """Whether user code itself set the attribute or called register_parameter, not a library's `__init__`."""
    above: FrameType | None = frame
    while above is not None and above.f_code.co_filename == _MODULE_FILE:
        above = above.f_back
    return above is not None and is_user_file(above.f_code.co_filename)


def _first_user_line(frame: FrameType | None) -> _Line | None:
    while frame is not None and not is_ours(frame.f_code.co_filename):
        if is_user_file(frame.f_code.co_filename):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None


def _construction_line(module: nn.Module, frame: FrameType) -> _Line | None:
    """The first user line outside the module's own methods: the one that says `Layer(...)`."""
    outermost, current = frame, frame.f_back
    while current is not None and not is_ours(current.f_code.co_filename):
        code = current.f_code
        if code.co_argcount and current.f_locals.get(code.co_varnames[0]) is module:
            outermost = current
        current = current.f_back
    return _first_user_line(outermost.f_back)
