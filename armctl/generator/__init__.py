"""The generator: a conditional flow over robot paths that proposes certified goal trajectories."""

from armctl.generator.checkpoint import load_model, save_model
from armctl.generator.config import FlowConfig
from armctl.generator.flow import FlowModel, sample
from armctl.generator.fresh import Fresh
from armctl.generator.output import write_references
from armctl.generator.proposals import ProposalStats, propose
from armctl.generator.training import fit_flow, train_flow

__all__ = [
    "FlowConfig",
    "FlowModel",
    "Fresh",
    "ProposalStats",
    "fit_flow",
    "load_model",
    "propose",
    "sample",
    "save_model",
    "train_flow",
    "write_references",
]
