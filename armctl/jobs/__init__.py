"""Jobs that do not know of one another, on processes of this machine or on a Ray cluster."""

from armctl.jobs.run import Where, run_jobs

__all__ = ["Where", "run_jobs"]
