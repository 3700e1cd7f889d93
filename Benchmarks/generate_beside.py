#!/usr/bin/env python3
"""Recommending with a beam: FlowerDist's `evaluate` beside transformers' `generate`, one thread each.

    Benchmarks/side_by_side.py --rounds 0        # makes the environment .cache/pytorch
    .cache/pytorch/bin/python Benchmarks/generate_beside.py --run runs/NAME --data data/video-games

In turn for --rounds rounds: `evaluate --score published --length-penalty 1 --beam B` of --users users, which ranks as
`generate` does, token by token over the whole vocabulary; `evaluate --beam 20`, our own search over the catalogue, where
forced tokens cost nothing, both without the lists that `evaluate` samples besides, in each arithmetic that this CPU
computes without emulation; and `generate` with B beams, `prefix_allowed_tokens_fn` and its key-value cache for --fewer
users. `generate` gets what helps it: prompts in batches of similar length, padded on the left.
"""
import argparse, json, pathlib, statistics, subprocess, tempfile, time

import torch, transformers

from side_by_side import arithmetics

ROOT = pathlib.Path(__file__).resolve().parents[1]
WORKER = ROOT / ".build/release/flower-worker"


class Trie:
    """The titles' tokens, each followed by the end token."""

    def __init__(self, titles, end):
        self.root = {}
        for title in titles:
            node = self.root
            for token in [*title, end]:
                node = node.setdefault(token, {})

    def after(self, tokens, end):
        node = self.root
        for token in tokens:
            node = node.get(token, {})
        return list(node) or [end]


def read_lines(path):
    return [json.loads(line) for line in open(path)]


def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True, help="a run or checkpoint of FlowerDist")
    parser.add_argument("--data", required=True, help="the prepared dataset")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--fewer", type=int, default=100, help="users of generate")
    parser.add_argument("--beam", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--template", default="History: {history}\\nNext:", help="of the prompt, as in the recipe; \\n is a new line")
    parser.add_argument("--history", type=int, default=5, help="titles of a prompt, as in the recipe")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        exported = f"{directory}/model"
        subprocess.run(
            [WORKER, "export", "--checkpoint", arguments.run, "--output", exported, "--dtype", "f32"], check=True,
            stdout=subprocess.DEVNULL)
        model = transformers.AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32).eval()
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=f"{exported}/tokenizer.json")
    titles = [item["title"] for item in read_lines(f"{arguments.data}/items.jsonl")]
    end = model.generation_config.eos_token_id
    end = end[-1] if isinstance(end, list) else end
    trie = Trie((tokenizer.encode(" " + title) for title in titles), end)
    examples = read_lines(f"{arguments.data}/test.jsonl")[: arguments.fewer]
    prompts = [
        tokenizer.encode(
            arguments.template.replace("\\n", "\n").replace(
                "{history}", " | ".join(titles[item] for item in example["history"][-arguments.history :])))
        for example in examples
    ]
    prompts.sort(key=len)

    def generate():
        for start in range(0, len(prompts), arguments.batch):
            batch = prompts[start : start + arguments.batch]
            width = max(map(len, batch))
            ids = torch.tensor([[end] * (width - len(prompt)) + prompt for prompt in batch])
            mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch])
            lists = model.generate(
                input_ids=ids, attention_mask=mask, num_beams=arguments.beam, num_return_sequences=arguments.beam,
                do_sample=False, max_new_tokens=128, pad_token_id=end, eos_token_id=end,
                prefix_allowed_tokens_fn=lambda _, tokens: trie.after(tokens[width:].tolist(), end))
            assert lists.shape[0] == len(batch) * arguments.beam

    def evaluate(*options):
        subprocess.run(
            [WORKER, "evaluate", "--model", arguments.run, "--data", arguments.data, "--examples", str(arguments.users),
             "--no-samples", *options], check=True, stdout=subprocess.DEVNULL)

    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(titles)} titles, prompts of "
          f"{statistics.mean(map(len, prompts)):.0f} tokens")
    print(f"| round | arithmetic | as published, {arguments.users} users, s | over the catalogue, s | generate, {arguments.fewer} users, s "
          "| users a second, ratios |")
    print("| --- " * 6 + "|", flush=True)
    published = ["--beam", str(arguments.beam), "--score", "published", "--length-penalty", "1"]
    catalogue = ["--beam", "20"]
    for number in range(1, arguments.rounds + 1):
        seconds = {
            arithmetic: [timed(lambda: evaluate(*search, "--arithmetic", arithmetic)) for search in (published, catalogue)]
            for arithmetic in arithmetics()}
        theirs = timed(generate)
        for arithmetic, own in seconds.items():
            ratios = " and ".join(f"{arguments.users / s * theirs / arguments.fewer:.1f}" for s in own)
            print(f"| {number} | {arithmetic} | " + " | ".join(f"{s:.1f}" for s in [*own, theirs]) + f" | {ratios} |",
                  flush=True)


with torch.inference_mode():
    main()
