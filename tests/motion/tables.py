"""Tables of motions for the tests of their reader."""

from pathlib import Path

import numpy as np

from armctl.motion.files import load_reference
from armctl.urdf import load_chain

DATA = Path(__file__).parents[1] / "data"
PANDA, GEN3 = load_chain("panda"), load_chain("gen3")
STEP = 2 * np.pi / 4096  # rad, of a 12-bit encoder
Q = [f"q{i + 1}" for i in range(7)]
T, FEW = np.linspace(0, 2, 41), np.linspace(0, 2, 11)


def wave(chain, times):
    """A motion of all joints, well within the limits."""
    return chain.home + 0.3 * np.sin(np.asarray(times))[:, None]


def lines(names, times, values, separator=",", form="{:.9g}"):
    rows = (separator.join(form.format(x) for x in (t, *row)) for t, row in zip(times, values, strict=True))
    return "\n".join([separator.join(names), *rows]) + "\n"


def load(folder, text, chain=PANDA, dt=None, name="a.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return load_reference(path, chain, dt)


PLAIN = lines(["t", *Q], T, wave(PANDA, T))
