"""Setups made by hand, so that tests of an edit need no file to load."""

from __future__ import annotations

import copy

from gradcheck_cli.loading.base import Batch, Objective, OptimizerSpec, Outcome, Subject
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.base import Loop, Setup

SETTINGS = Settings(target="test", exact=True)


def subject_of(model, *inputs, target=None, loss=None):
    """`loss(output, target)`; without one, the output's sum of squares."""

    def compute(net, batch):
        output = net(*batch.args, **batch.kwargs)
        value = output.square().mean() if loss is None else loss(output, batch.target)
        return Outcome(loss=value, output=output, target=batch.target)

    objective = Objective(name="test", kind="other", origin="test", compute=compute)
    return Subject(
        model=model, batches=(Batch(args=inputs, target=target),), objectives=(objective,), optimizer=None, sites={}, target="t"
    )


def setup_of(model, *inputs, target=None, loss=None, seed=0):
    """A setup whose model is a copy of this one, with the profile of this one."""
    subject = subject_of(model, *inputs, target=target, loss=loss)
    profile = probe(subject, subject.objectives[0], SETTINGS)
    copied = subject_of(copy.deepcopy(model), *inputs, target=target, loss=loss)
    spec = OptimizerSpec(name="Adam", lr=1e-3)
    return Setup(
        subject=copied, objective=copied.objectives[0], profile=profile, loop=Loop(optimizer=spec, assumed=True), seed=seed
    )
