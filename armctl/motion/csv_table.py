"""A text table as people write it: its header, its cells, and on which line each row stands."""

import codecs
import csv
import re
from dataclasses import dataclass
from pathlib import Path

from armctl.errors import UsageError

COMMENT = re.compile(r"\s*(#|%|//)+\s*")
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """Names of the columns, and of every row its cells, points as decimal marks, and its line (from 1) in the file."""

    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]


def read_table(path: Path) -> Table:
    """A table with cells between commas, semicolons, tabs or blanks; empty and comment lines are left out.

    The header is the first line, or the comment right before the numbers. Raises UsageError, naming file and line, for
    a file without a header or with less than two rows, and for rows of another length than the header.
    """
    header, body = _divided(_text(path))
    if header is None and body:
        raise UsageError(f"Reference '{path}' has no header; name its columns in the first line, such as t,q1,q2,...")
    if len(body) < 2:
        raise UsageError(f"Reference '{path}' has {len(body)} samples; give a header and at least 2 lines.")
    names = _cells(header or "", _separator(header or ""))
    separator = _separator(body[0][1])
    rows = [_cells(text, separator) for _, text in body]
    for (number, text), row in zip(body, rows, strict=True):
        if len(row) != len(names):
            wrong = f"needs {len(names)} finite numbers, one for each column" if row else "is empty"
            raise UsageError(f"Reference '{path}': line {number} {wrong}: '{text[:60]}'.")
    if separator in (";", "\t"):  # where commas do not part cells they are decimal marks
        rows = [[cell.replace(",", ".") if NUMBER.fullmatch(cell) else cell for cell in row] for row in rows]
    return Table(tuple(names), rows, [number for number, _ in body])


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _divided(text: str) -> tuple[str | None, list[tuple[int, str]]]:
    """The line that names the columns, None where there is none, and the numbered lines below it."""
    comment, body = None, list[tuple[int, str]]()
    for number, line in enumerate(text.splitlines(), start=1):
        if mark := COMMENT.match(line):
            comment = line[mark.end() :] if not body else comment
        elif line.strip():
            body.append((number, line.strip()))
    if body and not all(map(NUMBER.fullmatch, _cells(body[0][1], _separator(body[0][1])))):
        return body[0][1], body[1:]
    return comment, body


def _separator(line: str) -> str | None:
    return next((mark for mark in (";", "\t", ",") if mark in line), None)


def _cells(line: str, separator: str | None) -> list[str]:
    """The cells of a line without blanks and quotes around them; one that is empty at the end is none."""
    if separator is None:
        return line.split()
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
    return cells[:-1] if cells and not cells[-1] else cells
