#!/usr/bin/env python3
"""FlowerDist's step beside PyTorch's, alternating in one session: ratios of the same rounds, for K = 1, 4, 8 titles.

    ./launch setup
    Benchmarks/side_by_side.py [--rounds 5] [--repeats 10]

The first start makes an environment of its own in .cache/pytorch (PyTorch for CPUs and transformers, about 1 GB). A round
times, one after the other, FlowerDist's step with given titles and with titles that it samples itself (`bench`), in each
arithmetic that this CPU computes without emulation, the hand-optimised PyTorch step (`pytorch_step.py`, compiled), the
published step and Hugging Face's SFT step; the steps of
PyTorch are given their titles, so ours with sampling does more than they do. Processor seconds count: on a shared machine
they are steadier than the clock, and one thread that never waits has no others. Shown are medians over the rounds of the ratios within a round, least and
most in brackets.
"""
import argparse, json, pathlib, statistics, subprocess, sys, tempfile

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


def pytorch(k, repeats, *options):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run(
            [PYTHON, ROOT / "Benchmarks/pytorch_step.py", "--trajectories", str(k), "--repeats", str(repeats), "--json",
             file.name, *options], check=True, stdout=subprocess.DEVNULL)
        return json.load(file)


def ours(k, repeats, *options, worker=WORKER):
    output = subprocess.run(
        [worker, "bench", "--trajectories", str(k), "--repeats", str(repeats), "--json", *options], check=True,
        capture_output=True).stdout
    return json.loads(output)


def arithmetics():
    """Those of `training.arithmetic` for which this CPU has instructions."""
    cpu = pathlib.Path("/proc/cpuinfo")
    return ["fma"] + (["bf16x6"] if cpu.exists() and " amx_bf16" in cpu.read_text() else [])


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--trajectories", type=int, nargs="+", default=[1, 4, 8], metavar="K")
    arguments = parser.parse_args()
    make_environment()
    if arguments.rounds < 1:
        return
    print("| K | arithmetic | FlowerDist, processor s | of sgemm, % | on-policy, processor s | sampling, % of it "
          "| PyTorch optimised, times as long as the first | published step | Hugging Face SFT |")
    print("| --- " * 9 + "|", flush=True)
    for k in arguments.trajectories:
        rounds = {arithmetic: [] for arithmetic in arithmetics()}
        for _ in range(arguments.rounds):
            measured = {
                arithmetic: [ours(k, arguments.repeats, "--arithmetic", arithmetic, "--draws", draws)
                             for draws in ("given", "policy")]
                for arithmetic in rounds}
            others = pytorch(k, arguments.repeats, "--variant", "compiled")["seconds"]
            # These two take many times as long.
            others |= pytorch(k, max(2, arguments.repeats // 4), "--published", "--sft")["seconds"]
            for arithmetic, (given, sampled) in measured.items():
                own = given["forward_backward"]["processor_seconds"]
                share = sampled["phases"]["sampling"]["median_seconds"] / sampled["forward_backward"]["median_seconds"]
                rounds[arithmetic].append({
                    "own": own, "sgemm": 100 * given["share_of_sgemm"],
                    "sampled": sampled["forward_backward"]["processor_seconds"], "sampling": 100 * share,
                } | {name: seconds["cpu_median"] / own for name, seconds in others.items()})
        columns = [("own", 3), ("sgemm", 0), ("sampled", 3), ("sampling", 1), ("compiled", 2), ("published", 1), ("sft", 1)]
        for arithmetic, results in rounds.items():
            print(f"| {k} | {arithmetic} | " + " | ".join(spread([r[name] for r in results], digits) for name, digits in columns)
                  + " |", flush=True)


if __name__ == "__main__":
    main()
