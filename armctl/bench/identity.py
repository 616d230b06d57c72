"""Checksums of what a user brings, the same in every process: whether a resumed bench goes on with the same things."""

import inspect
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

DEPTH = 8
"""Of objects in objects that are looked into."""


def identity(thing: Any) -> int:
    """A checksum of an object by value: its class, the file of its class, and what its attributes hold.

    Functions count by their code, what has a `digest` by that. What cannot be taken apart counts by its type alone.
    """
    return _sum(thing, 0, set())


def _sum(thing: Any, depth: int, above: set[int]) -> int:
    if isinstance(thing, str | bytes | int | float | complex | type(None)):
        return zlib.crc32(f"{type(thing).__name__} {thing!r}".encode())
    if depth > DEPTH or id(thing) in above:
        return zlib.crc32(type(thing).__qualname__.encode())
    parts = [_sum(part, depth + 1, above | {id(thing)}) for part in _parts(thing)]
    if isinstance(thing, set | frozenset):
        parts.sort()
    return zlib.crc32(repr((type(thing).__qualname__, parts)).encode())


def _parts(thing: Any) -> list[Any]:
    if isinstance(thing, type):
        return [_source(thing)]
    if isinstance(thing, Mapping):
        return [part for key in sorted(thing, key=repr) for part in (key, thing[key])]
    if isinstance(thing, list | tuple | set | frozenset):
        return list(thing)
    if inspect.ismethod(thing):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, partial):
        return [thing.func, thing.args, thing.keywords]
    if inspect.isfunction(thing):
        code, closed = thing.__code__, inspect.getclosurevars(thing).nonlocals
        return [code.co_code, code.co_names, _constants(code), thing.__defaults__, thing.__kwdefaults__, closed]
    if hasattr(thing, "__array__") and not isinstance(thing, np.ndarray):
        thing = np.asarray(thing.detach() if hasattr(thing, "detach") else thing)  # of torch
    if isinstance(thing, np.ndarray):
        return [thing.dtype.str, repr(thing.shape), thing.tobytes() if thing.dtype != object else thing.tolist()]
    if isinstance(digest := getattr(thing, "digest", None), int):
        return [*map(_source, type(thing).__mro__[:-1]), digest]
    names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    slots = {name: getattr(thing, name) for name in names if isinstance(name, str) and hasattr(thing, name)}
    return [*map(_source, type(thing).__mro__[:-1]), {**slots, **getattr(thing, "__dict__", {})}]


def _constants(code: CodeType) -> list[Any]:
    """Of a function and of those in it; as text a function in it would have its address."""
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    plain = [one for one in code.co_consts if not isinstance(one, CodeType)]
    return [repr(plain), *(part for one in inner for part in (one.co_code, _constants(one)))]


def _source(kind: type) -> bytes:
    """The file that a class is defined in; nothing for one of a library, whose version is recorded elsewhere."""
    codes = [value.__code__ for value in vars(kind).values() if hasattr(value, "__code__")]
    try:
        path = codes[0].co_filename if codes else inspect.getfile(kind)
        return b"" if "site-packages" in path else Path(path).read_bytes()
    except (OSError, TypeError):
        return b""
