# SPDX-License-Identifier: Apache-2.0
"""Declares the component that fetches the newest blessed model."""

from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts

from components import registry
from components.code_version import code_sha256
from components.latest_blessed_model import executor


class LatestBlessedModelSpec(component_spec.ComponentSpec):
    """What goes into `LatestBlessedModel` and what comes out."""

    PARAMETERS = {
        "destination": component_spec.ExecutionParameter(type=str),
        "registry_state": component_spec.ExecutionParameter(type=str),
        "code_sha256": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class LatestBlessedModel(base_component.BaseComponent):
    """Fetches the newest model that `GuardedPusher` has pushed.

    Reads the push destination; writes a `Model` with the serving model in it, as
    a baseline for the next one. It asks the folder that is served from, not the
    metadata store: what is in use counts, whichever pipeline pushed it.

    Example:
    ```python
    from components import LatestBlessedModel, registry

    latest = LatestBlessedModel(
        destination="/srv/models/digits",
        registry_state=registry.state("/srv/models/digits"),
    )
    evaluator = GuardedEvaluator(
        ..., model=trainer.outputs["model"], baseline_model=latest.outputs["model"]
    )
    ```

    The custom properties of the output `model` are `found` (int, 1 or 0) and, where
    found, `version` (str) and `class_names` (a JSON list, empty where the pusher was
    not told). Where there is none, as before the first push, the
    artifact holds the file `NO_BLESSED_MODEL` and no model. A model that was
    changed since its push is an error: it must neither become the baseline nor
    be passed over for an easier one.
    """

    SPEC_CLASS = LatestBlessedModelSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        destination: str | data_types.RuntimeParameter,
        registry_state: str | data_types.RuntimeParameter = "",
    ):
        """Declares one look at the push destination.

        Args:
          destination: The folder that `GuardedPusher` pushes to.
          registry_state: Anything that changes with each push, such as
            `components.registry.state(destination)`. TFX's cache serves the output
            of an earlier run where inputs and parameters are equal; this component
            has no inputs, so without the state a cached run would go on comparing
            with an old baseline. Leave it empty where the node is not cached.

        Raises:
          InputError: If the destination is empty or a URL.
        """
        if isinstance(destination, str):
            registry.check_destination(destination)
        super().__init__(
            spec=LatestBlessedModelSpec(
                code_sha256=code_sha256(),
                destination=destination,
                registry_state=registry_state,
                model=channel.Channel(type=standard_artifacts.Model),
            )
        )
