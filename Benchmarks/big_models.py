#!/usr/bin/env python3
"""FlowerDist's step beside PyTorch's for the shapes of SmolLM2-135M and Qwen2-0.5B: processor seconds and resident memory.

    ./launch setup
    Benchmarks/big_models.py [--rounds 5] [--examples 8] [--rows smollm2 smollm2-lora qwen2]
        [--apart] [--worker PATH]

Random weights, float32, one thread; the step of Benchmarks/README.md with one given title (K = 1). LoRA has the rank and
the targets of recipes/smollm2-movielens.yaml, the base is frozen. `bench` makes Qwen2 of every shape, so ours has biases of
q, k and v where Llama has none: 29 thousand of 135 million parameters. PyTorch's step is the fastest of `pytorch_step.py`:
optimised by hand, and compiled.

The programs take their steps in turn, as those of `side_by_side.py`, whose words "quiet" and "all" have the same meaning here.
Seconds are of forward and backward; the table has medians over the rounds, quartiles in brackets, and PyTorch's times as
multiples of ours of the same round. All programs of a row are in memory at once, 34 GB for Qwen2-0.5B; with --apart each only
for its step, so that more time lies between those that are compared.

Memory is the most that each process had resident (VmHWM, `ru_maxrss`). Of both it includes the weights, the gradients of what
is trained, AdamW's two moments of it, after a real update in every step, whose time is not counted, and the activations. Ours
includes the 184 MB that `bench` measures the machine's ceiling with; the second figure is without them. PyTorch's includes
the interpreter, its libraries and what compiling took in the process, about 400 MB, and memory that it keeps for its next step.
"""
import argparse, pathlib

from side_by_side import WORKER, arithmetics, in_turn, make_environment, ours, pytorch, quiet, spread

SMOLLM2 = "--hidden 576 --layers 30 --heads 9 --kv-heads 3 --intermediate 1536 --vocabulary 49152".split()
QWEN2 = "--hidden 896 --layers 24 --heads 14 --kv-heads 2 --intermediate 4864 --vocabulary 151936".split()
# Names in words, options of both programs, and of PyTorch's alone.
ROWS = {
    "smollm2": ("SmolLM2-135M", "all", SMOLLM2, ["--no-bias"]),
    "smollm2-lora": ("SmolLM2-135M", "LoRA, rank 16", [*SMOLLM2, "--lora", "16"], ["--no-bias"]),
    "qwen2": ("Qwen2-0.5B", "all", QWEN2, []),
}
CEILING = 4 * (3 * 2048**2 + 2 * 2**24)  # `MachineCeiling.bytes`


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=8)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--apart", action="store_true", help="one program in memory at a time")
    parser.add_argument("--worker", type=pathlib.Path, default=WORKER)
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.examples < 1:
        parser.error("--rounds and --examples must be at least 1")
    make_environment()
    print("| model | trained | examples | arithmetic | rounds | FlowerDist, processor s | PyTorch, times as long | FlowerDist, MB at most "
          "| without the ceiling's | PyTorch, MB at most |")
    print("| --- " * 10 + "|", flush=True)
    for model, trained, shape, theirs in (ROWS[row] for row in arguments.rows):
        options = [*shape, "--examples", str(arguments.examples), "--trajectories", "1", "--warm-up", "1"]
        programs = {
            arithmetic: lambda arithmetic=arithmetic: ours(*options, "--arithmetic", arithmetic, worker=arguments.worker)
            for arithmetic in arithmetics()}
        programs["compiled"] = lambda: pytorch(*options, *theirs, "--variant", "compiled", "--adamw")
        measured = in_turn(programs, arguments.rounds, arguments.apart)
        for arithmetic in arithmetics():
            peak, others = measured[-1][arithmetic]["memory"]["peak"], measured[-1]["compiled"]["peak_bytes"]
            memory = " | ".join(f"{bytes / 1e6:.0f}" for bytes in (peak, peak - CEILING, others))
            for which, rounds in ("all", measured), ("quiet", quiet(measured, arithmetic, "compiled")):
                seconds = [steps[arithmetic]["forward_backward"]["processor_seconds"] for steps in rounds]
                ratios = [steps["compiled"]["seconds"]["compiled"]["cpu_median"] / own for steps, own in zip(rounds, seconds)]
                print(f"| {model} | {trained} | {arguments.examples} | `{arithmetic}` | {which}, {len(rounds)} | "
                      f"{spread(seconds, 1)} | {spread(ratios, 2)} | {memory} |", flush=True)


if __name__ == "__main__":
    main()
