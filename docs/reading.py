"""How the reference reads the code: where armctl.envs lives, what a comment behind a field says, and in which order.

An extension of griffe, which `mkdocs.yml` names. Everything is read from the source; nothing is imported.
"""

from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parents[1]
ELSEWHERE = ("envs", "assets")
"""Packages that stand beside armctl/ in the checkout and install inside it."""


class Reading(griffe.Extension):
    """Adds the packages that stand elsewhere; shows a name in one place only, and the fields of a class as a table."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        """Once all of armctl has been read."""
        if pkg.name == "armctl":
            for name in ELSEWHERE:
                pkg.set_member(name, loader.load(ROOT / name, try_relative_path=True))
            _arrange(pkg)


def _arrange(module: griffe.Module) -> None:
    module.exports = None  # else what a package hands on would stand there and where it is defined
    for member in list(module.members.values()):
        if member.is_alias:
            continue
        if member.is_module:
            _arrange(member)
        elif member.is_class:
            _tabulate(member)
    for name in sorted(module.members):  # by name: the file system's order differs from machine to machine
        if not module.members[name].is_alias and module.members[name].is_module:
            module.members[name] = module.members.pop(name)


def _tabulate(cls: griffe.Class) -> None:
    """Make a table of the fields and properties of a class; they need no headings of their own."""
    cls.docstring = cls.docstring or griffe.Docstring("", parent=cls)
    sections = cls.docstring.parse("google", warnings=False)
    known = {row.name for part in sections if part.kind is griffe.DocstringSectionKind.attributes for row in part.value}
    record = "dataclass" in cls.labels or any(str(base) == "NamedTuple" for base in cls.bases)
    rows = []
    for name, field in cls.members.items():
        if field.is_alias or not field.is_attribute or name.startswith("_"):
            continue
        text = field.docstring.value if field.docstring else _comment(field)
        field.docstring = None
        if name not in known and (text or record):
            rows.append(griffe.DocstringAttribute(name, annotation=field.annotation, description=text))
    if rows:
        sections.append(griffe.DocstringSectionAttributes(rows))
    cls.docstring.parsed = sections


def _comment(field: griffe.Object) -> str:
    """What stands behind a field on its last line."""
    line = (field.lines or [""])[-1]
    return line.partition("  # ")[2].partition("noqa")[0].strip()
