"""One training step (forward and backward, no optimizer) in PyTorch, to be compared with `flower-worker bench`.

    pip install torch==2.13.0+cpu transformers==5.23.0 numpy      # --compile also needs g++
    python Benchmarks/pytorch_step.py [--trajectories 1] [--threads 1] [--repeats 40] [--variant all] [--check]
        [--published] [--sft] [--json FILE]

The model of docs and issues: Qwen2, hidden 256, 6 layers, 8 heads, 2 kv heads, intermediate 704, vocabulary 8192, tied,
float32. A step has 8 examples: a prompt of 200 tokens, an SFT target and K given titles of 12 tokens each; the
loss is theta * SFT + (1 - theta) * SubTB(1) with tree flow, the mean over the titles, both in vocabulary support.

The optimised step does what a hand-written one would: every prompt is computed once, all titles attend to its keys
and values, no row is padding, logits exist only where they are used (13 + 12 K rows per example), q, k, v and gate, up are
one matrix each, memory is kept instead of returned to the system. Variants:
  eager      those, with PyTorch's own attention kernel (`scaled_dot_product_attention`, grouped heads, causal)
  manual     the attention as two batched matrix products and a softmax
  trimmed    eager; prompt rows leave the last layer after their keys and values, except the last row
  compiled   trimmed, through torch.compile
--published instead times the step of the published code: SFT forward of prompt + title with logits on every token, for
each title the loop over its tokens (here given, so that both do the same work) and a second forward of prompt + title
whose result the published code overwrites, backward. --sft times Hugging Face's SFT step alone.
"""

import argparse
import ctypes
import json
import platform
import statistics
import time

import torch
import torch.nn.functional as F

HIDDEN, LAYERS, HEADS, KV_HEADS, INTERMEDIATE, VOCABULARY = 256, 6, 8, 2, 704, 8192
EXAMPLES, PROMPT, TITLE, TERMINATOR, THETA = 8, 200, 12, 198, 0.5
HEAD_DIM = HIDDEN // HEADS
EPS, ROPE_THETA = 1e-6, 1e6
TITLES = 2  # the target and K sampled titles; set from --trajectories
VARIANTS = ["eager", "manual", "trimmed", "compiled"]


def keep_freed_memory():
    """Freed blocks stay with the process (glibc), else every large tensor costs page faults."""
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
    libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD


def make_batch():
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(200, VOCABULARY, (EXAMPLES, PROMPT + TITLES * TITLE), generator=generator)
    log_token_reward = -3 * torch.rand(EXAMPLES, TITLES - 1, TITLE + 1, generator=generator)
    return tokens, log_token_reward


def subtb(residuals):
    """SubTB(1) of rows of residuals: the sum of (c_q - c_p)^2 over p < q is (m + 1) sum c^2 - (sum c)^2."""
    c = F.pad(residuals.cumsum(-1), (1, 0))
    m = residuals.shape[-1]
    return ((m + 1) * c.square().sum(-1) - c.sum(-1).square()) / (m * (m + 1) / 2)


class Step:
    """The optimised step. Parameters are leaves; names follow Hugging Face, with q, k, v and gate, up joined."""

    def __init__(self, variant):
        generator = torch.Generator().manual_seed(0)

        def weight(*shape):
            return (0.02 * torch.randn(*shape, generator=generator)).requires_grad_()

        kv = KV_HEADS * HEAD_DIM
        self.embedding = weight(VOCABULARY, HIDDEN)
        self.norm = torch.ones(HIDDEN, requires_grad=True)
        self.layers = [
            {
                "norm": torch.ones(HIDDEN, requires_grad=True),
                "qkv": weight(HIDDEN + 2 * kv, HIDDEN),
                "qkv_bias": weight(HIDDEN + 2 * kv),
                "o": weight(HIDDEN, HIDDEN),
                "mlp_norm": torch.ones(HIDDEN, requires_grad=True),
                "gate_up": weight(2 * INTERMEDIATE, HIDDEN),
                "down": weight(HIDDEN, INTERMEDIATE),
            }
            for _ in range(LAYERS)
        ]
        self.manual = variant == "manual"
        self.trimmed = variant in ("trimmed", "compiled")
        title = torch.arange(PROMPT, PROMPT + TITLE)
        positions = torch.cat([torch.arange(PROMPT), title.repeat(TITLES)])
        angles = positions[:, None] * ROPE_THETA ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        self.cos = angles.cos().repeat(1, 2)[:, None]  # [ROWS, 1, HEAD_DIM]
        self.sin = angles.sin().repeat(1, 2)[:, None]
        causal = torch.ones(TITLE, TITLE).tril()
        titles = torch.cat([torch.ones(TITLES * TITLE, PROMPT), torch.block_diag(*[causal] * TITLES)], 1)
        # The prompt's last row, which trimmed variants treat as a row of the titles, sees the prompt.
        last = torch.cat([torch.ones(1, PROMPT), torch.zeros(1, TITLES * TITLE)], 1)
        self.tail_mask = self.additive(torch.cat([last, titles]) if self.trimmed else titles)
        self.title_mask = self.additive(titles)
        self.prompt_mask = self.additive(torch.ones(PROMPT, PROMPT).tril())
        self.loss = torch.compile(self._loss, dynamic=False) if variant == "compiled" else self._loss

    @staticmethod
    def additive(mask):
        return torch.zeros_like(mask).masked_fill(mask == 0, float("-inf"))

    def parameters(self):
        return [self.embedding, self.norm] + [p for layer in self.layers for p in layer.values()]

    def attend(self, q, k, v, mask):
        """q [E, rows, HEADS, D], k and v [E, keys, KV_HEADS, D]; mask `None`: causal."""
        if self.manual:
            return self.attend_manually(q, k, v, self.prompt_mask if mask is None else mask)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=True)
        return out.transpose(1, 2).flatten(2)

    def attend_manually(self, q, k, v, mask):
        """The query heads of one kv head are rows of one matrix."""
        examples, rows, group = q.shape[0], q.shape[1], HEADS // KV_HEADS
        q = q.unflatten(2, (KV_HEADS, group)).permute(0, 2, 3, 1, 4).reshape(-1, group * rows, HEAD_DIM)
        k, v = (x.transpose(1, 2).flatten(0, 1) for x in (k, v))
        scores = torch.baddbmm(mask.repeat(group, 1), q, k.transpose(1, 2), alpha=HEAD_DIM**-0.5)
        out = torch.bmm(scores.softmax(-1), v).view(examples, KV_HEADS, group, rows, HEAD_DIM)
        return out.permute(0, 3, 1, 2, 4).flatten(2)

    def rotate(self, x, first=0):
        half = HEAD_DIM // 2
        turned = torch.cat([-x[..., half:], x[..., :half]], -1)
        return x * self.cos[first:] + turned * self.sin[first:]

    def layer(self, x, p, last):
        """x [E, ROWS, HIDDEN]; a trimmed last layer returns the rows from the prompt's last on."""
        kv = KV_HEADS * HEAD_DIM
        h = F.rms_norm(x, (HIDDEN,), p["norm"], EPS)
        if last and self.trimmed:
            weight, bias = p["qkv"], p["qkv_bias"]
            x = x[:, PROMPT - 1 :]
            q = F.linear(h[:, PROMPT - 1 :], weight[:HIDDEN], bias[:HIDDEN]).unflatten(-1, (HEADS, HEAD_DIM))
            k, v = F.linear(h, weight[HIDDEN:], bias[HIDDEN:]).split([kv, kv], -1)
            k, v = (y.unflatten(-1, (KV_HEADS, HEAD_DIM)) for y in (k, v))
            a = self.attend(self.rotate(q, PROMPT - 1), self.rotate(k), v, self.tail_mask)
        else:
            q, k, v = F.linear(h, p["qkv"], p["qkv_bias"]).split([HIDDEN, kv, kv], -1)
            q = self.rotate(q.unflatten(-1, (HEADS, HEAD_DIM)))
            k = self.rotate(k.unflatten(-1, (KV_HEADS, HEAD_DIM)))
            v = v.unflatten(-1, (KV_HEADS, HEAD_DIM))
            prompt, titles = q.split([PROMPT, TITLES * TITLE], 1)
            a = torch.cat([
                self.attend(prompt, k[:, :PROMPT], v[:, :PROMPT], None),
                self.attend(titles, k, v, self.title_mask),
            ], 1)
        x = x + F.linear(a, p["o"])
        gate, up = F.linear(F.rms_norm(x, (HIDDEN,), p["mlp_norm"], EPS), p["gate_up"]).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, p["down"])

    def _loss(self, tokens, log_token_reward):
        x = F.embedding(tokens, self.embedding)
        for i, p in enumerate(self.layers):
            x = self.layer(x, p, last=i == LAYERS - 1)
        x = x[:, -TITLES * TITLE - 1 :]
        log_probs = F.linear(F.rms_norm(x, (HIDDEN,), self.norm, EPS), self.embedding).log_softmax(-1)
        end = tokens.new_full((EXAMPLES, TITLES, 1), TERMINATOR)
        actions = torch.cat([tokens[:, PROMPT:].unflatten(1, (TITLES, TITLE)), end], 2)
        # Row 0 is the prompt's last; then come the rows of the target and of the sampled titles.
        begin = log_probs[:, 0].gather(-1, actions[:, :, 0])
        rest = log_probs[:, 1:].unflatten(1, (TITLES, TITLE)).gather(-1, actions[:, :, 1:, None])[..., 0]
        log_policy = torch.cat([begin[..., None], rest], 2)
        sft = -log_policy[:, 0].sum(-1)
        flow = subtb(log_policy[:, 1:] - log_token_reward).mean(-1)
        return (THETA * sft + (1 - THETA) * flow).mean()

    def run(self, batch):
        for p in self.parameters():
            p.grad = None
        loss = self.loss(*batch)
        loss.backward()
        return loss


def hugging_face_model():
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=INTERMEDIATE, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, tie_word_embeddings=True, rms_norm_eps=EPS,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA})
    return Qwen2ForCausalLM(config)


def log_policies(model, prompt, title):
    """log pi of title and terminator after the prompt, by a plain forward pass."""
    end = title.new_full((EXAMPLES, 1), TERMINATOR)
    logits = model(input_ids=torch.cat([prompt, title], 1)).logits[:, PROMPT - 1 :]
    return logits.log_softmax(-1).gather(-1, torch.cat([title, end], 1)[..., None])[..., 0]


def check(step, batch):
    """The optimised loss and gradients against Hugging Face's model run plainly."""
    model = hugging_face_model().train()
    state = {"model.embed_tokens.weight": step.embedding, "model.norm.weight": step.norm}
    pairs = []
    for i, p in enumerate(step.layers):
        prefix, kv = f"model.layers.{i}.", KV_HEADS * HEAD_DIM
        attention, mlp = prefix + "self_attn.", prefix + "mlp."
        state[prefix + "input_layernorm.weight"] = p["norm"]
        state[prefix + "post_attention_layernorm.weight"] = p["mlp_norm"]
        for kind, joined in (("weight", "qkv"), ("bias", "qkv_bias")):
            names = [f"{attention}{x}_proj.{kind}" for x in "qkv"]
            state |= dict(zip(names, p[joined].split([HIDDEN, kv, kv])))
            pairs.append((names, p[joined]))
        names = [f"{mlp}gate_proj.weight", f"{mlp}up_proj.weight"]
        state |= dict(zip(names, p["gate_up"].chunk(2)))
        pairs.append((names, p["gate_up"]))
        state[attention + "o_proj.weight"], state[mlp + "down_proj.weight"] = p["o"], p["down"]
    joined = {name for names, _ in pairs for name in names}
    pairs += [([name], value) for name, value in state.items() if name not in joined]
    model.load_state_dict(state | {"lm_head.weight": step.embedding})
    tokens, log_token_reward = batch
    prompt, target, *titles = tokens.split([PROMPT] + [TITLE] * TITLES, 1)
    sft = -log_policies(model, prompt, target).sum(-1)
    flow = torch.stack([
        subtb(log_policies(model, prompt, title) - log_token_reward[:, k]) for k, title in enumerate(titles)
    ]).mean(0)
    expected = (THETA * sft + (1 - THETA) * flow).mean()
    expected.backward()
    loss = step.run(batch)
    worst = 0.0
    for names, value in pairs:
        reference = torch.cat([model.get_parameter(name).grad for name in names])
        worst = max(worst, ((value.grad - reference).norm() / reference.norm()).item())
    error = abs(loss.item() / expected.item() - 1)
    assert error < 1e-5 and worst < 1e-3, (error, worst)
    return {"loss_relative_error": error, "worst_gradient_relative_error": worst}


def sft_step(model, batch):
    """Hugging Face's supervised step: logits on every token of prompt, target and terminator."""
    tokens, _ = batch
    prompt, target, *_ = tokens.split([PROMPT] + [TITLE] * TITLES, 1)
    model.zero_grad(set_to_none=True)
    loss = supervised(model, prompt, target)
    loss.backward()
    return loss


def supervised(model, prompt, target):
    end = prompt.new_full((EXAMPLES, 1), TERMINATOR)
    labels = torch.cat([torch.full_like(prompt, -100), target, end], 1)
    return model(input_ids=torch.cat([prompt, target, end], 1), labels=labels).loss


def published_step(model, batch):
    """The published step; the titles are given instead of sampled, the key-value cache is on."""
    tokens, log_token_reward = batch
    prompt, target, *titles = tokens.split([PROMPT] + [TITLE] * TITLES, 1)
    model.zero_grad(set_to_none=True)
    loss = THETA * supervised(model, prompt, target)
    for k, title in enumerate(titles):
        # Sampling with gradients: log pi of the token and of the terminator at every state.
        out = model(input_ids=prompt, use_cache=True)
        policies, ends = [], []
        for t in range(TITLE):
            log_probs = out.logits[:, -1].log_softmax(-1)
            policies.append(log_probs.gather(-1, title[:, t : t + 1]))
            ends.append(log_probs[:, TERMINATOR : TERMINATOR + 1])
            out = model(input_ids=title[:, t : t + 1], past_key_values=out.past_key_values, use_cache=True)
        ends.append(out.logits[:, -1].log_softmax(-1)[:, TERMINATOR : TERMINATOR + 1])
        model(input_ids=torch.cat([prompt, title], 1)).logits.log_softmax(-1)  # overwritten in the published code
        policy, end = torch.cat(policies, 1), torch.cat(ends, 1)
        reward = F.pad(log_token_reward[:, k].cumsum(-1)[:, :-1], (1, 0)) - 15
        residuals = reward[:, :-1] + policy + end[:, 1:] - reward[:, 1:] - end[:, :-1]
        loss = loss + (1 - THETA) * subtb(residuals).mean() / len(titles)
    loss.backward()
    return loss


def measure(run, repeats, warm_up=5):
    """Seconds on the clock, and of the processor: on a machine that others use as well the latter tell more."""
    for _ in range(warm_up):
        run()
    seconds, cpu = [], []
    for _ in range(repeats):
        start, cpu_start = time.perf_counter(), time.process_time()
        run()
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    return {"median": statistics.median(seconds), "minimum": min(seconds), "cpu_median": statistics.median(cpu),
            "repeats": repeats}


def gemm_ceiling(size=1536, repeats=15):
    """GFLOP/s of square sgemm: best and median."""
    a, b, c = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
    seconds = measure(lambda: torch.mm(a, b, out=c), repeats)
    return {"best": 2e-9 * size**3 / seconds["minimum"], "median": 2e-9 * size**3 / seconds["median"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trajectories", type=int, default=1, metavar="K")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--variant", choices=VARIANTS + ["all"], default="all")
    parser.add_argument("--published", action="store_true", help="time the published step instead")
    parser.add_argument("--sft", action="store_true", help="time Hugging Face's SFT step instead")
    parser.add_argument("--check", action="store_true", help="compare loss and gradients with Hugging Face first")
    parser.add_argument("--json", metavar="FILE", help="also write the results there")
    arguments = parser.parse_args()
    global TITLES
    TITLES = 1 + arguments.trajectories
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    batch = make_batch()
    result = {"torch": torch.__version__, "cpu_capability": torch.backends.cpu.get_cpu_capability(),
              "machine": platform.machine(), "threads": arguments.threads, "sgemm_gflops": gemm_ceiling(), "seconds": {}}
    print("sgemm: best {best:.0f}, median {median:.0f} GFLOP/s".format(**result["sgemm_gflops"]))
    if arguments.published or arguments.sft:
        model = hugging_face_model().train()
        runs = {"published": lambda: published_step(model, batch)} if arguments.published else {}
        if arguments.sft:
            runs["sft"] = lambda: sft_step(model, batch)
    else:
        names = VARIANTS if arguments.variant == "all" else [arguments.variant]
        runs = {name: (lambda step=Step(name): step.run(batch)) for name in names}
        if arguments.check:
            for name in names:
                print(f"{name}: " + ", ".join(f"{k} {v:.1e}" for k, v in check(Step(name), batch).items()))
    for name, run in runs.items():
        result["seconds"][name] = measure(run, arguments.repeats)
        line = "{:10} median {median:.3f} s, minimum {minimum:.3f} s, processor {cpu_median:.3f} s ({repeats} repeats)"
        print(line.format(name, **result["seconds"][name]))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
