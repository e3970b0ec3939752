"""Memory and threads: nothing grows, and every answer is of one consistent state.

    python tests/stress/leaks.py      # 1,000 fits, 10,000 transforms, 8 threads

- Resident memory may grow by less than a megabyte in the second half of 1,000 fits, and
  in that of 10,000 calls of `transform`.
- While one thread calls `partial_fit`, eight others call `transform`, 50 times each and
  until it is done: every answer must be that of the model after some number of passes,
  to the bit.
"""

import argparse
import gc
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone

from skae import AutoencoderTransformer, VAETransformer
from skae.architectures import MLP

X = np.random.default_rng(0).normal(size=(200, 6))
SMALL = {"architecture": MLP((8,)), "max_epochs": 2, "random_state": 0}


def resident():
    """Return how many bytes this process has in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def growth(call, n_calls):
    """Return the bytes by which memory grows in the second half of so many calls."""
    for _ in range(n_calls // 2):
        call()
    before = resident()
    for _ in range(n_calls - n_calls // 2):
        call()
    return resident() - before


def grown(n_fits, n_transforms):
    """Return the growth of fits and of transforms, in bytes."""
    vae = VAETransformer(2, **SMALL)
    fitted = clone(vae).fit(X)
    return {
        "fit": growth(lambda: clone(vae).fit(X), n_fits),
        "transform": growth(lambda: fitted.transform(X), n_transforms),
    }


def concurrent_answers(n_threads, n_calls, n_passes):
    """Return how many answers there were during training, and how many were of a state.

    Also how many different states were seen.
    """
    model = AutoencoderTransformer(2, **SMALL).partial_fit(X)
    twin, states = clone(model).partial_fit(X), {}
    for i in range(n_passes + 1):
        states[twin.transform(X).tobytes()] = i
        twin.partial_fit(X)
    found, start = [], threading.Barrier(n_threads + 1)
    is_over = threading.Event()

    def look():
        own = []
        start.wait()
        while len(own) < n_calls or not is_over.is_set():
            own.append(model.transform(X).tobytes())
        found.extend(own)

    threads = [threading.Thread(target=look) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    start.wait()
    for _ in range(n_passes):
        model.partial_fit(X)
    is_over.set()
    for thread in threads:
        thread.join()
    seen = {states[answer] for answer in found if answer in states}
    return len(found), sum(answer in states for answer in found), len(seen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fits", type=int, default=1000)
    parser.add_argument("--transforms", type=int, default=10_000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    bytes_grown = grown(arguments.fits, arguments.transforms)
    for name, value in bytes_grown.items():
        print(f"{name}: {value / 2**20:+.2f} MB in the second half")
    n_answers, n_of_states, n_seen = concurrent_answers(8, 50, 30)
    print(
        f"{n_answers} answers of 8 threads during partial_fit, {n_of_states} of them "
        f"of one of the states, of which {n_seen} were seen"
    )
    is_good = max(bytes_grown.values()) < 2**20 and n_of_states == n_answers
    sys.exit(0 if is_good else "failed")


if __name__ == "__main__":
    main()
