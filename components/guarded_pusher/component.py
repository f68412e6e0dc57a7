# SPDX-License-Identifier: Apache-2.0
"""Declares the component that pushes blessed models."""

from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts

from components import registry
from components.artifacts import ClassWeights
from components.code_version import code_sha256
from components.errors import InputError
from components.guarded_pusher import executor


class GuardedPusherSpec(component_spec.ComponentSpec):
    """What goes into `GuardedPusher` and what comes out."""

    PARAMETERS = {
        "destination": component_spec.ExecutionParameter(type=str),
        "keep_versions": component_spec.ExecutionParameter(type=int, optional=True),
        "code_sha256": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing, optional=True
        ),
        "class_weights": component_spec.ChannelParameter(
            type=ClassWeights, optional=True
        ),
        "examples": component_spec.ChannelParameter(
            type=standard_artifacts.Examples, optional=True
        ),
    }
    OUTPUTS = {
        "pushed_model": component_spec.ChannelParameter(
            type=standard_artifacts.PushedModel
        )
    }


class GuardedPusher(base_component.BaseComponent):
    """Pushes the very model that was blessed, and no other.

    Reads the serving model and the blessing that `GuardedEvaluator` wrote for it.
    Publishes the model as the newest version at the destination if the blessing
    is readable, says yes, and names the digest of exactly these files; a reader
    of the destination, such as TensorFlow Serving, never sees half a model.
    Beside the model it leaves the passport `guard.json`.

    A refusal is a verdict, not an error: the component succeeds, and the reason
    stands in the output. Without a blessing nothing is ever pushed.

    Example:
    ```python
    pusher = GuardedPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        destination="/srv/models/digits",
    )
    ```

    Under the uri of the output `pushed_model` lies `push.json` (a
    `components.records.passport.Push`), and no second copy of the model. Its
    custom properties are `pushed` (int, 1 or 0), `pushed_version` and
    `pushed_destination` as TFX's own Pusher sets them, or `reason`, one line.
    """

    SPEC_CLASS = GuardedPusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        model: channel.BaseChannel,
        destination: str | data_types.RuntimeParameter,
        model_blessing: channel.BaseChannel | None = None,
        class_weights: channel.BaseChannel | None = None,
        examples: channel.BaseChannel | None = None,
        keep_versions: int | None = None,
    ):
        """Declares one push.

        Args:
          model: Channel of `Model`, whose serving model is pushed.
          destination: Folder that holds one folder per version; a local or
            mounted path, made if it does not exist.
          model_blessing: Channel of `ModelBlessing` from `GuardedEvaluator`;
            without it nothing is pushed.
          class_weights: Channel of `ClassWeights` from `ClassBalanceValidator`,
            for the names of the classes in the passport.
          examples: Channel of `Examples`, for the fingerprint of the data in the
            passport.
          keep_versions: Number of different models to keep at the destination, at
            least 1; older versions that were pushed with a passport are removed after
            a push. By default none is ever removed.

        Raises:
          InputError: If the destination is empty or a URL, or if no version is to be
            kept.
        """
        if isinstance(destination, str):
            registry.check_destination(destination)
        if keep_versions is not None and keep_versions < 1:
            raise InputError(
                f"keep_versions: expected at least 1, but got {keep_versions}; the "
                "newest version always stays, so give a positive number, or None to "
                "remove nothing"
            )
        super().__init__(
            spec=GuardedPusherSpec(
                code_sha256=code_sha256(),
                model=model,
                model_blessing=model_blessing,
                class_weights=class_weights,
                examples=examples,
                destination=destination,
                keep_versions=keep_versions,
                pushed_model=channel.Channel(type=standard_artifacts.PushedModel),
            )
        )
