# SPDX-License-Identifier: Apache-2.0
import json
import os

import pytest

from components.errors import InputError
from components.guarded_trainer.device import roles
from components.guarded_trainer.device.roles import Role, read_role


def config(kind="worker", index=0, **cluster):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize("text", [None, "", " ", "{}", '{"cluster": {}}'])
def test_process_without_a_cluster_is_the_chief(text):
    assert read_role(text) == Role("worker", 0, 1, True)


@pytest.mark.parametrize(
    ("text", "role"),
    [
        (config(worker=["a:1", "b:1"]), Role("worker", 0, 2, True)),
        (config(index=1, worker=["a:1", "b:1"]), Role("worker", 1, 2, False)),
        (config("chief", chief=["a:1"], worker=["b:1"]), Role("chief", 0, 2, True)),
        (config(chief=["a:1"], worker=["b:1"]), Role("worker", 0, 2, False)),
        (config(worker=["a:1"], ps=["c:1"]), Role("worker", 0, 1, True)),
    ],
)
def test_role_is_read(text, role):
    assert read_role(text) == role


@pytest.mark.parametrize(
    ("text", "came"),
    [
        ("{", "it is no JSON"),
        ("[]", "it is a list"),
        ('{"cluster": [1]}', "no object"),
        (config(index=2, worker=["a:1", "b:1"]), "2 of type worker and no 2"),
        (config(index="1", worker=["a:1", "b:1"]), "no '1'"),
        (config("chief", worker=["a:1"]), "0 of type chief and no 0"),
    ],
)
def test_broken_configuration_is_refused(text, came):
    with pytest.raises(InputError, match=f"TF_CONFIG: expected JSON .*{came}"):
        read_role(text)


@pytest.mark.parametrize("kind", ["ps", "evaluator"])
def test_process_that_does_not_train_is_refused(kind):
    with pytest.raises(InputError, match=f"chief or worker, but it is '{kind}'"):
        read_role(config(kind, worker=["a:1"], **{kind: ["b:1"]}))


def test_only_the_chief_writes_to_the_folder_itself(monkeypatch, tmp_path):
    folder = str(tmp_path / "model")
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert roles.own_folder(folder) == folder
    monkeypatch.setenv("TF_CONFIG", config(index=1, worker=["a:1", "b:1"]))
    own = roles.own_folder(folder + "/")
    assert os.path.basename(own) == "model"
    assert not own.startswith(str(tmp_path))
    assert not os.path.exists(own)
    os.rmdir(os.path.dirname(own))


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        (None, "/a/b"),
        (config(worker=["a:1", "b:1"]), "/a/b"),
        (config(index=1, worker=["a:1", "b:1"]), "/a/b-worker-1"),
        (config(chief=["a:1"], worker=["b:1"]), "/a/b-worker-0"),
    ],
)
def test_each_worker_has_checkpoints_of_its_own(monkeypatch, text, folder):
    monkeypatch.setenv("TF_CONFIG", text or "")
    assert roles.checkpoint_folder("/a/b") == folder
    assert roles.checkpoint_folder("/a/b/") in (folder, folder + "/")
