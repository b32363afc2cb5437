"""Feature stores that only tests of environments use."""

from numpy.typing import ArrayLike

from slowfast_rl.store import InMemoryFeatureStore, StoreUnavailableError
from tests.store.faults import Faults, FaultyStore


class CuttableStore(FaultyStore):
    """A store out of reach while `down`, for deletes only while `fail_deletes`."""

    def __init__(self) -> None:
        super().__init__(InMemoryFeatureStore(), Faults())
        self.fail_deletes = False

    @property
    def down(self) -> bool:
        return self.faults == Faults(fail_reads=True, fail_writes=True)

    @down.setter
    def down(self, down: bool) -> None:
        self.faults = Faults(fail_reads=down, fail_writes=down)

    def delete(self, view: str, entity_ids: ArrayLike) -> int:
        if self.down or self.fail_deletes:
            raise StoreUnavailableError("delete")
        return super().delete(view, entity_ids)
