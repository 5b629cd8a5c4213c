"""Library functions on traced values: what stands in for each, by the function itself."""
