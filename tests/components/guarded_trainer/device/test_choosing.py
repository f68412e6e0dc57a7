# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from components.errors import InputError
from components.guarded_trainer.device.choosing import (
    MIRRORED,
    MULTI_WORKER,
    ONE_DEVICE,
    choose,
)
from components.guarded_trainer.device.seen import Gpu, Seen
from components.guarded_trainer.device.settings import DeviceConfig

A100, V100, P100 = (
    Gpu("NVIDIA A100", (8, 0)),
    Gpu("NVIDIA V100", (7, 0)),
    Gpu("NVIDIA P100", (6, 0)),
)
TWO_WORKERS = json.dumps(
    {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
)
ONE_WORKER = json.dumps(
    {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}
)


def chosen(seen=Seen(), batch_size=32, **config):  # noqa: B008  # frozen
    return choose(DeviceConfig(**config), seen, batch_size)


@pytest.mark.parametrize(
    ("gpus", "precision"),
    [
        pytest.param((), None, id="cpu"),
        pytest.param((P100,), None, id="no-tensor-cores"),
        pytest.param((Gpu("", (6, 9)),), None, id="just-below-7.0"),
        pytest.param((V100,), "mixed_float16", id="at-7.0"),
        pytest.param((Gpu("", (7, 9)),), "mixed_float16", id="just-below-8.0"),
        pytest.param((A100,), "mixed_bfloat16", id="at-8.0"),
        pytest.param((Gpu("", (10, 0)),), "mixed_bfloat16", id="two-digits"),
        pytest.param((A100, V100), "mixed_float16", id="the-least-of-all"),
        pytest.param((A100, Gpu("")), None, id="unknown"),
    ],
)
def test_precision_follows_the_least_gpu(gpus, precision):
    choice = chosen(Seen(gpus=gpus))
    assert choice.precision == precision
    assert any("float16" in note for note in choice.notes) == bool(precision)


@pytest.mark.parametrize("gpus", [(), (A100,)])
@pytest.mark.parametrize("precision", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_precision_can_be_set(gpus, precision):
    choice = chosen(Seen(gpus=gpus), precision=precision)
    assert choice.precision == precision
    slow = precision != "float32" and not gpus
    assert any("slow" in note for note in choice.notes) == slow


@pytest.mark.parametrize(
    ("seen", "config", "strategy", "num_replicas"),
    [
        pytest.param(Seen(), "auto", ONE_DEVICE, 1, id="cpu"),
        pytest.param(Seen(num_cpus=2), "auto", ONE_DEVICE, 1, id="split-cpu"),
        pytest.param(Seen(num_cpus=2), "mirrored", MIRRORED, 2, id="cpus-on-request"),
        pytest.param(Seen(gpus=(A100,)), "auto", ONE_DEVICE, 1, id="one-gpu"),
        pytest.param(Seen(gpus=(A100,)), "mirrored", ONE_DEVICE, 1, id="no-second"),
        pytest.param(Seen(gpus=(A100,) * 4), "auto", MIRRORED, 4, id="gpus"),
        pytest.param(Seen(gpus=(A100,) * 4), "none", ONE_DEVICE, 1, id="not-wanted"),
        pytest.param(
            Seen(tf_config=TWO_WORKERS), "auto", MULTI_WORKER, 2, id="workers"
        ),
        pytest.param(
            Seen(gpus=(A100,) * 4, tf_config=TWO_WORKERS),
            "multi_worker",
            MULTI_WORKER,
            8,
            id="workers-with-gpus",
        ),
        pytest.param(Seen(tf_config=ONE_WORKER), "auto", ONE_DEVICE, 1, id="alone"),
        pytest.param(Seen(tf_config=TWO_WORKERS), "none", ONE_DEVICE, 1, id="apart"),
    ],
)
def test_distribution(seen, config, strategy, num_replicas):
    choice = chosen(seen, distribution=config)
    assert (choice.strategy, choice.num_replicas) == (strategy, num_replicas)
    assert choice.role.is_chief == (seen.tf_config != TWO_WORKERS)


@pytest.mark.parametrize("tf_config", [None, "", ONE_WORKER])
def test_several_workers_need_tf_config(tf_config):
    with pytest.raises(InputError, match="distribution: expected TF_CONFIG .*; set it"):
        chosen(Seen(tf_config=tf_config), distribution="multi_worker")


@pytest.mark.parametrize(
    ("seen", "distribution"),
    [
        (Seen(gpus=(A100,) * 4), "mirrored"),
        (Seen(gpus=(A100,) * 2, tf_config=TWO_WORKERS), "auto"),
    ],
)
def test_batch_must_reach_every_replica(seen, distribution):
    assert chosen(seen, 4, distribution=distribution).num_replicas == 4
    with pytest.raises(InputError, match="batch_size: .* each of 4 replicas, .* is 3;"):
        chosen(seen, 3, distribution=distribution)


def test_batch_too_small_for_all_gpus_is_given_to_one():
    assert chosen(Seen(gpus=(A100,) * 4), 4).strategy == MIRRORED
    choice = chosen(Seen(gpus=(A100,) * 4), 3)
    assert choice.strategy == ONE_DEVICE
    assert "4 GPUs cannot share a batch of 3." in choice.notes


@pytest.mark.parametrize(
    ("config", "seen", "jit_compile"),
    [
        ("auto", Seen(), "auto"),
        ("on", Seen(), True),
        ("off", Seen(gpus=(A100,)), False),
        ("on", Seen(gpus=(A100,) * 2), False),
        ("auto", Seen(gpus=(A100,) * 2), "auto"),
    ],
)
def test_xla(config, seen, jit_compile):
    choice = chosen(seen, xla=config)
    assert choice.jit_compile == jit_compile
    assert any("XLA" in note for note in choice.notes) == (
        config == "on" and not jit_compile
    )


def test_gpu_that_is_required_and_there():
    assert chosen(Seen(gpus=(A100,)), require_gpu=True).strategy == ONE_DEVICE


@pytest.mark.parametrize(
    ("seen", "reason", "way_out"),
    [
        (
            Seen(tensorflow="2.16.2", built_with_cuda=False, has_driver=True),
            "TensorFlow 2.16.2 sees only CPU .this TensorFlow is built for CPUs only",
            "install the extra `gpu`",
        ),
        (
            Seen(visible_devices="-1", has_driver=True),
            "CUDA_VISIBLE_DEVICES='-1' hides all",
            "unset it",
        ),
        (Seen(), "driver is not loaded", "nvidia-smi"),
        (Seen(has_driver=True), "CUDA's libraries are not found", "extra `gpu`"),
    ],
)
def test_missing_gpu_is_explained(seen, reason, way_out):
    with pytest.raises(InputError, match=f"require_gpu: .*{reason}.*; .*{way_out}"):
        chosen(seen, require_gpu=True)


def test_devices_are_named():
    assert Seen(gpus=(A100, Gpu(""))).names == ("CPU", "GPU: NVIDIA A100", "GPU")
    assert Seen(num_cpus=2).names == ("CPU", "CPU")
