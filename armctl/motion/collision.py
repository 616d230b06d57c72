"""Distance of an arm from itself, the floor and a scene, by spheres that cover its shapes.

Chain in NumPy, Arm in JAX. A scene is a Scene or, where one compiled function shall serve several, its SceneArrays.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from armctl import rigid
from armctl.chain import Chain
from armctl.scene.body import Scene
from armctl.scene.distance import SceneArrays, signed_distance
from armctl.spheres import sphere_pairs, spheres
from armctl.typing import Array, Joint

ArmLike = Any
"""A Chain, for NumPy, or an Arm, for JAX, which is not imported for it."""
FLOOR = 0.0  # m, height of the ground plane under the base frame
MARGIN = 0.02  # m kept free by everything that is sampled here


class Spheres(NamedTuple):
    """Covering spheres of an arm."""

    link: Int[np.ndarray, "S"]  # index of the link that each rides on, -1 for the base
    center: Float[Array, "S 3"]  # m, in the link frame
    radius: Float[Array, "S"]  # m
    pairs: Int[np.ndarray, "P 2"]  # that must stay apart


@lru_cache(maxsize=32)
def _chain_spheres(chain: Chain) -> Spheres:
    link, center, radius = (np.asarray(x) for x in spheres(chain))
    return Spheres(link, center, radius, np.array(sphere_pairs(chain), int).reshape(-1, 2))


@lru_cache(maxsize=32)
def _chain_resting(chain: Chain) -> Array:
    return sphere_centers(chain, chain.home)


def _resting(arm: ArmLike, like: Array) -> Array:
    """Centres (S, 3) m of the covering spheres at home."""
    if isinstance(arm, Chain):
        return _chain_resting(arm)
    return sphere_centers(arm, like.__array_namespace__().asarray(arm.home, dtype=like.dtype))


def _model(arm: ArmLike) -> tuple[Spheres, Any]:
    if isinstance(arm, Chain):
        return _chain_spheres(arm), rigid
    from armctl import kinematics

    pairs = np.array(arm.sphere_pairs, int).reshape(-1, 2)
    return Spheres(np.array(arm.sphere_link, int), arm.sphere_center, arm.sphere_radius, pairs), kinematics


def sphere_centers(arm: ArmLike, q: Joint) -> Float[Array, "*batch S 3"]:
    """World centres of the covering spheres. arm: Chain (NumPy) or Arm (JAX); q (..., n) rad -> (..., S, 3) m."""
    model, kinematics = _model(arm)
    if len(model.link) == 0:
        return kinematics.forward_kinematics(arm, q)[..., None, :3, 3][..., :0, :]
    T = kinematics.link_poses(arm, q)
    xp = T.__array_namespace__()
    center = xp.asarray(model.center, dtype=T.dtype)
    riding = T[..., np.maximum(model.link, 0), :3, :]
    # written out, for NumPy multiplies small matrices one by one
    moved = riding[..., 3] + sum(riding[..., k] * center[:, k, None] for k in range(3))
    return xp.where((model.link < 0)[:, None], center, moved)


def _differences(x: Array, pairs: Int[np.ndarray, "P 2"]) -> Array:
    """x[first] - x[second] (..., P) of pairs (first, second) of x (..., S)."""
    first, second = pairs[:, 0], pairs[:, 1]
    if isinstance(x, np.ndarray):
        return x[..., first] - x[..., second]
    # The derivative of a gather is a scatter, which takes ten times as long as this product does forward and back.
    chosen = np.equal.outer(np.arange(x.shape[-1]), pairs).astype(x.dtype)
    return x.__array_namespace__().matmul(x, chosen[..., 0] - chosen[..., 1], precision="highest")


def _pair_distances(model: Spheres, centers: Array) -> Array:
    xp = centers.__array_namespace__()
    first, second = model.pairs[:, 0], model.pairs[:, 1]
    # one coordinate at a time: three contiguous loops are far faster than a reduction over an axis of length 3
    x, y, z = (_differences(centers[..., k], model.pairs) for k in range(3))
    radius = xp.asarray(model.radius, dtype=centers.dtype)
    # the tiny constant keeps the gradient finite where two centres coincide
    return xp.sqrt(x * x + y * y + z * z + 1e-12) - (radius[first] + radius[second])


def pair_distances(arm: ArmLike, q: Joint) -> Float[Array, "*batch P"]:
    """Signed gap of every sphere pair that must stay apart. q (..., n) rad -> (..., P) m, negative in collision."""
    return _pair_distances(_model(arm)[0], sphere_centers(arm, q))


def _floor_distances(arm: ArmLike, model: Spheres, centers: Array) -> Array:
    xp = centers.__array_namespace__()
    radius = xp.asarray(model.radius, dtype=centers.dtype)
    bound = (model.link >= 0) & (_resting(arm, centers)[..., 2] - radius > FLOOR)
    return xp.where(bound, centers[..., 2] - radius - FLOOR, xp.inf)


def floor_distances(arm: ArmLike, q: Joint) -> Float[Array, "*batch S"]:
    """Height of every sphere above the floor, inf for those on the floor at home. q (..., n) rad -> (..., S) m."""
    model, _ = _model(arm)
    return _floor_distances(arm, model, sphere_centers(arm, q))


def _scene_distances(arm: ArmLike, model: Spheres, centers: Array, scene: Scene | SceneArrays) -> Array:
    xp = centers.__array_namespace__()
    radius = xp.asarray(model.radius, dtype=centers.dtype)[:, None]
    bound = (model.link >= 0)[:, None] & (signed_distance(scene, _resting(arm, centers)) - radius > 0)
    return xp.where(bound, signed_distance(scene, centers) - radius, xp.inf)


def scene_distances(arm: ArmLike, q: Joint, scene: Scene | SceneArrays) -> Float[Array, "*batch S K"]:
    """Signed gap of every sphere to every body of a scene. q (..., n) rad -> (..., S, K) m, negative in collision.

    inf for spheres of the base and for those that touch a body at home, where the arm itself does not.
    """
    return _scene_distances(arm, _model(arm)[0], sphere_centers(arm, q), scene)


def clearance(arm: ArmLike, q: Joint, scene: Scene | SceneArrays | None = None) -> Float[Array, "*batch"]:
    """Smallest gap to itself, the floor or a scene. q (..., n) rad -> (...) m; negative in collision, inf if none can
    touch."""
    model, _ = _model(arm)
    centers = sphere_centers(arm, q)
    xp = centers.__array_namespace__()
    far = xp.full((*centers.shape[:-2], 1), xp.inf, dtype=centers.dtype)
    gaps = [far, _pair_distances(model, centers), _floor_distances(arm, model, centers)]
    if scene is not None and len(model.link):
        gaps.append(xp.min(_scene_distances(arm, model, centers, scene), axis=-1))
    return xp.min(xp.concat(gaps, axis=-1), axis=-1)


@lru_cache(maxsize=64)
def safe_margin(chain: Chain, scene: Scene | None = None) -> float:
    """Clearance to ask of sampled motions, m: MARGIN, or half of what the arm has at home where it is built tighter."""
    return float(min(MARGIN, clearance(chain, chain.home, scene) / 2))


def blind_bodies(chain: Chain, scene: Scene) -> list[tuple[int, int]]:
    """Links and bodies (indices) of which spheres do not say everything, for some touch at home: see `blind_pairs`."""
    model = _chain_spheres(chain)
    touching = signed_distance(scene, _chain_resting(chain)) - model.radius[:, None] <= 0
    pairs = {(int(model.link[sphere]), int(body)) for sphere, body in np.argwhere(touching) if model.link[sphere] >= 0}
    return sorted(pairs)


def clearance_bounds(
    chain: Chain, q: Float[np.ndarray, "K n"], pairs: Sequence[tuple[int, int]], links: Sequence[int]
) -> tuple[Float[np.ndarray, "K P"], Float[np.ndarray, "K L"]]:
    """Lower bounds of link distances along q (K, n): pairs [(i, j)] -> (K, P) m, links over the floor -> (K, L) m.

    By the covering spheres of the links (-1: the base); inf where a link has no shape.
    """
    model, near = _chain_spheres(chain), _sphere_groups(chain, tuple(pairs))
    centers = sphere_centers(chain, q)
    gaps, heights = np.full((len(q), len(pairs)), np.inf), np.full((len(q), len(links)), np.inf)
    if len(near.pairs):
        found = _pair_distances(model._replace(pairs=near.pairs), centers)
        gaps[:, near.shaped] = np.minimum.reduceat(found, near.starts, axis=1)
    for k, link in enumerate(links):
        own = model.link == link
        heights[:, k] = (centers[:, own, 2] - model.radius[own]).min(axis=1, initial=np.inf) - FLOOR
    return gaps, heights


def scene_bounds(
    chain: Chain, q: Float[np.ndarray, "K n"], scene: Scene, pairs: Sequence[tuple[int, int]]
) -> Float[np.ndarray, "K P"]:
    """Lower bounds (K, P) m, along q (K, n), of the distance of link i and body k of a scene, pairs [(i, k)]."""
    model = _chain_spheres(chain)
    gaps = signed_distance(scene, sphere_centers(chain, q)) - model.radius[:, None]
    nearest = [gaps[:, model.link == link, body].min(axis=1, initial=np.inf) for link, body in pairs]
    return np.stack(nearest, axis=1) if nearest else np.empty((len(q), 0))


class _Groups(NamedTuple):
    """Pairs of spheres (P, 2), links by links; where each pair of links begins, and which of those asked for it is."""

    pairs: np.ndarray
    starts: np.ndarray
    shaped: np.ndarray


@lru_cache(maxsize=32)
def _sphere_groups(chain: Chain, links: tuple[tuple[int, int], ...]) -> _Groups:
    """The spheres that may come nearest, of pairs of links that have some."""
    own = {link: np.flatnonzero(_chain_spheres(chain).link == link) for link in range(-1, chain.n)}
    groups = [np.stack(np.meshgrid(own[i], own[j]), axis=-1).reshape(-1, 2) for i, j in links]
    sizes = np.array([len(group) for group in groups], int)
    starts = np.cumsum(sizes) - sizes
    return _Groups(np.concatenate([np.empty((0, 2), int), *groups]), starts[sizes > 0], np.flatnonzero(sizes))
