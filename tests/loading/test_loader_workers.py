"""Batches are read in this process; --workers asks for the user's worker processes."""

from __future__ import annotations

import os
import sys

import pytest

from gradcheck_cli.errors import GradcheckError

DATASET = """
    import os
    from torch.utils.data import DataLoader, Dataset

    class Rows(Dataset):
        def __len__(self):
            return 8
        def __getitem__(self, index):
            {body}
            return torch.full((4,), float(os.getpid()))

    model = nn.Linear(4, 2)
    train_loader = DataLoader(Rows(), batch_size=4, num_workers=2, persistent_workers=True, prefetch_factor=4)
"""


def test_no_process_is_started_by_default(load_text):
    subject = load_text(DATASET.format(body="pass"))
    assert subject.batches[0].args[0][0, 0].item() == float(os.getpid())
    loader = sys.modules["model"].train_loader
    assert (loader.num_workers, loader.prefetch_factor) == (2, 4)


def test_worker_that_dies(load_text):
    with pytest.raises(GradcheckError) as caught:
        load_text(DATASET.format(body="os._exit(3)"), workers=1)
    error = caught.value
    assert (error.id, error.what) == ("E349", "no batch could be read from `train_loader`")
    assert error.why == "RuntimeError: DataLoader worker exited unexpectedly"
    assert error.do == "read in the main process: --workers 0"
