"""A base of what travels to other processes by value (`gradmc.program.parcel`)."""

from typing import Any, SupportsIndex


class Travelling:
    """Its instances are pickled as parcels, whoever pickles them."""

    __slots__ = ()
    travels = True

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        from gradmc.program.parcel import Parcel, packed

        return Parcel.opened, (packed(self),)
