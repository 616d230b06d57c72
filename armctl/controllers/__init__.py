"""Controllers, classical and learned, behind one interface; a new one is one file here, or one class anywhere."""

from armctl.controllers.base import Controller, Gain, gain
from armctl.controllers.registry import known, make
from armctl.controllers.saved import load, save

__all__ = ["Controller", "Gain", "gain", "known", "load", "make", "save"]
