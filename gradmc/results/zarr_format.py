"""The Zarr 3 format, as far as a store of draws writes it.

Writing the few files directly costs a tenth of a general Zarr library and, above all, keeps the order of
writes in our hands: chunks first, then in one rename the metadata that make them visible. Readers use any
Zarr 3 library. Source: the Zarr core specification, version 3 (https://zarr-specs.readthedocs.io), and the
layout of zarr-python for consolidated metadata and variable-length strings.
"""

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

LENGTHS = "gradmc_lengths"
"""Attribute of the root while a run goes on: draws received per chain, as JSON."""

CHECKSUMS = "gradmc_checksums"
"""Attribute of the root: `Checksums` of each chain, of the draws that it has published, as JSON."""

FILES = "gradmc_files"
"""Attribute of the root: CRC-32 of the file of each array that does not grow, as JSON."""

SEAL = "gradmc_seal"
"""Attribute of the root: a checksum of all else that the root's metadata hold."""

OWN = (CHECKSUMS, FILES, SEAL)
"""Attributes that are about the files, and not about what they hold."""

RUN = "gradmc_run"
"""Attribute of the root: which run the draws are of."""

MOST_CHUNK_BYTES = 2**30
"""Chunks that claim to be larger are refused before memory is taken for them; those of a store are far smaller."""

ZSTD_LEVEL = 1
"""On draws (incompressible mantissas) level 1 shrinks as much as level 3 and costs less (measured)."""


@dataclass(frozen=True, slots=True)
class ArrayFormat:
    """The metadata of one array.

    Args:
        dtype: type of the elements; kind `U` is stored as variable-length UTF-8.
        shape: shape that readers see.
        chunk: shape of a chunk.
        dims: name of each axis.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dims: tuple[str, ...]
    attributes: Mapping[str, Any] | None = None

    def sized(self, shape: tuple[int, ...]) -> "ArrayFormat":
        """The same array, showing another shape."""
        return replace(self, shape=shape)

    def metadata(self) -> dict[str, Any]:
        """The content of the array's `zarr.json`."""
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": "string" if self.dtype.kind == "U" else self.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(self.chunk)}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": _fill_value(self.dtype),
            "codecs": _codecs(self.dtype),
            "attributes": dict(self.attributes or {}),
            "dimension_names": list(self.dims),
            "storage_transformers": [],
        }

    def encode(self, chunk: np.ndarray) -> bytes:
        """The bytes of one whole chunk."""
        if self.dtype.kind == "U":
            plain = _encode_strings(chunk)
        else:
            plain = np.ascontiguousarray(chunk, dtype=self.dtype.newbyteorder("<"))
        return bytes(codec().encode(plain))

    def read_from(self, path: Path) -> np.ndarray:
        """The array from its chunks below a directory; what was never written has the fill value.

        Raises:
            ValueError, RuntimeError: the bytes of a chunk are not those of one.
        """
        texts = self.dtype.kind == "U"
        found = np.full(self.shape, _fill_value(self.dtype), object if texts else self.dtype)
        for index in np.ndindex(*(-(-size // step) for size, step in zip(self.shape, self.chunk, strict=True))):
            try:
                content = (path / chunk_key(index)).read_bytes()
            except FileNotFoundError:
                continue
            whole = _decode_strings(codec().decode(content), self.chunk) if texts else self.decode(content)
            part = found[(*(slice(i * step, (i + 1) * step) for i, step in zip(index, self.chunk, strict=True)), ...)]
            part[...] = whole[tuple(slice(size) for size in part.shape)]
        return found

    def decode(self, content: bytes) -> np.ndarray:
        """One whole chunk from its bytes (numbers only).

        Raises:
            ValueError: the bytes are not those of such a chunk.
            RuntimeError: they are damaged.
        """
        expected = math.prod(self.chunk) * self.dtype.itemsize
        if frame_bytes(content) != expected or expected > MOST_CHUNK_BYTES:
            raise ValueError("it is not a chunk of this array")
        flat = np.frombuffer(codec().decode(content), self.dtype.newbyteorder("<"))
        return flat.astype(self.dtype).reshape(self.chunk)

    @classmethod
    def read(cls, metadata: Mapping[str, Any]) -> "ArrayFormat":
        """The format from the content of a `zarr.json`."""
        kind = metadata["data_type"]
        return cls(
            dtype=np.dtype("U") if kind == "string" else np.dtype(kind),
            shape=tuple(metadata["shape"]),
            chunk=tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"]),
            dims=tuple(metadata["dimension_names"]),
            attributes=metadata["attributes"],
        )


@functools.cache
def codec() -> Any:
    """The compressor; imported on first use, which must not happen in several threads at once."""
    from numcodecs.zstd import Zstd

    return Zstd(level=ZSTD_LEVEL, checksum=True)


def frame_bytes(content: bytes) -> int | None:
    """How many bytes a Zstandard frame says that it holds (RFC 8878, section 3.1.1.1), or None if it does not say."""
    if content[:4] != b"\x28\xb5\x2f\xfd" or len(content) < 5:
        return None
    descriptor = content[4]
    flag, single_segment = descriptor >> 6, descriptor >> 5 & 1
    width = (single_segment, 2, 4, 8)[flag]
    start = 5 + (1 - single_segment) + (0, 1, 2, 4)[descriptor & 3]
    field = content[start : start + width]
    if not width or len(field) < width:
        return None
    return int.from_bytes(field, "little") + (256 if flag == 1 else 0)


def whole_array(array: np.ndarray, dims: Sequence[str]) -> ArrayFormat:
    """The format of an array that is stored as one chunk."""
    return ArrayFormat(
        dtype=np.dtype("U") if array.dtype.kind == "U" else array.dtype,
        shape=array.shape,
        chunk=tuple(max(1, size) for size in array.shape),
        dims=tuple(dims),
    )


def group_metadata(
    attributes: Mapping[str, Any], members: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """The content of a group's `zarr.json`; with `members`, their metadata too: then one file tells all."""
    content: dict[str, Any] = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
    if members is not None:
        content["consolidated_metadata"] = {
            "kind": "inline",
            "must_understand": False,
            "metadata": {path: dict(metadata) for path, metadata in members.items()},
        }
    return content


def encode_json(content: Mapping[str, Any]) -> bytes:
    """The bytes of a `zarr.json`."""
    return json.dumps(content, allow_nan=False).encode()


def chunk_key(index: Sequence[int]) -> str:
    """The path of a chunk below its array."""
    return "/".join(["c", *map(str, index)])


def _codecs(dtype: np.dtype) -> list[dict[str, Any]]:
    if dtype.kind == "U":
        first: dict[str, Any] = {"name": "vlen-utf8"}
    elif dtype.itemsize == 1:
        first = {"name": "bytes"}
    else:
        first = {"name": "bytes", "configuration": {"endian": "little"}}
    return [first, {"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": True}}]


def _fill_value(dtype: np.dtype) -> Any:
    if dtype.kind == "f":
        return "NaN"
    return {"U": "", "b": False}.get(dtype.kind, 0)


def _encode_strings(chunk: np.ndarray) -> bytes:
    texts = [str(text).encode() for text in chunk.ravel()]
    parts = [len(texts).to_bytes(4, "little")]
    for text in texts:
        parts += [len(text).to_bytes(4, "little"), text]
    return b"".join(parts)


def _decode_strings(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    texts, start = np.empty(math.prod(shape), object), 4
    for k in range(len(texts)):
        end = start + 4 + int.from_bytes(content[start : start + 4], "little")
        texts[k], start = content[start + 4 : end].decode(), end
    return texts.reshape(shape)
