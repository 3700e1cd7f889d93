"""The PyTorch twin: writes the golden files in Tests/FlowerDistTests/Fixtures/twin.

    pip install torch==2.13.0+cpu transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6 peft==0.21.2
    python Tests/Twin/make_fixtures.py [MODEL …]  # needs Python 3.11, takes 30 s, the same files every time

Without names it writes all models anew; on another processor the last digits of the expected numbers may differ.

The models are Hugging Face's own (`attn_implementation="eager"`), their parameters float32 values, the arithmetic
float64; adapters are PEFT's. Everything else is as naive as its definition: every trajectory is one plain forward pass
of prompt + title, a flow is a sum over the catalogue, SubTB a double loop over all pieces. Nothing is shared, padded or
cached. The shapes of the files are described in the README beside them.
"""

import argparse
import contextlib
import json
import math
import pathlib
import shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import (
    LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)
from transformers.models.llama import modeling_llama
from transformers.models.qwen2 import modeling_qwen2
from transformers.models.qwen3 import modeling_qwen3
from transformers.utils import logging

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "FlowerDistTests" / "Fixtures" / "twin"
NO_END = -15.0  # log r(end | s) of the published code wherever no title ends


class Float64Torch:
    """`torch`, except that Hugging Face's upcasts to float32 (norms, attention softmax) go to float64."""

    float32 = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


@contextlib.contextmanager
def float64_arithmetic():
    """Within, models made `double()` compute in float64 throughout, except for the angles of the rotation."""
    modules = modeling_llama, modeling_qwen2, modeling_qwen3
    for module in modules:
        module.torch = Float64Torch()
    try:
        yield
    finally:
        for module in modules:
            module.torch = torch


# --------------------------------------------------------------------------------------------------------------------
# Catalogue: flows and token rewards


class Catalogue:
    """Titles with weights; a flow is the plain sum of the weights of all titles that begin with a prefix."""

    def __init__(self, titles, weights, terminator):
        self.titles = [tuple(title) for title in titles]
        self.weights = weights
        self.terminator = terminator

    def flow(self, prefix):
        return sum(w for t, w in zip(self.titles, self.weights) if t[: len(prefix)] == prefix)

    def end(self, prefix):
        """Weight of the title that ends here, 0 if none does."""
        return sum(w for t, w in zip(self.titles, self.weights) if t == prefix)

    def options(self, prefix):
        """Next tokens that the catalogue allows: children in ascending order, then the terminator."""
        n = len(prefix)
        children = sorted({t[n] for t in self.titles if t[:n] == prefix and len(t) > n})
        return children + ([self.terminator] if self.end(prefix) > 0 else [])

    def log_reward(self, action, prefix):
        """log r(action | prefix); -inf where the action is not an option."""
        flow = self.end(prefix) if action == self.terminator else self.flow(prefix + (action,))
        return math.log(flow / self.flow(prefix)) if flow > 0 else -math.inf


# --------------------------------------------------------------------------------------------------------------------
# Policy and losses of one trajectory


class Path:
    """One title under one prompt: its states, log pi of its actions and of the terminator at every state."""

    def __init__(self, model, prompt, title, catalogue, support):
        self.title, self.catalogue, self.support = tuple(title), catalogue, support
        ids = torch.tensor([list(prompt) + list(title)])
        logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 :]
        self.states = [self.title[:t] for t in range(len(title) + 1)]
        self.actions = list(title) + [catalogue.terminator]
        self.policies = [self._policy(row, state) for row, state in zip(logits, self.states)]
        self.log_policy = [p[a] for p, a in zip(self.policies, self.actions)]
        self.log_terminate = [p.get(catalogue.terminator) for p in self.policies]

    def _policy(self, row, state):
        """log pi(.|state) as a dictionary by token."""
        if self.support == "vocabulary":
            return dict(enumerate(torch.log_softmax(row, -1)))
        options = self.catalogue.options(state)
        return dict(zip(options, torch.log_softmax(row[options], -1)))

    def log_token_reward(self):
        """log r(a_t | s_{t-1}) for the n + 1 actions."""
        return [self.catalogue.log_reward(a, s) for a, s in zip(self.actions, self.states)]

    def log_reward(self, objective):
        """log R_t of the n + 1 states: tokens up to the state, then the end; `None` is -inf (tree flow, no end)."""
        terminating = objective.get("flow", "tree") == "terminating"
        rewards, total = [], 0.0
        for t, state in enumerate(self.states):
            end = self.catalogue.log_reward(self.catalogue.terminator, state)
            last = t == len(self.states) - 1
            if terminating and (end == -math.inf or (objective["prefix_titles"] == "published" and not last)):
                end = NO_END
            rewards.append(None if end == -math.inf else total + end)
            total += self.catalogue.log_reward(self.actions[t], state)
        return rewards

    def residuals(self, objective):
        """One per `granularity` tokens, the last of which may be fewer; the terminator is a step of its own."""
        steps, n = self.token_residuals(objective), objective.get("granularity", 1)
        tokens = steps[: len(self.title)]
        return [sum(tokens[i : i + n]) for i in range(0, len(tokens), n)] + steps[len(tokens) :]

    def token_residuals(self, objective):
        if objective.get("flow", "tree") == "terminating":
            assert self.support == "vocabulary"
            r, p, end = self.log_reward(objective), self.log_policy, self.log_terminate
            return [r[t - 1] + p[t - 1] + end[t] - r[t] - end[t - 1] for t in range(1, len(self.states))]
        total = self.catalogue.flow(())
        flows = [self.catalogue.flow(s) / total for s in self.states] + [self.catalogue.end(self.title) / total]
        return [p + math.log(flows[t]) - math.log(flows[t + 1]) for t, p in enumerate(self.log_policy)]

    def cross_entropy(self):
        """Sum over the visited states of -sum_a r(a|s) log pi(a|s)."""
        loss = torch.zeros(())
        for state, policy in zip(self.states, self.policies):
            for option in self.catalogue.options(state):
                loss = loss - math.exp(self.catalogue.log_reward(option, state)) * policy[option]
        return loss


def subtb(residuals, decay):
    """All pieces p < q, one by one."""
    c = [torch.zeros(())]
    for d in residuals:
        c.append(c[-1] + d)
    numerator, denominator = torch.zeros(()), 0.0
    for p in range(len(c)):
        for q in range(p + 1, len(c)):
            numerator = numerator + decay ** (q - p - 1) * (c[q] - c[p]) ** 2
            denominator += decay ** (q - p - 1)
    return numerator / denominator


def subtb_running(residuals, decay):
    """The same in one pass: S_k <- decay S_k + c^k."""
    s0, s1, s2, c, numerator, denominator = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for d in residuals:
        c = c + d
        numerator = numerator + c * c * s0 - 2 * c * s1 + s2
        denominator += s0
        s0, s1, s2 = decay * s0 + 1, decay * s1 + c, decay * s2 + c * c
    return numerator / denominator


def flow_losses(paths, objective):
    """The loss of each of the trajectories of one prompt."""
    name = objective["name"]
    if name == "soft":
        return [path.cross_entropy() for path in paths]
    if name == "sft":
        return [-sum(path.log_policy) for path in paths]
    residuals = [path.residuals(objective) for path in paths]
    if name == "subtb":
        losses = [subtb(d, objective["lambda"]) for d in residuals]
        for d, loss in zip(residuals, losses):
            running = subtb_running([x.item() for x in d], objective["lambda"])
            assert math.isclose(loss.item(), running, rel_tol=1e-11), (loss, running)
        return losses
    if name == "tb":
        return [sum(d) ** 2 for d in residuals]
    if name == "db":
        return [sum(x**2 for x in d) / len(d) for d in residuals]
    assert name == "vargrad" and len(paths) >= 2
    log_z = sum(sum(d) for d in residuals).detach() / len(paths)
    return [(sum(d) - log_z) ** 2 for d in residuals]


# --------------------------------------------------------------------------------------------------------------------
# A case: loss of its input, and what is expected


def numbers(values):
    return [v.item() if torch.is_tensor(v) else v for v in values]


def prompt_loss(model, catalogue, prompt, items, target, objective):
    """Loss of one prompt, and its record for `expected`."""
    titles = catalogue.titles
    paths = [Path(model, prompt, titles[i], catalogue, objective["support"]) for i in items]
    losses = flow_losses(paths, objective)
    flow = sum(losses) / len(losses)
    record = {"trajectories": []}
    for path, loss in zip(paths, losses):
        total = math.log(catalogue.flow(()))
        entry = {
            "log_policy": numbers(path.log_policy),
            "log_terminate": numbers(path.log_terminate),
            "log_reward": numbers(path.log_reward(objective)),
            "log_token_reward": numbers(path.log_token_reward()),
            "log_flow": [math.log(catalogue.flow(s)) - total for s in path.states],
        }
        if objective["name"] not in ("soft", "sft"):
            entry["residuals"] = numbers(path.residuals(objective))
        record["trajectories"].append(entry | {"loss": loss.item()})
    if "theta" not in objective:
        return flow, {"loss": flow.item()} | record
    path = Path(model, prompt, titles[target], catalogue, objective["sft_support"])
    sft = -sum(path.log_policy)
    loss = objective["theta"] * sft + (1 - objective["theta"]) * flow
    record["sft"] = {"log_policy": numbers(path.log_policy), "loss": sft.item()}
    return loss, {"loss": loss.item(), "flow_loss": flow.item()} | record


def case_loss(model, case):
    """Total loss of an input, and `expected` without the gradient."""
    data, objective = case["trajectories"], case["objective"]
    titles = [entry["tokens"] for entry in data["catalogue"]]
    weights = [entry["weight"] for entry in data["catalogue"]]
    if "prompt" in data:
        catalogue = Catalogue(titles, weights, data["terminator"])
        loss, expected = prompt_loss(
            model, catalogue, data["prompt"], data["items"], data.get("target"), objective)
        if objective["support"] == "catalogue":
            with torch.no_grad():
                paths = [Path(model, data["prompt"], t, catalogue, "catalogue") for t in titles]
            expected["item_log_probs"] = [sum(path.log_policy).item() for path in paths]
            assert abs(sum(map(math.exp, expected["item_log_probs"])) - 1) < 1e-12
        return loss, expected
    losses, records = [], []
    for k, (prompt, items) in enumerate(zip(data["prompts"], data["items"])):
        catalogue = Catalogue(titles, data["weights"][k] if "weights" in data else weights, data["terminator"])
        target = data["targets"][k] if "targets" in data else None
        loss, record = prompt_loss(model, catalogue, prompt, items, target, objective)
        losses.append(loss)
        records.append(record)
    loss = sum(losses) / len(losses)
    return loss, {"loss": loss.item(), "prompts": records}


def check_finite_differences(model, case, generator, coordinates=4, step=1e-5):
    parameters = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    for _ in range(coordinates):
        name, parameter = parameters[torch.randint(len(parameters), (), generator=generator)]
        index = torch.randint(parameter.numel(), (), generator=generator)
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)[index].item()
        value, losses = flat[index].item(), []
        with torch.no_grad():
            for offset in (step, -step):
                flat[index] = value + offset
                losses.append(case_loss(model, case)[0].item())
            flat[index] = value
        difference = (losses[0] - losses[1]) / (2 * step)
        assert abs(difference - gradient) <= 1e-6 * max(1, abs(gradient)), (name, index, difference, gradient)


# --------------------------------------------------------------------------------------------------------------------
# Inputs

TERMINATOR = 2
CATALOGUE = [
    ([10, 11, 12], 5.0),
    ([10, 11], 2.0),  # the beginning of others
    ([10, 11, 13, 14, 15], 1.5),  # a forced end after a choice
    ([10, 20, 21, 22, 23], 7.0),  # a forced run before a choice
    ([10, 20, 21, 22, 24], 0.5),
    ([30], 3.0),  # one token, and the beginning of another
    ([30, 31, 32], 4.0),
    ([40], 1.0),  # one token
    ([50, 51, 52, 53, 54, 55], 9.0),  # forced from its first token
    ([60, 10, 11], 2.5),  # tokens of other titles under another prefix
    ([60, 60, 60], 1.25),  # one token three times
    ([63, 5, 6, 5, 6], 6.0),
    ([63, 5, 6, 5, 7], 0.75),
]
PROMPT = [1, 33, 7, 7, 45, 12, 10, 58, 3]
ITEMS = [0, 2, 4, 0, 5, 8, 1, 10]
PROMPTS = [[1, 33, 7, 7, 45, 2, 10, 58, 3], [61], [9, 2, 0, 27]]
PROMPT_ITEMS = [[3, 6, 3], [1, 12], [7, 0, 9, 5]]
TARGETS = [2, 8, 5]
# A personal weight per prompt and catalogue entry; not normalised, as the weights of the catalogue are not.
PERSONAL = [[round(0.25 + ((7 * i * (k + 2) + 3 * k) % 11) ** 1.5, 3) for i in range(13)] for k in range(3)]
SEQUENCES = [PROMPT + [10, 20, 21, 22, 24, 2], [5, 63], [(17 * i * i + 5 * i + 3) % 64 for i in range(24)], [8]]
LONG_SEQUENCE = [(23 * i * i + 11 * i + 40) % 64 for i in range(64)]


def objective(name, support, **more):
    return {"name": name, "support": support} | more


def tree(name, support, **more):
    return objective(name, support, flow="tree", **more)


def single(objective, items=ITEMS, target=None):
    data = {"prompt": PROMPT, "terminator": TERMINATOR, "catalogue": [{"tokens": t, "weight": w} for t, w in CATALOGUE]}
    data["items"] = items
    if target is not None:
        data["target"] = target
    return {"trajectories": data, "objective": objective, "gradients": True}


def several(objective, targets=None, weights=None):
    data = {"prompts": PROMPTS, "terminator": TERMINATOR}
    data["catalogue"] = [{"tokens": t, "weight": w} for t, w in CATALOGUE]
    data["items"] = PROMPT_ITEMS
    if targets is not None:
        data["targets"] = targets
    if weights is not None:
        data["weights"] = weights
    return {"trajectories": data, "objective": objective, "gradients": True}


MIX = tree("subtb", "catalogue", **{"lambda": 1.0, "theta": 0.3, "sft_support": "vocabulary"})
CASES = {
    "sequences": {"sequences": [{"tokens": tokens} for tokens in SEQUENCES]},
    "subtb-1-catalogue": single(tree("subtb", "catalogue", **{"lambda": 1.0})),
    "subtb-0.9-catalogue": single(tree("subtb", "catalogue", **{"lambda": 0.9})),
    "subtb-1-vocabulary": single(tree("subtb", "vocabulary", **{"lambda": 1.0})),
    "subtb-0.9-vocabulary": single(tree("subtb", "vocabulary", **{"lambda": 0.9})),
    "tb-catalogue": single(tree("tb", "catalogue")),
    "db-catalogue": single(tree("db", "catalogue")),
    "vargrad-catalogue": single(tree("vargrad", "catalogue")),
    "vargrad-vocabulary": single(tree("vargrad", "vocabulary")),
    "soft-catalogue": single(tree("soft", "catalogue")),
    "soft-vocabulary": single(tree("soft", "vocabulary")),
    "sft-catalogue": single(objective("sft", "catalogue"), items=[2], target=2),
    "sft-vocabulary": single(objective("sft", "vocabulary"), items=[4], target=4),
    "mix": single(MIX, target=6),
    "prompts-mix": several(MIX, targets=TARGETS),
    "prompts-personal-subtb": several(tree("subtb", "catalogue", **{"lambda": 0.9}), weights=PERSONAL),
    "prompts-personal-soft": several(tree("soft", "catalogue"), weights=PERSONAL),
    "terminating-exact": single(
        objective("subtb", "vocabulary", **{"lambda": 1.0, "flow": "terminating", "prefix_titles": "exact"})),
    "terminating-published": single(
        objective("subtb", "vocabulary", **{"lambda": 0.9, "flow": "terminating", "prefix_titles": "published"})),
    "long-sequence": {"sequences": [{"tokens": LONG_SEQUENCE}]},
}
# What the models after the first have: the forward pass, both supports, both heads of the loss, several prompts.
SHORT = ["sequences", "subtb-1-catalogue", "subtb-0.9-vocabulary", "soft-catalogue", "sft-vocabulary", "prompts-mix"]
# What tells a variant of the forward pass; positions up to 63.
SHORTEST = ["sequences", "long-sequence", "subtb-1-catalogue", "sft-vocabulary", "prompts-mix"]

COMMON = {"vocab_size": 64, "intermediate_size": 48, "max_position_embeddings": 128, "bos_token_id": None,
          "eos_token_id": TERMINATOR, "pad_token_id": None}
MODELS = {
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(
        **COMMON, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, rms_norm_eps=1e-6),
        [name for name in CASES if name != "long-sequence"]),
    "llama": (LlamaForCausalLM, LlamaConfig(
        **COMMON, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3,
        tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        rms_norm_eps=1e-5), SHORT),
    "qwen2-one-layer": (Qwen2ForCausalLM, Qwen2Config(
        **COMMON, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=1,
        tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        rms_norm_eps=1e-6), SHORT),
    "llama-head-dim": (LlamaForCausalLM, LlamaConfig(
        **COMMON, hidden_size=20, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        rms_norm_eps=1e-5), SHORT),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(
        **COMMON, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        rms_norm_eps=1e-6), SHORTEST),
    # The four wavelengths are 6, 30, 140 and 664: one kept, one between, two stretched eightfold.
    "llama-bias-llama3": (LlamaForCausalLM, LlamaConfig(
        **COMMON, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        tie_word_embeddings=False, attention_bias=True, rope_parameters={
            "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64}, rms_norm_eps=1e-5), SHORTEST),
    "llama-linear": (LlamaForCausalLM, LlamaConfig(
        **COMMON, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3,
        tie_word_embeddings=True, rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
        rms_norm_eps=1e-5), SHORTEST),
    "qwen3-bias-untied": (Qwen3ForCausalLM, Qwen3Config(
        **COMMON, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1, head_dim=8,
        tie_word_embeddings=False, attention_bias=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, rms_norm_eps=1e-6), SHORTEST),
    "lora": (Qwen2ForCausalLM, Qwen2Config(
        **COMMON, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, rms_norm_eps=1e-6),
        ["sequences"]),
}

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA = {"task_type": "CAUSAL_LM", "lora_dropout": 0.0, "bias": "none"}
# Adapters by the model that they adapt; each in a folder of its own within the model's.
ADAPTERS = {
    "lora": {
        "adapter": (LoraConfig(**LORA, r=4, lora_alpha=8, target_modules=LINEAR),
                    ["sequences", "subtb-1-catalogue", "sft-vocabulary"]),
        "adapter-qv": (LoraConfig(**LORA, r=2, lora_alpha=8, target_modules=["q_proj", "v_proj"], use_rslora=False),
                       ["sequences"]),
    },
}


def initialise(parameters, generator):
    """Weights of a size that lets every part of the model matter: no norm weight is 1, no bias and no LoRA B is 0."""
    for name, parameter in parameters:
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
        if name.endswith("norm.weight"):
            noise = 1 + 0.3 * noise
        elif name.endswith("bias"):
            noise = 0.3 * noise
        elif "embed_tokens" in name:
            noise = 0.4 * noise
        else:
            noise = noise / parameter.shape[1] ** 0.5
        parameter.data.copy_(noise)


def trained_parameters(model):
    """(name in the model's file, parameter); PEFT's files leave the adapter's name, here `default`, out."""
    return [(n.replace(".default.", "."), p) for n, p in model.named_parameters() if p.requires_grad]


def text(value, indent=0):
    """JSON, one value per line unless it is short or a list of numbers."""
    line = json.dumps(value, allow_nan=False)
    if not isinstance(value, (dict, list)) or len(line) < 100:
        return line
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        brackets, body = "{}", [f"{pad}{json.dumps(k)}: {text(v, indent + 1)}" for k, v in value.items()]
    elif any(isinstance(v, (dict, list)) for v in value):
        brackets, body = "[]", [pad + text(v, indent + 1) for v in value]
    else:
        return line
    return brackets[0] + "\n" + ",\n".join(body) + "\n" + " " * indent + brackets[1]


def sequence_log_probs(model, tokens):
    logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]
    return torch.log_softmax(logits, -1)[range(len(tokens) - 1), tokens[1:]].tolist()


def write_cases(folder, model, names, generator):
    """The cases in float64; `model` is made double."""
    with torch.no_grad():
        plain = sequence_log_probs(model, LONG_SEQUENCE)
    model = model.double()
    with float64_arithmetic():
        with torch.no_grad():
            differences = [abs(a - b) for a, b in zip(plain, sequence_log_probs(model, LONG_SEQUENCE))]
        assert max(differences) < 1e-4, differences  # nothing but rounding
        for name in names:
            document = {"name": name, "input": CASES[name], "expected": expected(folder, model, name, generator)}
            (folder / f"case-{name}.json").write_text(text(document) + "\n")


def expected(folder, model, name, generator):
    """What the case expects; its gradient goes to a file in `folder`."""
    case = CASES[name]
    if "sequences" in case:
        with torch.no_grad():
            log_probs = [sequence_log_probs(model, sequence["tokens"]) for sequence in case["sequences"]]
        return {"sequences": [{"log_probs": entry} for entry in log_probs]}
    model.zero_grad(set_to_none=False)
    loss, result = case_loss(model, case)
    loss.backward()
    check_finite_differences(model, case, generator)
    gradients = {n: p.grad for n, p in trained_parameters(model)}
    result["gradient_norms"] = {n: g.norm().item() for n, g in gradients.items()}
    save_file({n: g.float().contiguous() for n, g in gradients.items()}, folder / f"case-{name}.gradients.safetensors")
    print(f"{folder.name:18} {name:24} loss {result['loss']:.6f}")
    return result


def write_model(name, seed):
    kind, config, cases = MODELS[name]
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config._attn_implementation = "eager"
    generator = torch.Generator().manual_seed(seed)
    model = kind(config).eval()
    initialise(model.named_parameters(), generator)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    write_cases(folder, model, cases, generator)
    for adapter, (lora, adapter_cases) in ADAPTERS.get(name, {}).items():
        base = kind.from_pretrained(folder, attn_implementation="eager", local_files_only=True).eval()
        write_adapter(folder / adapter, base, lora, adapter_cases, generator)


def write_adapter(folder, base, config, cases, generator):
    base.name_or_path = ".."  # seen from the adapter; PEFT would write a path of this machine
    model = get_peft_model(base, config).eval()
    initialise(trained_parameters(model), generator)
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    path = folder / "adapter_config.json"  # the targets are a set, written in another order every time
    adapter = json.loads(path.read_text())
    adapter["target_modules"].sort()
    path.write_text(json.dumps(adapter, indent=2) + "\n")
    write_cases(folder, model, cases, generator)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; default all")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.models if name not in MODELS]
    if unknown:
        parser.error(f"no model {', '.join(unknown)}")
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    for seed, name in enumerate(MODELS):
        if not arguments.models or name in arguments.models:
            write_model(name, seed)
    size = sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file())
    print(f"{size / 1e6:.2f} MB")
    assert size < 5e6


if __name__ == "__main__":
    main()
