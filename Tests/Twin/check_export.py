"""Does a model directory written by FlowerDist give the same log-probabilities in transformers?

    flower-worker score --model DIR --input in.json --output out.json
    python Tests/Twin/check_export.py --model DIR --input in.json --scores out.json [--tolerance 2e-5]

The input is `{"sequences": [{"tokens": [Int]}]}`, the scores `{"sequences": [{"log_probs": [Double]}]}`: entry t is
log p(tokens[t+1] | tokens[..t]) over the vocabulary, null for -inf. The model runs in float32. Exits with 1 and names
the first difference if one is above the tolerance. Needs the packages that make_fixtures.py names.
"""

import argparse
import json
import math
import sys

import torch
from transformers import AutoModelForCausalLM


def load(path):
    with open(path) as file:
        return json.load(file)["sequences"]


def log_probs(model, tokens):
    logits = model(input_ids=torch.tensor([tokens])).logits[0]
    return logits.log_softmax(-1)[range(len(tokens) - 1), tokens[1:]].tolist()


def compare(model, sequences, scores, tolerance):
    """Number of compared values and the largest difference; exits at the first that is too large."""
    if len(sequences) != len(scores):
        sys.exit(f"{len(sequences)} sequences in the input, {len(scores)} in the scores")
    count, worst = 0, 0.0
    for i, (sequence, score) in enumerate(zip(sequences, scores)):
        expected = log_probs(model, sequence["tokens"])
        found = [-math.inf if value is None else value for value in score["log_probs"]]
        if len(found) != len(expected):
            sys.exit(f"sequence {i}: {len(found)} log-probabilities, expected {len(expected)}")
        for t, (ours, theirs) in enumerate(zip(found, expected)):
            difference = 0.0 if ours == theirs else abs(ours - theirs)
            if not difference <= tolerance:
                sys.exit(f"sequence {i}, entry {t}: {ours} in the scores, {theirs} in transformers")
            count, worst = count + 1, max(worst, difference)
    return count, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="model directory")
    parser.add_argument("--input", required=True, help="input of `score`")
    parser.add_argument("--scores", required=True, help="output of `score`")
    parser.add_argument("--tolerance", type=float, default=2e-5, help="in log-probability")
    arguments = parser.parse_args()
    model, report = AutoModelForCausalLM.from_pretrained(
        arguments.model, dtype=torch.float32, local_files_only=True, output_loading_info=True)
    problems = {kind: sorted(names) for kind, names in report.items() if names}
    if problems:
        sys.exit(f"{arguments.model} does not load as it is: {problems}")
    with torch.no_grad():
        count, worst = compare(model.eval(), load(arguments.input), load(arguments.scores), arguments.tolerance)
    print(f"{count} log-probabilities agree, largest difference {worst:.1e}")


if __name__ == "__main__":
    main()
