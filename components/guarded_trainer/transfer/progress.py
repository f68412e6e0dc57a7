# SPDX-License-Identifier: Apache-2.0
"""The phases that a killed transfer has already been through."""

import dataclasses
import hashlib
import logging
import os
import shutil
from pathlib import Path

import pydantic

from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.device.roles import checkpoint_folder
from components.guarded_trainer.fit import Fitted
from components.guarded_trainer.reading.source import TrainingData
from components.guarded_trainer.transfer.plan import TransferPlan
from components.guarded_trainer.transfer.pretrained import digest

_LOG = logging.getLogger("components.guarded_trainer")
_FITTED = pydantic.TypeAdapter(Fitted)


@dataclasses.dataclass(frozen=True)
class Progress:
    """What is kept of finished phases until the last one is done.

    Attributes:
      plan: The model whose weights are kept.
      folder: Where; None keeps nothing.
    """

    plan: TransferPlan
    folder: Path | None

    @classmethod
    def of(
        cls,
        checkpoint_dir: str | None,
        plan: TransferPlan,
        data: TrainingData,
        config: TrainingConfig,
    ) -> "Progress":
        """Opens the folder of this very transfer: of its settings, files and data."""
        if checkpoint_dir is None:
            return cls(plan, None)
        key = hashlib.sha256()
        prints = sorted(data.fingerprints().items())
        for part in (
            plan.config.to_json(),
            digest(plan.config.weights_file),
            config.model_copy(update={"checkpoint_dir": None}).to_json(),
            repr(prints),
        ):
            key.update(hashlib.sha256(part.encode()).digest())
        folder = checkpoint_folder(checkpoint_dir)
        return cls(plan, Path(folder, f"transfer-{key.hexdigest()[:16]}"))

    def folder_of(self, name: str) -> str | None:
        """Returns the folder for the checkpoints within a phase."""
        return str(self.folder / name) if self.folder else None

    def save(self, name: str, fitted: Fitted) -> None:
        """Keeps a phase that is finished: the record last, so that it is whole."""
        if not self.folder:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{name}.part.weights.h5"
        self.plan.model.save_weights(part)
        os.replace(part, self.folder / f"{name}.weights.h5")
        part = self.folder / f"{name}.part.json"
        part.write_bytes(_FITTED.dump_json(fitted))
        os.replace(part, self.folder / f"{name}.json")

    def restore(self, name: str) -> Fitted | None:
        """Sets the weights that a finished phase ended with; None if there is none."""
        record = self.folder and self.folder / f"{name}.json"
        if not (self.folder and record and record.is_file()):
            return None
        fitted = _FITTED.validate_json(record.read_bytes())
        self.plan.model.load_weights(self.folder / f"{name}.weights.h5")
        _LOG.info("phase %s was finished before; going on from there", name)
        return fitted

    def remove(self) -> None:
        """Removes what was kept, once the last phase is done."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
