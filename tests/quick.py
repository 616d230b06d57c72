"""Quick compilation, for functions that a test compiles for itself and for processes that it starts.

LLVM's optimisations and XLA's newer emitters of fused loops take two thirds of the time of a compilation and change no
law. What the library compiles in the tests' own process is compiled as users compile it, and so is what tests compile
where rounding is the law.
"""

from functools import partial

import jax

OPTIONS = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 0}
XLA_FLAGS = " ".join(f"--{name}={str(value).lower()}" for name, value in OPTIONS.items())
quick_jit = partial(jax.jit, compiler_options=OPTIONS)
