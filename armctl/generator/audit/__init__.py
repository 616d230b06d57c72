"""One block of statistics that says what a generator is worth, with its honest competitors beside it."""

from armctl.generator.audit.block import audit, table

__all__ = ["audit", "table"]
