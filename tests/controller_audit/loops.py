"""The closed loop that the tests of the audit share: computed torque on the nominal planar arm."""

from functools import cache

from armctl import controllers
from armctl.arm import load_arm
from armctl.controller_audit import ControllerAuditConfig
from armctl.controller_audit.subject import make_subject, whole

ARM = load_arm("planar3")
CONFIG = ControllerAuditConfig(
    robot="planar3", scenario="nominal", trained_on="nominal", episodes=4, seconds=1.0, references=30
)


@cache
def loop():
    """The subject, and its episodes; compiled once for all tests of a process."""
    subject = make_subject(controllers.make("computed_torque", ARM), CONFIG)
    return subject, whole(subject)
