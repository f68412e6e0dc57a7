# SPDX-License-Identifier: Apache-2.0
import pytest

from pipeline import schemas


@pytest.mark.parametrize(("name", "text"), schemas.render().items())
def test_schema_on_disk_is_fresh(name, text):
    on_disk = (schemas.FOLDER / name).read_text(encoding="utf-8")
    assert on_disk == text, "run `python -m pipeline.schemas`"


def test_no_other_schema_is_left_over():
    on_disk = {path.name for path in schemas.FOLDER.glob("*.schema.json")}
    assert on_disk == set(schemas.render())
