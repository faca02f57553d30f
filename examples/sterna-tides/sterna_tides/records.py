"""Records of tide gauges as inputs: water levels hour by hour, all of one length."""

from collections.abc import Sequence

import numpy as np

from sterna.domains import Inputs
from sterna.domains.inputs import digest


class TideRecords(Inputs):
    """Levels ``(n, hours)`` in metres, and what each record is called."""

    kind = "tides"

    def __init__(self, levels: np.ndarray, names: Sequence[str]) -> None:
        self.levels, self._names = np.asarray(levels, dtype=np.float32), list(names)

    def __len__(self):
        return len(self.levels)

    def __getitem__(self, row):
        return self.levels[row]

    def take(self, rows):
        return TideRecords(self.levels[rows], [self._names[row] for row in rows])

    def names(self):
        return self._names

    def keys(self):
        return [digest(record.tobytes()) for record in self.levels]

    def row_keys(self):
        return self.keys()  # a record is prepared alike whatever stands beside it

    def fingerprint(self):
        return digest("\n".join(self.keys()).encode())

    def joined(self, other, ours, theirs):
        return TideRecords(np.concatenate([self.levels, other.levels]), [*self.names(), *other.names()])
