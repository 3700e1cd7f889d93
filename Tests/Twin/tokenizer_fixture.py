"""Makes Tests/FlowerDistTests/Fixtures/tokenizers.json with Hugging Face's library (pip install tokenizers==0.23.3).

For hard texts and random ones: the pieces that each published split pattern makes, the ids of small tokenizers trained
here, and the ids of tokenizers that differ in their steps and added tokens only ("variants"). The texts and the training
text are made up; of characters newer than Unicode 3.2 only a few are used, because libraries differ about characters
that their tables do not have.

More texts, which the same test reads where FLOWERDIST_TOKENIZER_FIXTURE names the file:

    python Tests/Twin/tokenizer_fixture.py --random 5000 --seed 7 --output /tmp/tokenizers.json
"""

import argparse
import json
import pathlib
import random
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")

# As published with the models that they are named after.
PATTERNS = {
    "o200k": (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
              r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
              r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*"
              r"|\s*[\r\n]+|\s+(?!\S)|\s+"),
    "cl100k": (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
               r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"),
    "tekken": (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
               r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
               r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
    "qwen3.5": (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+"),
    "deepseek": (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
                 r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
    "bloom": r" ?[^(\s|[.,!?…。，、।۔،])]+",
    "thousands": r"(?=(\d{3})+(?!\d))",
    # Made up, for the rest of the syntax.
    "lazy": r"\w+?'|.+?\s|[a-f]{2,3}?",
    "intervals": r"a{2}|\d{2,}|[b-d]{,2}e|x{1,2}+y?",
    "atomic": r"(?>a+|ab)c|(?:ab?)++c|(?>\s*)\S|\p{L}*+",
    "anchors": r"^\s+|\s+$|^.|.$|\A\p{Lu}|\W\z",
    "lookahead": r"\p{L}(?=\p{L})|(?!ab)[a-z]{2}|(?=.*\d)\w",
    "classes": r"[\p{L}&&[^a-mA-M]]+|[^\P{N}5-7]|[\]\-\[^]|[\x41\u00e9\x{1F642}]+|[-a]+|[b-]|[^[\s[x]]c]",
    "case": r"(?i:ab|[^c-k]d|[^s]|\s)|(?i:h(?-i:a)R)|(?i:k)",
    "categories": r"\p{^L}{3}|\P{^Lu}+|\p{Lowercase_Letter}\p{Nd}|\p{Sc}|[\p{Zs}\p{Cc}]+|\D\d",
}

TEXTS = [
    "", "a", " ", "  ", "   a", "\n", "\n\n", "a\n", "a \n b", "a\n\n\nb", " \n \n x", "\r\n\r\n", "a\r\nb\rc",
    "\t\tx\t", "The Lost Harbour - Third Edition\n", "History: Lost Harbour | Winter's Tale\nNext:",
    "Winter's we'll I'd they've", "I'LL WE'VE CAN'T 'S 'RE", "it'\u017f 'SS 'ss 'lL 'r 'v '", "''s '''t",
    "don\u2019t", "12345 3.14 1,000,000 7x77", "\u0663\u0664\u0665 \u00bd\u2167\u2460",
    "a\u00a0b\u2003c\u0085d\u000be\u2028f\u3000g", "!!!???...\n\n", "(x) [y] {z}!\r\n", "caf\u00e9 na\u00efve",
    "cafe\u0301 e\u0323\u0307 A\u030a", "\u212b \ufb01 \u1e9b\u0323", "\u65e5\u672c\u8a9e\u306e\u984c",
    "\ud55c\uad6d \u1112\u1161\u11ab", "\u0939\u093f\u0928\u094d\u0926\u0940", "\U0001f642\U0001f44d\U0001f3fd\u200d",
    "<|end|>", "a<|end|>b <|end|>", "<|end|><|en", "<|endmark|>x<|end", "caf\u00e9s cafe\u0301s", "tail  ", "  \n",
    "-- - -a", "_a_b", "x" * 130 + " 1" * 30, "harbour" * 30, "  <mask>  <mask>x<mask>\u3000", "a mask unmasked mask",
    "mask\u0301 mask\u200d _mask mask", "<l>  <r>  <l><r> <b> <b> ", " \t <r>   <b>   <l> \u00a0<l>", "   ", "       x",
    "HTTPServer camelCase 2Words'LL Ünïcode", "\u01c5\u02b0 \u0130I\u0131 \u1e9e\u00df \u03a3\u03a3 \u212a",
    "\U00020391\u0301 \u0323\u0f75 r\u0323\u0f75 \u01c5\u0323 a\u0301\u0323\u0344 \uac00\u11a8\u0301", "\u00b2'\u00bd' \u2460'",
]

TRAINING = [
    "The Lost Harbour - Third Edition", "Winter's Tale: we'll see", "History: Lost Harbour | Winter's Tale\nNext:",
    "caf\u00e9 na\u00efve caf\u00e9", "\u65e5\u672c\u8a9e\u306e\u984c \u65e5\u672c",
    "\ud55c\uad6d \ud55c\uad6d\uc5b4", "12345 1234 345 77", "!!! ... ???\n\n", "harbour harbour lost tale tale",
    "  \n  \t\t", "\U0001f642\U0001f642", "xxxxxxxx xxxx",
] * 4


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(pattern if isinstance(pattern, str) else Regex(pattern[0]), behavior, invert)


def byte_level(add_prefix_space=False, use_regex=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)


def sequence(*steps):
    return pre_tokenizers.Sequence([*steps, byte_level()])


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
        sequence(split([QWEN2])), normalizers.NFC(),
        added=[AddedToken("<|end|>", special=True), AddedToken("<|endmark|>", special=True),
               AddedToken("cafe\u0301s", normalized=True), AddedToken("e\u0323\u0307", normalized=False)]),
    "llama3": train(sequence(split([LLAMA3])), ignore_merges=True),
    "lacks bytes": train(byte_level(use_regex=True), alphabet=[]),
    "unknown token": train(byte_level(use_regex=True), alphabet=[], unknown="<\u00a0unknown>"),
    # Its tokens reach over everything, so that the variants below differ wherever their pieces do.
    "base": train(byte_level()),
}

FLAGS = [
    AddedToken("<mask>", lstrip=True, special=True), AddedToken("mask", single_word=True, normalized=False),
    AddedToken("<l>", lstrip=True, normalized=False), AddedToken("<r>", rstrip=True, normalized=False),
    AddedToken("<b>", lstrip=True, rstrip=True, normalized=True), AddedToken("  ", normalized=False),
    AddedToken("    ", normalized=True), AddedToken("tale", single_word=True, rstrip=True, normalized=True),
]

BEHAVIORS = ["isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"]


def variants():
    """Normalizer, pre-tokenizer and added tokens by name; the rest is the base's."""
    result = {
        "no pieces": (None, byte_level(), []),
        "added flags": (None, byte_level(), FLAGS),
        "added flags nfc gpt2": (normalizers.NFC(), byte_level(use_regex=True), FLAGS),
        "added flags lowercase": (normalizers.Lowercase(), byte_level(use_regex=True), FLAGS),
        "smollm2": (None, pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level(use_regex=True)]), []),
        "digit runs": (None, sequence(pre_tokenizers.Digits()), []),
        "deepseek sequence": (None, sequence(
            split([r"\p{N}{1,3}"]), split(["[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"]),
            split([PATTERNS["deepseek"]])), []),
        "qwen2 by prefix": (None, pre_tokenizers.Sequence([split([QWEN2]), byte_level(add_prefix_space=True)]), []),
        "replace": (normalizers.Sequence([
            normalizers.Replace(Regex(r"\s+"), " "), normalizers.Replace("a", "\u65e5b"), normalizers.NFC(),
            normalizers.Replace("tt", ""), normalizers.Prepend("_ ")]), byte_level(), FLAGS),
        "prepend": (normalizers.Prepend("Lost"), byte_level(use_regex=True), []),
    }
    for form in ["NFC", "NFD", "NFKC", "NFKD"]:
        result[form] = (getattr(normalizers, form)(), byte_level(), [])
    result["lowercase"] = (normalizers.Lowercase(), byte_level(), [])
    for name, pattern in PATTERNS.items():
        result[f"regex {name}"] = (None, sequence(split([pattern])), [])
    for behavior in BEHAVIORS:
        result[f"punctuation {behavior}"] = (None, sequence(pre_tokenizers.Punctuation(behavior)), [])
        for invert in (False, True):
            name = f"{behavior} inverted" if invert else behavior
            result[f"text {name}"] = (None, sequence(split("a", behavior, invert)), [])
            result[f"space {name}"] = (None, sequence(split([r"\s|'s"], behavior, invert)), [])
            result[f"gpt2 {name}"] = (None, sequence(split([GPT2], behavior, invert)), [])
    return result


def byte_map():
    """GPT-2's bytes_to_unicode, backwards."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {**{chr(byte): byte for byte in printable}, **{chr(256 + i): byte for i, byte in enumerate(rest)}}


def pieces(pre_tokenizer, text):
    alphabet = byte_map()
    found = pre_tokenizers.Sequence([pre_tokenizer, byte_level()]).pre_tokenize_str(text)
    return [bytes(alphabet[c] for c in piece).decode() for piece, _ in found]


def random_texts(count, seed):
    """Words, spaces, marks and characters of Unicode 3.2 in any order."""
    generator = random.Random(seed)
    old = unicodedata.ucd_3_2_0
    characters = [
        c for c in map(chr, range(0x110000))
        if old.category(c) not in ("Cn", "Cs", "Co") and old.category(c) == unicodedata.category(c)
        and not 0x4E00 <= ord(c) <= 0xD7A3
    ]
    parts = [
        " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "\u00a0", "\u3000", "'s", "'LL", "'re", "'", "\u2019t", "a", "b",
        "ab", "abc", "The", "Lost", "harbour", "HTTP", "X", "\u00c9", "\u00e9", "e\u0301", "1", "22", "345", "1234567",
        "\u0664", "\u00b2", "-", "--", ".", "...", "!", "?!", "/", "(", ")", "[", "]", "$", "+", "_", "\u65e5\u672c",
        "\u306e", "\u30c8", "\ud55c\uad6d", "\u1112\u1161\u11ab", "\U0001f642", "\u200d", "\u0301", "\u0323", "\u093f",
        "\u01c5", "\u02b0", "\u017f", "\u212a", "\u0130", "\u00df", "\ufb01", "\u2460", "\u24b6", "\u2167", "\u00bd",
        "<|end|>", "<mask>", "mask", "<l>", "<r>", "<b>", "tale", "cafe\u0301s", "\u0085", "\u2028", "\u200b",
    ]
    texts = []
    for _ in range(count):
        length = generator.randint(1, 24)
        texts.append("".join(
            generator.choice(characters) if generator.random() < 0.15 else generator.choice(parts)
            for _ in range(length)))
    return texts


def main():
    parser = argparse.ArgumentParser()
    default = pathlib.Path(__file__).parent.parent / "FlowerDistTests/Fixtures/tokenizers.json"
    parser.add_argument("--random", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=pathlib.Path, default=default)
    options = parser.parse_args()
    texts = TEXTS + random_texts(options.random, options.seed)

    def ids(tokenizer):
        return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]

    base = json.loads(TOKENIZERS["base"].to_str())
    variant_entries = {}
    for name, (normalizer, pre_tokenizer, added) in variants().items():
        tokenizer = Tokenizer.from_str(json.dumps(base))
        tokenizer.pre_tokenizer = pre_tokenizer
        if normalizer:
            tokenizer.normalizer = normalizer
        tokenizer.add_tokens(added)
        file = json.loads(tokenizer.to_str())
        variant_entries[name] = {
            "changes": {key: file[key] for key in ("normalizer", "pre_tokenizer", "added_tokens")},
            "ids": ids(tokenizer),
        }
    patterns = {"gpt2": split([GPT2]), "qwen2": split([QWEN2]), "llama3": split([LLAMA3])}
    fixture = {
        "made_by": "Tests/Twin/tokenizer_fixture.py",
        "texts": texts,
        "pieces": {name: [pieces(p, text) for text in texts] for name, p in patterns.items()},
        "tokenizers": {
            name: {"file": json.loads(tokenizer.to_str()), "ids": ids(tokenizer)}
            for name, tokenizer in TOKENIZERS.items()
        },
        "variants": variant_entries,
    }
    options.output.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


main()
