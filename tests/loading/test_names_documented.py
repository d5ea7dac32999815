"""The names that are looked for stand in docs/getting-started.md, in the order in which they are looked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gradcheck_cli.loading import find_batch, find_loss, find_model, loaders, optimizers

PAGE = (Path(__file__).parents[2] / "docs" / "getting-started.md").read_text("utf-8")


def named(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`(\w+)`", text))


def row(head: str) -> str:
    """The names of the row up to the first "else", which tells what is taken without a name."""
    (cells,) = re.findall(rf"^\| {re.escape(head)} \| (.*) \|$", PAGE, re.MULTILINE)
    return str(cells).split("; else")[0]


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("model", find_model.NAMES),
        ("loss", ("losses", *find_loss._NAMES)),
        ("optimizer", optimizers._NAMES),
        ("a whole batch", find_batch._WHOLE),
        ("a training set", tuple(name for pair in find_batch._TRAINING_SETS for name in pair)),
        ("inputs", find_batch._INPUTS),
        ("examples", find_batch._EXAMPLES),
        ("functions", find_batch._BATCH_MAKERS),
        ("loaders", loaders._LOADERS),
        ("functions that make one", loaders._LOADER_MAKERS),
        ("datasets", loaders._DATASETS),
        ("a whole set", tuple(name for pair in find_batch._WHOLE_SETS for name in pair)),
    ],
)
def test_names(head: str, names: tuple[str, ...]) -> None:
    assert named(row(head)) == names


def test_targets() -> None:
    (sentence,) = re.findall(r"the target is (.*?)\.", PAGE)
    assert named(sentence) == find_batch._TARGETS


EARLIER_FIRST = [
    ("a whole batch", "batch = torch.randn(5, 4)"),
    ("a training set", "X_train, y_train = torch.randn(6, 4), torch.randn(6, 2)"),
    ("inputs", "x = torch.randn(7, 4)"),
    ("examples", "example_inputs = torch.randn(8, 4)"),
    ("functions", "def get_batch():\n    return torch.randn(9, 4), torch.randn(9, 2)"),
    ("loaders", "train_loader = [(torch.randn(10, 4), torch.randn(10, 2))]"),
    (
        "datasets",
        "from torch.utils.data import TensorDataset\ntrain_set = TensorDataset(torch.randn(11, 4), torch.randn(11, 2))",
    ),
]


@pytest.mark.parametrize("first", range(len(EARLIER_FIRST)))
def test_sources_in_the_order_of_the_table(load_text, first: int) -> None:
    """A file with this source and all later ones gives the batch of this one: its size tells."""
    lines = "\n".join(text for _, text in reversed(EARLIER_FIRST[first:]))
    subject = load_text(f"model = nn.Linear(4, 2)\n{lines}\n")
    assert len(subject.batches[0].args[0]) == 5 + first
    places = [PAGE.index(f"| {head} |") for head, _ in EARLIER_FIRST]
    assert places == sorted(places)
