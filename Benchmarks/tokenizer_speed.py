"""Encoding on one thread, FlowerDist beside Hugging Face's `tokenizers`.

    pip install tokenizers==0.23.3
    python Benchmarks/tokenizer_speed.py --tokenizer PATH --texts FILE [--rounds 5] [--repeats 10] [--worker PATH]

PATH is a tokenizer.json, or a tiktoken rank file, which is used with NFC and Qwen2's pattern in both programs; FILE has
one text a line. The two alternate, `rounds` times; what a round counts is the median processor time of `repeats` passes
over all texts after one that is not counted, without reading the tokenizer. Of `tokenizers` the fastest call counts:
one text at a time, or all in a batch without offsets. Both must give the same ids.
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import statistics
import struct
import subprocess
import time

# Before the library is loaded.
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_alphabet():
    """GPT-2's bytes_to_unicode."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {**{byte: chr(byte) for byte in printable}, **{byte: chr(256 + i) for i, byte in enumerate(rest)}}


def halves(token, ranks):
    """The two tokens that merging by rank makes of a token's bytes before it becomes one."""
    parts = [token[i:i + 1] for i in range(len(token))]
    while len(parts) > 2:
        rank, place = min((ranks.get(parts[i] + parts[i + 1], 1 << 40), i) for i in range(len(parts) - 1))
        parts[place:place + 2] = [parts[place] + parts[place + 1]]
    return parts


def read(path):
    text = path.read_bytes()
    if text.lstrip().startswith(b"{"):
        return Tokenizer.from_str(text.decode())
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in text.splitlines())}
    alphabet = byte_alphabet()

    def name(token):
        return "".join(alphabet[byte] for byte in token)

    merges = [tuple(map(name, halves(token, ranks))) for token in sorted(ranks, key=ranks.get) if len(token) > 1]
    tokenizer = Tokenizer(models.BPE({name(token): rank for token, rank in ranks.items()}, merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return tokenizer


def processor_seconds(run, repeats):
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main():
    root = pathlib.Path(__file__).parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--texts", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--worker", type=pathlib.Path, default=root / ".build/release/flower-worker")
    options = parser.parse_args()

    texts = options.texts.read_bytes().decode().removesuffix("\n").split("\n")
    tokenizer = read(options.tokenizer)
    calls = {
        "encode": lambda: [tokenizer.encode(text, add_special_tokens=False) for text in texts],
        "encode_batch_fast": lambda: tokenizer.encode_batch_fast(texts, add_special_tokens=False),
    }
    digest = hashlib.sha256()
    for encoding in calls["encode"]():
        digest.update(struct.pack(f"<{len(encoding.ids) + 1}i", *encoding.ids, -1))

    print(f"tokenizers {tokenizers.__version__}, {len(texts)} texts, processor milliseconds, median of {options.repeats}")
    ratios = []
    for number in range(options.rounds):
        command = [options.worker, "bench", "--tokenizer", options.tokenizer, "--texts", options.texts,
                   "--repeats", str(options.repeats), "--json"]
        ours = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        if ours["ids_sha256"] != digest.hexdigest():
            raise SystemExit("the two give different ids")
        theirs = {name: processor_seconds(call, options.repeats) for name, call in calls.items()}
        ratios.append(min(theirs.values()) / ours["processor_seconds"])
        shown = ", ".join(f"{name} {seconds * 1e3:.0f}" for name, seconds in theirs.items())
        print(f"round {number + 1}: FlowerDist {ours['processor_seconds'] * 1e3:.0f}, tokenizers {shown}: "
              f"{ratios[-1]:.1f} times as fast")
    print(f"the same ids; {statistics.median(ratios):.1f} times as fast ({min(ratios):.1f} to {max(ratios):.1f})")


main()
