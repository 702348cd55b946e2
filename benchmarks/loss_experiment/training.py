"""One run: the projections of a dual encoder, trained with one loss, and what they find."""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from limner.evaluation.ranking import figures_of_vectors
from limner.losses.memory import EmbeddingMemory
from limner.losses.selection import same_concept_or_text
from loss_experiment.contenders import Contender, Setting, Step
from loss_experiment.data import Batch, Judged, Training, draw_batch

__all__ = ["Budget", "DualEncoder", "judge", "train"]

_HIDDEN_DIM, _EMBED_DIM = 512, 256
_WEIGHT_DECAY = 0.05
_LARGEST_SCALE = 100.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What every loss gets: steps, pairs a step, and views of a picture to draw from."""

    num_steps: int
    batch_size: int
    num_views: int


class DualEncoder(nn.Module):
    """Projections of frozen features into one space, and the learned scale and bias of scores."""

    def __init__(self, data: Training, *, scale: float, bias: float) -> None:
        super().__init__()
        plain = data.pictures[0].float()
        self.register_buffer("mean", plain.mean(dim=0))
        self.register_buffer("deviation", plain.std(dim=0).clamp(min=1e-3))
        self.picture_head = nn.Sequential(
            nn.Linear(plain.shape[1], _HIDDEN_DIM), nn.GELU(), nn.Linear(_HIDDEN_DIM, _EMBED_DIM)
        )
        self.text_head = nn.Linear(data.texts.shape[1], _EMBED_DIM)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(bias))

    def embed_pictures(self, features: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.picture_head((features - self.mean) / self.deviation), dim=1)

    def embed_texts(self, features: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.text_head(features), dim=1)

    def scale(self) -> torch.Tensor:
        return self.log_scale.exp().clamp(max=_LARGEST_SCALE)


def train(
    data: Training, contender: Contender, setting: Setting, seed: int, budget: Budget
) -> tuple[DualEncoder, float]:
    """Return the trained projections, and the processor seconds that training took.

    Weights at the start and the order of the data depend on the seed alone, so that losses are compared in pairs.
    """
    torch.manual_seed(seed)
    scale = setting.value if contender.setting == "scale" else contender.scale
    model = DualEncoder(data, scale=scale, bias=contender.bias)
    memory = EmbeddingMemory(contender.memory_size, _EMBED_DIM) if contender.memory_size else None
    optimizer = torch.optim.AdamW(model.parameters(), lr=setting.learning_rate, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, budget.num_steps))
    start = time.process_time()
    for step in range(budget.num_steps):
        batch = draw_batch(data, seed, step, budget.batch_size)
        loss = contender.compute(_step(model, data, batch, memory), setting.value)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval(), time.process_time() - start


@torch.inference_mode()
def judge(model: DualEncoder, judged: Judged) -> dict[str, np.ndarray]:
    """Return the figures of each query, text to picture."""
    queries, items = model.embed_texts(judged.texts), model.embed_pictures(judged.pictures)
    return figures_of_vectors(queries.numpy(), items.numpy(), judged.relevant, judged.ids)


def _step(model: DualEncoder, data: Training, batch: Batch, memory: EmbeddingMemory | None) -> Step:
    queries, items = model.embed_texts(batch.texts), model.embed_pictures(batch.pictures)
    relevance = same_concept_or_text(batch.concepts, batch.text_numbers)
    related = data.related[batch.concepts[:, None], batch.concepts[None, :]]
    past, past_hits = None, None
    if memory is not None:
        past, past_items = memory.contents()
        past_hits = data.concepts[past_items][None, :] == batch.concepts[:, None]
        memory.enqueue(items.detach(), batch.items)
    return Step(
        queries=queries,
        items=items,
        scale=model.scale(),
        bias=model.bias,
        relevance=relevance,
        grades=torch.where(relevance, 2, related.long()),
        num_items=len(data),
        past=past,
        past_hits=past_hits,
    )


def _rate(step: int, num_steps: int) -> float:
    """Return the share of the learning rate: up over a twentieth of the steps, then down along a cosine."""
    warmup = max(1, num_steps // 20)
    return min((step + 1) / warmup, (1 + math.cos(math.pi * step / num_steps)) / 2)
