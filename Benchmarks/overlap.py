#!/usr/bin/env python3
"""A step of two hosts on a slow network, with and without overlap and compression: seconds, medians of the steps of a run.

    Benchmarks/overlap.py [--rates 1gbit 200mbit] [--rounds 2] [--steps 14]

Hosts are network namespaces of this machine (`Tests/Hosts/netns`, as root), so each rank has a core, and the link between
them is limited by `tc`. The model is the small one of Benchmarks/README.md with video games, a grain of 16 examples on each
rank, 25 MB of gradients. Rounds alternate over the four ways; the first three steps of a run do not count.
"""
import argparse, itertools, json, os, pathlib, statistics, subprocess, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
NETNS = ROOT / "Tests/Hosts/netns"
MODEL = ["model.hidden_size=256", "model.layers=6", "model.heads=8", "model.intermediate_size=704",
         "tokenizer.vocabulary_size=8192"]
ENVIRONMENT = os.environ | {
    "FLOWER_HOSTS": "overlap", "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def netns(*arguments):
    subprocess.run([NETNS, *arguments], env=ENVIRONMENT, check=True)


def step(recipe, directory, name, steps, overlap, compress):
    command = [NETNS, "on", "node1", ROOT / "launch", "-n", "2", "--hosts", f"{directory}/hosts", "train", recipe]
    for setting in [*MODEL, f"runs={directory}", f"name={name}", f"training.steps={steps}", "training.grains=2",
                    "training.global_batch=32", "checkpoint.every=0", "validation.every=0",
                    f"communication.overlap={overlap}", f"communication.compress={compress}"]:
        command += ["--set", setting]
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    seconds = [json.loads(line)["seconds"] for line in open(f"{directory}/{name}/metrics.jsonl")]
    return statistics.median(later - earlier for earlier, later in zip(seconds[2:], seconds[3:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default=ROOT / "recipes/video-games.yaml")
    parser.add_argument("--rates", nargs="+", default=["1gbit", "200mbit"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=14)
    arguments = parser.parse_args()
    ways = list(itertools.product(("false", "true"), ("none", "bf16")))
    with tempfile.TemporaryDirectory() as directory:
        pathlib.Path(directory, "hosts").write_text("node1 slots=1\nnode2 slots=1\n")
        try:
            netns("up", "2")
            print("| link | " + " | ".join(f"overlap {o}, compress {c}" for o, c in ways) + " |\n" + "| --- " * 5 + "|", flush=True)
            for rate in arguments.rates:
                netns("slow", "node1", rate)
                seconds = {way: [] for way in ways}
                for number in range(arguments.rounds):
                    for way in ways:
                        name = f"{rate}-{number}-{'-'.join(way)}"
                        seconds[way].append(step(arguments.recipe, directory, name, arguments.steps, *way))
                print(f"| {rate} | " + " | ".join(", ".join(f"{s:.2f}" for s in seconds[way]) for way in ways) + " |", flush=True)
        finally:
            netns("down")


if __name__ == "__main__":
    main()
