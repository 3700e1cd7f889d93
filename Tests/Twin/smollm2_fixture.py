"""Writes Tests/FlowerDistTests/Fixtures/smollm2.json: tokens and log-probabilities of some texts under SmolLM2-135M-Instruct.

    python Benchmarks/fetch_smollm2.py
    python Tests/Twin/smollm2_fixture.py      # needs the packages that make_fixtures.py names

The model is Hugging Face's in float32; log_probs[t] is log p(tokens[t+1] | tokens[..t]).
"""

import json
import pathlib

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / ".cache" / "smollm2-135m"
TEXTS = [
    "History: Toy Story | GoldenEye | Four Rooms\nNext:",
    "The quick brown fox jumps over the lazy dog, 1234 times; naïve café — 東京.",
    "<|im_start|>user\nRecommend a film like Fargo.<|im_end|>\n<|im_start|>assistant\n",
]


def entry(tokenizer, model, text):
    tokens = tokenizer(text, add_special_tokens=False).input_ids
    logits = model(torch.tensor([tokens])).logits[0].double()
    log_probs = logits.log_softmax(-1)[range(len(tokens) - 1), tokens[1:]].tolist()
    return {"text": text, "tokens": tokens, "log_probs": [round(value, 6) for value in log_probs]}


def main():
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    with torch.no_grad():
        entries = [json.dumps(entry(tokenizer, model, text), ensure_ascii=False) for text in TEXTS]
    target = ROOT / "Tests" / "FlowerDistTests" / "Fixtures" / "smollm2.json"
    target.write_text("[\n " + ",\n ".join(entries) + "\n]\n")


if __name__ == "__main__":
    main()
