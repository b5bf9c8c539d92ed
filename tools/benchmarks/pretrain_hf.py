"""HuBERT's pre-training as a good user of PyTorch writes it: the peer of `tools/bench pretrain`, on the same files.

transformers' HubertModel with sdpa attention in the benchmark's shape, masked prediction of units (cosines over a
temperature, cross entropy on masked frames, penalty of the stem's output), AdamW, clipping, DistributedDataParallel
over gloo; torch.compile is left out, as it would compile anew for each length. Each epoch's utterances are sorted by
length and cut into batches of --batch-seconds, which the processes share.
--batching padded: a process's share is one padded tensor with its attention mask. single: one utterance at a time, the
gradients accumulated. Weights and units are random: time does not depend on them. Waves are in memory before the clock
starts, and padding is not counted as audio. The last line is JSON. Needs torch and transformers.
"""

import argparse
import contextlib
import json
import os
import random
import tempfile
import time
import wave

import numpy
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn import functional as F
from transformers import HubertConfig, HubertModel
from transformers.models.hubert.modeling_hubert import _compute_mask_indices

RATE_HZ = 16000
CLASSES, FINAL_DIM, TEMPERATURE, FEATURE_PENALTY, CLIP = 100, 256, 0.1, 10.0, 10.0


def config():
    # Dropout where the benchmark's model has it: at the encoder's input and behind both parts of a layer.
    return HubertConfig(conv_dim=[64] * 7, hidden_size=192, num_hidden_layers=4, num_attention_heads=4,
                        intermediate_size=768, feat_extract_norm="group", do_stable_layer_norm=False,
                        hidden_dropout=0.1, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0,
                        layerdrop=0.0, mask_time_prob=0.8, mask_time_length=10, mask_time_min_masks=2,
                        attn_implementation="sdpa")


class Pretraining(nn.Module):
    """The sum of the losses of a batch's masked frames."""

    def __init__(self):
        super().__init__()
        self.hubert = HubertModel(config())
        self.final_proj = nn.Linear(self.hubert.config.hidden_size, FINAL_DIM)
        self.units = nn.Parameter(torch.rand(CLASSES, FINAL_DIM))
        self.hubert.feature_extractor._requires_grad = False  # of the waves, which nobody wants
        self.hubert.feature_extractor.register_forward_hook(self.keep_features)

    def keep_features(self, module, inputs, features):
        self.features = features

    def forward(self, batch):
        states = self.hubert(batch["waves"], attention_mask=batch["attention_mask"],
                             mask_time_indices=batch["masked"]).last_hidden_state
        projected = self.final_proj(states[batch["masked"]])
        logits = F.normalize(projected, dim=-1) @ F.normalize(self.units, dim=-1).t() / TEMPERATURE
        loss = F.cross_entropy(logits, batch["units"], reduction="sum")
        return loss + self.features.square().mean() * (FEATURE_PENALTY * len(batch["units"]))


def read_wave(path):
    with wave.open(path) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE_HZ, 1, 2):
            raise SystemExit(f"{path}: expected 16 bits, mono, {RATE_HZ} Hz")
        samples = numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(numpy.float32) / 32768
    return torch.from_numpy((samples - samples.mean()) / numpy.sqrt(samples.var() + 1e-7))


def epochs(lengths, longest, processes, seed):
    """Batches without end: lists of utterances of about one length, at most `longest` samples together."""
    generator = random.Random(seed)
    while True:
        order = list(range(len(lengths)))
        generator.shuffle(order)
        order.sort(key=lambda u: lengths[u])
        batches, total = [[]], 0
        for u in order:
            if total + lengths[u] > longest:
                batches.append([])
                total = 0
            batches[-1].append(u)
            total += lengths[u]
        batches = [batch for batch in batches if len(batch) >= processes]
        generator.shuffle(batches)
        yield from batches


def share_of(batch, lengths, rank, processes):
    """The longest first, each to the process that has least so far."""
    shares = [[] for _ in range(processes)]
    for u in sorted(batch, key=lambda u: -lengths[u]):
        min(shares, key=lambda share: sum(lengths[v] for v in share)).append(u)
    return shares[rank]


def collate(waves, hubert):
    lengths = torch.tensor([len(w) for w in waves])
    frames = hubert._get_feat_extract_output_lengths(lengths)
    padded, mask, valid = nn.utils.rnn.pad_sequence(waves, batch_first=True), None, None
    if len(waves) > 1:
        mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
        valid = (torch.arange(int(frames.max())) < frames[:, None]).long()
    c = hubert.config
    masked = torch.from_numpy(_compute_mask_indices((len(waves), int(frames.max())), c.mask_time_prob,
                                                    c.mask_time_length, valid, c.mask_time_min_masks))
    return {"waves": padded, "attention_mask": mask, "masked": masked,
            "units": torch.randint(CLASSES, (int(masked.sum()),))}


def train_step(model, optimizer, batches, processes):
    # DistributedDataParallel takes the mean over processes; the loss is a mean over the masked frames of all.
    masked = torch.tensor(float(sum(len(batch["units"]) for batch in batches)))
    if processes > 1:
        dist.all_reduce(masked)
    optimizer.zero_grad(set_to_none=True)
    for i, batch in enumerate(batches):
        alone = processes > 1 and i + 1 < len(batches)
        with model.no_sync() if alone else contextlib.nullcontext():
            (model(batch) * (processes / masked)).backward()
    nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()


def train(rank, args, meeting_place, results):
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.procs > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting_place}", rank=rank, world_size=args.procs)
    with open(args.wavs) as file:
        waves = [read_wave(line.strip()) for line in file]
    lengths = [len(w) for w in waves]
    plain = Pretraining().train()
    model = nn.parallel.DistributedDataParallel(plain, gradient_as_bucket_view=True) if args.procs > 1 else plain
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01,
                                  fused=True)
    torch.manual_seed(args.seed + rank)
    numpy.random.seed(args.seed + rank)
    batches = epochs(lengths, args.batch_seconds * RATE_HZ, args.procs, args.seed)
    samples, start = 0, None
    for step in range(args.steps):
        if step == args.warmup:
            if args.procs > 1:
                dist.barrier()
            start = time.perf_counter()
        batch = next(batches)
        share = [waves[u] for u in share_of(batch, lengths, rank, args.procs)]
        groups = [share] if args.batching == "padded" else [[w] for w in share]
        train_step(model, optimizer, [collate(group, plain.hubert) for group in groups], args.procs)
        samples += sum(lengths[u] for u in batch) if step >= args.warmup else 0
    if args.procs > 1:
        dist.barrier()
    results.put((samples / RATE_HZ, time.perf_counter() - start))
    if args.procs > 1:
        dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wavs", required=True, help="list of 16-bit mono files at 16 kHz, a path a line")
    parser.add_argument("--procs", type=int, default=1, help="processes of DistributedDataParallel")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--batching", choices=["padded", "single"], default="padded")
    parser.add_argument("--batch-seconds", type=float, default=48, help="audio of a step, over all processes, at most")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=5, help="steps before the clock starts")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not 0 <= args.warmup < args.steps:
        parser.error("--warmup must be less than --steps")
    results = mp.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        meeting_place = os.path.join(folder, "processes")
        if args.procs == 1:
            train(0, args, meeting_place, results)
        else:
            mp.spawn(train, (args, meeting_place, results), nprocs=args.procs)
        runs = [results.get() for _ in range(args.procs)]
    audio, seconds = runs[0][0], max(seconds for _, seconds in runs)
    print(json.dumps({"name": "pretrain_hf", "procs": args.procs, "threads": args.threads, "batching": args.batching,
                      "steps": args.steps - args.warmup, "audio_s": audio, "seconds": seconds,
                      "audio_per_s": audio / seconds}))


if __name__ == "__main__":
    main()
