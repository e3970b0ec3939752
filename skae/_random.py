"""Random numbers that belong to one fit and never touch a global generator."""

import numpy as np
from sklearn.utils import check_random_state

# Below this a law of Student's with one over so many degrees of freedom is normal.
LIGHTEST_TAIL = 1e-6


def draw_seed(random_state):
    """Return one int seed drawn from `random_state` (int, RandomState or None)."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def seeds_of_members(seed, n_members):
    """Return the seeds of the members of an ensemble; the first has its own."""
    further = np.random.RandomState(seed).randint(
        np.iinfo(np.int32).max, size=n_members
    )
    return [seed, *further[1:].tolist()]


class Rng:
    """A stream of random tensors that can be copied and pickled.

    A `torch.Generator` must not be reachable by pickle or deepcopy (every copy
    leaks a reference to `None`, pytorch issue 188032), so this wrapper copies the
    generator's state as bytes instead.

    Parameters
    ----------
    seed : int
        Seed of the stream.
    """

    def __init__(self, seed):
        import torch

        self._generators = {"cpu": torch.Generator().manual_seed(seed)}

    def generator(self, device="cpu"):
        """Return the generator of `device`; others are seeded from the CPU's."""
        import torch

        key = str(device)
        if key not in self._generators:
            seed = torch.randint(2**62, (), generator=self._generators["cpu"]).item()
            generator = torch.Generator(device).manual_seed(seed)
            self._generators[key] = generator
        return self._generators[key]

    def permutation(self, n):
        """Return a random order of `n` rows, an int32 tensor on the CPU."""
        import torch

        return torch.randperm(n, dtype=torch.int32, generator=self.generator())

    def normal_like(self, tensor):
        """Return standard normal noise with the shape, dtype, device of `tensor`."""
        import torch

        noise = torch.empty_like(tensor)
        return noise.normal_(generator=self.generator(tensor.device))

    def uniform_like(self, tensor):
        """Return uniform numbers in [0, 1), shaped as `tensor`."""
        import torch

        draws = torch.empty_like(tensor)
        return draws.uniform_(generator=self.generator(tensor.device))

    def for_numpy(self):
        """Return a new numpy generator, seeded from the CPU's stream."""
        import torch

        seed = torch.randint(2**62, (), generator=self.generator()).item()
        return np.random.default_rng(seed)

    def keep_like(self, tensor, probability):
        """Return ones with the given probability, else zeros, shaped as `tensor`."""
        import torch

        mask = torch.empty_like(tensor)
        generator = self.generator(tensor.device)
        return mask.bernoulli_(probability, generator=generator)

    def bernoulli(self, probabilities):
        """Return zeros and ones with the given probabilities of a one."""
        import torch

        generator = self.generator(probabilities.device)
        return torch.bernoulli(probabilities, generator=generator)

    def t_stretch_like(self, tails):
        """Return what makes standard normal noise that of Student's t laws.

        The square root of degrees of freedom over a chi-square draw; one over the
        degrees of freedom is given, and 0 leaves the noise as it is.
        """
        import torch

        halves = 0.5 / tails.clamp(min=LIGHTEST_TAIL)
        draws = torch._standard_gamma(halves, generator=self.generator(tails.device))
        return torch.where(tails < LIGHTEST_TAIL, 1.0, (halves / draws).sqrt())

    def get_state(self):
        """Return the state of every stream, as bytes by device name."""
        return {
            device: generator.get_state().cpu().numpy().tobytes()
            for device, generator in self._generators.items()
        }

    def set_state(self, states):
        """Continue where `get_state` returned `states`.

        The stream of a device that this machine lacks is left out, and seeded
        anew from the CPU's when asked for.
        """
        import torch

        for device, state in states.items():
            if torch.device(device).type == "cuda" and not torch.cuda.is_available():
                continue
            generator = torch.Generator(device)
            generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
            self._generators[device] = generator
        return self

    def __reduce__(self):
        return _restore, (self.get_state(),)


def _restore(states):
    return Rng(0).set_state(states)
