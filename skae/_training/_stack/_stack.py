"""K networks that train as one, and leave when each of them is done."""

import math
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, groupby, pairwise

import torch

from skae._training._batches import KEPT_BYTES
from skae._training._dense import DenseStep
from skae._training._stack._audience import Audience, same_audience
from skae._training._stack._parameters import StackedParameters
from skae._training._stack._updates import (
    StackedAdam,
    StackedConstantCourse,
    StackedCourse,
)
from skae._training._threads import threads_for

# When this share of the members is done the others go on in a smaller stack: to make
# one takes as long as a few steps.
MOST_IDLE = 0.25

# A stack has at most so many members, and what they work on has at most so many bytes.
MOST_MEMBERS, MOST_BYTES = 128, 256 * 2**20

# Floating-point operations of a step that make it worth a thread of its own.
ENOUGH_OPERATIONS = 20e6


def train_members(members):
    """Train members that agree in their `stack_key`, in stacks that memory allows.

    If there are several threads each of them trains stacks of its own. That scales as
    well as sharing out every operation would, and does not stall when a processor is
    busy with something else, as threads do that wait for each other.

    Parameters
    ----------
    members : list of Member
        Changed in place. Where `has_failed` is true there is no trained network.
    """
    audiences = defaultdict(list)  # in their order: the same fits are the same stacks
    for member in members:
        audiences[same_audience(member)].append(member)
    members = list(chain.from_iterable(audiences.values()))
    stacks = [Stack(part) for part in _parts(members, torch.get_num_threads())]
    if len(stacks) == 1:
        stacks[0].train()
        return
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        try:
            for done in [pool.submit(stack.train) for stack in stacks]:
                done.result()
        except BaseException:  # Ctrl-C, too
            for stack in stacks:
                stack.is_interrupted = True
            raise


def _parts(members, n_threads):
    """Return members in parts of about the same size, each for a stack."""
    size = max(1, min(MOST_MEMBERS, MOST_BYTES // _n_bytes(members[0])))
    n_parts = -(-len(members) // size)
    if n_threads > 1:
        enough = max(1, math.ceil(ENOUGH_OPERATIONS / members[0].n_operations))
        most = max(1, len(members) // enough)
        n_parts = max(n_parts, min(n_threads, most))
    bounds = [round(i * len(members) / n_parts) for i in range(n_parts + 1)]
    return [members[start:stop] for start, stop in pairwise(bounds)]


def _n_bytes(member):
    """Return about how much memory a member takes in training."""
    module, plan = member.module_, member.plan
    n_weights = sum(p.numel() for p in module.parameters())
    n_rows = plan.batch_size * getattr(module, "n_draws", 1)
    n_cells = member.rows.n_train * module.n_features
    if 4 * n_cells > KEPT_BYTES:
        n_cells = 0  # they stay where they are
    # weights, gradients, moments, averages; inputs, outputs and gradients of layers
    return 4 * (8 * n_weights + 24 * n_rows * module.widest_layer + n_cells)


class Stack:
    """Networks that agree in their `stack_key`, trained as one.

    Each takes the steps that it would take alone, on its own rows with its own noise,
    and stops where it would stop; to rounding, the same comes out.

    Parameters
    ----------
    members : list of Member
        Those of one audience side by side.
    """

    #: Whether to stop after this epoch; what has been trained is of no use then.
    is_interrupted = False

    def __init__(self, members):
        self.members = members
        groups = [list(same) for _, same in groupby(members, key=same_audience)]
        self.audiences = [Audience(group) for group in groups]
        self._stand_up()
        first, plan = members[0].module_, members[0].plan
        self.weights = StackedParameters(self.modules, self.rngs)
        self.n_rows = len(self.audiences[0].batches.dataset)
        self.n_steps = len(self.audiences[0].batches) * plan.max_epochs
        self.course = StackedConstantCourse()
        self.jitters = plan.schedule == "auto"
        if self.jitters:
            self.course = StackedCourse(self.weights, self.n_steps)
        self.corrupted = self.jitters or first.corruption is not None
        plans = [member.plan for member in members]
        self.optimizer = StackedAdam(
            self.weights,
            plan.optimizer,
            [plan.lr for plan in plans],
            [plan.weight_decay for plan in plans],
        )
        self.best = None
        if plan.patience is not None:
            self.best = self.weights.vector.clone()
        self.terms = ("loss", *first.terms)

    def _stand_up(self):
        """Give every member its place, and forget the steps so far."""
        self.modules = [member.module_ for member in self.members]
        self.rngs, self.places, start = [], [], 0
        for audience in self.audiences:
            self.rngs += [audience.rng] * len(audience.members)
            self.places.append(slice(start, len(self.rngs)))
            start = len(self.rngs)
        self.steps = {}

    def train(self):
        """Train every member until it is done."""
        with threads_for(0):
            terms_at_start = self._judge() if self.best is not None else None
            for k, member in enumerate(self.members):
                start = {} if terms_at_start is None else terms_at_start[k]
                member.begin(self.n_steps, start)
            active = self._let_go([*self.members])
            while active and not self.is_interrupted:
                self._train_epoch()
                active = self._let_go(active)

    # -- an epoch --------------------------------------------------------------

    def _train_epoch(self):
        begin = time.perf_counter()
        with torch.inference_mode():
            self.course.begin_epoch()
            sums, share = self._run_steps()
            self.course.end_epoch()
        terms = self._by_member(sums / self.n_rows, "train")
        if self.best is not None:
            judged = self._judge()
            terms = [own | more for own, more in zip(terms, judged, strict=True)]
        is_finite = self.weights.each(lambda value, _: value.sum(1)).isfinite().tolist()
        seconds = (time.perf_counter() - begin) / len(self.members)
        n_batches = len(self.audiences[0].batches)
        better = []
        for k, member in enumerate(self.members):
            if member.is_done:
                continue
            more = {"train_batch_count": n_batches, "dur": seconds}
            if member.record(share, terms[k] | more):
                better.append(k)
            if not (is_finite[k] and math.isfinite(terms[k]["train_loss"])):
                member.has_failed = True
        self._remember(better)

    def _run_steps(self):
        """Take the steps of an epoch; return sums of the terms, and the step size."""
        course, optimizer = self.course, self.optimizer
        sums = self.weights.vector.new_zeros(len(self.terms), len(self.members))
        warming = [
            member.warmup
            for member in self.members
            if not (member.is_done or member.warmup.due == 1.0)
        ]
        for batches in zip(*(a.batches for a in self.audiences), strict=True):
            for warmup in warming:
                warmup.step()
            share = course.advance()
            n_rows = len(batches[0][0])
            step = self._step_for(n_rows)
            noise = share if self.jitters else None
            for audience, place, batch in zip(
                self.audiences, self.places, batches, strict=True
            ):
                audience.show(step, place, batch, noise)
            step.code.set_objective()
            step.compute()
            sums.add_(step.terms, alpha=n_rows)
            course.before_update()
            optimizer.step(share)
            course.after_update()
        return sums, share

    def _judge(self):
        """Return the terms of every member on its validation rows."""
        sums, n_rows = 0.0, 0
        with torch.inference_mode():
            for batches in zip(*(a.judged for a in self.audiences), strict=True):
                step = self._step_for(len(batches[0][0]), judges=True)
                for place, (*batch, noise) in zip(self.places, batches, strict=True):
                    step.fill_members(place, *batch)
                    if noise is not None:
                        step.code.set_noise(place, noise)
                step.code.set_objective()
                step.compute()
                sums = sums + step.terms * len(batches[0][0])
                n_rows += len(batches[0][0])
        return self._by_member(sums / n_rows, "valid")

    def _by_member(self, terms, prefix):
        names = [f"{prefix}_{name}" for name in self.terms]
        return [dict(zip(names, own, strict=True)) for own in terms.T.tolist()]

    def _step_for(self, n_rows, *, judges=False):
        """Return the `DenseStep` for batches of a size."""
        if (n_rows, judges) not in self.steps:
            with torch.inference_mode(False):  # the buffers outlive that mode
                self.steps[n_rows, judges] = DenseStep(
                    self.weights,
                    n_rows,
                    corrupted=self.corrupted,
                    has_holes=self.members[0].rows.has_holes,
                    judges=judges,
                )
        return self.steps[n_rows, judges]

    # -- members that are done -------------------------------------------------

    def _remember(self, members):
        """Keep the weights of some of the members as their best ones."""
        if len(members) == len(self.members):
            self.best.copy_(self.weights.vector)
        elif members:
            best = self.weights.split(self.best).values()
            for kept, value in zip(best, self.weights.values.values(), strict=True):
                kept[members] = value[members]

    def _let_go(self, active):
        """Give those that are done their weights; return the others."""
        done = [member for member in active if member.is_done]
        if not done:
            return active
        vector = self.weights.vector if self.best is None else self.best
        for audience, place in zip(self.audiences, self.places, strict=True):
            state = audience.rng.get_state()
            for k, member in zip(
                range(place.start, place.stop), audience.members, strict=True
            ):
                if member in done:
                    self.weights.restore(k, vector)
                    member.module_.rng.set_state(state)
        active = [member for member in active if not member.is_done]
        if active and len(active) <= (1 - MOST_IDLE) * len(self.members):
            self._shrink()
        return active

    def _shrink(self):
        """Go on with the members that are not done."""
        stay = [k for k, member in enumerate(self.members) if not member.is_done]
        old = self.weights
        self.members = [self.members[k] for k in stay]
        for audience in self.audiences:
            audience.members = [m for m in audience.members if not m.is_done]
        self.audiences = [a for a in self.audiences if a.members]
        self._stand_up()
        self.weights = StackedParameters(self.modules, self.rngs, old.shapes)
        self.weights.vector.copy_(old.select(old.vector, stay))
        self.optimizer = self.optimizer.of(self.weights, stay)
        self.course.keep(self.weights, stay)
        if self.best is not None:
            self.best = old.select(self.best, stay)
