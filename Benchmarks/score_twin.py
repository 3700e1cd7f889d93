"""Does `flower-worker score` agree with transformers?

    pip install torch==2.13.0+cpu transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6 peft==0.21.2
    python Benchmarks/score_twin.py [--worker PATH] [--seed N]
    python Benchmarks/score_twin.py --smollm2 .cache/smollm2-135m

Makes random tiny models of every architecture, with tied and untied embeddings, with and without attention biases where
the architecture has the choice, with as many kv heads as heads, half as many and one; sizes are random, the scaling of
the rotation is none, linear and llama3 in turn. Each is saved by transformers, scored by the worker under every
objective, and compared: log-probabilities, rewards, losses, and the norm of every parameter's gradient by its Hugging
Face name. With --smollm2 the same for SmolLM2-135M as `fetch_smollm2.py` writes it, instead, with real titles.

The reference runs in float64 on the float32 parameters: the worker computes in float32, and a float32 reference would
show the sum of both roundings. Losses and flows are those of `Tests/Twin/make_fixtures.py`. Exits with 1 if a
difference is above its tolerance.
"""

import argparse
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

import torch
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)
from transformers.utils import logging

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests" / "Twin"))
import make_fixtures as twin

# Largest differences: absolute in log-probabilities, relative in gradient norms, and in losses and rewards above 1.
TINY = {"log-probability": 2e-5, "loss": 1e-4, "reward": 1e-9, "gradient": 1e-4}
REAL = {"log-probability": 1e-3, "loss": 1e-3, "reward": 1e-9, "gradient": 1e-3}
# A parameter whose part of the gradient is smaller than this share of all is compared by this share instead.
SMALL_GRADIENT = 1e-6


class Agreement:
    """The largest difference of each kind, and the places where one is above its tolerance."""

    def __init__(self, tolerances):
        self.tolerances = tolerances
        self.worst = dict.fromkeys(tolerances, 0.0)
        self.misses = []

    def compare(self, kind, place, found, expected, scale=1.0):
        """Numbers, nested lists of them, or `None` for -inf; the difference counts in units of `scale`."""
        if isinstance(expected, list):
            if not isinstance(found, list) or len(found) != len(expected):
                self.misses.append(f"{place}: {found}, expected {len(expected)} values")
                return
            for i, (ours, theirs) in enumerate(zip(found, expected)):
                self.compare(kind, f"{place}[{i}]", ours, theirs, scale)
            return
        if found is None and expected is None:
            return
        difference = math.inf if found is None or expected is None else abs(found - expected) / scale
        self.worst[kind] = max(self.worst[kind], difference)
        if not difference <= self.tolerances[kind]:
            self.misses.append(f"{place}: {found}, expected {expected}, off by {difference:.1e}")

    def compare_relative(self, kind, place, found, expected):
        """By value above 1."""
        if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
            for i, (ours, theirs) in enumerate(zip(found, expected)):
                self.compare_relative(kind, f"{place}[{i}]", ours, theirs)
        else:
            scale = 1.0 if expected is None or isinstance(expected, list) else max(1.0, abs(expected))
            self.compare(kind, place, found, expected, scale)

    def add(self, other):
        self.worst = {kind: max(value, other.worst[kind]) for kind, value in self.worst.items()}
        self.misses += other.misses

    def __str__(self):
        return ", ".join(f"{kind} {value:.1e}" for kind, value in self.worst.items())


# --------------------------------------------------------------------------------------------------------------------
# Requests


def objectives():
    """Every kind that `score` has."""
    tree = [twin.tree(name, support, **more) for support in ("catalogue", "vocabulary") for name, more in [
        ("subtb", {"lambda": 1.0}), ("subtb", {"lambda": 0.9}), ("tb", {}), ("db", {}), ("vargrad", {}), ("soft", {})]]
    sft = [twin.objective("sft", support) for support in ("catalogue", "vocabulary")]
    terminating = [
        twin.objective(name, "vocabulary", flow="terminating", prefix_titles=titles, **more)
        for titles in ("exact", "published")
        for name, more in [("subtb", {"lambda": 0.9}), ("tb", {}), ("db", {}), ("vargrad", {})]]
    granular = [
        twin.tree("subtb", "catalogue", **{"lambda": 0.9, "granularity": 2}),
        twin.tree("db", "vocabulary", granularity=3),
        twin.objective("subtb", "vocabulary", **{
            "lambda": 1.0, "flow": "terminating", "prefix_titles": "exact", "granularity": 2})]
    personal = [
        twin.tree("subtb", "catalogue", **{"lambda": 1.0, "weight": "power", "beta": 1.5, "gamma": 0.5}),
        twin.tree("soft", "vocabulary", weight="divide"),
        twin.tree("db", "catalogue", weight="add_log", c=0.3)]
    return tree + sft + terminating + granular + personal


def leaf_weights(objective, weights, scores):
    """Weights of a user's titles; `scores` are his preferences (docs/method.md, "Rewards")."""
    total, preferred = sum(weights), sum(scores)
    popularity, preference = [w / total for w in weights], [p / preferred for p in scores]
    low, high, mean = min(preference), max(preference), sum(preference) / len(preference)
    pairs = list(zip(preference, popularity))
    kind = objective.get("weight", "popularity")
    if kind == "power":
        return [max(p, 1e-6 * w) ** objective["beta"] * w ** -objective["gamma"] for p, w in pairs]
    if kind == "divide":
        return [w ** (1 / ((p - mean) / (high - low) + 1)) for p, w in pairs]
    if kind == "add_log":
        return [w * ((p - low) / (high - low) + 1e-20) ** objective["c"] for p, w in pairs]
    return weights


def request(objective, trajectories, scores):
    """What the worker is asked, and the same with the leaf weights worked out, for the reference."""
    plain = {"trajectories": trajectories, "objective": objective, "gradients": True}
    if "weight" not in objective:
        return plain, plain
    weights = leaf_weights(objective, [entry["weight"] for entry in trajectories["catalogue"]], scores)
    catalogue = [entry | {"weight": w} for entry, w in zip(trajectories["catalogue"], weights)]
    return plain | {"trajectories": trajectories | {"scores": scores}}, plain | {
        "trajectories": trajectories | {"catalogue": catalogue}}


def random_trajectories(vocabulary, rng):
    """The titles of the golden files in other tokens, with other weights, under a random prompt."""
    tokens = rng.sample(range(vocabulary), 64)
    catalogue = [{"tokens": [tokens[t] for t in title], "weight": rng.uniform(0.2, 9)} for title, _ in twin.CATALOGUE]
    return {"prompt": [rng.randrange(vocabulary) for _ in range(rng.randint(2, 40))],
            "terminator": tokens[twin.TERMINATOR], "catalogue": catalogue,
            "items": rng.choices(range(len(catalogue)), k=rng.randint(2, 6))}


def score(worker, model, document, folder):
    """What the worker answers, or its message."""
    asked, answered = folder / "in.json", folder / "out.json"
    asked.write_text(json.dumps(document))
    answered.unlink(missing_ok=True)
    done = subprocess.run([worker, "score", "--model", model, "--input", asked, "--output", answered],
                          capture_output=True, text=True)
    if done.returncode != 0:
        return None, f"exit code {done.returncode}: {done.stderr.strip()}"
    return json.loads(answered.read_text()), None


def load(path):
    """The model directory at `path` in transformers, in float64; exits if it does not fit to the last name."""
    model, report = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, attn_implementation="eager", local_files_only=True, output_loading_info=True)
    problems = {kind: sorted(names) for kind, names in report.items() if names}
    if problems:
        sys.exit(f"{path} does not load as it is: {problems}")
    return model.double().eval()


def compare_sequences(agreement, found, model, sequences):
    with torch.no_grad():
        expected = [twin.sequence_log_probs(model, tokens) for tokens in sequences]
    found = found.get("sequences", [])
    agreement.compare("log-probability", "sequences", [s["log_probs"] for s in found], expected)


def compare_trajectories(agreement, place, found, model, document):
    model.zero_grad(set_to_none=False)
    loss, expected = twin.case_loss(model, document)
    loss.backward()
    agreement.compare_relative("loss", f"{place} loss", found.get("loss"), expected["loss"])
    trajectories = found.get("trajectories", [])
    if len(trajectories) != len(expected["trajectories"]):
        agreement.misses.append(f"{place}: {len(trajectories)} trajectories")
    for i, (ours, theirs) in enumerate(zip(trajectories, expected["trajectories"])):
        where = f"{place} trajectory {i}"
        for key in ("log_policy", "log_terminate"):
            agreement.compare("log-probability", f"{where} {key}", ours.get(key), theirs[key])
        agreement.compare_relative("reward", f"{where} log_reward", ours.get("log_reward"), theirs["log_reward"])
        agreement.compare_relative("loss", f"{where} loss", ours.get("loss"), theirs["loss"])
    norms = {name: p.grad.norm().item() for name, p in model.named_parameters()}
    smallest = SMALL_GRADIENT * math.hypot(*norms.values())
    gradient = found.get("gradient_norms", {})
    if gradient.keys() != norms.keys():
        agreement.misses.append(f"{place}: gradients of {sorted(gradient.keys() ^ norms.keys())} missing or too many")
    for name in gradient.keys() & norms.keys():
        agreement.compare("gradient", f"{place} {name}", gradient[name], norms[name], max(norms[name], smallest))


def compare_model(worker, path, sequences, trajectories, scores, objectives, tolerances):
    """The worker and transformers on the model directory at `path`."""
    agreement, failures = Agreement(tolerances), {}
    model = load(path)
    with twin.float64_arithmetic(), tempfile.TemporaryDirectory() as folder:
        for i, objective in enumerate(objectives):
            asked, reference = request(objective, trajectories, scores)
            if i == 0:
                asked = asked | {"sequences": [{"tokens": tokens} for tokens in sequences]}
            place = " ".join(str(value) for value in objective.values())
            found, error = score(worker, path, asked, pathlib.Path(folder))
            if error:
                failures.setdefault(error, []).append(place)
                continue
            if i == 0:
                compare_sequences(agreement, found, model, sequences)
            compare_trajectories(agreement, place, found, model, reference)
    for error, places in failures.items():
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        agreement.misses.append(f"{places[0]}{more}: {error}")
    return agreement


# --------------------------------------------------------------------------------------------------------------------
# Models

ARCHITECTURES = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM),
                 "llama": (LlamaConfig, LlamaForCausalLM)}
BIASES = {"qwen2": ["qkv"], "qwen3": ["none", "qkvo"], "llama": ["none", "qkvo"]}


def combinations():
    """(architecture, tied, bias, kv heads of 2n, rope scaling)"""
    result = []
    for architecture in ARCHITECTURES:
        for tied in (True, False):
            for bias in BIASES[architecture]:
                for kv in ("all", "half", "one"):
                    i = len(result)
                    # Shifted every three models, so that every scaling meets every number of kv heads.
                    result.append((architecture, tied, bias, kv, ("none", "linear", "llama3")[(i + i // 3) % 3]))
    return result


def random_config(architecture, tied, bias, kv, scaling, rng):
    heads = rng.choice([4, 6, 8])
    head_dim = rng.choice([4, 6, 8, 10, 16])
    rope = {"none": {"rope_type": "default"}, "linear": {"rope_type": "linear", "factor": rng.uniform(1.5, 8)},
            "llama3": {"rope_type": "llama3", "factor": rng.uniform(2, 16), "low_freq_factor": 1.0,
                       "high_freq_factor": rng.uniform(2, 8), "original_max_position_embeddings": 32}}[scaling]
    more = {} if architecture == "qwen2" else {"attention_bias": bias != "none"}
    hidden = heads * (head_dim if rng.random() < 0.5 else rng.randint(2, 9))
    if hidden != heads * head_dim or architecture == "qwen3":
        more["head_dim"] = head_dim
    return ARCHITECTURES[architecture][0](
        vocab_size=rng.randint(64, 200), hidden_size=hidden, intermediate_size=rng.randint(17, 90),
        num_hidden_layers=rng.randint(1, 3), num_attention_heads=heads,
        num_key_value_heads={"all": heads, "half": heads // 2, "one": 1}[kv], tie_word_embeddings=tied,
        max_position_embeddings=128, rms_norm_eps=rng.choice([1e-5, 1e-6]), bos_token_id=None, eos_token_id=None,
        pad_token_id=None, rope_parameters=rope | {"rope_theta": rng.choice([500.0, 10000.0, 1000000.0])}, **more)


def random_models(seed, vocabulary=None):
    """(line, model, random numbers) of every combination; `vocabulary` fixes the number of tokens."""
    for i, combination in enumerate(combinations()):
        rng = random.Random(f"{seed} {i}")
        config = random_config(*combination, rng)
        config.vocab_size = vocabulary or config.vocab_size
        model = ARCHITECTURES[combination[0]][1](config).eval()
        twin.initialise(model.named_parameters(), torch.Generator().manual_seed(rng.getrandbits(32)))
        architecture, tied, bias, _, scaling = combination
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        yield (f"{architecture} {'tied' if tied else 'untied':6} bias {bias:4} hidden {config.hidden_size:3}"
               f" heads {config.num_attention_heads}/{config.num_key_value_heads} x {head_dim:2}"
               f" layers {config.num_hidden_layers} rope {scaling:6}"), model, rng


def tiny(worker, seed):
    """(line, agreement) of every combination."""
    for line, model, rng in random_models(seed):
        vocabulary = model.config.vocab_size
        sequences = [[rng.randrange(vocabulary) for _ in range(n)] for n in (1, 2, 17, 64)]
        trajectories = random_trajectories(vocabulary, rng)
        scores = [rng.random() for _ in trajectories["catalogue"]]
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            agreement = compare_model(worker, folder, sequences, trajectories, scores, objectives(), TINY)
        yield line, agreement


TITLES = {
    "Toy Story (1995)": 452, "Twelve Monkeys (1995)": 392, "Star Wars (1977)": 583, "Heat (1995)": 223,
    "Star Trek: First Contact (1996)": 365, "Star Trek: The Wrath of Khan (1982)": 244, "Fargo (1996)": 508,
    "Fargo (1996) Extras": 3, "The Godfather (1972)": 413, "The Godfather: Part II (1974)": 209}
PROMPT = "History: The Empire Strikes Back (1980) | Return of the Jedi (1983) | Raiders of the Lost Ark (1981)\nNext:"
PROSE = ("Paris is the capital and most populous city of France. Situated on the Seine, it has been one of the world's "
         "major centres of finance, diplomacy, commerce, fashion and science since the 17th century.")


def smollm2(worker, path):
    """(line, agreement) of the real model; four objectives that between them use every part."""
    if not (path / "tokenizer.json").is_file():
        sys.exit(f"{path}: no SmolLM2; python Benchmarks/fetch_smollm2.py --output {path}")
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))

    def tokens(text):
        return tokenizer.encode(text).ids

    trajectories = {"prompt": tokens(PROMPT), "terminator": tokens("\n")[0], "items": [1, 5, 7, 9],
                    "catalogue": [{"tokens": tokens(" " + title), "weight": w} for title, w in TITLES.items()]}
    chosen = [twin.tree("subtb", "catalogue", **{"lambda": 1.0}), twin.tree("db", "vocabulary"),
              twin.objective("sft", "vocabulary"),
              twin.objective("subtb", "vocabulary", **{"lambda": 0.9, "flow": "terminating", "prefix_titles": "exact"})]
    agreement = compare_model(
        worker, path, [tokens(PROSE), tokens(PROMPT)], trajectories, [1.0] * len(TITLES), chosen, REAL)
    yield "SmolLM2-135M", agreement


def arguments_of(parser):
    """The arguments that the scripts beside this one share, checked; the program's absolute path is `worker`."""
    parser.add_argument("--worker", type=pathlib.Path, default=REPOSITORY / ".build" / "release" / "flower-worker",
                        help="the program (default .build/release/flower-worker of the repository)")
    parser.add_argument("--seed", type=int, default=0, help="other sizes, weights and inputs")
    arguments = parser.parse_args()
    arguments.worker = arguments.worker.absolute()
    if not arguments.worker.is_file():
        sys.exit(f"{arguments.worker} is not there: swift build -c release --product flower-worker")
    logging.disable_progress_bar()
    warnings.simplefilter("ignore", FutureWarning)  # of PEFT's use of transformers
    torch.set_num_threads(1)
    return arguments


def report(results, tolerances):
    """A line for each (line, agreement), and the sum; exits with 1 if something is off."""
    total, count = Agreement(tolerances), 0
    for line, agreement in results:
        print(f"{line}  {agreement}{f'  {len(agreement.misses)} OFF' if agreement.misses else ''}", flush=True)
        for miss in agreement.misses[:5]:
            print(f"    {miss}")
        total.add(agreement)
        count += 1
    allowed = ", ".join(f"{kind} {value:.0e}" for kind, value in tolerances.items())
    print(f"{count} models, largest differences: {total}; allowed: {allowed}")
    if total.misses:
        sys.exit(f"{len(total.misses)} values are off")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--smollm2", type=pathlib.Path, metavar="DIR", help="compare this model instead of random ones")
    arguments = arguments_of(parser)
    if arguments.smollm2:
        report(smollm2(arguments.worker, arguments.smollm2), REAL)
    else:
        report(tiny(arguments.worker, arguments.seed), TINY)


if __name__ == "__main__":
    main()
