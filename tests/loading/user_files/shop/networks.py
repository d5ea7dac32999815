from torch import nn

from .parts import head


def build_model():
    return nn.Sequential(nn.Linear(4, 3), head())


build = build_model
