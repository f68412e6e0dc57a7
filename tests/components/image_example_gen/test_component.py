# SPDX-License-Identifier: Apache-2.0
import os

import pytest
from tfx.components import StatisticsGen
from tfx.orchestration import metadata
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.local import local_dag_runner
from tfx.types import standard_artifacts

from components.errors import InputError
from components.image_example_gen.component import ImageExampleGen
from components.image_example_gen.config import ImageExampleGenConfig

SPLITS = ("train", "eval")


def test_declares_its_output():
    component = ImageExampleGen(input_base="photos/")
    assert component.id == "ImageExampleGen"
    assert component.outputs["examples"].type is standard_artifacts.Examples


def test_configuration_travels_as_json():
    config = ImageExampleGenConfig(metadata="photos/metadata.csv")
    component = ImageExampleGen(input_base="photos/", config=config)
    carried = component.exec_properties["config"]
    assert ImageExampleGenConfig.from_json(carried) == config


@pytest.mark.parametrize("base", ["", "gs://bucket/photos"])
def test_what_is_no_local_path_is_refused(base):
    with pytest.raises(InputError, match="input_base"):
        ImageExampleGen(input_base=base)


@pytest.mark.slow
def test_cache_sees_changed_files_and_stock_components_read_the_examples(
    make_folder, png, tmp_path
):
    base = make_folder(
        {f"{split}/{'ab'[n % 2]}/{n}.png": png(n) for n in range(6) for split in SPLITS}
    )
    runs = tmp_path / "runs"

    def run():
        """Returns how often each step has run."""
        example_gen = ImageExampleGen(input_base=str(base))
        statistics_gen = StatisticsGen(examples=example_gen.outputs["examples"])
        local_dag_runner.LocalDagRunner().run(
            tfx_pipeline.Pipeline(
                pipeline_name="pictures",
                pipeline_root=str(runs),
                metadata_connection_config=metadata.sqlite_metadata_connection_config(
                    str(tmp_path / "metadata.sqlite")
                ),
                components=[example_gen, statistics_gen],
                enable_cache=True,
                beam_pipeline_args=[
                    "--runner=FnApiRunner",
                    "--sdk_container_image=none",
                ],
            )
        )
        return [
            len(os.listdir(runs / step / output))
            for step, output in (
                ("ImageExampleGen", "examples"),
                ("StatisticsGen", "statistics"),
            )
        ]

    assert run() == [1, 1]
    assert run() == [1, 1]
    os.rename(base / "train" / "a" / "0.png", base / "train" / "b" / "0.png")
    assert run() == [2, 2]
    (base / "eval" / "a" / "0.png").write_bytes(b"")
    with pytest.raises(Exception, match="1 of 12 are: eval/a/0.png"):
        run()
    assert len(os.listdir(runs / "ImageExampleGen" / "examples")) == 2
