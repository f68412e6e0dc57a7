# SPDX-License-Identifier: Apache-2.0
"""The guarded pipeline beside the same pipeline of stock TFX, on the digits.

Each run starts from nothing: no cache, no model in production.
"""

import sys
import tempfile
from pathlib import Path

from side_by_side import measure

from pipeline.scenarios.digits.data import write_data

if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        write_data(data)
        fresh = "output = tempfile.mkdtemp(dir=sys.argv[1]); "
        stock = [
            sys.executable,
            "-c",
            f"import runpy, sys, tempfile; {fresh}"
            f"sys.argv = ['stock', {str(data)!r}, output]; "
            f"sys.path.insert(0, {str(here)!r}); "
            f"runpy.run_path({str(here / 'stock_pipeline.py')!r}, run_name='__main__')",
            folder,
        ]
        guarded = [
            sys.executable,
            "-c",
            f"import sys, tempfile; {fresh}"
            "sys.argv = ['tfx-guard', 'run', '--output', output]; "
            "from pipeline.cli import main; main()",
            folder,
        ]
        measure({"stock TFX": stock, "guarded": guarded}, rounds)
