"""What a scan is told: defaults < [tool.gradcheck] < environment < flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gradcheck_cli.records import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Effective values of one scan. Everything that changes the measurement is echoed in the report."""

    target: str
    # loading
    init: Mapping[str, Any] = field(default_factory=dict)  # --init key=value for a class or factory
    model: str | None = None  # --model pkg.mod:Class, for a target that is a checkpoint
    weights: str | None = None
    trust_pickle: bool = False
    data: str | None = None
    input: tuple[str, ...] = ()  # --input 8,3,224,224 (several for several inputs; int:8,128 for integers)
    loss: str | None = None
    reduce: Literal["mean", "sum"] | None = None
    optimizer: str | None = None
    lr: float | None = None
    unfreeze: bool = False
    workers: int | None = None  # DataLoader workers
    script_args: tuple[str, ...] = ()  # after --, seen by the user's file as sys.argv[1:]
    cwd: str | None = None
    # measuring
    batches: int = 1
    seed: int = 0
    device: str = "cpu"
    dtype: str | None = None  # float32, float64, bfloat16, float16; None keeps the model's own
    threads: int | None = None
    exact: bool = False  # exact histograms instead of sampled ones
    # the run
    timeout: float = 300.0  # seconds
    memory_limit: float | None = None  # GiB
    # judging
    select: tuple[str, ...] = ("ALL",)
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    fail_on: Severity = "error"
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # code → {limit name: value, "severity": ...}
