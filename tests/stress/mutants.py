"""Mutation testing: which small changes of the code no test notices.

    pip install mutmut
    python tests/stress/mutants.py skae/_validation.py skae/_parameters.py \\
        --tests tests/test_bad_input.py tests/test_bad_tables.py tests/test_missing.py

mutmut makes the mutants of the modules: an operator turned, a constant moved, an
argument left out. A random sample of them faces the tests that reach the function; what
survives is printed, to be read: a missing test, a text, or a change without effect.

mutmut's own runner forks after the tests have run once in the parent, where torch has
started threads then, and its children hang. Here the parent only collects the tests.
Those that need polars, whose threads are started by its import, are left out; so are
tests that take longer than `--longest`.
"""

import argparse
import ast
import difflib
import inspect
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SURVIVED, KILLED, TIMEOUT = "survived", "killed", "timeout"


def write_mutants(modules, folder):
    """Copy the project to a folder, and put all mutants into the modules there.

    Returns
    -------
    names : list of str
        Of the mutants, as the environment variable `MUTANT_UNDER_TEST` takes them.
    """
    from mutmut.mutation.file_mutation import mutate_file_contents

    for part in ("skae", "tests", "docs", "examples"):
        shutil.copytree(ROOT / part, folder / part)
    for part in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / part, folder)
    (folder / "setup.cfg").write_text("[mutmut]\nsource_paths=skae\n")
    os.chdir(folder)  # where mutmut looks for that
    names = []
    for module in modules:
        mutated = mutate_file_contents(module, (ROOT / module).read_text())
        (folder / module).write_text(mutated.code)
        dotted = ".".join(Path(module).with_suffix("").parts)
        names += [f"{dotted}.{name}" for name in mutated.mutant_names]
    return names


def difference(folder, name):
    """Return the lines in which a mutant differs from the function that is tested."""
    dotted, _, mutant = name.rpartition(".")
    source = (folder / dotted.replace(".", "/")).with_suffix(".py").read_text()
    functions = {
        node.name: ast.get_source_segment(source, node).splitlines()[1:]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    }
    original = mutant.partition("__mutmut_")[0] + "__mutmut_orig"
    lines = difflib.ndiff(functions[original], functions[mutant])
    return [line for line in lines if line.startswith(("- ", "+ "))]


def run_forked(work, limit):
    """Run a function without output in a fork, and return its exit status or None."""
    child = os.fork()
    if child == 0:
        os.setsid()
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        try:
            os._exit(work())
        except BaseException:
            os._exit(70)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


class MutantRunner:
    """A pytest plugin that runs mutants in place of the tests.

    Parameters
    ----------
    names : list of str
        Of the mutants.
    longest : float
        Seconds of a test that is not left out.
    folder : Path
        Where the project with the mutants is.
    """

    def __init__(self, names, longest, folder):
        self.names = names
        self.longest = longest
        self.folder = folder
        self.outcomes = {}

    def pytest_runtestloop(self, session):
        """Find which tests reach which functions, then let them face the mutants."""
        items = [item for item in session.items if not uses_polars(item)]
        record = self.folder / "reached.json"
        status = run_forked(lambda: record_reached(session, items, record), 3600)
        if status != 0:
            sys.exit(f"the tests fail without a mutant, or did not end: {status}")
        reached, seconds = json.loads(record.read_text())
        by_id = {item.nodeid: item for item in items}
        for name in self.names:
            tests = reached.get(name.partition("__mutmut_")[0], [])
            tests = sorted(
                (t for t in tests if seconds[t] < self.longest), key=seconds.get
            )
            limit = 20 + 5 * sum(seconds[test] for test in tests)
            run = [by_id[test] for test in tests]
            status = run_forked(lambda n=name, r=run: face(session, r, n), limit)
            self.outcomes[name] = {None: TIMEOUT, 0: SURVIVED}.get(status, KILLED)
            if self.outcomes[name] != KILLED:
                print(f"\n{self.outcomes[name]}: {name} ({len(run)} tests)")
                print("\n".join(difference(self.folder, name)), flush=True)
        return True


def uses_polars(item):
    """Return whether a test has polars in its name or its code."""
    code = inspect.getsource(item.function) if hasattr(item, "function") else ""
    return "polars" in item.nodeid or "pl." in code or "polars" in code


def each_run(items):
    """Run tests, and yield each when it has ended."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        yield item


def record_reached(session, items, path):
    """Run all tests without a mutant; write what they reach, and how long."""
    from mutmut.mutation import trampoline

    hits, reached, seconds = set(), {}, {}
    trampoline.record_trampoline_hit = lambda name, caller=None: hits.add(name)
    os.environ["MUTANT_UNDER_TEST"] = "stats"
    start = time.perf_counter()
    for item in each_run(items):
        end = time.perf_counter()
        seconds[item.nodeid], start = end - start, end
        for name in hits:
            reached.setdefault(name, []).append(item.nodeid)
        hits.clear()
    path.write_text(json.dumps([reached, seconds]))
    return min(session.testsfailed, 1)


def face(session, items, name):
    """Return 1 if a test fails with a mutant, else 0."""
    os.environ["MUTANT_UNDER_TEST"] = name
    return int(any(session.testsfailed for _ in each_run(items)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="+", help="such as skae/_validation.py")
    parser.add_argument("--tests", nargs="+", required=True)
    parser.add_argument("--sample", type=int, default=300, help="default: 300")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=0.3, help="default: 0.3 s")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        names = write_mutants(arguments.modules, folder)
        sample = random.Random(arguments.seed).sample(
            names, min(arguments.sample, len(names))
        )
        sys.path.insert(0, str(folder))
        os.environ |= {
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "MUTANT_UNDER_TEST": "",
        }
        runner = MutantRunner(sample, arguments.longest, folder)
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts="]
        pytest.main([*options, *arguments.tests], plugins=[runner])
        outcomes = list(runner.outcomes.values())
    counts = {kind: outcomes.count(kind) for kind in (KILLED, SURVIVED, TIMEOUT)}
    print(f"\n{len(names)} mutants, {len(outcomes)} run: {counts}")


if __name__ == "__main__":
    main()
