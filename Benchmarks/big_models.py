#!/usr/bin/env python3
"""FlowerDist's step beside PyTorch's for the shapes of SmolLM2-135M and Qwen2-0.5B: processor seconds and resident memory.

    ./launch setup
    Benchmarks/big_models.py [--rounds 3] [--repeats 2] [--examples 8] [--rows smollm2 smollm2-lora qwen2] [--worker PATH]

Random weights, float32, one thread; the step of Benchmarks/README.md with one given title (K = 1). LoRA has the rank and
the targets of recipes/smollm2-movielens.yaml, the base is frozen. `bench` makes Qwen2 of every shape, so ours has biases of
q, k and v where Llama has none: 29 thousand of 135 million parameters. PyTorch's step is the fastest of `pytorch_step.py`:
optimised by hand, and compiled.

Rounds alternate. Seconds are of forward and backward, the median of a program's repeats; the table has medians over the
rounds, least and most in brackets, and PyTorch's times as multiples of ours of the same round.

Memory is the most that each process had resident (VmHWM, `ru_maxrss`). Of both it includes the weights, the gradients of what
is trained, AdamW's two moments of it, after a real update in every step, whose time is not counted, and the activations. Ours
includes the 184 MB that `bench` measures the machine's ceiling with; the second figure is without them. PyTorch's includes
the interpreter, its libraries and what compiling took in the process, about 400 MB, and memory that it keeps for its next step.
"""
import argparse, pathlib

from side_by_side import WORKER, arithmetics, make_environment, ours, pytorch, spread

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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--examples", type=int, default=8)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--worker", type=pathlib.Path, default=WORKER)
    arguments = parser.parse_args()
    make_environment()
    print("| model | trained | examples | arithmetic | FlowerDist, processor s | PyTorch, times as long | FlowerDist, MB at most "
          "| without the ceiling's | PyTorch, MB at most |")
    print("| --- " * 9 + "|", flush=True)
    for model, trained, shape, theirs in (ROWS[row] for row in arguments.rows):
        rounds = {arithmetic: [] for arithmetic in arithmetics()}
        for _ in range(arguments.rounds):
            options = [*shape, "--examples", str(arguments.examples)]
            measured = {
                arithmetic: ours(1, arguments.repeats, *options, "--arithmetic", arithmetic, worker=arguments.worker)
                for arithmetic in rounds}
            other = pytorch(1, arguments.repeats, *options, *theirs, "--variant", "compiled", "--adamw", "--warm-up", "1")
            for arithmetic, own in measured.items():
                seconds, peak = own["forward_backward"]["processor_seconds"], own["memory"]["peak"]
                rounds[arithmetic].append([
                    seconds, other["seconds"]["compiled"]["cpu_median"] / seconds, peak / 1e6, (peak - CEILING) / 1e6,
                    other["peak_bytes"] / 1e6])
        for arithmetic, results in rounds.items():
            columns = zip(zip(*results), (1, 2, 0, 0, 0))
            print(f"| {model} | {trained} | {arguments.examples} | {arithmetic} | "
                  + " | ".join(spread(values, digits) for values, digits in columns) + " |", flush=True)


if __name__ == "__main__":
    main()
