"""What a path can be made better in, differentiable: how long it takes, how it jerks, how near it comes to anything.

Also what it must not lose by it: limits at a given duration, and the margin that everything sampled here keeps.
"""

from typing import Any

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.dynamics import inverse_dynamics
from armctl.motion import spline
from armctl.motion.collision import floor_distances, pair_distances, scene_distances
from armctl.scene.body import Scene
from armctl.typing import Array

NEAR = 0.1  # m; what is farther away does not crowd
SHARE = 0.99  # of a limit, beyond which a path is pushed back
SHARPNESS = 60.0  # of the smooth maximum over samples, joints and limits
PLACES = 33  # of a path, where distances are measured


def limit_times(arm: Arm, points: jax.Array) -> jax.Array:
    """Durations (..., L) s that each limit of each joint asks for at each sample of paths (..., C, n) rad.

    The greatest of them is the shortest duration, as `spline.minimal_duration` has it.
    """
    q, dq, d2q, d3q = spline.evaluate(points, spline.TIMING_SAMPLES)
    still = jnp.zeros_like(q)
    weight, torque = inverse_dynamics(arm, q[None], jnp.stack([still, dq]), jnp.stack([still, d2q]))
    dynamic = torque - weight
    # where gravity alone is nearly too much the duration is long, but not infinite: it has to have a slope
    room = jnp.maximum(arm.effort - jnp.sign(dynamic) * weight, 1e-3 * arm.effort)
    rates = ((dq, arm.velocity, 1.0), (d2q, arm.acceleration, 1 / 2), (d3q, arm.jerk, 1 / 3), (dynamic, room, 1 / 2))
    # the tiny constant keeps the slope of roots finite at rest
    times = [jnp.exp(power * jnp.log(jnp.abs(x) / limit + 1e-6)) + still for x, limit, power in rates]
    return jnp.concatenate(times, axis=-1).reshape(*points.shape[:-2], -1)


def smooth_duration(times: jax.Array) -> jax.Array:
    """Greatest of durations (..., L) s, smoothed -> (...)."""
    return jnp.exp(jax.nn.logsumexp(SHARPNESS * jnp.log(times), axis=-1) / SHARPNESS)


def overuse(times: jax.Array, duration: Array) -> jax.Array:
    """By how much limits are exceeded in a duration (...) s: squared shares, summed; times as `limit_times`."""
    return jnp.sum(jnp.maximum(times / duration[..., None] - SHARE, 0.0) ** 2, axis=-1)


def jerk(limits: Any, points: Array, duration: Array) -> Array:
    """Root mean square jerk (...) as a share of the limits, of paths (..., C, n) rad run in a duration (...) s."""
    xp = points.__array_namespace__()
    d3q = spline.evaluate(points, spline.TIMING_SAMPLES)[3]
    shares = d3q / xp.asarray(limits.jerk, dtype=points.dtype)
    return xp.sqrt(xp.mean(shares**2, axis=(-2, -1))) / duration**3


def gaps(arm: Any, points: Array, scene: Scene | None = None) -> Array:
    """Distances (..., PLACES, G) m along paths (..., C, n) rad: of spheres from one another, the floor and a scene."""
    q = spline.evaluate(points, PLACES, derivatives=0)[0]
    xp = q.__array_namespace__()
    found = [pair_distances(arm, q), floor_distances(arm, q)]
    if scene is not None:
        found.append(scene_distances(arm, q, scene).reshape(*q.shape[:-1], -1))
    return xp.concat(found, axis=-1)


def crowding(distances: Array) -> Array:
    """How far distances (..., K, G) m fall short of NEAR, root of the mean over K of summed squares -> (...) m."""
    tiny = 1e-16  # a root has no slope at zero
    return (_shortfall(distances, NEAR) + tiny) ** 0.5 - tiny**0.5


def intrusion(distances: Array, margin: float) -> Array:
    """Squared shares of a margin (m) that distances (..., K, G) m take away, summed over G, mean over K -> (...)."""
    return _shortfall(distances, margin) / margin**2


def _shortfall(distances: Array, margin: float) -> Array:
    xp = distances.__array_namespace__()
    short = xp.maximum(margin - distances, xp.zeros_like(distances))
    return xp.mean(xp.sum(short**2, axis=-1), axis=-1)
