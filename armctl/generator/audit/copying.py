"""Does the generator copy its training set?"""

import numpy as np

from armctl.generator.audit.two_sample import distances
from armctl.generator.ranks import mann_whitney_z


def copying(train: np.ndarray, held_out: np.ndarray, generated: np.ndarray) -> tuple[float, float]:
    """Compare how near generated and held-out points lie to the training set.

    train, held_out, generated: (N, D), (V, D), (M, D) -> ratio, z_u. ratio: median nearest-training distance of
    generated over that of held-out; far below 1 means copies. z_u: standardised Mann-Whitney U of those distances
    (Meehan et al. 2020); below -3 means copies, far above 3 points that are nowhere near the data.
    """
    near_generated = distances(generated, train).min(1)
    near_held_out = distances(held_out, train).min(1)
    ratio = np.median(near_generated) / max(np.median(near_held_out), 1e-12)
    return float(ratio), mann_whitney_z(near_generated, near_held_out)
