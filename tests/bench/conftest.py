"""A file of the user's own."""

import pytest

FILE = """
import numpy as np

class Servo:
    control = "velocity"

    def __init__(self, gain=20.0):
        self.gain = gain

    def reset(self, info):
        self.chain = info["chain"]

    def act(self, observation):
        n = self.chain.n
        q, error = observation["observation"][:n], observation["observation"][2 * n + 9 : 2 * n + 15]
        from armctl import rigid
        J = rigid.jacobian(self.chain, q)
        return self.gain * np.linalg.lstsq(J, error, rcond=1e-2)[0]

def furthest(episode):
    return float(np.abs(episode.q).max())

def still(chain):
    import armctl
    return [armctl.Reference.from_joints(chain, 0.01, np.tile(chain.home, (20, 1)), name="still")]

def nothing(chain):
    return []

thing = 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path
