"""Variables that a DataLoader of the same file deals out are a whole set, not a batch."""

from __future__ import annotations

import pytest

MODEL = """
    from torch.utils.data import DataLoader, TensorDataset, random_split

    X = torch.randn(24, 6)
    y = torch.randint(0, 3, (24,))
    model = nn.Linear(6, 3)
    loss_fn = nn.CrossEntropyLoss()
"""


@pytest.mark.parametrize(
    "loader",
    [
        "loader = DataLoader(TensorDataset(X, y), batch_size=2)",
        "train_part, _ = random_split(TensorDataset(X, y), [20, 4])\n    loader = DataLoader(train_part, batch_size=2)",
    ],
    ids=["tensors", "split"],
)
def test_batch_size_is_the_loaders(load_text, loader):
    subject = load_text(f"{MODEL}\n    {loader}\n")
    assert subject.batches[0].args[0].shape == (2, 6)


def test_loader_of_other_data_leaves_the_variables_alone(load_text):
    subject = load_text(f"{MODEL}\n    loader = DataLoader(TensorDataset(torch.randn(8, 6), y[:8]), batch_size=2)\n")
    assert subject.batches[0].args[0].shape == (24, 6)
