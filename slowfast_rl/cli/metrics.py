"""Training metrics: Stable-Baselines3's tags with a prefix, to TensorBoard and ``metrics.csv``."""

from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import (
    CSVOutputFormat,
    KVWriter,
    Logger,
    TensorBoardOutputFormat,
)

_OWN = ("eval/", "hparams")


class _Prefixed(KVWriter):
    """Puts a prefix before every tag that is not the library's own."""

    def __init__(self, writer: KVWriter, prefix: str) -> None:
        self._writer, self._prefix = writer, prefix

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Write a dictionary of metrics."""
        self._writer.write(
            {self._name(key): value for key, value in key_values.items()},
            {self._name(key): value for key, value in key_excluded.items()},
            step,
        )

    def close(self) -> None:
        """Close the files."""
        self._writer.close()

    def _name(self, key: str) -> str:
        return key if key.startswith(_OWN) else f"{self._prefix}/{key}"


def training_logger(folder: Path) -> Logger:
    """Return a logger that writes ``metrics.csv`` and TensorBoard events of the run ``training``."""
    writers: list[KVWriter] = [
        CSVOutputFormat(str(folder / "metrics.csv")),
        TensorBoardOutputFormat(str(folder / "tensorboard" / "training")),
    ]
    return Logger(str(folder), [_Prefixed(writer, "slow") for writer in writers])
