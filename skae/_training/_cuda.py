"""What is special about CUDA: captured steps, and the precision of its products."""

from contextlib import contextmanager

import torch


class CapturedGradients:
    """`DenseGradients` whose operations are launched as one, by a CUDA graph.

    A small step is some fifty kernels, each faster than its launch. Batches have two
    sizes at most, so there are two graphs at most.

    Parameters
    ----------
    gradients : DenseGradients
        What to capture.
    """

    without_autograd = True

    def __init__(self, gradients):
        self.gradients = gradients
        self.module = gradients.flat.modules[0]
        self.graphs = {}

    def run(self, U, target, known=None, *, keep_output=False):
        """Fill the gradients; return the loss and its terms, (1 + n_terms, 1)."""
        step = self.gradients.step_for(len(U))
        if keep_output:  # somebody looks at every batch: no hurry
            return self.gradients.run(U, target, known, keep_output=True)
        step.fill(U, target, known)
        if len(U) not in self.graphs:
            self.graphs[len(U)] = self._capture(step)
        self.graphs[len(U)].replay()
        return step.terms

    def output(self):
        """Return what the module returned in the last run that kept it."""
        return self.gradients.output()

    def _capture(self, step):
        generator = self.module.rng.generator(step.U.device)
        state = generator.get_state()
        # CUDA wants some runs on a side stream first; they must not use up the noise
        stream = torch.cuda.Stream(step.U.device)
        stream.wait_stream(torch.cuda.current_stream(step.U.device))
        with torch.cuda.stream(stream):
            for _ in range(3):
                step.compute()
        torch.cuda.current_stream(step.U.device).wait_stream(stream)
        generator.set_state(state)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            step.compute()
        return graph


@contextmanager
def exact_float32(device):
    """Compute in float32 on CUDA inside the block, without TensorFloat-32.

    Parameters
    ----------
    device : torch.device
        Where; on the CPU there is nothing to do.
    """
    if device.type != "cuda":
        yield
        return
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(allow_tf32=False):
            yield
    finally:
        matmul.allow_tf32 = before
