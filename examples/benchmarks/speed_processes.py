"""What speed.py measures in processes of their own: memory of a fit, cold starts."""

import gc
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from speed_contenders import PCA_NAME, SKAE, SKLEARN, SKORCH, TIGHT, skae_estimator

MEGABYTE = 1e6
STATUS = Path("/proc/self/status")

# -- memory ----------------------------------------------------------------------------


def in_new_process(function, *args):
    """Return what a function returns in a process that did nothing before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def memory_of_fit(setting, kind, n_rows):
    """Return by how much fit raises the memory of this process at most.

    Anonymous memory only: the pages of a file that were read can be let go of. X is
    loaded and a small fit is done before, so neither X nor imports count.
    """
    torch.set_num_threads(1)
    dtype = np.float64 if kind == "float64" else np.float32
    X = np.random.default_rng(0).standard_normal((n_rows, 30), dtype)
    estimator = skae_estimator(setting)
    with tempfile.TemporaryDirectory() as folder:
        if kind == "memmap":
            np.save(f"{folder}/rows.npy", X)
            del X
            X = np.load(f"{folder}/rows.npy", mmap_mode="r")
        estimator.fit(X[:2048])
        gc.collect()
        before = anonymous_memory()
        with MemorySampler() as sampler:
            estimator.fit(X)
    return {"megabytes": (sampler.peak - before) / MEGABYTE}


def anonymous_memory():
    """Return the bytes of this process' memory that no file backs."""
    kilobytes = re.search(r"RssAnon:\s*(\d+) kB", STATUS.read_text())[1]
    return 1024 * int(kilobytes)


class MemorySampler(threading.Thread):
    """Watch the anonymous memory inside a block, every 5 ms; `peak` is its maximum."""

    def __init__(self, seconds=0.005):
        super().__init__(daemon=True)
        self.seconds = seconds
        self.peak = anonymous_memory()
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(self.seconds):
            self.peak = max(self.peak, anonymous_memory())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.join()


# -- cold starts -----------------------------------------------------------------------

# What a new process does: import, one epoch on 150 rows of 4 columns, and no more.
COLD_ROWS = """
import sys
import numpy as np
X = np.random.default_rng(0).standard_normal((150, 4)).astype(np.float32)
"""
COLD_NETWORK = """
import torch
from torch import nn
network = nn.Sequential(
    nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2), nn.Linear(2, 16), nn.ReLU(),
    nn.Linear(16, 4),
)
"""
COLD = {
    SKAE: """
from skae import AutoencoderTransformer
from skae.architectures import MLP
AutoencoderTransformer(
    2, architecture=MLP((16,), activation="relu"), batch_size=32, max_epochs=1,
    schedule="constant", early_stopping=False, optimizer="adam", random_state=0,
).fit(X)
""",
    SKORCH: COLD_NETWORK
    + """
from skorch import NeuralNetRegressor
NeuralNetRegressor(
    network, optimizer=torch.optim.Adam, lr=1e-3, max_epochs=1, batch_size=32,
    iterator_train__shuffle=True, train_split=None, verbose=0,
).fit(X, X)
""",
    TIGHT: COLD_NETWORK
    + """
rows = torch.from_numpy(X)
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
for numbers in torch.randperm(len(rows)).split(32):
    batch = rows.index_select(0, numbers)
    optimizer.zero_grad(set_to_none=True)
    nn.functional.mse_loss(network(batch), batch).backward()
    optimizer.step()
""",
    SKLEARN: """
import warnings
from sklearn.neural_network import MLPRegressor
warnings.simplefilter("ignore")
MLPRegressor(
    hidden_layer_sizes=(16, 2, 16), batch_size=32, max_iter=1, random_state=0
).fit(X, X)
""",
    PCA_NAME: """
from sklearn.decomposition import PCA
PCA(2).fit(X)
""",
}
COLD_END = 'print(int("torch._dynamo" in sys.modules))'


def time_process(name):
    """Return the seconds of a whole process of a contender; whether it has dynamo."""
    code = f"{COLD_ROWS}{COLD[name]}{COLD_END}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.perf_counter()
    output = subprocess.run(
        [sys.executable, "-P", "-c", code],  # -P: skae is the installed one
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "dynamo": int(output)}
