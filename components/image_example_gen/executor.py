# SPDX-License-Identifier: Apache-2.0
"""Moves pictures from a folder into an Examples artifact."""

import json
import os
from typing import Any

import apache_beam as beam
from absl import logging
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact, artifact_utils

from components import artifact_io
from components.image_example_gen import metadata, summary, transforms
from components.image_example_gen.config import ImageExampleGenConfig
from components.image_example_gen.layout import Layout, find_layout
from components.image_example_gen.survey import survey

_TEMPORARY = ".incomplete"
"""Folder under the artifact's uri, so that finished files need but a rename."""
_FILE_FORMAT = "tfrecords_gzip"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes the examples of a folder, all or none."""

    def Do(
        self,
        input_dict: artifact_io.InputDict,
        output_dict: artifact_io.OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the pictures of all splits, once they are known to be good.

        Args:
          input_dict: Empty.
          output_dict: `examples`.
          exec_properties: `input_base`, and `config`, an `ImageExampleGenConfig` as
            JSON.

        Raises:
          InputError: If the folder or its metadata cannot be used; see
            `layout.find_layout`, `metadata.read_table`, `summary.require_usable`.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        base = exec_properties["input_base"]
        config = ImageExampleGenConfig.from_json(exec_properties["config"])
        examples = artifact_io.single(output_dict, "examples")
        temporary = os.path.join(examples.uri, _TEMPORARY)

        layout = find_layout(base, config.splits, config.whole_split)
        found, num_shards = survey(base, layout, config.metadata)
        summary.require_usable(found, base, config)
        pictures = transforms.WritePictures(
            base,
            layout.class_folders,
            config,
            table=_read_table(config),
            num_shards=num_shards,
            folder=temporary,
        )
        try:
            facts, shards = self._run(pictures, temporary)
            result = found.with_facts(facts)
            summary.require_usable(result, base, config)
            _publish(examples, layout, shards)
        finally:
            if fileio.exists(temporary):
                fileio.rmtree(temporary)

        artifact_io.write_text(
            examples.uri, summary.FILE, result.model_dump_json(indent=2)
        )
        examples.set_int_custom_property("num_examples", result.num_examples)
        examples.set_int_custom_property("num_undecodable", result.undecodable.count)
        log = logging.warning if result.is_lossy else logging.info
        log("Pictures in %s: %s", base, result)

    def _run(
        self, pictures: transforms.WritePictures, temporary: str
    ) -> tuple[list[summary.Fact], list[transforms.Shard]]:
        """Writes the shards, and returns what happened."""
        with self._make_beam_pipeline() as pipeline:
            written = pipeline | "WritePictures" >> pictures
            for name, collection in written.items():
                # Both are small: counts, and one name per shard.
                _ = (
                    collection
                    | f"Gather[{name}]" >> beam.combiners.ToList()
                    | f"ToJson[{name}]" >> beam.Map(json.dumps)
                    | f"Write[{name}]"
                    >> beam.io.WriteToText(
                        os.path.join(temporary, name),
                        num_shards=1,
                        shard_name_template="",
                    )
                )
        facts = json.loads(artifact_io.read_text(temporary, transforms.FACTS))
        shards = json.loads(artifact_io.read_text(temporary, transforms.SHARDS))
        return facts, sorted(transforms.Shard(*fields) for fields in shards)


def _read_table(config: ImageExampleGenConfig) -> metadata.Table | None:
    if config.metadata is None:
        return None
    reserved = (config.label_key, config.image_key, config.path_key)
    return metadata.read_table(config.metadata, reserved)


def _publish(
    examples: artifact.Artifact, layout: Layout, shards: list[transforms.Shard]
) -> None:
    """Makes the artifact one that any ExampleGen could have written."""
    examples.split_names = artifact_utils.encode_split_names(list(layout.splits))
    for split in layout.splits:
        files = [shard.file for shard in shards if shard.split == split]
        folder_of_split = artifact_utils.get_split_uri([examples], split)
        fileio.makedirs(folder_of_split)
        for number, file in enumerate(files):
            name = f"data_tfrecord-{number:05d}-of-{len(files):05d}.gz"
            fileio.rename(file, os.path.join(folder_of_split, name))
    examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(examples, _FILE_FORMAT)
