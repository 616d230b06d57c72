"""What would show that steering collapses the proposals: coverage of held-out motions, and copies of known ones."""

from collections.abc import Sequence

import numpy as np

from armctl.chain import Chain
from armctl.generator.audit.copying import copying
from armctl.generator.audit.diversity import density_coverage
from armctl.generator.audit.features import vectors
from armctl.motion.reference import Reference


class Monitors:
    """Coverage and copying of any set of references against fixed parts of a corpus."""

    def __init__(self, chain: Chain, train: Sequence[Reference], held_out: Sequence[Reference]) -> None:
        """train: what the generator knows; held_out: of other contexts; half of them is the floor of the other half."""
        self.chain = chain
        half = len(held_out) // 2
        self.train, self.real = vectors(train, chain), vectors(held_out[:half], chain)
        self.other = vectors(held_out[half:], chain)

    def __call__(self, proposed: Sequence[Reference]) -> dict[str, float]:
        """Density and coverage, that of as many held-out motions, nearest-neighbour ratio and Z_U."""
        x = vectors(proposed, self.chain)
        size = min(len(x), len(self.other))
        rng = np.random.default_rng(0)
        density, coverage = density_coverage(self.real, x[rng.permutation(len(x))[:size]])
        floor = density_coverage(self.real, self.other[:size])[1]
        ratio, z_u = copying(self.train, self.real, x)
        return {"density": density, "coverage": coverage, "coverage_floor": floor, "nn_ratio": ratio, "z_u": z_u}
