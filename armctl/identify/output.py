"""The run folder of an identification: config.json, summary.json, arm.urdf, identify.png."""

from pathlib import Path
from typing import Any

from armctl import store
from armctl.chain import Chain
from armctl.identify import plot as figure
from armctl.identify.result import Identification
from armctl.plant.scenario import Scenario
from armctl.urdf import write_urdf


def write_run(
    found: Identification,
    chain: Chain,
    out: Path,
    config: Any,
    *,
    truth: Scenario | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write everything about an identification and return what summary.json holds.

    chain: nominal arm; config: dataclass that becomes config.json; truth: the true plant where it is known.
    arm.urdf is the identified arm: load_arm and every --robot take it. Raises UsageError as store.create_run does.
    """
    known = None if truth is None else found.known(chain, truth)
    picture = figure.png(found, chain.joint_names, known)
    urdf = write_urdf(found.chain(chain), friction=True)
    store.create_run(out, config, overwrite=overwrite)
    store.write_text(out / "arm.urdf", urdf)
    store.write_bytes(out / "identify.png", picture)
    summary = {**found.summary(chain, truth), "machine": store.machine(), "versions": store.versions()}
    store.write_json(out / "summary.json", summary)
    store.finish_run(out)
    return store.read_json(out / "summary.json")
