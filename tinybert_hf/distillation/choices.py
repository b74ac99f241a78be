"""What can be chosen by name between student and teacher; a recipe is checked by this, so it loads no torch."""

PROJECTIONS = ("per_layer", "shared", "none")
INT8 = "int8"
DTYPES = ("float32", "float16", "bfloat16", INT8)
"""Of a frozen teacher."""
