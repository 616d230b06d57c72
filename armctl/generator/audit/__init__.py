"""One block of statistics that says what a generator is worth, with its honest competitors beside it."""

from armctl.generator.audit.block import audit, table
from armctl.generator.audit.run import STAGES, audit_generator

__all__ = ["STAGES", "audit", "audit_generator", "table"]
