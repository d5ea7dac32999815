"""Write docs/textbook-remedies.md: for each textbook disease what gradcheck chose as its cure, with the figures.

    python docs/remedies.py      scans the samples with trials, about three minutes

A test scans them too and compares what stands in the page: words exactly, figures of the finding to 10 %.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from gradcheck_cli.pipeline import scan
from gradcheck_cli.records import Effect, Report, TrainingProbe, Trial
from gradcheck_cli.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "textbook-remedies.md"
BUDGET = 300.0  # seconds for the trials of one sample: enough for all of them, so that the page is the same on any machine
HEAD = """# Textbook remedies

<!-- Written by `python docs/remedies.py`. -->

What a scan of each sample model chose, after trying it on copies: the number behind the finding before and after, with the
rule's limit, and the loss after some steps of training of the original and of the edited copies (medians over three seeds,
± half the spread). A cure brings the number within the limit, raises nothing new, and trains. Clipping cures nothing: it is
here because it is what people reach for.

| disease | sample | remedy | outcome | before → after (limit) | loss: original, edited |
| --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A disease and the sample that has it; `remedy` names one to show, "" the one that the scan chose."""

    disease: str
    sample: str
    remedy: str = ""


ROWS = (
    Row("sigmoid in every layer", "deep_sigmoid_mlp"),
    Row("the same, as a function", "functional_sigmoid_mlp"),
    Row("weights far too small, tanh", "tanh_weights_too_small"),
    Row("weights far too large, tanh saturated", "tanh_weights_too_big"),
    Row("one layer of the wrong scale", "inception_bad_scale"),
    Row("all weights equal", "constant_init"),
    Row("deep plain CNN, default weights", "plain_deep_cnn"),
    Row("very deep CNN with norms, no skips", "batchnorm_cnn_without_skips"),
    Row("oversmoothed graph network", "oversmoothed_gcn"),
    Row("chain of single sigmoids", "sigmoid_chain"),
    Row("vanilla RNN over 200 steps", "vanilla_rnn_long"),
    Row("recurrence written by hand", "handwritten_rnn_loop"),
    Row("exploding through time", "exploding_rnn"),
    Row("exploding gradient", "exploding_relu_mlp"),
    Row("exploding gradient under SGD", "exploding_under_sgd"),
    Row("exploding gradient under SGD", "exploding_under_sgd", "clip-gradient-norm"),
    Row("dying ReLU", "dying_relu"),
    Row("pixels from 0 to 255", "pixels_0_255"),
    Row("one feature in other units", "one_huge_feature"),
    Row("targets of large size", "targets_in_dollars"),
    Row("targets that the output cannot reach", "sigmoid_targets_to_100"),
    Row("learning rate too high", "learning_rate_too_high"),
    Row("float16 underflow", "fp16_underflow"),
    Row("softmax before cross-entropy", "double_softmax"),
    Row("forgotten activation", "linear_linear"),
    Row("BatchNorm over two samples", "small_batch_batchnorm"),
    Row("a forgotten `.detach()`", "detached_encoder"),
    Row("NaN in the forward pass", "nan_in_forward"),
    Row("NaN in the backward pass", "nan_in_backward"),
    Row("NaN in the data", "nan_in_data"),
)


def settings(sample: str) -> Settings:
    """What a sample is scanned with: the defaults, but for the time."""
    return Settings(target=str(ROOT / "sample_models" / f"{sample}.py"), try_budget=BUDGET)


def line(row: Row, report: Report) -> str:
    """Return the row of the table. Raises LookupError where the report has no such trial."""
    trials = [t for t in report.trials if row.remedy in t.remedies or not row.remedy]
    if not trials:
        raise LookupError(f"{row.sample}: no trial of {row.remedy or 'anything'}")
    trial = trials[0]
    cells = (
        row.disease,
        f"[{row.sample}](../sample_models/{row.sample}.py)",
        trial.title,
        trial.outcome,
        _fact(trial.effect),
        _losses(trial),
    )
    return f"| {' | '.join(cells)} |"


def _fact(effect: Effect | None) -> str:
    if effect is None:
        return "–"
    after = "gone" if effect.after is None else f"{effect.after:.2g}"
    limit = "" if effect.limit is None else f" ({effect.limit:g})"
    return f"{effect.label} {effect.before:.2g} → {after}{' ' + effect.unit if effect.unit else ''}{limit}"


def _losses(trial: Trial) -> str:
    probe: TrainingProbe | None = trial.training
    if probe is None:
        return "–"
    return f"after {probe.steps} steps {_spread(probe.original.end)}, {_spread(probe.edited.end)}"


def _spread(ends: tuple[float, ...]) -> str:
    half = (max(ends) - min(ends)) / 2
    return f"{statistics.median(ends):.2g}" + (f" ± {half:.1g}" if half > 0 else "")


def main() -> None:
    import torch

    torch.set_num_threads(1)
    reports = {sample: scan(settings(sample)) for sample in dict.fromkeys(r.sample for r in ROWS)}
    PAGE.write_text(HEAD + "\n".join(line(row, reports[row.sample]) for row in ROWS) + "\n", "utf-8")
    sys.stdout.write(f"{len(ROWS)} rows\n")


if __name__ == "__main__":
    main()
