# SPDX-License-Identifier: Apache-2.0
"""Copies the newest blessed model into an artifact."""

import json
import logging
import re
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.utils import io_utils, path_utils

from components import artifact_io, registry
from components.artifact_io import InputDict, OutputDict
from components.records.passport import PASSPORT_FILE

NO_MODEL_FILE = "NO_BLESSED_MODEL"
"""Marks the artifact where there is no model; Kubeflow drops empty artifacts."""

_LOG = logging.getLogger("components.latest_blessed_model")


class Executor(base_executor.BaseExecutor):
    """Copies the newest model with a passport, or says that there is none."""

    def Do(
        self,
        input_dict: InputDict,
        output_dict: OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        """Looks for the model, checks it against its passport, and copies it.

        Raises:
          InputError: If the destination cannot be used, or if the newest model
            or its passport was changed since the push.
        """
        destination = exec_properties["destination"]
        model = artifact_io.single(output_dict, "model")
        folder = registry.latest(destination)
        if folder is None:
            text = f"No model with a passport at {destination}."
            artifact_io.write_text(model.uri, NO_MODEL_FILE, f"{text}\n")
            model.set_int_custom_property("found", 0)
            _LOG.info("%s", text)
            return
        passport = registry.verify(folder)
        # The passport stays behind, so that the copy has the blessed digest.
        io_utils.copy_dir(
            str(folder),
            path_utils.serving_model_dir(model.uri),
            deny_regex_patterns=[f"^{re.escape(str(folder / PASSPORT_FILE))}$"],
        )
        model.set_int_custom_property("found", 1)
        model.set_string_custom_property("version", folder.name)
        model.set_string_custom_property(
            "class_names", json.dumps(passport.class_names)
        )
        _LOG.info("The newest blessed model is %s.", folder)
