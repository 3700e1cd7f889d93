"""One training step (forward and backward, no optimizer) in PyTorch, to be compared with `flower-worker bench`.

    pip install torch==2.13.0+cpu transformers==5.23.0 numpy      # --compile also needs g++
    python Benchmarks/pytorch_step.py [--trajectories 1] [--threads 1] [--repeats 40] [--variant all] [--check]
        [--published] [--sft] [--json FILE | --paced] [--hidden 256 ...] [--no-bias] [--lora RANK] [--adamw]

The model of docs and issues, unless options say otherwise: Qwen2, hidden 256, 6 layers, 8 heads, 2 kv heads, intermediate
704, vocabulary 8192, tied, float32; Llama is the same with --no-bias. A step has 8 examples: a prompt of 200 tokens, an SFT
target and K given titles of 12 tokens each; the loss is theta * SFT + (1 - theta) * SubTB(1) with tree flow, the mean over
the titles, both in vocabulary support. With --lora all weights are frozen and q, k, v, o, gate, up and down have adapters.

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

With --paced it measures anew for each line that it reads from standard input and answers with a line of JSON, so that other
programs can take their steps between its own; `flower-worker bench --paced` does the same.
"""

import argparse
import ctypes
import json
import platform
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F

HIDDEN, LAYERS, HEADS, KV_HEADS, INTERMEDIATE, VOCABULARY = 256, 6, 8, 2, 704, 8192
EXAMPLES, PROMPT, TITLE, TERMINATOR, THETA = 8, 200, 12, 198, 0.5
HEAD_DIM = HIDDEN // HEADS
EPS, ROPE_THETA = 1e-6, 1e6
TITLES = 2  # the target and K sampled titles; set from --trajectories
BIAS = True  # of q, k and v; not with --no-bias
LORA, LORA_SCALE = 0, 2  # the adapters' rank, 0 without, from --lora; alpha / rank
SHAPE = ["hidden", "layers", "heads", "kv_heads", "intermediate", "vocabulary", "examples"]  # options of these names
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
    """The optimised step. Parameters are leaves; names follow Hugging Face, with q, k, v and gate, up joined.

    Adapters of joined matrices: their A are joined as well, because they read the same rows; their B are not.
    """

    def __init__(self, variant):
        generator = torch.Generator().manual_seed(0)

        def weight(*shape, trained=not LORA):
            return (0.02 * torch.randn(*shape, generator=generator)).requires_grad_(trained)

        kv = KV_HEADS * HEAD_DIM
        # Of the joined matrices.
        self.outputs = {
            "qkv": [HIDDEN, kv, kv], "o": [HIDDEN], "gate_up": [INTERMEDIATE, INTERMEDIATE], "down": [HIDDEN]}
        self.embedding = weight(VOCABULARY, HIDDEN)
        self.norm = torch.ones(HIDDEN, requires_grad=not LORA)
        self.layers = []
        for _ in range(LAYERS):
            p = {name: torch.ones(HIDDEN, requires_grad=not LORA) for name in ("norm", "mlp_norm")}
            for name, outputs in self.outputs.items():
                inputs = INTERMEDIATE if name == "down" else HIDDEN
                p[name] = weight(sum(outputs), inputs)
                if LORA:
                    p[f"{name}_a"] = weight(len(outputs) * LORA, inputs, trained=True)
                    p |= {f"{name}_b{i}": weight(n, LORA, trained=True) for i, n in enumerate(outputs)}
            if BIAS:
                p["qkv_bias"] = weight(HIDDEN + 2 * kv)
            self.layers.append(p)
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
        """Those that are trained."""
        every = [self.embedding, self.norm] + [p for layer in self.layers for p in layer.values()]
        return [p for p in every if p.requires_grad]

    def linear(self, x, p, name, parts=None):
        """x by a matrix, or by a range of those joined in it, with bias and adapters."""
        weight, bias, a = (p.get(name + suffix) for suffix in ("", "_bias", "_a"))
        outputs = self.outputs[name]
        if parts:
            rows = slice(sum(outputs[: parts.start]), sum(outputs[: parts.stop]))
            weight, bias = weight[rows], bias[rows] if BIAS else None
            a = a[LORA * parts.start : LORA * parts.stop] if LORA else None
        y = F.linear(x, weight, bias)
        if not LORA:
            return y
        u = (LORA_SCALE * F.linear(x, a)).split(LORA, -1)
        return y + torch.cat([F.linear(v, p[f"{name}_b{i}"]) for v, i in zip(u, parts or range(len(outputs)))], -1)

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
            x = x[:, PROMPT - 1 :]
            q = self.linear(h[:, PROMPT - 1 :], p, "qkv", range(0, 1)).unflatten(-1, (HEADS, HEAD_DIM))
            k, v = self.linear(h, p, "qkv", range(1, 3)).split([kv, kv], -1)
            k, v = (y.unflatten(-1, (KV_HEADS, HEAD_DIM)) for y in (k, v))
            a = self.attend(self.rotate(q, PROMPT - 1), self.rotate(k), v, self.tail_mask)
        else:
            q, k, v = self.linear(h, p, "qkv").split([HIDDEN, kv, kv], -1)
            q = self.rotate(q.unflatten(-1, (HEADS, HEAD_DIM)))
            k = self.rotate(k.unflatten(-1, (KV_HEADS, HEAD_DIM)))
            v = v.unflatten(-1, (KV_HEADS, HEAD_DIM))
            prompt, titles = q.split([PROMPT, TITLES * TITLE], 1)
            a = torch.cat([
                self.attend(prompt, k[:, :PROMPT], v[:, :PROMPT], None),
                self.attend(titles, k, v, self.title_mask),
            ], 1)
        x = x + self.linear(a, p, "o")
        gate, up = self.linear(F.rms_norm(x, (HIDDEN,), p["mlp_norm"], EPS), p, "gate_up").chunk(2, -1)
        return x + self.linear(F.silu(gate) * up, p, "down")

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
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    config, model = (Qwen2Config, Qwen2ForCausalLM) if BIAS else (LlamaConfig, LlamaForCausalLM)
    config = config(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=INTERMEDIATE, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, tie_word_embeddings=True, rms_norm_eps=EPS,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA})
    return model(config)


def log_policies(model, prompt, title):
    """log pi of title and terminator after the prompt, by a plain forward pass."""
    end = title.new_full((EXAMPLES, 1), TERMINATOR)
    logits = model(input_ids=torch.cat([prompt, title], 1)).logits[:, PROMPT - 1 :]
    return logits.log_softmax(-1).gather(-1, torch.cat([title, end], 1)[..., None])[..., 0]


def check(step, batch):
    """The optimised loss and gradients against Hugging Face's model run plainly, with adapters merged."""
    model = hugging_face_model().train()
    # Hugging Face's names of what is joined here.
    pairs = [(["model.embed_tokens.weight"], step.embedding), (["model.norm.weight"], step.norm)]
    adapted = []
    for i, p in enumerate(step.layers):
        prefix = f"model.layers.{i}."
        attention, mlp = prefix + "self_attn.", prefix + "mlp."
        pairs.append(([prefix + "input_layernorm.weight"], p["norm"]))
        pairs.append(([prefix + "post_attention_layernorm.weight"], p["mlp_norm"]))
        if BIAS:
            pairs.append(([f"{attention}{x}_proj.bias" for x in "qkv"], p["qkv_bias"]))
        for name, paths in {
            "qkv": [f"{attention}{x}_proj" for x in "qkv"], "o": [attention + "o_proj"],
            "gate_up": [mlp + "gate_proj", mlp + "up_proj"], "down": [mlp + "down_proj"],
        }.items():
            names, weight = [path + ".weight" for path in paths], p[name]
            if LORA:
                factors = [(p[f"{name}_b{j}"], a) for j, a in enumerate(p[name + "_a"].split(LORA))]
                weight = weight + LORA_SCALE * torch.cat([b @ a for b, a in factors])
                adapted.append((names, factors, p[name + "_a"]))
            pairs.append((names, weight))
    state = {"lm_head.weight": step.embedding}
    for names, value in pairs:
        state |= dict(zip(names, value.split([model.get_parameter(name).shape[0] for name in names])))
    model.load_state_dict(state)
    tokens, log_token_reward = batch
    prompt, target, *titles = tokens.split([PROMPT] + [TITLE] * TITLES, 1)
    sft = -log_policies(model, prompt, target).sum(-1)
    flow = torch.stack([
        subtb(log_policies(model, prompt, title) - log_token_reward[:, k]) for k, title in enumerate(titles)
    ]).mean(0)
    expected = (THETA * sft + (1 - THETA) * flow).mean()
    expected.backward()
    loss = step.run(batch)
    gradients = [
        (value.grad, torch.cat([model.get_parameter(name).grad for name in names]))
        for names, value in pairs if value.is_leaf and value.requires_grad]
    for names, factors, joined in adapted:
        whole = [LORA_SCALE * model.get_parameter(name).grad for name in names]
        gradients += [(b.grad, g @ a.T) for g, (b, a) in zip(whole, factors)]
        gradients.append((joined.grad, torch.cat([b.T @ g for g, (b, a) in zip(whole, factors)])))
    worst = max(((value - reference).norm() / reference.norm()).item() for value, reference in gradients)
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


def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(run, repeats, warm_up=5, after=lambda: None):
    """Seconds on the clock, and of the processor: on a machine that others use as well the latter tell more."""
    seconds, cpu = [], []
    for _ in range(warm_up + repeats):
        start, cpu_start = time.perf_counter(), time.process_time()
        run()
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
        after()
    seconds, cpu = seconds[warm_up:], cpu[warm_up:]
    return {"median": statistics.median(seconds), "minimum": min(seconds), "cpu_median": statistics.median(cpu),
            "repeats": repeats}


def gemm_ceiling(size=1536, repeats=15, warm_up=5):
    """GFLOP/s of square sgemm: best and median, and the median in processor time."""
    a, b, c = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
    seconds = measure(lambda: torch.mm(a, b, out=c), repeats, warm_up)
    return {name: 2e-9 * size**3 / seconds[of] for name, of in
            {"best": "minimum", "median": "median", "processor": "cpu_median"}.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trajectories", type=int, default=1, metavar="K")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=5, help="steps before the measured ones")
    parser.add_argument("--variant", choices=VARIANTS + ["all"], default="all")
    parser.add_argument("--published", action="store_true", help="time the published step instead")
    parser.add_argument("--sft", action="store_true", help="time Hugging Face's SFT step instead")
    parser.add_argument("--check", action="store_true", help="compare loss and gradients with Hugging Face first")
    parser.add_argument("--json", metavar="FILE", help="also write the results there")
    parser.add_argument("--paced", action="store_true", help="measure for each line of input; the steps before only once")
    for name in SHAPE:
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=globals()[name.upper()])
    parser.add_argument("--no-bias", action="store_true", help="none of q, k and v: Llama instead of Qwen2")
    parser.add_argument("--lora", type=int, default=0, metavar="RANK", help="train adapters of all matrices instead")
    parser.add_argument("--adamw", action="store_true", help="update the weights after each step, which is not timed")
    arguments = parser.parse_args()
    if arguments.paced and (arguments.check or arguments.json):
        parser.error("--paced goes with neither --check nor --json")
    global TITLES, HEAD_DIM, BIAS, LORA
    globals().update({name.upper(): getattr(arguments, name) for name in SHAPE})
    TITLES, HEAD_DIM, BIAS, LORA = 1 + arguments.trajectories, HIDDEN // HEADS, not arguments.no_bias, arguments.lora
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    batch = make_batch()
    if arguments.published or arguments.sft:
        model = hugging_face_model().train()
        runs = {"published": lambda: published_step(model, batch)} if arguments.published else {}
        if arguments.sft:
            runs["sft"] = lambda: sft_step(model, batch)
        runs = {name: (run, list(model.parameters())) for name, run in runs.items()}
    else:
        names = VARIANTS if arguments.variant == "all" else [arguments.variant]
        if arguments.check:
            for name in names:
                print(f"{name}: " + ", ".join(f"{k} {v:.1e}" for k, v in check(Step(name), batch).items()))
        steps = {name: Step(name) for name in names}
        runs = {name: (lambda step=step: step.run(batch), step.parameters()) for name, step in steps.items()}
    afters = {
        name: torch.optim.AdamW(parameters, lr=1e-4, foreach=False).step if arguments.adamw else lambda: None
        for name, (_, parameters) in runs.items()}
    if arguments.paced:
        warm_up = arguments.warm_up
        for _ in sys.stdin:
            for name, (run, _) in runs.items():
                for _ in range(warm_up):
                    run()
                    afters[name]()
            warm_up = 0
            ceiling = gemm_ceiling(repeats=1, warm_up=1)
            seconds = {name: measure(run, arguments.repeats, 0, afters[name]) for name, (run, _) in runs.items()}
            print(json.dumps({"sgemm_gflops": ceiling, "seconds": seconds, "peak_bytes": peak_bytes()}), flush=True)
        return
    result = {"torch": torch.__version__, "cpu_capability": torch.backends.cpu.get_cpu_capability(),
              "machine": platform.machine(), "threads": arguments.threads, "sgemm_gflops": gemm_ceiling(), "seconds": {}}
    print("sgemm: best {best:.0f}, median {median:.0f} GFLOP/s".format(**result["sgemm_gflops"]))
    for name, (run, _) in runs.items():
        result["seconds"][name] = measure(run, arguments.repeats, arguments.warm_up, afters[name])
        line = "{:10} median {median:.3f} s, minimum {minimum:.3f} s, processor {cpu_median:.3f} s ({repeats} repeats)"
        print(line.format(name, **result["seconds"][name]))
    result["peak_bytes"] = peak_bytes()
    print("resident memory: {:.0f} MB at most".format(result["peak_bytes"] / 1e6))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
