"""Where a feed stands in memory: cursor, history, and the logs already delivered near it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from decentralized_vllm.chain.store.cursors import HISTORY_BLOCKS
from decentralized_vllm.protocol.events import Cursor, LogPosition


@dataclass(frozen=True, slots=True)
class Changes:
    """What a cursor's row in the database must come with."""

    applied: tuple[LogPosition, ...]
    rewound_to: int | None
    keep_from: int


class FeedPosition:
    """`history` ends with the cursor; delivered logs are kept for `window_blocks` below it."""

    def __init__(
        self, history: Sequence[Cursor], applied: Sequence[LogPosition], *, window_blocks: int
    ) -> None:
        self._history = list(history)
        self._delivered: defaultdict[int, set[LogPosition]] = defaultdict(set)  # by block
        for at in applied:
            self._delivered[at.block_number].add(at)
        self._unsaved: list[LogPosition] = []
        self._rewound_to: int | None = None
        self._window_blocks = window_blocks

    @property
    def cursor(self) -> Cursor:
        return self._history[-1]

    @property
    def history(self) -> tuple[Cursor, ...]:
        return tuple(self._history)

    @property
    def first_block(self) -> int:
        """Nothing below it was ever of interest, or it is too old to be read again."""
        return self._history[0].number + 1

    def note(self, at: LogPosition) -> bool:
        """Whether this log is new; from now on it counts as delivered."""
        delivered = self._delivered[at.block_number]
        if at in delivered:
            return False
        delivered.add(at)
        self._unsaved.append(at)
        return True

    def move_to(self, cursor: Cursor) -> None:
        self._history.append(cursor)
        del self._history[:-HISTORY_BLOCKS]
        self._forget(block for block in self._delivered if block < self._oldest_kept)

    def rewind_to(self, ancestor: Cursor) -> None:
        kept = [c for c in self._history if c.number < ancestor.number]
        self._history = [*kept, ancestor]
        self._forget(block for block in self._delivered if block > ancestor.number)
        self._unsaved = [at for at in self._unsaved if at.block_number <= ancestor.number]
        rewound = self._rewound_to
        self._rewound_to = ancestor.number if rewound is None else min(rewound, ancestor.number)

    def take_changes(self, cursor: Cursor) -> Changes:
        """What to write with `cursor`; it is handed out once."""
        oldest = self._oldest_kept
        applied = [at for at in self._unsaved if at.block_number <= cursor.number]
        self._unsaved = [at for at in self._unsaved if at.block_number > cursor.number]
        rewound_to, self._rewound_to = self._rewound_to, None
        kept = tuple(at for at in applied if at.block_number >= oldest)
        return Changes(kept, rewound_to, oldest)

    def _forget(self, blocks: Iterable[int]) -> None:
        for block in tuple(blocks):
            del self._delivered[block]

    @property
    def _oldest_kept(self) -> int:
        return self.cursor.number - self._window_blocks
