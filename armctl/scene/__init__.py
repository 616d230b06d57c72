"""Obstacles around an arm: scenes by name or from a file, and exact distances to them."""

from armctl.scene.body import SHAPES, Body, Scene
from armctl.scene.distance import signed_distance
from armctl.scene.files import load_scene, save_scene, scene_from_fields
from armctl.scene.named import NAMED

__all__ = ["NAMED", "SHAPES", "Body", "Scene", "load_scene", "save_scene", "scene_from_fields", "signed_distance"]
