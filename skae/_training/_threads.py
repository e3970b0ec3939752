"""How many threads a small network is worth."""

from contextlib import contextmanager

import torch

# Below this many floating-point operations a second core gains little, and costs a lot
# when it is busy with something else: threads that wait for each other in every
# operation were measured to slow a fit down thirtyfold.
SMALL_STEP = 100e6


@contextmanager
def threads_for(n_operations):
    """Use one thread of torch inside the block if its steps are small.

    In whatever thread the block runs: the same fit in a worker thread must give the
    same bits. The number is the calling thread's own, and comes back; but a thread that
    uses torch for the first time meanwhile starts with one, as torch keeps a default.

    Parameters
    ----------
    n_operations : float
        Floating-point operations of a step.
    """
    before = torch.get_num_threads()
    if before == 1 or n_operations >= SMALL_STEP:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
