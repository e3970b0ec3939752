"""How fast skae is beside hand-written loops, bare matrix products and other libraries.

    python examples/benchmarks/speed.py                    # all sections
    python examples/benchmarks/speed.py --sections tab,mni --peers
    python examples/benchmarks/speed.py --peers --markdown speed.md --output speed.json
    python examples/benchmarks/speed.py --quick            # tiny sizes: does it run?

In every repeat all contenders of a section run once in turn, after a warm-up each; the
tables give medians over the repeats, and ratios to skae: above 1 is slower. The speed
of a shared machine drifts, and all contenders with it: trust the ratios, not the
seconds. All run on the CPU.

The error is the mean squared error of the reconstructed training rows, which are
standardised: 1 is as bad as the mean row. MNIST is read from the folder named by the
environment variable SKAE_DATA, or from ../shared/data beside the repository; without
it, rows of the same shape are made up.

Here are the rows, the sections and what is asked of them. The networks and loops beside
skae are in speed_contenders.py, other libraries in speed_peers.py, what needs a process
of its own in speed_processes.py; speed_race.py takes the times, speed_report.py writes
them down.
"""

import argparse
import math
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from speed_contenders import (
    FITS,
    PCA_NAME,
    PRODUCTS,
    SKAE,
    SKAE_BOTH,
    SKAE_RANDOM,
    SKLEARN,
    SKORCH,
    SKORCH_PREDICT,
    TIGHT,
    skae_estimator,
    skae_fit,
    skorch_net,
    tight_fit,
)
from speed_peers import ENCDR, KERAS_JAX, KERAS_TORCH, PYOD, PYTHAE, peers_ready
from speed_processes import COLD, STATUS, in_new_process, memory_of_fit, time_process
from speed_race import Row, Section, Setting, race, ratio_line, timed_call, timed_fit
from speed_report import (
    TOO_SMALL,
    Target,
    describe_machine,
    draw_growth,
    head_text,
    judge,
    save,
    section_text,
    slope,
    targets_text,
)
from tables import data_folder
from threadpoolctl import threadpool_limits

QUICK_ROWS = 500


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    repeats: int = 5
    peers: bool = False
    quick: bool = False

    def rows(self, n_rows):
        return min(n_rows, QUICK_ROWS) if self.quick else n_rows

    def setting(self, setting):
        return replace(setting, max_epochs=1) if self.quick else setting

    @property
    def races(self):
        """The arguments of `race`."""
        return {"n_repeats": self.repeats, "warm_up": not self.quick}


TAB = Setting((64, 32), 8, batch_size=256, max_epochs=10)
MNI = Setting((512, 256), 16, batch_size=256, max_epochs=2)
TINY = Setting((16,), 2, batch_size=32, max_epochs=100)
MEMORY = Setting((64, 32), 8, batch_size=1024, max_epochs=1)
GROWTH = Setting((64, 32), 8, batch_size=256, max_epochs=3)

# -- targets ---------------------------------------------------------------------------

# On AMD's processors the matrix products of torch leave half of AVX512's speed unused.
MNI_LIMIT, MNI_LIMIT_AMD = 0.95, 0.62

TARGETS = [
    Target("tab", SKAE, TIGHT, "<=", 0.5),
    Target("tab", SKAE, PRODUCTS, "<=", 1.7),
    Target("tab", SKORCH, SKAE, ">=", 9),
    Target("tab", PYOD, SKAE, ">=", 6),
    Target("tab", PYTHAE, SKAE, ">=", 8),
    Target("tab", ENCDR, SKAE, ">=", 8),
    Target("tab", KERAS_TORCH, SKAE, ">=", 10),
    Target("tab", KERAS_JAX, SKAE, ">=", 7),
    Target("tab", SKLEARN, SKAE, ">=", 2.5),
    Target("tab-vae", SKAE, TIGHT, "<=", 0.5),
    Target("tab-vae", SKAE, PRODUCTS, "<=", 2.0),
    Target("mni", SKAE, TIGHT, "<=", MNI_LIMIT),
    Target("mni", SKAE_RANDOM, TIGHT, "<=", MNI_LIMIT),  # without the PCA before it
    *(
        Target("mni", name, SKAE, ">=", 1.8)
        for name in (SKORCH, PYOD, PYTHAE, ENCDR, KERAS_TORCH, KERAS_JAX, SKLEARN)
    ),
    Target("module", SKAE, TIGHT, "<=", 1.05),
    Target("tiny", SKORCH, SKAE, ">=", 10),
    Target("tiny", TIGHT, SKAE, ">=", 4),
    Target("tiny", SKLEARN, SKAE, ">=", 3),
    Target("transform", f"{SKORCH_PREDICT}, float32", f"{SKAE}, float32", ">=", 25),
    Target("transform", f"{SKAE}, float32", f"{PCA_NAME}, float32", "<=", 6),
    Target("transform", f"{SKAE}, float64", f"{PCA_NAME}, float64", "<=", 6),
    Target("memory", "float32", None, "<=", 16),
    Target("memory", "float64", None, "<=", 16),
    Target("memory", "memmap", None, "<=", 16),
    Target("cold", SKAE, SKORCH, "<=", 0.7),
]


def targets_on(machine):
    """Return what is asked on a machine."""
    fast_amd = machine["amd"] and machine["avx512"]
    limits = {("mni", TIGHT): MNI_LIMIT_AMD} if fast_amd else {}
    return [t._replace(limit=limits.get((t.section, t.over), t.limit)) for t in TARGETS]


# -- rows ------------------------------------------------------------------------------


def tabular_rows(n_rows, n_features=30, n_causes=8, n_hidden=16, noise=0.1):
    """Return standardised columns, float32: nonlinear mixtures of a few causes."""
    rng = np.random.default_rng(0)
    mix = 2 * rng.standard_normal((n_causes, n_hidden), np.float32)
    bias = rng.standard_normal(n_hidden, np.float32)
    spread = rng.standard_normal((n_hidden, n_features), np.float32)
    causes = rng.standard_normal((n_rows, n_causes), np.float32)
    hidden = np.tanh(causes @ mix / math.sqrt(n_causes) + bias)  # (n_rows, n_hidden)
    X = hidden @ spread / math.sqrt(n_hidden)
    X += noise * rng.standard_normal(X.shape, np.float32)
    return StandardScaler(copy=False).fit_transform(X)


def image_rows(n_rows):
    """Return digits, pixels centred and divided by one number, and their name."""
    path = data_folder() / "mnist.npz"
    if not path.is_file():
        return tabular_rows(n_rows, 784), "made-up rows"
    X = np.load(path)["X_train"][:n_rows].reshape(n_rows, -1).astype(np.float32)
    X -= X.mean(axis=0)
    return X / X.std(), "MNIST"


def iris_rows():
    """Return the 150 flowers, standardised."""
    return StandardScaler().fit_transform(load_iris().data).astype(np.float32)


# -- sections of fits: Plan -> Section -------------------------------------------------


def run_tab(plan):
    X = tabular_rows(plan.rows(20_000))
    return race_fits("Autoencoder", FITS, X, plan.setting(TAB), plan, peers=True)


def run_tab_vae(plan):
    fits = {name: prepare for name, prepare in FITS.items() if name != SKLEARN}
    X, setting = tabular_rows(plan.rows(20_000)), replace(TAB, variational=True)
    return race_fits("VAE", fits, X, plan.setting(setting), plan, peers=True)


def run_mni(plan):
    X, what = image_rows(plan.rows(10_000))
    setting = replace(plan.setting(MNI), threads=torch.get_num_threads())
    return race_fits(what, FITS, X, setting, plan, peers=True)


def run_module(plan):
    """Time a network that has no shortcut in skae, hence stands for any other."""
    fits = {
        SKAE: partial(skae_fit, normalization="layer"),
        TIGHT: partial(tight_fit, layer_norm=True),
    }
    X = tabular_rows(plan.rows(20_000))
    return race_fits("Layer normalisation", fits, X, plan.setting(TAB), plan)


def run_tiny(plan):
    return race_fits("Iris", FITS, iris_rows(), plan.setting(TINY), plan)


def race_fits(what, fits, X, setting, plan, *, peers=False):
    """Return the section of a race of fits, and of each library if asked for."""
    contenders = {
        name: partial(timed_fit, prepare(setting), X, setting)
        for name, prepare in fits.items()
    }
    others = peers_ready(X, setting) if peers and plan.peers else nullcontext(({}, {}))
    with limited_threads(setting.threads), others as (workers, notes):
        rows = race(contenders | workers, **plan.races, notes=notes)
    sizes = [*setting.encoder_sizes(X.shape[1])[:-1]]
    sizes += setting.decoder_sizes(X.shape[1])
    title = (
        f"{what}: {len(X)} rows, network {'-'.join(map(str, sizes))}, batches of "
        f"{setting.batch_size}, epochs: {setting.max_epochs}, threads: "
        f"{setting.threads}"
    )
    return Section(title, rows)


@contextmanager
def limited_threads(n_threads):
    """Hold torch and the linear algebra of numpy to a number of threads."""
    before = torch.get_num_threads()
    with threadpool_limits(n_threads):
        torch.set_num_threads(n_threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


# -- other sections: Plan -> Section ---------------------------------------------------

PREDICTED_SHARE = 20  # skorch gets one row in so many, and its time is scaled up


def run_transform(plan):
    X = tabular_rows(plan.rows(1_000_000))
    training_rows = X[:20_000]
    setting = replace(TAB, max_epochs=1)
    ours = skae_estimator(setting).fit(training_rows)
    pca = PCA(setting.n_components).fit(training_rows)
    net = skorch_net(X.shape[1], setting).fit(training_rows, training_rows)

    contenders = {}
    for rows in X, X.astype(np.float64):
        calls = {
            SKAE: ours.transform,
            SKAE_BOTH: lambda rows: ours.inverse_transform(ours.transform(rows)),
            PCA_NAME: pca.transform,
        }
        for name, call in calls.items():
            contenders[f"{name}, {rows.dtype}"] = partial(timed_call, call, rows)
    few = X[: len(X) // PREDICTED_SHARE]
    contenders[f"{SKORCH_PREDICT}, float32"] = partial(
        timed_call, net.predict, few, times=PREDICTED_SHARE
    )
    with limited_threads(1):
        rows = race(contenders, **plan.races)
    title = f"transform, {len(X)} x {X.shape[1]}, threads: 1"
    return Section(
        title, rows, [ratio_line(rows, f"{SKAE}, float64", f"{SKAE}, float32")]
    )


# How joblib runs two fits; its processes are started by the warm-up.
JOBS = {
    "one after the other": {"n_jobs": 1},
    "n_jobs=2, threading": {"n_jobs": 2, "backend": "threading"},
    "n_jobs=2, loky": {"n_jobs": 2, "backend": "loky"},
}


def run_threads(plan):
    """Time skae alone, free to choose how many of the threads it uses."""
    X, tab = tabular_rows(plan.rows(20_000)), plan.setting(TAB)
    images, mni = image_rows(plan.rows(10_000))[0], plan.setting(MNI)
    contenders = {
        f"{what}, threads: {n}": partial(timed_on_threads, n, skae_fit(setting), rows)
        for what, setting, rows in (("tab", tab, X), ("mni", mni, images))
        for n in (1, 2)
    }
    for name, how in JOBS.items():
        contenders[f"two tab, {name}"] = partial(timed_jobs, how, tab, X)
    rows = race(contenders, **plan.races)
    get_reusable_executor().shutdown()  # `cold` adds up the CPU time of children
    lines = [
        ratio_line(rows, f"{what}, threads: 2", f"{what}, threads: 1")
        for what in ("tab", "mni")
    ]
    one_by_one, *together = [f"two tab, {name}" for name in JOBS]
    lines += [ratio_line(rows, name, one_by_one) for name in together]
    title = "Fits of skae in the settings of the sections tab and mni"
    return Section(title, rows, lines, compete=False)


def timed_on_threads(n_threads, fit, X):
    """Return the seconds of a fit that may use a number of threads."""
    with limited_threads(n_threads):
        return timed_call(fit, X)


def timed_jobs(how, setting, X):
    """Return the seconds of two fits by joblib."""
    calls = [delayed(skae_estimator(setting, random_state=i).fit)(X) for i in range(2)]
    # the CPU time of other processes is not known
    return {"wall": timed_call(Parallel(**how), calls)["wall"]}


def run_memory(plan):
    n_rows = plan.rows(1_000_000)
    title = f"Extra memory of fit, {n_rows} x 30, batches of {MEMORY.batch_size}"
    if not STATUS.exists():
        return Section(title, [Row("-", [], f"needs {STATUS}")])
    contenders = {
        kind: partial(in_new_process, memory_of_fit, MEMORY, kind, n_rows)
        for kind in ("float32", "float64", "memmap")
    }
    return Section(title, race(contenders, plan.repeats, warm_up=False))


def run_cold(plan):
    contenders = {name: partial(time_process, name) for name in COLD}
    title = "New process: imports and a first fit, 150 x 4, epochs: 1, threads: 1"
    return Section(title, race(contenders, **plan.races))


MANY_ROWS = (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
MANY_COLUMNS = (10, 30, 100, 300, 1000, 3000)


def run_growth(plan):
    fit = skae_fit(GROWTH)
    most_rows, most_columns = (3000, 30) if plan.quick else (10**6, 3000)
    contenders = {}
    X = tabular_rows(most_rows)
    for n in MANY_ROWS:
        if n <= most_rows:
            contenders[f"n = {n}"] = partial(timed_growth, fit, X[:n], n)
    for d in MANY_COLUMNS:
        if d <= most_columns:
            X = tabular_rows(plan.rows(5000), d)
            contenders[f"d = {d}"] = partial(timed_growth, fit, X, d)
    with limited_threads(1):
        rows = race(contenders, **plan.races)
    lines = [
        f"slope of log seconds over log {of}: {slope(rows, of):.2f}" for of in "nd"
    ]
    title = f"Fit of skae, epochs: {GROWTH.max_epochs}, threads: 1"
    return Section(title, rows, lines, compete=False)


def timed_growth(fit, X, size):
    """Return the seconds of a fit, and the size that grows."""
    return {"wall": timed_call(fit, X)["wall"], "size": size}


SECTIONS = {
    "tab": run_tab,
    "tab-vae": run_tab_vae,
    "mni": run_mni,
    "module": run_module,
    "tiny": run_tiny,
    "transform": run_transform,
    "threads": run_threads,
    "memory": run_memory,
    "cold": run_cold,
    "growth": run_growth,
}


# -- command line ----------------------------------------------------------------------


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--sections",
        type=lambda names: names.split(","),
        default=list(SECTIONS),
        help=f"some of {','.join(SECTIONS)}; default: all",
    )
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    parser.add_argument("--peers", action="store_true", help="other libraries too")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, 1 repeat")
    parser.add_argument("--markdown", help="file for the report, as it is printed")
    parser.add_argument("--output", help="JSON file for every run")
    parser.add_argument("--picture", help="image file for the section growth")
    arguments = parser.parse_args(arguments)
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {sorted(unknown)}; choose from {list(SECTIONS)}")
    return arguments


def main():
    arguments = parse_arguments()
    repeats = 1 if arguments.quick else arguments.repeats
    plan = Plan(repeats, peers=arguments.peers, quick=arguments.quick)
    machine, report, sections = describe_machine(), [], {}

    def tell(text):
        report.append(text)
        print(f"{text}\n", flush=True)

    tell(head_text("Speed"))
    for name in arguments.sections:
        sections[name] = SECTIONS[name](plan)
        tell(section_text(name, sections[name]))
    verdicts = [] if plan.quick else list(judge(targets_on(machine), sections))
    tell(f"## Targets\n\n{TOO_SMALL if plan.quick else targets_text(verdicts)}")

    if arguments.markdown:
        Path(arguments.markdown).write_text("\n\n".join(report) + "\n")
    if arguments.output:
        save(arguments.output, machine, sections, verdicts)
    if arguments.picture and "growth" in sections:
        draw_growth(sections["growth"], arguments.picture)


if __name__ == "__main__":
    main()
