"""What an audit of a controller runs on; recorded in `config.json`."""

from dataclasses import dataclass

from armctl.errors import UsageError
from armctl.learn.tune import TuneConfig
from armctl.plant.presets import check_preset
from armctl.plant.servo import ServoConfig
from armctl.settings import check_finite


@dataclass(frozen=True)
class ControllerAuditConfig:
    """How a controller is audited."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    scenario: str = "combined"
    """Preset from which the true plants are drawn; the controller is not told."""
    episodes: int = 24
    """Episodes per condition."""
    seconds: float = 3.0
    """Longest part of a motion that is run, s."""
    seed: int = 1
    """Seed of the plants and perturbations."""
    references: int = TuneConfig.references
    """Motions in the training set; with the seed of training they are met again."""
    trained_on: str = TuneConfig.scenario
    """Presets of the training plants, separated by commas."""
    trained_seed: int = 0
    """Seed of training: of its motions and plants."""
    control_dt: float = 0.01
    """Time a command is held, s."""
    physics_dt: float = 0.002
    """Physics step, s."""

    def __post_init__(self) -> None:
        check_finite(self)
        for name in ("episodes", "references"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; an audit needs at least 1.")
        if not 0.5 <= self.seconds <= 60:
            raise UsageError(f"seconds is {self.seconds:g}; give the longest part of a motion, from 0.5 to 60 s.")
        for name in (self.scenario, *self.presets):
            check_preset(name)
        ServoConfig(physics_dt=self.physics_dt, control_dt=self.control_dt)  # refuses steps that do not fit

    @property
    def presets(self) -> list[str]:
        """Presets of the training plants."""
        return [name.strip() for name in self.trained_on.split(",")]

    @property
    def samples(self) -> int:
        """Samples of the longest motion."""
        return round(self.seconds / self.control_dt) + 1
