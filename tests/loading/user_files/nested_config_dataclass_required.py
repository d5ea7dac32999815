# ruff: noqa
# expect: model N
# expect: batches 3
# expect: argument [32, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed `N` was built with `cfg` = Cfg() with its defaults
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [32, 4], shaped for `l`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

from dataclasses import dataclass, field


@dataclass
class Inner:
    width: int = 6


@dataclass
class Cfg:
    inner: Inner = field(default_factory=Inner)
    name: str = "x"


class N(nn.Module):
    def __init__(self, cfg: Cfg, verbose: bool = False):
        super().__init__()
        self.l = nn.Linear(4, cfg.inner.width)

    def forward(self, x):
        return self.l(x)
