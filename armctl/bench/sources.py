"""Things of the user's own by where they stand: `file.py:Name` or `package.module:Name`."""

import importlib
import importlib.util
import os
import sys
import zlib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from armctl.errors import UsageError


def is_source(text: str) -> bool:
    """Whether it names something in a file or module: FILE.py:NAME or MODULE:NAME."""
    place, colon, name = text.rpartition(":")
    dotted = all(part.isidentifier() for part in place.split("."))
    return bool(colon) and name.isidentifier() and (place.endswith(".py") or dotted)


def load_source(text: str) -> Any:
    """What FILE.py:NAME or MODULE:NAME names; a module is also looked for in the working folder.

    Raises UsageError where there is no such file, module or name, and where importing it fails.
    """
    place, _, name = text.rpartition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_module(place)
    if not hasattr(module, name):
        names = [key for key, value in vars(module).items() if not key.startswith("_") and callable(value)]
        near = get_close_matches(name, names) or names
        there = f"it has {', '.join(near[:5])}" if near else "it has nothing to call"
        raise UsageError(f"There is no {name!r} in '{place}'; {there}.")
    return getattr(module, name)


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise UsageError(f"'{path}' is no file; name a Python file, as in controllers.py:MyController.")
    path = path.resolve()
    folder, name = str(path.parent), f"{path.stem}_{zlib.crc32(str(path).encode()):x}"
    if name in sys.modules:
        return sys.modules[name]
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)  # as Python itself does for a script, so that it can import its neighbours
    before = set(sys.modules)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _not_imported(f"'{path}'", error) from error
    _take_along(module)
    for other in set(sys.modules) - before - {name}:
        if os.path.dirname(getattr(sys.modules[other], "__file__", None) or "") == folder:
            del sys.modules[other]  # another file's neighbour of the same name is another module
    return module


def _from_module(name: str) -> Any:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(
                f"There is no module '{name}'; install it, start in its folder, or name a file, as in {name}.py:NAME."
            ) from None
        raise _not_imported(f"the module '{name}'", error) from error
    except (Exception, SystemExit) as error:
        raise _not_imported(f"the module '{name}'", error) from error


def _take_along(module: Any) -> None:
    """Let the classes of a module that workers cannot import travel to them with the objects."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


def _not_imported(what: str, error: BaseException) -> UsageError:
    frame, line = error.__traceback__, ""
    while frame is not None:
        line = f", line {frame.tb_lineno} of {Path(frame.tb_frame.f_code.co_filename).name}"
        frame = frame.tb_next
    if isinstance(error, SyntaxError):
        line = f", line {error.lineno}"
    return UsageError(f"{what} cannot be imported: {type(error).__name__}: {error}{line}; mend it first.")
