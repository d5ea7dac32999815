"""Let a worker call `scan(settings)` of the target file in place of the pipeline."""

import importlib.util
import sys
import types
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "reporting"))  # canned_reports


def scan(settings: object) -> object:
    spec = importlib.util.spec_from_file_location("target", settings.target)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.scan(settings)


stand_in = types.ModuleType("gradcheck_cli.pipeline")
stand_in.scan = scan
sys.modules["gradcheck_cli.pipeline"] = stand_in
