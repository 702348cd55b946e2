"""One thread for torch: two threads on a loaded machine are many times slower than one."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from tests import typechecker  # noqa: F401  the import hook of the shape checks looks it up

torch.set_num_threads(1)
