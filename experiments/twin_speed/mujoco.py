"""MuJoCo and MJX among the libraries that run.py times."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from armctl.chain import Chain
from armctl.urdf.write import write_urdf
from experiments.twin_speed.peer import FD, FK, ID, JAC, MASS, VJP, Peer, with_vjp


def mujoco_model(chain: Chain) -> Any:
    """The canonical URDF as a MuJoCo model: same inertias, no geometry, contacts and limits off."""
    import mujoco

    spec = mujoco.MjSpec.from_string(write_urdf(chain))
    spec.compiler.inertiafromgeom = 0
    for body in spec.bodies:
        for geom in list(body.geoms):
            spec.delete(geom)
    model = spec.compile()
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    return model


def mjx_peer(chain: Chain, batches: tuple[int, ...]) -> Peer:
    """MJX, batched by vmap: for each function the stages of mjx.forward that it needs."""
    from mujoco import mjx

    host = mujoco_model(chain)
    model, last = mjx.put_model(host), host.nbody - 1
    R, p = jnp.asarray(chain.T_last_tip[:3, :3]), jnp.asarray(chain.T_last_tip[:3, 3])

    def data(q, qd=None, u=None):
        still = jnp.zeros_like(q)
        made = mjx.make_data(model)
        made = jax.tree.map(lambda x: x.astype(q.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, made)
        return made.replace(qpos=q, qvel=still if qd is None else qd, qfrc_applied=still if u is None else u)

    def tip(d):
        return d.xpos[last] + d.xmat[last] @ p.astype(d.xpos.dtype), d.xmat[last] @ R.astype(d.xpos.dtype)

    def pose(q, qd, u):
        position, rotation = tip(mjx.kinematics(model, data(q)))
        return jnp.eye(4, dtype=q.dtype).at[:3, 3].set(position).at[:3, :3].set(rotation)

    def jac(q, qd, u):
        d = mjx.com_pos(model, mjx.kinematics(model, data(q)))
        linear, angular = mjx.jac(model, d, tip(d)[0], last)
        return jnp.concatenate([linear.T, angular.T])

    def mass(q, qd, u):
        d = mjx.crb(model, mjx.com_pos(model, mjx.kinematics(model, data(q))))
        return mjx.full_m(model, d)

    def inverse(q, qd, u):
        return mjx.inverse(model, data(q, qd).replace(qacc=u)).qfrc_inverse

    forward = jax.vmap(lambda q, qd, u: mjx.forward(model, data(q, qd, u)).qacc)
    functions = {FK: pose, JAC: jac, ID: inverse, MASS: mass}
    functions = {name: jax.vmap(f) for name, f in functions.items()} | {FD: forward, VJP: with_vjp(forward)}
    # XLA's newer fusion compiles these functions into programs that take a thousand times as long on a CPU
    options = {"xla_cpu_use_fusion_emitters": False}
    notes = {ID: "mjx.inverse", FD: "mjx.forward"}
    return Peer("MJX", functions, jax=True, batches=batches, cpu_options=options, notes=notes)


def mujoco_loop(chain: Chain) -> Peer:
    """MuJoCo's C functions called in a Python loop over the batch."""
    import mujoco

    model = mujoco_model(chain)
    data = mujoco.MjData(model)

    def inverse(q, qd, u):
        data.qpos[:], data.qvel[:], data.qacc[:] = q, qd, u
        mujoco.mj_inverse(model, data)
        return data.qfrc_inverse.copy()

    def forward(q, qd, u):
        data.qpos[:], data.qvel[:], data.qfrc_applied[:] = q, qd, u
        mujoco.mj_forward(model, data)
        return data.qacc.copy()

    functions: dict[str, Callable] = {
        **{name: partial(_over_positions, f) for name, f in _position_functions(chain, model, data).items()},
        ID: lambda q, qd, u: [inverse(*x) for x in zip(q, qd, u, strict=True)],
        FD: lambda q, qd, u: [forward(*x) for x in zip(q, qd, u, strict=True)],
    }
    notes = {FK: "mj_kinematics", JAC: "kinematics, comPos, jac", ID: "mj_inverse", FD: "mj_forward"}
    notes[MASS] = "kinematics, comPos, makeM, fullM"
    return Peer("MuJoCo, Python loop", functions, notes=notes, comparable={FK: partial(_tips, chain)})


def _over_positions(f, q, qd, u):
    return [f(x) for x in q]


def _position_functions(chain: Chain, model: Any, data: Any) -> dict[str, Any]:
    """The functions of one configuration (n,) alone."""
    import mujoco

    last, n = model.nbody - 1, model.nv
    linear, angular, full = np.zeros((3, n)), np.zeros((3, n)), np.zeros((n, n))
    p = chain.T_last_tip[:3, 3]

    def pose(q):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        return data.xpos[last].copy(), data.xmat[last].copy()

    def jac(q):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_jac(model, data, linear, angular, data.xpos[last] + data.xmat[last].reshape(3, 3) @ p, last)
        return np.concatenate([linear, angular])

    def mass(q):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_makeM(model, data)
        mujoco.mj_fullM(model, data, full)
        return full.copy()

    return {FK: pose, JAC: jac, MASS: mass}


def _tips(chain: Chain, rows, *_):
    """Tip poses (B, 4, 4) from the last link's."""
    T = np.tile(np.eye(4), (len(rows), 1, 1))
    for k, (position, rotation) in enumerate(rows):
        T[k, :3, 3], T[k, :3, :3] = position, rotation.reshape(3, 3)
    return T @ chain.T_last_tip


def mujoco_rollout(chain: Chain, threads: int) -> Peer:
    """One physics step by mujoco.rollout on all threads."""
    import mujoco
    from mujoco import rollout

    model, n = mujoco_model(chain), chain.n
    pool, datas = rollout.Rollout(nthread=threads), [mujoco.MjData(model) for _ in range(threads)]
    size, torque = mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS), mujoco.mjtState.mjSTATE_QFRC_APPLIED

    def step(q, qd, u):
        state = np.zeros((len(q), size))
        state[:, 1 : 1 + n], state[:, 1 + n : 1 + 2 * n] = q, qd
        return pool.rollout(model, datas, state, u[:, None], control_spec=int(torque), nstep=1)[0]

    def accelerations(states, q, qd, u):
        return (np.asarray(states)[:, 0, 1 + n : 1 + 2 * n] - qd) / model.opt.timestep

    notes = {FD: "one mj_step"}
    return Peer("MuJoCo rollout, all threads", {FD: step}, notes=notes, comparable={FD: accelerations})
