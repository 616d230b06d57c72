"""What controllers are not good at: over-fitting, over-sensitivity, instability, opacity, measured in the twin."""

from armctl.controller_audit.audit import audit_controller
from armctl.controller_audit.config import ControllerAuditConfig

__all__ = ["ControllerAuditConfig", "audit_controller"]
