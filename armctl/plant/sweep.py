"""Scenarios from a TOML file: what all have in common, grids of values, and single ones by name."""

import tomllib
from pathlib import Path
from typing import Any

from armctl.errors import UsageError
from armctl.plant.scenario import Scenario, as_scenario

TABLES = ("base", "grid", "scenario")


def load_scenarios(path: str | Path) -> dict[str, Scenario]:
    """Scenarios by name from a file of three tables, each of which may be absent.

        [base]                           # fields of Scenario that all share
        latency = 1
        [grid]                           # every combination of these values, named after them
        payload_mass = [0.0, 1.0, 2.0]
        coulomb = [0.0, 0.5]
        [scenario.heavy]                 # and single ones
        payload_mass = 3.0

    Raises UsageError for a file that is missing, no TOML, empty, or names what Scenario does not have.
    """
    try:
        tables = tomllib.loads(Path(path).read_text())
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'; give a TOML file of scenarios.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"'{path}' is not TOML: {error}.") from None
    for name, table in tables.items():
        if name not in TABLES or not isinstance(table, dict):
            raise UsageError(f"'{path}' has {name!r}; its tables may be {', '.join(f'[{t}]' for t in TABLES)}.")
    base = as_scenario(tables.get("base", {}))
    found = Scenario.grid(base, **tables["grid"]) if tables.get("grid") else {}
    singles: dict[str, Any] = tables.get("scenario", {})
    for name, fields in singles.items():
        if not isinstance(fields, dict):
            raise UsageError(f"'{path}' has {name!r} in [scenario]; write it as a table, [scenario.{name}].")
        found[name] = as_scenario(fields, base)
    if not found:
        raise UsageError(f"'{path}' names no scenario; give it a [grid] of values or a table [scenario.NAME].")
    return found
