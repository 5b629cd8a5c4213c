"""Configuration of a run: a TOML file, the environment and the command line, checked all at once."""

from gradmc.config.load import Loaded, load_config
from gradmc.config.schema import Config

__all__ = ["Config", "Loaded", "load_config"]
