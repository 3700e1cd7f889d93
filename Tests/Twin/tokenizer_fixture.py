"""Makes Tests/FlowerDistTests/Fixtures/tokenizers.json with Hugging Face's library (pip install tokenizers==0.23.3).

For hard texts: the pieces that each published split pattern makes, and the ids of small tokenizers trained here.
The texts and the training text are made up; characters newer than Unicode 13 are left out, because libraries differ
about characters that their tables do not have.
"""

import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")

TEXTS = [
    "", "a", " ", "  ", "   a", "\n", "\n\n", "a\n", "a \n b", "a\n\n\nb", " \n \n x", "\r\n\r\n", "a\r\nb\rc",
    "\t\tx\t", "The Lost Harbour - Third Edition\n", "History: Lost Harbour | Winter's Tale\nNext:",
    "Winter's we'll I'd they've", "I'LL WE'VE CAN'T 'S 'RE", "it'\u017f 'SS 'ss 'lL 'r 'v '", "''s '''t",
    "don\u2019t", "12345 3.14 1,000,000 7x77", "\u0663\u0664\u0665 \u00bd\u2167\u2460",
    "a\u00a0b\u2003c\u0085d\u000be\u2028f\u3000g", "!!!???...\n\n", "(x) [y] {z}!\r\n", "caf\u00e9 na\u00efve",
    "cafe\u0301 e\u0323\u0307 A\u030a", "\u212b \ufb01 \u1e9b\u0323", "\u65e5\u672c\u8a9e\u306e\u984c",
    "\ud55c\uad6d \u1112\u1161\u11ab", "\u0939\u093f\u0928\u094d\u0926\u0940", "\U0001f642\U0001f44d\U0001f3fd\u200d",
    "<|end|>", "a<|end|>b <|end|>", "<|end|><|en", "<|endmark|>x<|end", "caf\u00e9s cafe\u0301s", "tail  ", "  \n",
    "-- - -a", "_a_b", "x" * 130 + " 1" * 30, "harbour" * 30,
]

TRAINING = [
    "The Lost Harbour - Third Edition", "Winter's Tale: we'll see", "History: Lost Harbour | Winter's Tale\nNext:",
    "caf\u00e9 na\u00efve caf\u00e9", "\u65e5\u672c\u8a9e\u306e\u984c \u65e5\u672c",
    "\ud55c\uad6d \ud55c\uad6d\uc5b4", "12345 1234 345 77", "!!! ... ???\n\n", "harbour harbour lost tale tale",
    "  \n  \t\t", "\U0001f642\U0001f642", "xxxxxxxx xxxx",
] * 4


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level(add_prefix_space=False, use_regex=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)


def train(pre_tokenizer, normalizer=None, ignore_merges=False, added=(), alphabet=None, unknown=None):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=340, initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet is None else alphabet,
        special_tokens=[unknown] if unknown else [], show_progress=False)
    tokenizer.train_from_iterator(TRAINING, trainer)
    tokenizer.add_tokens(list(added))
    return tokenizer


TOKENIZERS = {
    "gpt2": train(byte_level(use_regex=True)),
    "prefix space": train(byte_level(add_prefix_space=True, use_regex=True)),
    "qwen2": train(
        pre_tokenizers.Sequence([split(QWEN2), byte_level()]), normalizers.NFC(),
        added=[AddedToken("<|end|>", special=True), AddedToken("<|endmark|>", special=True),
               AddedToken("cafe\u0301s", normalized=True), AddedToken("e\u0323\u0307", normalized=False)]),
    "llama3": train(pre_tokenizers.Sequence([split(LLAMA3), byte_level()]), ignore_merges=True),
    "digits": train(
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(use_regex=True)])),
    "lacks bytes": train(byte_level(use_regex=True), alphabet=[]),
    "unknown token": train(byte_level(use_regex=True), alphabet=[], unknown="<\u00a0unknown>"),
    "digit runs": train(pre_tokenizers.Sequence([pre_tokenizers.Digits(), byte_level()])),
}


def byte_map():
    """GPT-2's bytes_to_unicode, backwards."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {**{chr(byte): byte for byte in printable}, **{chr(256 + i): byte for i, byte in enumerate(rest)}}


def pieces(pre_tokenizer, text):
    alphabet = byte_map()
    found = pre_tokenizers.Sequence([pre_tokenizer, byte_level()]).pre_tokenize_str(text)
    return [bytes(alphabet[c] for c in piece).decode() for piece, _ in found]


def main():
    patterns = {"gpt2": split(GPT2), "qwen2": split(QWEN2), "llama3": split(LLAMA3)}
    fixture = {
        "made_by": "Tests/Twin/tokenizer_fixture.py",
        "texts": TEXTS,
        "pieces": {name: [pieces(p, text) for text in TEXTS] for name, p in patterns.items()},
        "tokenizers": {
            name: {
                "file": json.loads(tokenizer.to_str()),
                "ids": [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS],
            }
            for name, tokenizer in TOKENIZERS.items()
        },
    }
    path = pathlib.Path(__file__).parent.parent / "FlowerDistTests/Fixtures/tokenizers.json"
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


main()
