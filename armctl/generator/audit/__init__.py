"""One block of statistics that says what a generator is worth, with its honest competitors beside it."""

from armctl.generator.audit.block import COLUMNS, row_of, table, yardstick
from armctl.generator.audit.run import ROWS, STAGES, audit_generator

__all__ = ["COLUMNS", "ROWS", "STAGES", "audit_generator", "row_of", "table", "yardstick"]
