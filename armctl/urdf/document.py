"""The XML document of a URDF file, read as leniently as other URDF readers do."""

import codecs
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from xml.parsers import expat

from armctl.errors import UsageError

_DECLARATION = re.compile(rb"<\?xml\s[^>]*\?>")
_ENCODING = re.compile(rb"<\?xml\s[^>]*encoding\s*=\s*['\"]([\w.-]+)")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _parse(data: bytes, encoding: str | None) -> ET.Element:
    """The root of a document whose names are taken as they stand, prefix and all: namespaces mean nothing to a URDF."""
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate(encoding)
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.data
    parser.Parse(data, True)
    return builder.close()


def _declared_first(data: bytes) -> bytes:
    """The document with its declaration in front of blank lines and comments, where XML wants it."""
    data = data.removeprefix(codecs.BOM_UTF8)
    if data[:2] not in _UTF_16:
        data = data.rstrip(b"\0")  # C programs end texts so
    found = _DECLARATION.search(data)
    return data.lstrip() if found is None else found.group() + data[: found.start()] + data[found.end() :]


def _encoding(data: bytes) -> str | None:
    """The encoding where it is not what the document says: one byte a letter in a file that claims to be UTF-8."""
    said = _ENCODING.match(data)
    if data[:2] in _UTF_16 or (said is not None and said[1].lower() not in (b"utf-8", b"utf8")):
        return None
    try:
        data.decode()
    except UnicodeDecodeError:
        return "iso-8859-1"
    return None


def read_document(path: Path) -> ET.Element:
    """The <robot> element of a URDF file.

    Raises UsageError for a missing file, bad XML, another kind of document and a template.
    """
    if not path.is_file():
        raise UsageError(
            f"There is no file {str(path)!r}; give the path of a URDF file or the name of a shipped robot."
        )
    data = _declared_first(path.read_bytes())
    try:
        root = _parse(data, _encoding(data))
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise UsageError(f"{str(path)!r} is not readable XML ({error}); give a URDF file.") from None
    if root.tag != "robot":
        raise UsageError(f"{str(path)!r} is not a URDF: its root element is <{root.tag}>, not <robot>.")
    if any(e.tag.startswith("xacro:") for e in root.iter()):
        raise UsageError(f"{str(path)!r} is a xacro template; expand it first: xacro FILE > robot.urdf.")
    return root
