"""URDF files: read into a Chain, written from one; the shipped robots by name."""

from armctl.chain import Chain, Shape
from armctl.spheres import sphere_pairs, spheres
from armctl.urdf.read import find_robot, load_chain, read_urdf, robots
from armctl.urdf.write import write_urdf

__all__ = ["Chain", "Shape", "find_robot", "load_chain", "read_urdf", "robots", "sphere_pairs", "spheres", "write_urdf"]
