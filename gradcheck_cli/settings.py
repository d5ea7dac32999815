"""What a scan is told, and how its result is shown: one field is one flag, one config key and one environment variable.

The field name `fail_on` is the flag `--fail-on`, the key `fail-on` in `[tool.gradcheck]` and `GRADCHECK_FAIL_ON`; its
type says what is accepted. Reading and merging is in `configuration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

CHECKPOINTS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")  # endings of a target that holds weights and no code
STDOUT = "-"  # stands for the standard output where a file could be named

Format = Literal["text", "concise", "markdown", "json", "jsonl", "sarif", "junit", "github", "gitlab"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """How an option is described and limited. `flag_only`: never from a file or the environment, to surprise nobody."""

    help: str
    group: str
    short: tuple[str, ...] = ()  # further spellings of the flag
    metavar: str | None = None
    minimum: float | None = None
    above: float | None = None  # exclusive minimum
    maximum: int | None = None
    flag_only: bool = False
    path: bool = False  # relative to the config's folder when it comes from there
    repeat: bool = False  # a tuple given by repeating the flag instead of by commas


def _option(default: Any, help: str, group: str, **details: Any) -> Any:
    described = {"option": Option(help=help, group=group, **details)}
    return field(default_factory=dict, metadata=described) if default == {} else field(default=default, metadata=described)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerIgnore:
    """One entry of `per-layer-ignores`: a shell-style pattern of layer names, the rules it mutes, where it is written."""

    pattern: str
    selectors: tuple[str, ...]
    file: str = ""  # relative to the working directory; "" when it comes from no file
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Effective values of one scan. Everything that changes the measurement is echoed in the report."""

    target: str
    # loading
    init: Mapping[str, Any] = _option(
        {}, "Argument for the class or factory; may be repeated.", "Model", metavar="NAME=VALUE", repeat=True
    )
    model: str | None = _option(None, "Class or factory that a checkpoint target belongs to.", "Model", metavar="PKG.MOD:NAME")
    weights: str | None = _option(
        None, "State dict to load into the model (.pt or .safetensors).", "Model", metavar="FILE", path=True
    )
    trust_pickle: bool = _option(
        False,
        "Let the checkpoint run code while it is read. Only for files you made yourself.",
        "Model",
        flag_only=True,
    )
    unfreeze: bool = _option(False, "Scan as if every parameter were trainable.", "Model")
    cwd: str | None = _option(None, "Folder to run the model file in.", "Model", metavar="DIR", path=True)
    script_args: tuple[str, ...] = ()  # after --, seen by the user's file as sys.argv[1:]
    overlay: Mapping[str, str] = field(default_factory=dict)  # file → file whose text stands in for it (`gradcheck fix`)
    data: str | None = _option(
        None, "File with the batch (.pt, .npz, .npy, .safetensors, .csv).", "Data and loss", metavar="FILE", path=True
    )
    input: tuple[str, ...] = _option(
        (),
        "Shape of a random input, e.g. 8,3,224,224 or int:8,128; one for each input.",
        "Data and loss",
        metavar="SHAPE",
        repeat=True,
    )
    loss: str | None = _option(None, "Loss function: cross_entropy, mse, ... or a name in the file.", "Data and loss")
    reduce: Literal["mean", "sum"] | None = _option(None, "How to make a scalar of a loss that is none.", "Data and loss")
    optimizer: str | None = _option(None, "Optimizer that the update sizes are for, e.g. adam.", "Data and loss")
    lr: float | None = _option(None, "Its learning rate.", "Data and loss", above=0)
    workers: int | None = _option(None, "Worker processes of the DataLoader.", "Data and loss", minimum=0)
    # measuring
    batches: int = _option(1, "Batches to measure.", "Measurement", minimum=1)
    seed: int = _option(0, "Seed of every random generator.", "Measurement", minimum=0, maximum=2**32 - 1)
    device: str = _option("cpu", "Device to run on.", "Measurement")
    dtype: str | None = _option(None, "float32, float64, bfloat16 or float16; without it the model's own.", "Measurement")
    threads: int | None = _option(None, "Threads that torch may use.", "Measurement", minimum=1)
    exact: bool = _option(False, "Exact histograms where large tensors are otherwise sampled.", "Measurement")
    # trying
    no_try: bool = _option(False, "Suggest remedies without trying them on a copy of the model.", "Trials")
    try_all: bool = _option(False, "Try every suggestion instead of stopping at the first cure.", "Trials")
    try_budget: float = _option(20.0, "Seconds that trying remedies may take.", "Trials", metavar="SECONDS", above=0)
    # the run
    timeout: float = _option(300.0, "Give up after so many seconds.", "Measurement", above=0)
    memory_limit: float | None = _option(
        None, "Address space that the scan may take, in GiB.", "Measurement", metavar="GIB", above=0
    )
    # judging
    select: tuple[str, ...] = _option(("ALL",), "Rules to check: codes, prefixes, names or ALL.", "Verdict")
    ignore: tuple[str, ...] = _option((), "Rules to leave out.", "Verdict")
    extend_select: tuple[str, ...] = _option((), "Rules to check beside the selected ones.", "Verdict")
    # records.Severity, spelt out: importing the records takes longer than all of `gradcheck --help`
    fail_on: Literal["error", "warning", "note"] = _option(
        "error", "Least severity of a finding that makes the exit code 1.", "Verdict"
    )
    baseline: str | None = _option(
        None,
        "Known findings, which do not fail the scan: a file of `gradcheck baseline write`.",
        "Verdict",
        metavar="FILE",
        path=True,
    )
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # code → {limit name: value, "severity": ...}
    per_layer_ignores: tuple[LayerIgnore, ...] = ()
    identity: str = ""  # the target as fingerprints know it: relative to the project's root where it is a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """How the results of all targets become one exit code, beside each target's own `fail_on`."""

    exit_zero: bool = _option(False, "Exit with 0 also when something was found; without a verdict still with 2.", "Verdict")
    compare: str | None = _option(
        None, "Compare with this earlier report (--format json), layer by layer.", "Verdict", metavar="FILE", path=True
    )
    fail_on_regression: float | None = _option(
        None,
        "With --compare: exit with 1 when a layer or a spine is worse by so many decades.",
        "Verdict",
        metavar="DECADES",
        above=0,
    )
    jobs: int = _option(1, "Targets to scan at the same time.", "Measurement", minimum=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """How the result is shown. Nothing here changes a verdict."""

    format: tuple[Format, ...] = _option(
        ("text",),
        "Form of the report; may be repeated, each time followed by its --output-file.",
        "Output",
        short=("--output-format",),
        metavar="FORMAT",
    )
    output_file: tuple[str, ...] = _option(
        (),
        "Write the report to this file instead of the screen; - is the screen.",
        "Output",
        short=("-o",),
        metavar="FILE",
        path=True,
        repeat=True,
    )
    layers: Literal["all", "worst", "none"] = _option("worst", "Layers in the table.", "Output")
    depth: int | None = _option(None, "Fold the table below so many levels of names.", "Output", minimum=1)
    statistics: bool = _option(False, "Show how often each rule fired instead of the findings.", "Output")
    color: Literal["auto", "always", "never"] = _option("auto", "Colours.", "Output")
    quiet: bool = _option(False, "The report only: no progress, no prints of the model.", "Output", short=("-q",))
    verbose: bool = _option(False, "Everything: all suggestions in full, where settings came from.", "Output", short=("-v",))
    traceback: bool = _option(False, "Show the traceback behind an error.", "Output")

    @property
    def outputs(self) -> tuple[tuple[str, str | None], ...]:
        """Each format with its file; None is the standard output."""
        files = [None if file == STDOUT else file for file in self.output_file]
        return tuple(zip(self.format, [*files, *[None] * (len(self.format) - len(files))], strict=True))
