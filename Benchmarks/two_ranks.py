#!/usr/bin/env python3
"""Two ranks of one run beside two runs of one rank that start together: tokens a second, each rank on a core of its own.

    Benchmarks/two_ranks.py --recipe recipes/video-games.yaml [--rounds 3] [--set KEY=VALUE ...]

The run of two ranks has twice the batch, so a rank does the same work per step as a run alone; what it has to do besides is
to reduce gradients and to wait for the other. Rounds alternate; the first ten steps of a run do not count.

The share of all tokens in all seconds counts whatever else uses the machine: a run of two ranks waits at every step for the
core that is slower just then, two runs average that out. So the share of the fastest tenth of all rounds' steps is there, too.
"""
import argparse, json, os, pathlib, statistics, subprocess, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
WORKER = ROOT / ".build/release/flower-worker"


def steps(run):
    """Tokens and seconds of each step that counts."""
    lines = [json.loads(line) for line in open(f"{run}/metrics.jsonl")]
    lines = [line for line in lines if "step" in line and "tokens" in line]
    return [(b["tokens"], b["seconds"] - a["seconds"]) for a, b in zip(lines[9:], lines[10:])]


def rate(steps):
    return sum(tokens for tokens, _ in steps) / sum(seconds for _, seconds in steps)


def fastest(steps):
    """Tokens a second of the fastest tenth."""
    return rate(sorted(steps, key=lambda step: step[1] / step[0])[: max(1, len(steps) // 10)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32, help="examples of a rank and step")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    environment = os.environ | {
        "OPENBLAS_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    temporary = tempfile.TemporaryDirectory()
    directory = temporary.name

    def start(prefix, name, ranks, seed):
        settings = arguments.set + [
            f"name={name}", f"runs={directory}", f"training.seed={seed}", f"training.steps={arguments.steps}",
            f"training.global_batch={ranks * arguments.batch}", f"training.grains={4 * ranks}", "checkpoint.every=0",
            "validation.every=0"]
        command = [*prefix, WORKER, "train", arguments.recipe]
        for setting in settings:
            command += ["--set", setting]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)

    print("| round | two runs, tokens a second together | one run of two ranks | share |\n" + "| --- " * 4 + "|", flush=True)
    shares, of_two, of_each = [], [], ([], [])
    for number in range(1, arguments.rounds + 1):
        alone = [start(["taskset", "-c", str(core)], f"alone-{number}-{core}", 1, core + 1) for core in (0, 1)]
        if any(run.wait() for run in alone):
            raise SystemExit("a run of one rank failed")
        mpirun = ["mpirun", "-n", "2", "--bind-to", "core", "--mca", "pml", "ob1", "--mca", "btl", "self,vader"]
        if start(mpirun, f"together-{number}", 2, 1).wait():
            raise SystemExit("the run of two ranks failed")
        apart = 0
        for core in (0, 1):
            found = steps(f"{directory}/alone-{number}-{core}")
            of_each[core].extend(found)
            apart += rate(found)
        found = steps(f"{directory}/together-{number}")
        of_two += found
        together = rate(found)
        shares.append(together / apart)
        print(f"| {number} | {apart:,.0f} | {together:,.0f} | {shares[-1]:.3f} |", flush=True)
    apart, together = sum(map(fastest, of_each)), fastest(of_two)
    print(f"\nmedian {statistics.median(shares):.3f}; fastest tenth of the steps {apart:,.0f}, {together:,.0f}, {together / apart:.3f}")


main()
