"""Does what `flower-worker export` writes load in transformers unchanged, and is it the same model?

    pip install torch==2.13.0+cpu transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6 peft==0.21.2
    python Benchmarks/export_twin.py [--worker PATH] [--seed N]
    python Benchmarks/export_twin.py --checkpoint runs/x/checkpoints/step-00000100 [--base DIR] [--tolerance 1e-3]

Without a checkpoint it takes the random models of `score_twin.py`, each as transformers saves it, and a random LoRA
adapter of each as PEFT saves it. With one it takes that checkpoint (or model or adapter directory) of FlowerDist.

Of each the worker writes an fp32 and a bf16 export. The fp32 one must load with every name, and its logits must be
those of the source in transformers, of base and adapter in PEFT if the source is an adapter; its log-probabilities must
be what `score` says of the source. The bf16 one must hold the same weights, rounded. Tokenizer and generation settings
must load and do the same. References are in float64. Exits with 1 if something differs.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast

import score_twin
from score_twin import Agreement, twin

ADAPTER = "adapter_config.json"
TEXTS = ["Toy Story (1995)\n", "caf\u00e9 12345  naive\n\nNext: ", "\u65e5\u672c\u8a9e's"]


# --------------------------------------------------------------------------------------------------------------------
# The two sides


def base_directory(source, base):
    """Of an adapter: `base`, else what its configuration names, seen from here, else from its own directory."""
    if base:
        return base
    name = json.loads((source / ADAPTER).read_text())["base_model_name_or_path"]
    places = [pathlib.Path(name), source / name]
    found = [place for place in places if (place / "config.json").is_file()]
    if not found:
        sys.exit(f"{source / ADAPTER}: no model at {name}; name its directory with --base")
    return found[0]


def load_source(source, base):
    """The source in transformers, or base and adapter in PEFT, in float64."""
    if not (source / ADAPTER).is_file():
        return score_twin.load(source)
    model = PeftModel.from_pretrained(score_twin.load(base_directory(source, base)), source).double().eval()
    weights, loaded = load_file(source / "adapter_model.safetensors"), get_peft_model_state_dict(model)
    if weights.keys() != loaded.keys():
        sys.exit(f"{source}: PEFT knows other weights: {sorted(weights.keys() ^ loaded.keys())}")
    for name, value in weights.items():
        assert torch.equal(loaded[name], value.double()), name
    return model


def export(worker, source, output, dtype):
    """`None`, or what the worker says went wrong."""
    done = subprocess.run([worker, "export", "--checkpoint", source, "--output", output, "--dtype", dtype],
                          capture_output=True, text=True)
    if done.returncode != 0:
        return f"export --dtype {dtype}: exit code {done.returncode}: {done.stderr.strip()}"


def weights(folder):
    """All tensors of a model directory, whole or in shards."""
    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()}


# --------------------------------------------------------------------------------------------------------------------
# Comparisons


def compare_models(agreement, worker, source, base, exported, sequences, folder):
    with twin.float64_arithmetic(), torch.no_grad():
        ours, theirs = score_twin.load(exported), load_source(source, base)
        for i, tokens in enumerate(sequences):
            ids = torch.tensor([tokens])
            found, expected = (model(input_ids=ids, use_cache=False).logits[0] for model in (ours, theirs))
            difference = (found - expected).abs().max().item()
            agreement.compare("logit", f"largest difference in sequence {i}", difference, 0.0)
        scores, error = score_twin.score(worker, source, {"sequences": [{"tokens": t} for t in sequences]}, folder)
        if error:
            agreement.misses.append(f"score: {error}")
        else:
            score_twin.compare_sequences(agreement, scores, ours, sequences)


def compare_rounding(agreement, full, rounded):
    """bf16 weights are the fp32 ones, rounded to the nearest, ties to even."""
    full, rounded = weights(full), weights(rounded)
    if full.keys() != rounded.keys():
        agreement.misses.append(f"only one of the exports has {sorted(full.keys() ^ rounded.keys())}")
    for name in full.keys() & rounded.keys():
        if full[name].dtype != torch.float32 or not torch.equal(full[name].bfloat16(), rounded[name]):
            agreement.misses.append(f"{name} is {full[name].dtype} and {rounded[name].dtype}, or is rounded otherwise")


def compare_settings(agreement, source, exported):
    """The tokenizer gives the ids that the source's file gives; the generation settings load."""
    theirs, ours = Tokenizer.from_file(str(source / "tokenizer.json")), AutoTokenizer.from_pretrained(exported)
    for text in TEXTS:
        found, expected = ours.encode(text, add_special_tokens=False), theirs.encode(text, add_special_tokens=False).ids
        if found != expected:
            agreement.misses.append(f"the tokenizer encodes {text!r} as {found}, expected {expected}")
    if GenerationConfig.from_pretrained(exported).eos_token_id is None:
        agreement.misses.append("generation_config.json names no token that ends a text")


def check(worker, source, base, sequences, tolerances):
    agreement = Agreement(tolerances)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        full, rounded = folder / "f32", folder / "bf16"
        errors = [export(worker, source, full, "f32"), export(worker, source, rounded, "bf16")]
        agreement.misses += [error for error in errors if error]
        if agreement.misses:
            return agreement
        compare_models(agreement, worker, source, base, full, sequences, folder)
        compare_rounding(agreement, full, rounded)
        score_twin.load(rounded)
        tokenizer = base_directory(source, base) if (source / ADAPTER).is_file() else source
        compare_settings(agreement, tokenizer, full)
    return agreement


# --------------------------------------------------------------------------------------------------------------------
# What is compared


def save_tokenizer(folder):
    """One token for each byte and one that ends a text."""
    vocabulary = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>").save_pretrained(folder)


def save_adapter(model, base, folder, rng):
    """A random adapter of some of the model's matrices; what it adds to one is a half, a quarter or an eighth of it.

    With more the difference is the rounding of merged weights to float32: PEFT's own merging shows the same.
    """
    targets = rng.sample(twin.LINEAR, k=rng.randint(1, len(twin.LINEAR)))
    rank = rng.randint(1, 6)
    model.name_or_path = str(base)
    adapted = get_peft_model(model, LoraConfig(
        **twin.LORA, r=rank, lora_alpha=rng.choice([0.5, 1, 2]) * rank, target_modules=targets))
    twin.initialise(twin.trained_parameters(adapted), torch.Generator().manual_seed(rng.getrandbits(32)))
    for name, parameter in twin.trained_parameters(adapted):
        if name.endswith("lora_B.weight"):
            parameter.data *= 0.25
    adapted.save_pretrained(folder)
    return f"    LoRA r {rank} of {', '.join(t.removesuffix('_proj') for t in targets)}"


def random_exports(worker, seed, tolerances):
    for line, model, rng in score_twin.random_models(seed, vocabulary=257):
        model.generation_config.eos_token_id = 256
        sequences = [[rng.randrange(257) for _ in range(n)] for n in (2, 17, 64)]
        with tempfile.TemporaryDirectory() as scratch:
            base, adapter = pathlib.Path(scratch, "base"), pathlib.Path(scratch, "adapter")
            model.save_pretrained(base)
            save_tokenizer(base)
            yield line, check(worker, base, None, sequences, tolerances)
            line = save_adapter(model, base, adapter, rng)
            yield line, check(worker, adapter, None, sequences, tolerances)


def given_export(worker, source, base, seed, tolerances):
    directory = base_directory(source, base) if (source / ADAPTER).is_file() else source
    if not (directory / "config.json").is_file():
        sys.exit(f"{directory}: expected a checkpoint, or the directory of a model or an adapter")
    vocabulary = json.loads((directory / "config.json").read_text())["vocab_size"]
    rng = random.Random(seed)
    sequences = [[rng.randrange(vocabulary) for _ in range(n)] for n in (2, 17, 64)]
    yield source, check(worker, source, base, sequences, tolerances)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", type=pathlib.Path, metavar="DIR", help="take this instead of random models")
    parser.add_argument("--base", type=pathlib.Path, metavar="DIR",
                        help="the model that the checkpoint adapts (default: what its adapter_config.json names)")
    parser.add_argument("--tolerance", type=float, default=2e-5, help="in what `score` says (default 2e-5)")
    arguments = score_twin.arguments_of(parser)
    tolerances = {"logit": 1e-5, "log-probability": arguments.tolerance}
    if arguments.checkpoint:
        results = given_export(arguments.worker, arguments.checkpoint, arguments.base, arguments.seed, tolerances)
    else:
        results = random_exports(arguments.worker, arguments.seed, tolerances)
    score_twin.report(results, tolerances)


if __name__ == "__main__":
    main()
