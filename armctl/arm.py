"""Arm: one serial chain as a frozen pytree of arrays, the form that every JAX function of the library takes."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import DTypeLike

from armctl import spheres, urdf
from armctl.chain import Chain
from armctl.rigid import about_origin
from armctl.typing import Array

_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Arm:
    """A serial arm with z-aligned link frames; leaves are NumPy float64 as loaded and may carry batch axes in front."""

    name: str = field(metadata=_STATIC)
    joint_names: tuple[str, ...] = field(metadata=_STATIC)
    joint_types: tuple[str, ...] = field(metadata=_STATIC)
    tip: str = field(metadata=_STATIC)
    sphere_link: tuple[int, ...] = field(metadata=_STATIC)
    sphere_pairs: tuple[tuple[int, int], ...] = field(metadata=_STATIC)
    R_parent_link: np.ndarray  # (n, 3, 3) link frame in its parent's at q = 0, z along the joint axis
    p_parent_link: np.ndarray  # (n, 3) m
    R_last_tip: np.ndarray  # (3, 3)
    p_last_tip: np.ndarray  # (3,) m
    mass: np.ndarray  # (n,) kg
    first_moment: np.ndarray  # (n, 3) kg m, mass times centre of mass, link frame
    inertia: np.ndarray  # (n, 3, 3) kg m^2 about the link origin, link axes
    damping: np.ndarray  # (n,) N m s/rad
    friction: np.ndarray  # (n,) N m
    lower: np.ndarray  # (n,) rad, -inf where continuous
    upper: np.ndarray  # (n,) rad, inf where continuous
    velocity: np.ndarray  # (n,) rad/s
    acceleration: np.ndarray  # (n,) rad/s^2
    jerk: np.ndarray  # (n,) rad/s^3
    effort: np.ndarray  # (n,) N m
    home: np.ndarray  # (n,) rad
    sphere_center: np.ndarray  # (S, 3) m, in the frame of the link each sphere rides on
    sphere_radius: np.ndarray  # (S,) m

    @property
    def n(self) -> int:
        """Number of joints."""
        return len(self.joint_names)

    @classmethod
    def from_chain(cls, chain: Chain) -> "Arm":
        """Arrays of a chain read from a URDF, each a copy.

        JAX remembers NumPy arrays that a jitted function closes over by their identity, whatever the precision: arms
        that shared the chain's arrays would break one another where one is used in double and one in single precision.
        """
        link, center, radius = spheres.spheres(chain)
        same = ["name", "joint_names", "joint_types", "tip", "mass", "damping", "friction", "lower", "upper"]
        same += ["velocity", "acceleration", "jerk", "effort", "home"]
        return cls(
            **{name: _copied(getattr(chain, name)) for name in same},
            sphere_link=tuple(int(i) for i in link),
            sphere_pairs=tuple((int(i), int(j)) for i, j in spheres.sphere_pairs(chain)),
            R_parent_link=chain.T_parent_joint[:, :3, :3].copy(),
            p_parent_link=chain.T_parent_joint[:, :3, 3].copy(),
            R_last_tip=chain.T_last_tip[:3, :3].copy(),
            p_last_tip=chain.T_last_tip[:3, 3].copy(),
            first_moment=chain.mass[:, None] * chain.com,
            inertia=about_origin(chain.mass, chain.com, chain.inertia),
            sphere_center=np.array(center),
            sphere_radius=np.array(radius),
        )

    def with_params(self, mass: Array, first_moment: Array, inertia: Array) -> "Arm":
        """The same kinematics with other inertial parameters, possibly batched.

        mass: (..., n) kg; first_moment: (..., n, 3) kg m; inertia: (..., n, 3, 3) kg m^2 about the link origins.
        """
        return replace(self, mass=mass, first_moment=first_moment, inertia=inertia)

    def astype(self, dtype: DTypeLike) -> "Arm":
        """Every array in one floating-point type, copied."""
        arrays: dict[str, Any] = {
            f.name: np.array(getattr(self, f.name), dtype) for f in fields(self) if not f.metadata.get("static")
        }
        return replace(self, **arrays)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def load_arm(name_or_path: str | Path, tip: str | None = None) -> Arm:
    """Load an arm by the name of a shipped robot or the path of any serial-chain URDF.

    tip: link that is tracked; the file's own choice or the end of the longest chain when None.
    Raises UsageError, in one sentence, for a robot or file that cannot be used.
    """
    return Arm.from_chain(urdf.load_chain(name_or_path, tip))
