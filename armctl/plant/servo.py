"""The joint-level law, stated once for plant and twin; it runs at the physics rate on NumPy or JAX arrays.

Velocity and position loops are scaled by the nominal inertia M, so that every joint contracts at the same rate: with
tau = M k (v - qd) + g the nominal arm's velocity error shrinks by (1 - k dt) per physics step in every configuration.
M and g are the *nominal* model's, sampled once per control step.
"""

from dataclasses import dataclass

from armctl.errors import UsageError
from armctl.geometry import matvec
from armctl.settings import check_finite
from armctl.typing import Array

CONTROLS = ("torque", "velocity", "position", "ee_twist")
MOTORS = ("servo", "bullet")
TWIST_LIMIT = (0.5, 0.5, 0.5, 1.5, 1.5, 1.5)  # m/s, rad/s: full scale of an ee_twist action
TWIST_DAMPING = 0.05
FRICTION_VELOCITY = 0.1
"""Velocity from which on the servo counts on the arm's whole dry friction, rad/s."""
TOP_SPEED = 100.0
"""Speed at which Bullet caps every joint, in plant and twin, rad/s (m/s): beyond all arms, within all bounds."""
AT_LIMIT = 1 - 1e-6
"""Share of its limit from which a motor counts as saturated where the torque is solved for, and so rounded."""


@dataclass(frozen=True)
class ServoConfig:
    """How commands become joint torques."""

    control: str = "velocity"
    """torque | velocity | position | ee_twist."""
    physics_dt: float = 0.002
    """Physics step, s."""
    control_dt: float = 0.01
    """Time a command is held, s; a whole number of physics steps."""
    velocity_gain: float = 100.0
    """Contraction rate of the velocity loop, 1/s."""
    position_gain: float = 25.0
    """Contraction rate of the position loop around it, 1/s (a quarter of the inner one: critically damped)."""

    def __post_init__(self) -> None:
        check_finite(self)
        if self.control not in CONTROLS:
            raise UsageError(f"Unknown control mode {self.control!r}; choose one of {', '.join(CONTROLS)}.")
        ratio = self.control_dt / self.physics_dt if self.physics_dt > 0 else 0.0
        if not 1 <= ratio < float("inf") or abs(ratio - round(ratio)) > 1e-6:
            raise UsageError(
                f"control_dt {self.control_dt} s is not a whole number of physics steps of {self.physics_dt} s; "
                "choose a multiple."
            )
        if self.velocity_gain * self.physics_dt >= 2:
            raise UsageError(
                f"velocity_gain {self.velocity_gain} 1/s is unstable at a physics step of {self.physics_dt} s; "
                "keep their product below 2."
            )

    @property
    def substeps(self) -> int:
        """Physics steps per control step."""
        return round(self.control_dt / self.physics_dt)


def check_motor(motor: str, control: str) -> None:
    """Raise UsageError for an unknown motor, and for Bullet's own motors in torque control."""
    if motor not in MOTORS:
        raise UsageError(f"Unknown motor {motor!r}; choose one of {', '.join(MOTORS)}.")
    if motor == "bullet" and control == "torque":
        raise UsageError("control='torque' needs motor='servo': Bullet's motors take velocities and positions.")


def neutral_command(control: str, g: Array) -> Array:
    """Command that asks for nothing, with which a latency queue starts: hold against gravity, or stay.

    g: (..., n) nominal gravity torque at the start -> (..., n), or (..., 6) for ee_twist.
    """
    if control == "torque":
        return g
    xp = g.__array_namespace__()
    width = 6 if control == "ee_twist" else g.shape[-1]
    return xp.zeros((*g.shape[:-1], width), dtype=g.dtype)


def joint_velocity_from_twist(J: Array, twist: Array, limit: Array) -> Array:
    """Damped least-squares joint velocity for a tip twist, scaled down as a whole to respect the velocity limits.

    J: (..., 6, n) at the tip; twist: (..., 6) m/s, rad/s; limit: (n,) rad/s -> (..., n) rad/s. (Wampler 1986.)
    """
    xp = J.__array_namespace__()
    A = J @ J.swapaxes(-1, -2) + TWIST_DAMPING**2 * xp.eye(6, dtype=J.dtype)
    qd = matvec(J.swapaxes(-1, -2), xp.linalg.solve(A, twist[..., None])[..., 0])
    worst = xp.max(xp.abs(qd) / limit, axis=-1, keepdims=True)
    return qd / xp.maximum(worst, xp.ones_like(worst))


def commanded_torque(
    config: ServoConfig,
    command: Array,
    q: Array,
    qd: Array,
    M: Array,
    g: Array,
    velocity_limit: Array,
    damping: Array,
    friction: Array,
) -> Array:
    """Torque the servo asks for, before saturation.

    command: (..., n) torque (N m), velocity (rad/s; ee_twist is converted first) or position target (rad);
    q, qd: (..., n); M: (..., n, n), g: (..., n) nominal inertia and gravity torque; damping, friction: (n,) N m s/rad
    and N m, the nominal arm's own, fed forward at the velocity wanted -> (..., n) N m.
    """
    if config.control == "torque":
        return command
    xp = q.__array_namespace__()
    if config.control == "position":
        command = config.position_gain * (command - q)
        command = xp.minimum(xp.maximum(command, -velocity_limit), velocity_limit)
    own = damping * command + friction * xp.tanh(command / FRICTION_VELOCITY)
    return matvec(M, config.velocity_gain * (command - qd)) + g + own


def saturated(tau: Array, effort: Array) -> Array:
    """The torque within the effort limits. tau, effort: (..., n) N m -> (..., n) N m."""
    xp = tau.__array_namespace__()
    return xp.minimum(xp.maximum(tau, -effort), effort)
