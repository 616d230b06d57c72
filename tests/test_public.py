"""The package as an editor, a type checker and an old script see it."""

import inspect
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest

import armctl
from armctl.moved import MOVED
from tests import house


def typed_exports() -> set[str]:
    """Names that armctl/__init__.py imports for type checkers."""
    import ast

    tree = ast.parse(Path(armctl.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_what_a_type_checker_sees_is_what_there_is():
    assert typed_exports() | {"__version__"} == set(armctl.__all__) <= set(dir(armctl))
    for name in armctl.__all__:
        assert getattr(armctl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'load_leg'"):
        _ = armctl.load_leg


def test_there_is_one_version():
    assert metadata.version("armctl") == armctl.__version__
    said = subprocess.run([sys.executable, "-m", "armctl", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == armctl.__version__


@pytest.mark.parametrize("old", MOVED)
def test_old_names_import_with_a_warning(old):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} has moved to {MOVED[old]}"):
        module = import_module(old)
    new = import_module(MOVED[old])
    assert {k for k in vars(new) if not k.startswith("__")} <= set(vars(module))


def test_gymnasium_knows_the_arms_whichever_is_imported_first():
    for first, second in (("armctl", "gymnasium"), ("gymnasium", "armctl")):
        code = (
            f"import {first}, {second}; print(gymnasium.spec('armctl/PandaReach-v1').entry_point, gymnasium.__spec__)"
        )
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert "armctl.envs.reach:ReachEnv" in said
        assert "SourceFileLoader" in said


def public_functions():
    """Every public function and method of the library's modules, by its full name."""
    for name in house.modules():
        if name == "armctl.__main__":
            continue
        module = import_module(name)
        for thing in vars(module).values():
            if getattr(thing, "__module__", "") != name or getattr(thing, "__name__", "_").startswith("_"):
                continue
            members = [thing] if inspect.isfunction(thing) else []
            if inspect.isclass(thing):
                own = [inspect.unwrap(getattr(m, "__func__", getattr(m, "fget", m))) for m in vars(thing).values()]
                members = [m for m in own if inspect.isfunction(m) and m.__module__ == name]
            for member in members:
                if not member.__name__.startswith("_") or member.__name__ == "__init__":
                    yield f"{name}.{member.__qualname__}", member


def test_every_public_argument_is_annotated():
    bare = {}
    for name, function in public_functions():
        parameters = list(inspect.signature(function).parameters.values())
        missing = [p.name for p in parameters if p.annotation is p.empty and p.name not in ("self", "cls")]
        if missing and "<locals>" not in name and "<lambda>" not in name:
            bare[name] = missing
    assert bare == {}
