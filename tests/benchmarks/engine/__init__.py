"""How fast the engine is: `python -m tests.benchmarks.engine [cold] [leapfrog] [cores] [ess] [memory]`."""
