"""Where draws go: stores, checkpoints, and the ArviZ DataTree made of them."""

from gradmc.results.checkpoint import load_checkpoint, save_checkpoint
from gradmc.results.keep import Keep
from gradmc.results.labels import Labels
from gradmc.results.memory import MemoryStore
from gradmc.results.store import Groups, Store
from gradmc.results.zarr_store import ZarrStore

__all__ = [
    "Groups",
    "Keep",
    "Labels",
    "MemoryStore",
    "Store",
    "ZarrStore",
    "load_checkpoint",
    "save_checkpoint",
]
