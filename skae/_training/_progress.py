"""One line that says how far training has got."""

import sys
from time import perf_counter

from skorch.callbacks import Callback

#: Seconds between two states of the line.
INTERVAL = 0.1


class ProgressLine(Callback):
    """Epochs, losses and the seconds left, in a line that is written over.

    Where a line cannot be written over, in a file, there is its last state alone.
    """

    def on_train_begin(self, net, **kwargs):
        """Start the clock."""
        self.start_ = self.last_ = perf_counter()
        self.first_, self.width_ = len(net.history), 0

    def on_epoch_end(self, net, **kwargs):
        """Write the line, unless that was just done."""
        now = perf_counter()
        if can_overwrite(sys.stdout) and now - self.last_ >= INTERVAL:
            self.last_ = now
            done = len(net.history) - self.first_
            to_come = net.most_epochs - len(net.history)
            left = (now - self.start_) / done * to_come
            self._write(f"{describe(net)}  at most {left:.0f} s left")

    def on_train_end(self, net, **kwargs):
        """Write its last state."""
        if len(net.history) > self.first_:
            self._write(f"{describe(net)}  {perf_counter() - self.start_:.1f} s")
            print(flush=True)

    def _write(self, line):
        again = "\r" if can_overwrite(sys.stdout) else ""
        print(f"{again}{line:<{self.width_}}", end="", flush=True)
        self.width_ = len(line)


def describe(net):
    """Return what the last epoch has brought."""
    row = net.history[-1]
    text = f"epoch {len(net.history)}/{net.most_epochs}  loss {row['train_loss']:.4g}"
    if "valid_loss" in row:
        text += f"  validation {row['valid_loss']:.4g}"
    return text


def can_overwrite(stream):
    """Return whether a carriage return leads back to the start of the line."""
    is_notebook = type(stream).__module__.startswith("ipykernel")
    return is_notebook or stream.isatty()
