# SPDX-License-Identifier: Apache-2.0
"""Runs commands in turn, several times, and prints medians and ratios."""

import os
import statistics
import subprocess
import sys
import time


def measure(commands: dict[str, list[str]], rounds: int) -> None:
    """Runs each command `rounds` times, in turn, each in a process of its own.

    Prints wall time, CPU time and peak resident memory: medians, ranges, and the
    ratio of each command to the first.
    """
    taken = {name: [] for name in commands}
    for i in range(rounds):
        for name, command in commands.items():
            taken[name].append(_run(command))
            wall, cpu, memory = taken[name][-1]
            print(
                f"round {i + 1} {name}: {wall:.2f} s, {cpu:.2f} CPU s, {memory:.0f} MB",
                file=sys.stderr,
            )
    base = next(iter(commands))
    print("| | wall s (range) | ratio | CPU s | ratio | peak MB | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, runs in taken.items():
        cells = []
        for column in range(3):
            values = [run[column] for run in runs]
            middle = statistics.median(values)
            text = f"{middle:.2f}" if column < 2 else f"{middle:.0f}"
            if column == 0:
                text += f" ({min(values):.2f} to {max(values):.2f})"
            ratio = middle / statistics.median(run[column] for run in taken[base])
            cells += [text, f"{ratio:.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")


def _run(command: list[str]) -> tuple[float, float, float]:
    """Returns wall seconds, CPU seconds and peak megabytes of one process."""
    started = time.monotonic()
    with open(os.devnull, "w") as nowhere:
        process = subprocess.Popen(command, stdout=nowhere, stderr=nowhere)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    wall = time.monotonic() - started
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
