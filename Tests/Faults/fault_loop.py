#!/usr/bin/env python3
"""Kills a run, or lets a system call fail, at every system call of saving, and compares the final weights.

strace stops the program at a call; the program knows nothing of it. One trace of an undisturbed run on two ranks lists
the calls that touch a checkpoint; each is then a place for faults:

- kills (SIGKILL) of the rank there, of all ranks, and of mpirun in turn, followed by `--resume latest`;
- errors (ENOSPC, EIO, EROFS, EDQUOT in turn): the run goes on, or ends with 6 if it was the last save.

After each fault every checkpoint must agree with its manifest, and every run must end in the weights of the undisturbed
one with nothing half-written left.

    Tests/Faults/fault_loop.py --kills 200 --errors 100

needs the built worker, mpirun and strace. Ends with 1 at the first broken promise and leaves its directory behind.
"""
import argparse, hashlib, itertools, os, pathlib, re, shutil, signal, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKER = ROOT / ".build/release/flower-worker"
CALLS = "openat,write,fsync,rename,unlink,rmdir,mkdir,symlink,ftruncate,close"
STEPS, EVERY, RANKS = 20, 2, 2
RECIPE = f"""
model: {{hidden_size: 32, layers: 2, heads: 2, kv_heads: 1, intermediate_size: 64}}
data: {{generated: 60}}
tokenizer: {{kind: bytes}}
prompt: {{template: "A title:"}}
trajectories: {{count: 4}}
optimizer: {{learning_rate: 2e-3, warmup_steps: 5}}
training: {{global_batch: 8, grains: 8, steps: {STEPS}}}
validation: {{every: {EVERY}, metric: total_variation}}
checkpoint: {{every: {EVERY}, keep: 2}}
"""
MESSAGES = {
    "ENOSPC": "No space left on device", "EIO": "Input/output error", "EROFS": "Read-only file system",
    "EDQUOT": "Disk quota exceeded",
}


def expect(holds, text):
    if not holds:
        sys.exit(f"broken: {text}")


def descendants(process):
    """Processes below this one, itself left out."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
                parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
            except OSError:
                pass
    found, level = [], [process]
    while level:
        level = [child for child, parent in parents.items() if parent in level]
        found += level
    return found


def is_gone(process):
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class Place:
    """A system call of one rank: its name, a path that it touches, and the how many-th of these it is in its thread."""

    def __init__(self, rank, call, path, count, line):
        self.rank, self.call, self.path, self.count = rank, call, path, count
        self.changes = call in ("write", "fsync", "rename", "mkdir") or "O_CREAT" in line

    def __str__(self):
        return f"rank {self.rank}: {self.call} number {self.count} of {self.path}"

    def moved(self, step, to):
        """The same place of another step's save."""
        place = Place(self.rank, self.call, self.path.replace(name(step), name(to)), self.count, "")
        place.changes = self.changes
        return place


def name(step):
    return f"step-{step:08d}"


class Run:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.path = self.directory / "runs/run"
        self.checkpoints = self.path / "checkpoints"
        (self.directory / "tiny.yaml").write_text(RECIPE)

    def start(self, *options, strace=(), rank=None):
        """Starts the ranks, those of `rank` (all: None) under strace, which logs to trace-RANK."""
        command = [str(WORKER), "train", f"{self.directory}/tiny.yaml", "--name", "run", "--set",
                   f"runs={self.directory}/runs", *options]
        if strace:
            test = "true" if rank is None else f"[ $OMPI_COMM_WORLD_RANK = {rank} ]"
            # -D leaves the shell's process number to the program, so that a path may hold it as $$.
            options = " ".join(f'"{option}"' for option in strace)
            log = f'"{self.directory}/trace-$OMPI_COMM_WORLD_RANK"'
            traced = f'if {test}; then exec strace -D -f -y -s 0 -o {log} {options} "$@"; fi; exec "$@"'
            command = ["sh", "-c", traced, "sh", *command]
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        # Leaving early, mpirun would sleep for seconds after a rank is lost.
        return subprocess.Popen(
            ["mpirun", "--timeout", "300", "-n", str(RANKS), "--oversubscribe", "--bind-to", "none", "--mca", "pml",
             "ob1", "--mca", "btl", "self,vader", "--mca", "odls_base_sigkill_timeout", "0", *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    def train(self, *options, **how):
        process = self.start(*options, **how)
        output = process.communicate()[0]
        return process.returncode, output

    def weights(self):
        path = self.checkpoints / name(STEPS) / "model.safetensors"
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def steps(self):
        names = os.listdir(self.checkpoints) if self.checkpoints.exists() else []
        return sorted(int(n[5:]) for n in names if re.fullmatch(r"step-\d{8}", n))

    def verify(self, context):
        """Whatever has a checkpoint's name is whole."""
        if self.steps():
            outcome = subprocess.run([str(WORKER), "verify", str(self.path)], capture_output=True, text=True)
            expect(outcome.returncode == 0, f"{context}: {outcome.stdout}{outcome.stderr}")

    def finish(self, expected, context):
        """What an undisturbed run leaves."""
        self.verify(context)
        expect(self.weights() == expected, f"{context}: other weights")
        left = [n for n in os.listdir(self.checkpoints) if n.endswith((".partial", ".deleting"))]
        expect(not left, f"{context}: left {left}")
        lines = (self.path / "metrics.jsonl").read_text().splitlines()
        steps = [int(m.group(1)) for m in (re.match(r'{"step":(\d+),"loss"', line) for line in lines) if m]
        expect(steps == list(range(1, STEPS + 1)), f"{context}: metrics.jsonl has steps {steps}")

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def places(self, step):
        """The calls of an undisturbed run's save of a step, by both ranks."""
        places = []
        for rank in range(RANKS):
            counts = {}
            for line in (self.directory / f"trace-{rank}").read_text().splitlines():
                match = re.match(r"(\d+) +(\w+)\(", line)
                touched = re.findall(rf'["<]({re.escape(str(self.checkpoints))}[^">]*)[">]', line)
                if not match or not touched:
                    continue
                # strace counts by thread.
                for path in set(touched):
                    counts[*match.groups(), path] = counts.get((*match.groups(), path), 0) + 1
                # Shared paths have been touched by earlier saves as well; those of the step are its own.
                if name(step) in touched[0]:
                    path = re.sub(r"\.\d+\.tmp$", ".$$.tmp", touched[0])
                    place = Place(rank, match[2], path, counts[*match.groups(), touched[0]], line)
                    if str(place) not in map(str, places):
                        places.append(place)
        return places

    def faulty(self, place, action, *options):
        strace = ("-P", place.path, "-e", f"trace={place.call}", "-e",
                  f"inject={place.call}:{action}:when={place.count}")
        (self.directory / f"trace-{place.rank}").unlink(missing_ok=True)
        return self.start(*options, strace=strace, rank=place.rank)

    def was_reached(self, place, mark):
        trace = self.directory / f"trace-{place.rank}"
        return trace.exists() and mark in trace.read_text()

    def kill(self, place, victim):
        """Runs until the place is reached and kills there; whether it was reached."""
        action = "signal=KILL" if victim == "rank" else "signal=STOP"
        process = self.faulty(place, action, "--resume", "latest")
        below = []
        if victim != "rank":
            while process.poll() is None and not self.was_reached(place, "stopped by SIGSTOP"):
                time.sleep(0.01)
            if process.poll() is None:
                below = descendants(process.pid)
                for target in below if victim == "all ranks" else [process.pid]:
                    os.kill(target, signal.SIGKILL)
        deadline = time.time() + 60
        while not all(map(is_gone, below)):
            expect(time.time() < deadline, f"{place}: ranks outlive mpirun by a minute")
            # Without mpirun a rank runs on from here until it notices. Once may be too early: its threads stop one by one.
            for target in below if victim == "mpirun" else []:
                try:
                    os.kill(target, signal.SIGCONT)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
        output = process.communicate()[0]
        reached = self.was_reached(place, "killed by SIGKILL" if victim == "rank" else "stopped by SIGSTOP")
        expect(reached or process.returncode == 0, f"{place}: ended with {process.returncode}: {output}")
        return reached


def spread(places, count):
    """So many of the places, evenly, or all of them again and again."""
    if count >= len(places):
        return list(itertools.islice(itertools.cycle(places), count))
    return [places[i * len(places) // count] for i in range(count)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--errors", type=int, default=8)
    arguments = parser.parse_args()
    run = Run(tempfile.mkdtemp(prefix="flowerdist-faults-"))

    code, output = run.train()
    expect(code == 0, f"the undisturbed run ended with {code}: {output}")
    expected = run.weights()
    run.remove()
    code, output = run.train(strace=("-e", f"trace={CALLS}"))
    expect(code == 0, f"the traced run ended with {code}: {output}")
    run.finish(expected, "the traced run")
    traced = 3 * EVERY
    places = run.places(traced)
    # The last calls on a checkpoint delete it, which takes saves after the next two.
    print(f"{len(places)} places in a save and the deletion of what it saved", flush=True)
    run.remove()

    kills = {victim: 0 for victim in ("rank", "all ranks", "mpirun")}
    runs = 0
    victims = itertools.cycle(kills)
    for place in spread(places, arguments.kills):
        victim = next(victims)
        # A place of the next save; one more start if the checkpoint to be deleted is not so far yet.
        step = max(run.steps(), default=0) + EVERY
        if step > STEPS:
            code, output = run.train("--resume", "latest")
            expect(code == 0, f"after {sum(kills.values())} kills: ended with {code}: {output}")
            run.finish(expected, f"after {sum(kills.values())} kills")
            run.remove()
            runs, step = runs + 1, EVERY
        place = place.moved(traced, step)
        if run.kill(place, victim):
            kills[victim] += 1
            run.verify(f"killed {victim} at {place}")
        else:
            run.finish(expected, f"not reached: {place}")
            run.remove()
            runs += 1
    code, output = run.train("--resume", "latest")
    expect(code == 0, f"at last: ended with {code}: {output}")
    run.finish(expected, "at last")
    run.remove()
    print(f"{sum(kills.values())} kills survived {kills} in {runs + 1} runs, all with weights {expected[:16]}", flush=True)

    errors = {error: 0 for error in MESSAGES}
    names = itertools.cycle(errors)
    steps = itertools.cycle((traced, STEPS))
    for place in spread(places, arguments.errors):
        error, step = next(names), next(steps)
        place = place.moved(traced, step)
        process = run.faulty(place, f"error={error}")
        output = process.communicate()[0]
        code = process.returncode
        expect(code == 0 or code == 6 and step == STEPS, f"{error} at {place}: ended with {code}: {output}")
        run.verify(f"{error} at {place}")
        if run.was_reached(place, "INJECTED"):
            errors[error] += 1
            expect(not place.changes or MESSAGES[error] in output, f"{error} at {place}: not said: {output}")
        if code == 6:
            code, output = run.train("--resume", "latest")
            expect(code == 0, f"after {error} at {place}: ended with {code}: {output}")
        run.finish(expected, f"{error} at {place}")
        run.remove()
    print(f"{sum(errors.values())} errors survived {errors}", flush=True)
    shutil.rmtree(run.directory)


main()
