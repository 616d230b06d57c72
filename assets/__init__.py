"""Robot arms as URDF files written for armctl from published parameters; sources and terms are in LICENSES.md."""
