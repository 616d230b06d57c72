"""Array types of signatures. Shapes and element types are jaxtyping's and are checked in tests only.

`*batch` stands for any number of leading axes; a `#` in front of a name means that those axes broadcast.
"""

from typing import Any

from jaxtyping import Float

Array = Any
"""A NumPy or a JAX array, or a tracer: jaxtyping then asks for a shape and a type alone, and JAX is not imported."""
Scalar = Float[Array, ""] | float
"""One number."""
Joint = Float[Array, "*#batch n"]
"""One value per joint, broadcast against the other arguments."""
Gravity = Float[Array, "*#batch 3"] | tuple[float, float, float]
"""Gravitational acceleration, m/s^2, world frame."""
