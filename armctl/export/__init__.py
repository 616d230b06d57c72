"""Controllers without JAX: a controller's step as plain Python, an ONNX graph or C, in a folder that runs by itself."""

from armctl.export.folder import FORMS, export

__all__ = ["FORMS", "export"]
