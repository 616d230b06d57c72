"""Quick compilation: how everything is compiled while tests run, in their own process and in those that they start.

LLVM's optimisations and XLA's newer emitters of fused loops take two thirds of the time of a compilation and change no
law. Where rounding is the law, tests compile as users do.
"""

from functools import partial

import jax

NAMES = ("xla_cpu_use_fusion_emitters", "xla_backend_optimization_level")
XLA_FLAGS = " ".join(f"--{name}={value}" for name, value in zip(NAMES, ("false", "0"), strict=True))
users_jit = partial(jax.jit, compiler_options=dict(zip(NAMES, (True, 3), strict=True)))
