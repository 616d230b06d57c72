"""Identification: what was found, how sure it is, and the arm that it describes."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from armctl.arm import Arm
from armctl.chain import Chain
from armctl.identify import parameters
from armctl.identify.parameters import Parameters
from armctl.identify.uncertainty import Posterior, weak_directions
from armctl.plant.scenario import Scenario
from armctl.rigid import about_origin

Z95 = 1.959964
CORRELATED = 0.9
SLOW = 2.0
"""Autocorrelation time, samples, above which the residuals say that the model misses something."""


@dataclass(frozen=True, eq=False)
class Identification:
    """Estimates of `items` from one fit; physical values are `values`, one per item."""

    items: Parameters
    theta: np.ndarray  # (p,)
    posterior: Posterior
    residual: np.ndarray  # (W, L, 2n) prediction minus measurement, rad and rad/s
    before: np.ndarray  # (W, L, 2n) the same of the nominal arm
    noise: np.ndarray  # (2n,) rad, rad/s
    latency: int  # control steps
    latency_costs: dict[int, float]  # of those tried
    iterations: int
    converged: bool
    seconds: float

    @property
    def values(self) -> np.ndarray:
        """Estimates in physical units, (p,)."""
        with jax.enable_x64(True):
            return np.array(parameters.physical(self.items, self.theta))

    @property
    def std(self) -> np.ndarray:
        """Standard deviations in physical units, (p,), by the delta method."""
        return self.posterior.std

    @property
    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % intervals, (p,) each; positive parameters end at 0."""
        least = np.where([item.scale > 0 for item in self.items], 0.0, -np.inf)
        return np.maximum(self.values - Z95 * self.std, least), self.values + Z95 * self.std

    @property
    def told(self) -> np.ndarray:
        """Whether the data halved the width of what was known before, (p,)."""
        return self.posterior.std < 0.5 * self.posterior.prior_std

    def chain(self, nominal: Chain) -> Chain:
        """The identified arm: payload lumped into the last link, friction as its own."""
        with jax.enable_x64(True):
            params = parameters.plant(Arm.from_chain(nominal), self.items, self.values)
        mass, moment, inertia = (np.asarray(x) for x in params[:3])
        com = moment / mass[:, None]
        about_com = inertia - about_origin(mass, com, np.zeros_like(inertia))
        effects = params.effects
        viscous, coulomb = np.asarray(effects["viscous"]), np.asarray(effects["dry_friction"].moving)
        return replace(nominal, mass=mass, com=com, inertia=about_com, damping=viscous, friction=coulomb)

    def known(self, chain: Chain, truth: Scenario) -> np.ndarray:
        """Physical values (p,) of a true plant, NaN for the centre of a payload that does not exist."""
        values = parameters.known_values(chain, self.items, truth)
        if self.items[0].group == "payload" and truth.payload_mass == 0:
            values[1:4] = np.nan
        return values

    def rows(self, truth: np.ndarray | None = None) -> list[dict[str, Any]]:
        """One dictionary per parameter; truth: (p,) physical values where they are known."""
        low, high = self.interval
        found = []
        for i, item in enumerate(self.items):
            row = {"parameter": item.name, "unit": item.unit, "estimate": float(self.values[i])}
            row |= {"std": float(self.std[i]), "low": float(low[i]), "high": float(high[i])}
            if truth is not None:
                row["truth"] = float(truth[i])
            found.append({**row, "told_by_data": bool(self.told[i])})
        return found

    def summary(self, chain: Chain, truth: Scenario | None = None) -> dict[str, Any]:
        """Everything that a report needs, as plain data."""
        n = chain.n
        known = None if truth is None else self.known(chain, truth)
        return {
            "robot": chain.name,
            "groups": list(dict.fromkeys(item.group for item in self.items)),
            "parameters": self.rows(known),
            "latency": self.latency,
            "latency_costs": self.latency_costs,
            "residual_rms": {"nominal": _rms(self.before), "identified": _rms(self.residual)},
            "noise": {"position_rad": self.noise[:n], "velocity_rad_s": self.noise[n:]},
            "correlation_time_samples": self.posterior.correlation_time,
            "correlated": self.correlated(),
            "weak_directions": weak_directions(self.posterior, tuple(item.name for item in self.items)),
            "correlation": self.posterior.correlation,
            "samples": self.residual.shape[0] * self.residual.shape[1],
            "iterations": self.iterations,
            "converged": self.converged,
            "seconds": self.seconds,
            "warnings": self.warnings(),
        }

    def correlated(self) -> list[dict[str, Any]]:
        """Pairs of parameters that the data can hardly tell apart, the closest first."""
        R = self.posterior.correlation
        pairs = [(i, j) for i in range(len(R)) for j in range(i) if abs(R[i, j]) > CORRELATED]
        pairs.sort(key=lambda pair: -abs(R[pair]))
        return [{"pair": [self.items[j].name, self.items[i].name], "correlation": float(R[i, j])} for i, j in pairs]

    def warnings(self) -> list[str]:
        """What a user should know before trusting the estimates, one sentence each."""
        said = [] if self.converged else ["The fit did not converge; give a longer log or fewer groups."]
        untold = [item.name for item, told in zip(self.items, self.told, strict=True) if not told]
        if untold:
            said.append(f"The data hardly tell {', '.join(untold)}: their estimates lean on the prior.")
        if self.items[0].group == "payload" and self.values[0] < 3 * self.std[0]:
            said.append("The payload's mass is within three standard deviations of 0; then its centre means nothing.")
        slowest = float(self.posterior.correlation_time.max())
        if slowest > SLOW:
            said.append(
                f"Residuals are correlated over {slowest:.1f} samples: the model misses something (other groups, "
                "latency, what the twin does not have), so estimates may be biased by more than their intervals say."
            )
        return said


def _rms(residual: np.ndarray) -> dict[str, float]:
    """Root mean square of positions and velocities. residual: (W, L, 2n)."""
    q, qd = np.split(residual, 2, axis=-1)
    return {"position_rad": float(np.sqrt(np.mean(q**2))), "velocity_rad_s": float(np.sqrt(np.mean(qd**2)))}
