#!/usr/bin/env python3
"""FlowerDist's step beside PyTorch's, a step of one and a step of the other: ratios of the same rounds, for K = 1, 4, 8 titles.

    ./launch setup
    Benchmarks/side_by_side.py [--rounds 15] [--trajectories 1 4 8]

The first start makes an environment of its own in .cache/pytorch (PyTorch for CPUs and transformers, about 1 GB). All
programs run at once, on one core, and wait; in a round each takes its step: FlowerDist's with given titles and with titles
that it samples itself (`bench`), in each arithmetic that this CPU computes without emulation, the hand-optimised PyTorch
step (`pytorch_step.py`, compiled), the published step and Hugging Face's SFT step; the steps of PyTorch are given their
titles, so ours with sampling does more than they do. So what is compared lies a second or two apart (the published step
itself takes 2 to 12 s), which matters on a machine whose speed others change; every other round goes backwards, so that
nobody is always first. Processor seconds count: one thread that never waits has no others. Shown are medians over the
rounds, of times as of the ratios within a round, in brackets their quartiles.

The rows "all" are of all rounds. Before each step a program multiplies square matrices with its own library; the rows "quiet"
are of the rounds in which that reached, for the programs that a number is about, at least 95 % of its best round. The number
beside it is that of the rounds quiet for ours and the optimised step.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".cache/pytorch"
PYTHON = ENVIRONMENT / "bin/python"
WORKER = ROOT / ".build/release/flower-worker"
PACKAGES = ["torch", "transformers", "numpy", "setuptools"]


def make_environment():
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", "import torch, transformers"]).returncode == 0:
        return
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    # PyTorch's own index has wheels without CUDA; where it cannot be reached, PyPI's serve too.
    cpu = subprocess.run([PYTHON, "-m", "pip", "install", "-q", "torch", "--index-url", "https://download.pytorch.org/whl/cpu"])
    rest = PACKAGES if cpu.returncode else PACKAGES[1:]
    subprocess.run([PYTHON, "-m", "pip", "install", "-q", *rest], check=True)


class Paced:
    """A program that measures a step whenever it is told to, and waits in between; the first time it warms up."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [*map(str, command), "--repeats", "1", "--paced"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            # Large pages for PyTorch's tensors, as ours have them.
            env=os.environ | {"THP_MEM_ALLOC_ENABLE": "1"})

    def step(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # It has ended, so there is no line to read either.
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args)} ended with {self.process.wait()}")
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def ours(*options, worker=WORKER):
    if not pathlib.Path(worker).exists():
        raise SystemExit(f"{worker} is missing: build it with ./launch setup")
    return Paced(worker, "bench", *options)


def pytorch(*options):
    return Paced(PYTHON, ROOT / "Benchmarks/pytorch_step.py", *options)


def in_turn(programs, rounds, apart=False):
    """What each of the programs, by name, measured in each round. All run at once, or `apart`, each only for its step."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    running = {} if apart else {name: start() for name, start in programs.items()}
    for program in running.values():
        program.step()

    def measure(name):
        program = running.get(name) or programs[name]()
        result = program.step()
        if apart:
            program.end()
        return result

    measured = [
        {name: measure(name) for name in list(programs)[:: -1 if number % 2 else 1]} for number in range(rounds)]
    for program in running.values():
        program.end()
    return measured


def quiet(measured, *names):
    """The rounds in which sgemm was fast beside each of these programs' steps."""
    def speed(steps, name):
        return steps[name]["sgemm_gflops"]["processor"]

    best = {name: max(speed(steps, name) for steps in measured) for name in names}
    return [steps for steps in measured if all(speed(steps, name) >= 0.95 * best[name] for name in names)]


def arithmetics():
    """Those of `training.arithmetic` for which this CPU has instructions."""
    cpu = pathlib.Path("/proc/cpuinfo")
    return ["fma"] + (["bf16x6"] if cpu.exists() and " amx_bf16" in cpu.read_text() else [])


def spread(values, digits):
    if not values:
        return "none"
    low, middle, high = statistics.quantiles(values, method="inclusive") if len(values) > 1 else values * 3
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--trajectories", type=int, nargs="+", default=[1, 4, 8], metavar="K")
    arguments = parser.parse_args()
    make_environment()
    if arguments.rounds < 1:
        return
    print("| K | arithmetic | rounds | FlowerDist, processor s | of sgemm, % | on-policy, processor s | sampling, % of it "
          "| PyTorch optimised, times as long as the first | published step | Hugging Face SFT |")
    print("| --- " * 10 + "|", flush=True)
    for k in arguments.trajectories:
        titles = ("--trajectories", k)
        programs = {
            (arithmetic, draws): lambda options=("--arithmetic", arithmetic, "--draws", draws): ours(*titles, *options)
            for arithmetic in arithmetics() for draws in ("policy", "given")}
        programs |= {
            "compiled": lambda: pytorch(*titles, "--variant", "compiled"),
            "sft": lambda: pytorch(*titles, "--sft", "--warm-up", "1"),
            "published": lambda: pytorch(*titles, "--published", "--warm-up", "1")}
        measured = in_turn(programs, arguments.rounds)
        for arithmetic in arithmetics():
            given, policy = (arithmetic, "given"), (arithmetic, "policy")
            # Of a round: the programs, digits, and the number.
            columns = [
                ([given], 3, lambda r: r[given]["forward_backward"]["processor_seconds"]),
                ([given], 0, lambda r: 100 * r[given]["share_of_sgemm"]),
                ([policy], 3, lambda r: r[policy]["forward_backward"]["processor_seconds"]),
                ([policy], 1, lambda r: 100 * r[policy]["phases"]["sampling"]["median_seconds"]
                 / r[policy]["forward_backward"]["median_seconds"])]
            for name, digits in ("compiled", 2), ("published", 1), ("sft", 1):
                columns.append(([given, name], digits, lambda r, name=name:
                                r[name]["seconds"][name]["cpu_median"] / r[given]["forward_backward"]["processor_seconds"]))
            for which, choose in ("all", lambda rounds, *_: rounds), ("quiet", quiet):
                cells = [spread([number(r) for r in choose(measured, *names)], digits) for names, digits, number in columns]
                which += f", {len(choose(measured, given, 'compiled'))}"
                print(f"| {k} | `{arithmetic}` | {which} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
