"""All cases of the zoo, gathered from its files."""

from __future__ import annotations

import importlib

from zoo.cases import Case

HEALTHY = (
    "healthy_tabular",
    "healthy_convnets",
    "healthy_residual",
    "healthy_mobile",
    "healthy_images",
    "healthy_adversarial",
    "healthy_attention",
    "healthy_language",
    "healthy_recurrent",
    "healthy_graphs",
    "healthy_learning",
    "healthy_tutorials",
    "healthy_losses",
    "healthy_gates",
    "healthy_traps",
    "healthy_transformers",
    "healthy_packages",
)
SICK = ("sick_depth", "sick_time", "sick_parts", "sick_training", "sick_moderate")


def load_cases(files: tuple[str, ...]) -> dict[str, Case]:
    """Import the files and return their cases by name. Raises ValueError when two cases share a name."""
    cases: dict[str, Case] = {}
    for file in files:
        for case in importlib.import_module(f"zoo.{file}").CASES:
            if case.name in cases:
                raise ValueError(f"two cases are called {case.name}")
            cases[case.name] = case
    return cases
