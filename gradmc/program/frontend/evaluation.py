"""The evaluation in progress: its heap, its options, and what it has learned on the way."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradmc.errors import SourceLocation
from gradmc.program.frontend.values import Form
from gradmc.program.ir import MAX_LOOP_ITERATIONS

if TYPE_CHECKING:
    from gradmc.program.frontend.heap import Heap
    from gradmc.program.frontend.iterables import Rollable
    from gradmc.program.frontend.rolling import Loop


@dataclass(slots=True, eq=False)
class Lasting:
    """What an evaluation knows of the objects that outlast it (`lasting`).

    Attributes:
        reached: by identity, an object, the name of the one by which it is reached, and that one's identity.
        awaited: by identity, an object that a function reads and stores into; its name; if it was filled, the store.
        noted: by identity, the functions that have been looked at.
    """

    reached: dict[int, tuple[Any, str, int]] = field(default_factory=dict)
    awaited: dict[int, tuple[Any, str, SourceLocation | None]] = field(default_factory=dict)
    noted: dict[int, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Evaluation(ABC):
    """One evaluation of a program.

    Attributes:
        heap: arrays and lists that the program changes in place.
        copies: product of the trip counts of the loops being unrolled around the present line.
        around: the innermost of these loops (`unrolling.Unrolled`).
        tables: by identity, traced whole numbers and what they are in every iteration (`tables`).
        pending: traced whole numbers that depend on numbers carried by loops, and on which.
        demands: carried numbers (loop, leaf) whose tables are wanted.
        indices: the traced indices of loops, by label.
        lengths: their lengths.
        loops: how many loops have been traced: the next one's label.
        lasting: objects that were there before the program.
        looked_up: how many elements at symbolic places have been read.
        python_loops: what is told about loops that were run by Python (`unrolling`).
        failures: conditions under which the program fails.
        noted: how many such conditions have been noted, at any depth (only differences mean anything).
        given: functions of the user's that JAX is running: how many frames there were, and how they fail.
        attempts: the `try` statements whose bodies are running, outermost first (`trying`).
        pythons: by identity, traced numbers, and whether plain Python has one of its own there or one of numpy's.
        asked: how often that has been asked (only differences mean anything).
        data_only: the lines of loops that have depended on data only.
        rolling: the lines of loops that are being traced once, outermost first.
        recursive: the lines of loops whose bodies end in themselves, and do not end with a symbolic index.
        heavy: by identity, traced numbers that are computed from the result of a long function (`heavy`).
        missing: whether NaN is among the data.
        max_loop_iterations: how many iterations a loop of unknown length may take; after more the program fails.
        endless: whether loops of unknown length have no such bound here: in the test of another loop.
        gaps: by identity, traced values with NaN of the data in them, and their other form (`gaps`).
        masks: by identity, traced masks, and how they were made of which values (`partial`).
        rows: for loops by label, rows of known masks that they read, one for each iteration (`patterns`).
        iterations: for loops by label, those of their iterations among which the present one is, if that is known.
        spent: by identity, iterators that have been run through; whether perhaps not to their end; in which frame.
        caches: what functions under `functools.lru_cache` have returned (`caches`).
        traced: how many operations on traced values have run (only differences mean anything).
        wavering: if given, what plain Python computes to a tolerance only (an integrator's solution) is moved by as
            much, and the tolerance noted here.
    """

    heap: "Heap" = field(init=False)
    copies: int = 1
    around: Any = None
    traced: int = 0
    python_loops: list[Any] = field(default_factory=list)
    failures: list[Any] = field(default_factory=list)
    tables: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    pending: dict[int, tuple[Any, frozenset]] = field(default_factory=dict)
    demands: set[tuple[int, int]] = field(default_factory=set)
    indices: dict[int, Any] = field(default_factory=dict)
    lengths: dict[int, int] = field(default_factory=dict)
    loops: int = 0
    lasting: Lasting = field(default_factory=Lasting)
    looked_up: int = 0
    noted: int = 0
    given: list[tuple[int, list[Any]]] = field(default_factory=list)
    wavering: list[float] | None = None
    attempts: list[Any] = field(default_factory=list)
    pythons: dict[int, tuple[Any, bool]] = field(default_factory=dict)
    asked: int = 0
    data_only: set[tuple[str, int, Any]] = field(default_factory=set)
    rolling: list[tuple[str, int, Any]] = field(default_factory=list)
    recursive: set[tuple[str, int, Any]] = field(default_factory=set)
    heavy: dict[int, Any] = field(default_factory=dict)
    missing: bool = False
    max_loop_iterations: int = MAX_LOOP_ITERATIONS
    endless: bool = False
    gaps: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    masks: dict[int, tuple[Any, Any, Any]] = field(default_factory=dict)
    rows: dict[int, list[Any]] = field(default_factory=dict)
    iterations: dict[int, Any] = field(default_factory=dict)
    spent: dict[int, tuple[Any, bool, Any]] = field(default_factory=dict)
    caches: dict[int, Any] = field(default_factory=dict)

    # --- what files below call of those above ---------------------------------------------------------

    @abstractmethod
    def apart(self, /, value: Any, *, stack: bool = False) -> tuple[list[Any], Form]:
        """The leaves of a value and the form around them (`forms`)."""

    @abstractmethod
    def together(self, /, form: Form, leaves: Sequence[Any]) -> Any:
        """The value of a form with these leaves (`forms`)."""

    @abstractmethod
    def content(self, /, value: Any) -> Any:
        """What an array or list holds now; other values as they are (`operators`)."""

    @abstractmethod
    def truth(self, /, value: Any) -> Any:
        """The truth value of a value (`operators`)."""

    @abstractmethod
    def compare(self, /, op: str, a: Any, b: Any) -> Any:
        """`a op b` for one comparison (`operators`)."""

    @abstractmethod
    def attribute(self, /, owner: Any, name: str) -> Any:
        """`owner.name` (`attributes`)."""

    @abstractmethod
    def binary(self, /, op: str, a: Any, b: Any) -> Any:
        """`a op b` (`operators`)."""

    @abstractmethod
    def element(self, /, content: Any, index: Any) -> Any:
        """`content[index]` for an array or a listing (`subscripts`)."""

    @abstractmethod
    def load(self, /, owner: Any, index: Any) -> Any:
        """`owner[index]` (`subscripts`)."""

    @abstractmethod
    def store(self, /, owner: Any, index: Any, value: Any) -> None:
        """`owner[index] = value` (`stores`)."""

    @abstractmethod
    def iterate(self, /, source: Any) -> Iterable[Any]:
        """The items, one after the other, in Python (`iterables`)."""

    @abstractmethod
    def replace(self, /, owner: Any, content: Any) -> None:
        """Give an array new content (`stores`)."""

    @abstractmethod
    def choose(self, /, test: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        """A conditional expression (`branches`)."""

    @abstractmethod
    def for_(
        self,
        /,
        iterable: Any,
        body: Callable[[Any], object],
        state: Any,
        carried: tuple[str, ...],
        after: tuple[str, ...],
        ended: Callable[[], Any] | None,
        stores: tuple[Callable[[], Any], ...],
        augmented: tuple[str, ...],
        size: int,
        origin: Any = None,
    ) -> None:
        """Run a `for` statement (`loops`)."""

    @abstractmethod
    def counted(
        self,
        /,
        source: "Rollable",
        body: Callable[[Any], object],
        state: Any,
        carried: tuple[str, ...],
        after: tuple[str, ...],
        augmented: tuple[str, ...],
        stores: tuple[Callable[[], Any], ...],
    ) -> None:
        """Run a `for` whose number of iterations is traced (`whiles`)."""

    @abstractmethod
    def stopping(self, /, loop: "Loop") -> bool:
        """Run a `for` that a condition on parameters may end as a `while`; False if that cannot be (`whiles`)."""

    @abstractmethod
    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """`function(*args, **kwargs)` (`calls`)."""

    @abstractmethod
    def users_function(self, /, function: Any) -> Callable[..., Any] | None:
        """The converted form of a function that the user wrote; None for a library's (`converting`)."""

    @abstractmethod
    def list_method(self, /, owner: list, name: str, args: tuple, kwargs: dict[str, Any] | None = None) -> Any:
        """A method of a list (`container_methods`)."""

    @abstractmethod
    def present(self, /, value: Any) -> Any:
        """What a library function is to see of a value (`library_calls`)."""
