# SPDX-License-Identifier: Apache-2.0
"""The folder that models are pushed to and served from.

The layout is the one that TensorFlow Serving watches
(https://www.tensorflow.org/tfx/serving/serving_config): one folder per version,
whose name is the version as a decimal number, and the newest is served. Beside
each model lies its passport::

    destination/
      1760000000/
        guard.json        the passport (components.records.passport)
        saved_model.pb
        variables/...
      .staging-5e1f.../   a push in progress; a leading dot is never a version

A version folder appears whole or not at all: a push copies to a staging folder
in the destination, flushes it to disk and renames it, which POSIX makes atomic
within one file system. Object stores have no such rename, so the destination
must be a local or mounted path.

A digest tells accidents and careless edits from the blessed model. It is no
signature: whoever can write to the destination can forge model and passport
together.
"""

from components.registry.layout import ModelChangedError as ModelChangedError
from components.registry.layout import ModelWithdrawnError as ModelWithdrawnError
from components.registry.layout import check_destination as check_destination
from components.registry.layout import latest as latest
from components.registry.layout import state as state
from components.registry.layout import verify as verify
from components.registry.layout import versions as versions
from components.registry.publishing import publish as publish
from components.registry.upkeep import prune as prune
from components.registry.upkeep import rollback as rollback
