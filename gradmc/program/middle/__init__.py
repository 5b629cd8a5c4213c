"""The middle end of the loop compiler: from the loop IR to JAX's own primitives."""

from gradmc.program.middle.lowering import lower

__all__ = ["lower"]
