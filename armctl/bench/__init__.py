"""The bench: every controller on the same seeded episodes, with metrics, statistics and a report."""
