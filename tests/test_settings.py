import typing
from collections.abc import Mapping
from pathlib import Path

import pytest

from gradcheck_cli.config_file import nearest
from gradcheck_cli.configuration import Configured, configure
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.options import choices, fields
from gradcheck_cli.records import SEVERITIES, Severity


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "model.py").write_text("")
    return tmp_path


def written(project: Path, text: str) -> Path:
    file = project / "pyproject.toml"
    file.write_text(text, "utf-8")
    return file


def read(flags: Mapping[str, object] = {}, environment: Mapping[str, str] = {}, **more: object) -> Configured:
    return configure("model.py", flags, environment, **more)


def error(*args: object, **more: object) -> GradcheckError:
    with pytest.raises(GradcheckError) as caught:
        read(*args, **more)
    return caught.value


def test_flag_beats_environment_beats_file_beats_default(project: Path) -> None:
    file = written(project, "[tool.gradcheck]\nseed = 1\nbatches = 2\nthreads = 3\n")
    configured = read({"seed": "7"}, {"GRADCHECK_SEED": "5", "GRADCHECK_BATCHES": "6"})
    settings = configured.settings
    assert (settings.seed, settings.batches, settings.threads, settings.timeout) == (7, 6, 3, 300.0)
    assert configured.origins == {"seed": "--seed", "batches": "GRADCHECK_BATCHES", "threads": str(file)}


def test_isolated_reads_no_file(project: Path) -> None:
    written(project, "[tool.gradcheck]\nseed = 1\n")
    assert read(isolated=True).settings.seed == 0


def test_every_option_can_be_given_by_flag_and_variable(project: Path) -> None:
    """Each has a type that a text can be turned into, and a sentence that describes it."""
    texts = {bool: "true", int: "3", float: "0.5", str: "x"}
    needs = {"fail_on_regression": {"compare": "old.json"}}
    for name, field in fields().items():
        words = choices(field)
        text = words[0] if words else texts.get(field.hint, "a=1" if name == "init" else "GC101")
        target = "weights.pt" if name == "model" else "model.py"  # a class is named for a checkpoint
        beside = needs.get(name, {})
        given = configure(target, {name: [text] if typing.get_origin(field.hint) is tuple else text, **beside}, {})
        holder = next(part for part in (given.settings, given.gate, given.display) if isinstance(part, field.record))
        assert getattr(holder, name) not in (None, (), {})
        assert field.option.help.endswith((".", ";", ")"))
        if not field.option.flag_only:
            assert configure(target, beside, {f"GRADCHECK_{name.upper()}": text}).origins[name] == f"GRADCHECK_{name.upper()}"


def test_trials_can_be_left_out_and_be_given_more_time(project: Path) -> None:
    assert not read().settings.no_try
    written(project, "[tool.gradcheck]\nno-try = true\ntry-budget = 60\n")
    assert (read().settings.no_try, read().settings.try_budget) == (True, 60.0)
    in_the_environment = read({}, {"GRADCHECK_NO_TRY": "0", "GRADCHECK_TRY_BUDGET": "2.5"}).settings
    assert (in_the_environment.no_try, in_the_environment.try_budget) == (False, 2.5)
    assert error({"try_budget": "0"}).why == "it takes a number above 0"


def test_the_spelt_out_severities_are_the_severities() -> None:
    assert typing.get_args(fields()["fail_on"].hint) == typing.get_args(Severity) == SEVERITIES


def test_lists_and_pairs(project: Path) -> None:
    settings = read(
        {
            "select": ["GC1,GC2", "dead-units"],
            "input": ["8,3,224,224", "int:8,128"],
            "init": ["width=64", "dropout=0.1", "name=tiny", "sizes=(1, 2)", "bias=False", "odd={1}"],
        }
    ).settings
    assert settings.select == ("GC1", "GC2", "dead-units")
    assert settings.input == ("8,3,224,224", "int:8,128")
    assert settings.init == {"width": 64, "dropout": 0.1, "name": "tiny", "sizes": (1, 2), "bias": False, "odd": "{1}"}


def test_lists_and_pairs_in_a_file(project: Path) -> None:
    written(project, '[tool.gradcheck]\nselect = ["GC1"]\ninput = ["8,3", "8"]\n[tool.gradcheck.init]\nwidth = 64\n')
    settings = read().settings
    assert (settings.select, settings.input, settings.init) == (("GC1",), ("8,3", "8"), {"width": 64})


def test_paths_in_a_file_are_relative_to_it_and_flags_to_the_shell(project: Path) -> None:
    written(project, '[tool.gradcheck]\ndata = "batch.pt"\n')
    assert read().settings.data == str(project / "batch.pt")
    assert read({"data": "batch.pt"}).settings.data == "batch.pt"


def test_rule_tables_are_kept(project: Path) -> None:
    written(project, '[tool.gradcheck.rules.GC101]\nseverity = "note"\nlimit = 4\n')
    assert read().settings.rules == {"GC101": {"severity": "note", "limit": 4}}


def test_the_nearest_file_with_the_table_counts_and_the_project_ends_at_git(project: Path) -> None:
    inner = project / "package" / "deep"
    inner.mkdir(parents=True)
    (inner / "model.py").write_text("")
    (project / "package" / "pyproject.toml").write_text("[tool.other]\n")
    outer = written(project, "[tool.gradcheck]\n")
    assert nearest(str(inner / "model.py")) == outer
    assert nearest(str(inner / "model.py") + ":Net") == outer
    (inner / ".git").mkdir()
    assert nearest(str(inner / "model.py")) is None


def test_an_unknown_key_names_the_nearest_one_and_its_line(project: Path) -> None:
    written(project, "[tool.other]\nsed = 1\n\n[tool.gradcheck]\nbatches = 2\nsed = 1\n")
    raised = error()
    assert (raised.id, raised.what, raised.do, raised.where) == (
        "E674",
        "unknown key `sed`",
        "did you mean `seed`?",
        "pyproject.toml:6",
    )


@pytest.mark.parametrize("key", ["trust-pickle", "fail_on", "target", "rules-of-mine"])
def test_keys_that_do_not_exist_or_belong_to_the_command_line_alone(project: Path, key: str) -> None:
    written(project, f'[tool.gradcheck]\n{key} = "x"\n')
    assert error().id == "E674"


def test_an_unknown_variable_is_an_error_too(project: Path) -> None:
    raised = error({}, {"GRADCHECK_FAILON": "note"})
    assert (raised.id, raised.do) == ("E674", "did you mean `GRADCHECK_FAIL_ON`?")
    assert error({}, {"GRADCHECK_TRUST_PICKLE": "1"}).id == "E674"


@pytest.mark.parametrize(
    ("line", "what", "why"),
    [
        (
            'seed = "one"',
            "`seed` in [tool.gradcheck] cannot be 'one'",
            "it takes a whole number of at least 0 and at most 4294967295",
        ),
        (
            "seed = -1",
            "`seed` in [tool.gradcheck] cannot be -1",
            "it takes a whole number of at least 0 and at most 4294967295",
        ),
        (
            "seed = 4294967296",
            "`seed` in [tool.gradcheck] cannot be 4294967296",
            "it takes a whole number of at least 0 and at most 4294967295",
        ),
        (
            "seed = true",
            "`seed` in [tool.gradcheck] cannot be True",
            "it takes a whole number of at least 0 and at most 4294967295",
        ),
        ("timeout = 0", "`timeout` in [tool.gradcheck] cannot be 0", "it takes a number above 0"),
        ("timeout = inf", "`timeout` in [tool.gradcheck] cannot be inf", "it takes a number above 0"),
        ('exact = "maybe"', "`exact` in [tool.gradcheck] cannot be 'maybe'", "it takes true or false"),
        (
            'format = "xml"',
            "`format` in [tool.gradcheck] cannot be 'xml'",
            "it takes one of text, concise, markdown, json, jsonl, sarif, junit, github, gitlab",
        ),
        ("select = [1]", "`select` in [tool.gradcheck] cannot be [1]", "it takes a list of texts"),
    ],
)
def test_a_wrong_type_says_what_is_accepted(project: Path, line: str, what: str, why: str) -> None:
    written(project, f"[tool.gradcheck]\n{line}\n")
    raised = error()
    assert (raised.id, raised.what, raised.why, raised.where) == ("E675", what, why, "pyproject.toml:2")


def test_a_wrong_pair_is_an_error(project: Path) -> None:
    raised = error({"init": ["64"]})
    assert (raised.id, raised.why) == ("E675", "it takes NAME=VALUE, the name being a Python identifier")


def test_a_rule_table_must_be_a_table(project: Path) -> None:
    written(project, "[tool.gradcheck.rules]\nGC101 = 3\n")
    raised = error()
    assert (raised.id, raised.where) == ("E675", "pyproject.toml:1")


def test_the_table_must_be_a_table(project: Path) -> None:
    written(project, "[tool]\ngradcheck = [1]\n")
    raised = error()
    assert (raised.id, raised.what, raised.why) == ("E675", "`gradcheck` in [tool] must be a table", "it is [1]")


def test_a_tool_that_is_no_table_holds_no_settings(project: Path) -> None:
    written(project, "tool = 3\n")
    assert read().file is None


def test_toml_that_is_nested_too_deep_is_an_error(project: Path) -> None:
    written(project, "[tool.gradcheck]\nseed = " + "[" * 5000 + "\n")
    assert error().id == "E677"


def test_broken_toml_names_its_line(project: Path) -> None:
    written(project, "[tool.gradcheck]\nseed = \n")
    raised = error()
    assert (raised.id, raised.what, raised.where) == ("E677", "pyproject.toml is not valid TOML", "pyproject.toml:2")


def test_a_missing_configuration_is_an_error(project: Path) -> None:
    assert error(config="no.toml").id == "E677"


@pytest.mark.parametrize(
    ("flags", "more", "what"),
    [
        ({"quiet": True, "verbose": True}, {}, "--quiet and --verbose contradict each other"),
        ({"data": "a.pt", "input": ["8,3"]}, {}, "--data and --input contradict each other"),
        ({"trust_pickle": True, "weights": "a.safetensors"}, {}, "--trust-pickle and --weights contradict each other"),
        ({"output_file": ["model.py"]}, {}, "--output-file would overwrite model.py"),
        ({"format": ["text", "json"]}, {}, "two formats for the standard output"),
        ({"format": ["sarif", "json"], "output_file": ["x", "x"]}, {}, "two formats for x"),
        ({"output_file": ["a", "b"]}, {}, "2 output files for 1 formats"),
        ({"fail_on_regression": "1"}, {}, "--fail-on-regression has nothing to compare with"),
        ({"baseline": "b.json", "output_file": ["b.json"]}, {}, "--output-file would overwrite b.json"),
        ({"model": "package.module:Net"}, {}, "--model does not go with the target model.py"),
        ({}, {"config": "a.toml", "isolated": True}, "--config and --isolated contradict each other"),
    ],
)
def test_contradictions(project: Path, flags: dict[str, object], more: dict[str, object], what: str) -> None:
    raised = error(flags, **more)
    assert (raised.id, raised.what) == ("E680", what)


@pytest.mark.parametrize("target", ["model.py:Net", "package.module:Net", "missing.py"])
def test_the_class_of_a_checkpoint_goes_with_a_checkpoint(project: Path, target: str) -> None:
    """A file's `model` is for those targets that need one, and does not stop the others."""
    with pytest.raises(GradcheckError) as caught:
        configure(target, {"model": "package.module:Net"}, {})
    assert caught.value.id == "E680"
    assert caught.value.do.endswith(f"{target.split(':')[0]}:Net")
    assert configure("weights.pt", {"model": "package.module:Net"}, {}).settings.model == "package.module:Net"
    written(project, '[tool.gradcheck]\nmodel = "package.module:Net"\n')
    assert configure(target, {}, {}).settings.target == target


def test_a_word_about_colour_in_a_file_is_weaker_than_the_environment(project: Path) -> None:
    written(project, '[tool.gradcheck]\ncolor = "always"\n')
    assert read().color() == "auto"
    assert read({"color": "always"}).color() == "always"
