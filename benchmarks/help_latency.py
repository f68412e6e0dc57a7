# SPDX-License-Identifier: Apache-2.0
"""How long `tfx-guard --help` takes, beside an idle Python and one with TensorFlow."""

import sys

from side_by_side import measure

if __name__ == "__main__":
    measure(
        {
            "python -c pass": [sys.executable, "-c", "pass"],
            "tfx-guard --help": [sys.executable, "-m", "pipeline.cli", "--help"],
            "import tensorflow": [sys.executable, "-c", "import tensorflow"],
        },
        rounds=7,
    )
