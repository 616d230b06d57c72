"""How well an arm's parameters are found from five seconds of motion, and whether the stated intervals hold.

A PyBullet Panda carries 1.5 kg off centre and moves for 5 s; excitation and sensor noise change with the seed, and in
the last case friction and link inertia as well. Writes runs/identify/summary.json and identify.png.

    python experiments/identify.py
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from armctl import store
from armctl.chain import Chain
from armctl.identify.fit import FitConfig, identify
from armctl.identify.record import record
from armctl.identify.result import Identification
from armctl.plant.scenario import Scenario
from armctl.plot_style import PALETTE, figure_style
from armctl.urdf import load_chain

LOAD = Scenario(payload_mass=1.5, payload_com=(0.03, -0.02, 0.06))
NOISE = {"position_noise": 1e-5, "velocity_noise": 1e-3}
CASES: dict[str, tuple[tuple[str, ...], dict[str, float]]] = {
    "payload, no noise": (("payload",), {}),
    "payload, 1e-5 rad and 1e-3 rad/s": (("payload",), NOISE),
    "payload, 1e-4 rad and 1e-2 rad/s": (("payload",), {"position_noise": 1e-4, "velocity_noise": 1e-2}),
    "payload, friction and link inertia, 1e-5 rad and 1e-3 rad/s": (("payload", "friction", "inertia"), NOISE),
}
"""Groups that are estimated, and the sensors' noise."""
DRAWN = "payload, 1e-5 rad and 1e-3 rad/s"
"""Case of the picture."""


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    seeds: int = 50
    """Repetitions of every case of the payload."""
    joint_seeds: int = 20
    """Repetitions of the case in which everything is estimated."""
    seconds: float = 5.0
    """Duration of the excitation, s."""
    out: Path = Path("runs/identify")
    """Run folder."""
    overwrite: bool = False
    """Replace an earlier run."""


def true_plant(chain: Chain, groups: tuple[str, ...], noise: dict[str, float], seed: int) -> Scenario:
    """The payload, and where they are estimated friction up to 1 % of the effort limits and inertia 10 % off."""
    rng, scenario = np.random.default_rng(seed), replace(LOAD, **noise, seed=seed)  # type: ignore[arg-type]
    if "friction" not in groups:
        return scenario
    viscous, coulomb = (tuple((chain.effort * rng.uniform(0, 0.01, chain.n)).tolist()) for _ in range(2))
    factors = tuple(rng.uniform(0.9, 1.1, chain.n).tolist())
    return replace(scenario, viscous=viscous, coulomb=coulomb, inertia_scale=factors, latency=1)


def row(fits: list[Identification], truths: list[np.ndarray], seconds: list[float]) -> dict[str, Any]:
    """Figures of one case."""
    error = np.array([fit.values - truth for fit, truth in zip(fits, truths, strict=True)])
    held = np.array([covered(fit, truth) for fit, truth in zip(fits, truths, strict=True)])
    mass, centre = 100 * np.abs(error[:, 0]) / LOAD.payload_mass, 1000 * np.linalg.norm(error[:, 1:4], axis=1)
    names = [item.name for item in fits[0].items]
    return {
        "seeds": len(fits),
        "mass_error_percent": {"median": np.median(mass), "max": mass.max()},
        "centre_error_mm": {"median": np.median(centre), "max": centre.max()},
        "coverage": dict(zip(names, held.mean(axis=0).tolist(), strict=True)),
        "coverage_overall": held.mean(),
        "worst_std": dict(zip(names, np.max([fit.std for fit in fits], axis=0).tolist(), strict=True)),
        "max_error": dict(zip(names, np.abs(error).max(axis=0).tolist(), strict=True)),
        "latency_found": sum(fit.latency == fits[0].latency for fit in fits) / len(fits),
        "converged": sum(fit.converged for fit in fits),
        "parameters_told_by_data": [int(fit.told.sum()) for fit in fits],
        "correlated": [fit.correlated()[:3] for fit in fits],
        "seconds_first": seconds[0],
        "seconds_median": np.median(seconds[1:]),
    }


def covered(fit: Identification, truth: np.ndarray) -> np.ndarray:
    """Whether the 95 % interval of each parameter holds the truth."""
    low, high = fit.interval
    return (low <= truth) & (truth <= high)


def draw(fits: list[Identification], truth: np.ndarray, path: Path) -> None:
    """The intervals of mass and centre over the seeds."""
    from matplotlib.figure import Figure

    with figure_style():
        figure = Figure(figsize=(11, 3.4), layout="constrained", facecolor="white")
        for i, axes in enumerate(np.ravel(figure.subplots(1, 4))):
            unit, scale = ("g", 1e3) if i == 0 else ("µm", 1e6)
            for seed, fit in enumerate(fits):
                good, middle = bool(covered(fit, truth)[i]), scale * (fit.values[i] - truth[i])
                tint, half = PALETTE["learned"][0] if good else "#D55E00", scale * (fit.interval[1][i] - fit.values[i])
                axes.plot([middle - half, middle + half], [seed, seed], color=tint, lw=3, alpha=0.35)
                axes.plot(middle, seed, "o", ms=4.5, color=tint, mec="white", mew=0.6)
            axes.axvline(0, color="#1b2330", lw=1)
            axes.set(title=fit.items[i].name, xlabel=f"deviation from the truth, {unit}", yticks=[])
            axes.grid(axis="y", visible=False)
        figure.axes[0].set_ylabel("seeds")
        figure.savefig(path, dpi=160, facecolor="white")


def main(args: Args) -> None:
    """Record, identify, print and save."""
    out = store.create_run(args.out, args, overwrite=args.overwrite)
    chain, rows = load_chain(args.robot), {}
    for number, (name, (groups, noise)) in enumerate(CASES.items()):
        fits, truths, seconds = [], [], []
        for seed in range(args.joint_seeds if len(groups) > 1 else args.seeds):
            scenario = true_plant(chain, groups, noise, 1000 * number + seed)
            log = record(chain, scenario, seconds=args.seconds, seed=seed)
            started = time.perf_counter()
            fits.append(identify(chain, [replace(log, truth=None)], FitConfig(groups=groups)))
            seconds.append(time.perf_counter() - started)
            truths.append(fits[-1].known(chain, scenario))
        rows[name] = row(fits, truths, seconds)
        print(name, {key: rows[name][key] for key in ("mass_error_percent", "centre_error_mm", "coverage_overall")})
        print("  coverage", rows[name]["coverage"])
        print(f"  {np.median(seconds[1:]):.1f} s, first {seconds[0]:.1f} s", flush=True)
        if name == DRAWN:
            draw(fits, truths[0], out / "identify.png")
    facts = {"seconds": args.seconds, "payload_kg": LOAD.payload_mass}
    summary = {"rows": rows, **facts, "machine": store.machine(), "versions": store.versions()}
    store.write_json(out / "summary.json", summary)
    store.finish_run(out)


if __name__ == "__main__":
    main(tyro.cli(Args))
