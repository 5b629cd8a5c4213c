"""Running chains: the compiled chunk, the host loop, progress."""
