"""Small command lines, motions and checks that the tests of the command line share."""

import hashlib

import numpy as np

from armctl import cli
from armctl.motion.reference import Reference
from armctl.urdf import load_chain

CHAIN = load_chain("planar3")
TUNE = ["tune", "computed_torque", "--robot", "planar3", "--plants", "4", "--batch", "4", "--horizon", "4"]
TUNE += ["--chunk", "1", "--updates", "2", "--validation", "0"]
SMALL = {"motions": 60, "steps": 20, "width": 16, "blocks": 1, "batch": 16, "chunk": 20}
SMALL_FLOW = ["--updates", "20", "--width", "16", "--blocks", "1", "--batch", "16", "--chunk", "20"]
BENCH = ["bench", "--robot", "planar3", "--scenarios", "nominal", "--hold", "0", "--no-animation"]


def motion(name, amplitude, samples=31):
    """A rest-to-rest motion of the planar arm."""
    s = np.linspace(0, 1, samples)[:, None]
    q = np.array([0.4, 0.7, -0.5]) + amplitude * (10 * s**3 - 15 * s**4 + 6 * s**5)
    return Reference.from_joints(CHAIN, 0.01, q, name=name, meta={"family": "reach"})


def content(folder):
    """Name and hash of every file under a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refused(capsys, argv, *words):
    """Run a command that must end in exit status 2 with one sentence that has these words, and nothing on stdout."""
    capsys.readouterr()
    assert cli.main([str(word) for word in argv]) == 2
    out, err = capsys.readouterr()
    said = [line for line in err.splitlines() if line.startswith("armctl: ")]
    assert len(said) == 1, err
    assert err.splitlines()[-1] == said[0]
    assert "Traceback" not in err
    assert out == ""
    for word in words:
        assert str(word) in said[0]
