"""Controllers, classical and learned, behind one interface (see base.py)."""

from armctl.controllers.base import CONTROLLERS, Controller, load, make

__all__ = ["CONTROLLERS", "Controller", "load", "make"]
