# SPDX-License-Identifier: Apache-2.0
"""Moves a blessed model to where it is served from."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact
from tfx.utils import io_utils, path_utils

from components import artifact_io, registry
from components.artifact_io import InputDict, OutputDict
from components.digest import model_digest
from components.errors import InputError
from components.guarded_pusher import decision
from components.records.blessing import BLESSING_FILE, Blessing
from components.records.passport import PUSH_FILE, Passport, Push

_FINGERPRINT = "input_fingerprint"
"""Custom property in which TFX's ExampleGen leaves number, size and checksums of
its input files (`FINGERPRINT_PROPERTY_NAME` in tfx/components/example_gen/utils.py,
whose import would bring all of TFX's components along)."""

_LOG = logging.getLogger("components.guarded_pusher")


class Executor(base_executor.BaseExecutor):
    """Pushes the model if it is the one that was blessed, and says what it did."""

    def Do(
        self,
        input_dict: InputDict,
        output_dict: OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads the blessing and the model, publishes, and writes the outcome.

        Raises:
          InputError: If the destination cannot be used.
          OSError: If copying fails, for instance because the disk is full.
        """
        destination = registry.check_destination(exec_properties["destination"])
        model = artifact_io.single(input_dict, "model")
        model_blessing = artifact_io.optional(input_dict, "model_blessing")
        with _as_local_folder(path_utils.serving_model_path(model.uri)) as folder:
            decided = _decide(folder, model_blessing)
            if decided.blessing is None:
                push = Push(pushed=False, reason=decided.reason)
            else:
                push = _push(
                    folder,
                    destination,
                    _passport(decided.blessing, input_dict),
                    exec_properties.get("keep_versions") or None,
                )
        _write_push(artifact_io.single(output_dict, "pushed_model"), push)
        _LOG.info("%s", push)


@contextlib.contextmanager
def _as_local_folder(uri: str) -> Iterator[Path]:
    """Gives a model as a local folder; Kubeflow keeps artifacts in object stores."""
    if "://" not in uri:
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory() as folder:
        io_utils.copy_dir(uri, folder)
        yield Path(folder)


def _decide(
    folder: Path, model_blessing: artifact.Artifact | None
) -> decision.Decision:
    if model_blessing is None:
        return decision.refuse("no blessing was given")
    try:
        return decision.decide(
            artifact_io.read_text(model_blessing.uri, BLESSING_FILE),
            marked_as_blessed=model_blessing.get_int_custom_property("blessed") == 1,
            marked_sha256=model_blessing.get_string_custom_property("model_sha256"),
            model_sha256=model_digest(folder),
        )
    except Exception as error:  # Whatever keeps it from being judged is a no.
        return decision.refuse(f"{type(error).__name__}: {error}")


def _passport(blessing: Blessing, input_dict: InputDict) -> Passport:
    class_weights = artifact_io.optional(input_dict, "class_weights")
    return Passport(
        model_sha256=blessing.model_sha256,
        verdict=blessing.verdict,
        blessed_at=blessing.decided_at,
        class_names=artifact_io.read_class_table(class_weights).class_names
        if class_weights
        else (),
        data=_fingerprints(input_dict.get("examples", [])),
        versions=blessing.versions,
    )


def _fingerprints(examples: list[artifact.Artifact]) -> dict[str, str]:
    """Returns the fingerprint that ExampleGen took of each artifact's input files."""
    return {
        f"examples/{number}": source.get_string_custom_property(_FINGERPRINT)
        for number, source in enumerate(examples)
        if source.get_string_custom_property(_FINGERPRINT)
    }


def _push(
    folder: Path,
    destination: os.PathLike[str],
    passport: Passport,
    keep_versions: int | None,
) -> Push:
    try:
        version = registry.publish(folder, destination, passport)
    except (registry.ModelChangedError, registry.ModelWithdrawnError) as error:
        return Push(pushed=False, reason=str(error))
    removed = _make_room(destination, keep_versions) if keep_versions else ()
    return Push(
        pushed=True,
        pushed_version=version.name,
        pushed_destination=str(version),
        removed_versions=removed,
    )


def _make_room(destination: os.PathLike[str], keep_versions: int) -> tuple[int, ...]:
    try:
        return registry.prune(destination, keep_versions)
    except (InputError, OSError) as error:
        # The model is in production, which must be told whatever else fails.
        _LOG.warning("Old versions were not removed: %s", error)
        return ()


def _write_push(pushed_model: artifact.Artifact, push: Push) -> None:
    artifact_io.write_text(pushed_model.uri, PUSH_FILE, push.model_dump_json(indent=2))
    # The first three are named as TFX's own Pusher names them.
    pushed_model.set_int_custom_property("pushed", int(push.pushed))
    if push.pushed:
        pushed_model.set_string_custom_property(
            "pushed_destination", push.pushed_destination
        )
        pushed_model.set_string_custom_property("pushed_version", push.pushed_version)
    else:
        pushed_model.set_string_custom_property("reason", push.reason)
