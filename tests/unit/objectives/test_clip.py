from dataclasses import replace

import pytest
import torch

from limner.models.clip import CLIP, CLIPConfig
from limner.nn.text import TextConfig
from limner.nn.transformer import TransformerConfig
from limner.nn.vision import VisionTransformerConfig
from limner.objectives.clip import CLIPObjective, CLIPObjectiveConfig
from limner.types import CaptionedBatch

SMALL = TransformerConfig(dim=32, depth=2, num_heads=2)
CONFIG = CLIPConfig(
    vision=VisionTransformerConfig(image_size=32, patch_size=8, transformer=SMALL),
    text=TextConfig(vocab_size=100, length=8, token_dim=16, transformer=SMALL),
    embed_dim=16,
)


def small_batch(size: int = 10) -> CaptionedBatch:
    generator = torch.Generator().manual_seed(0)
    return CaptionedBatch(
        images=torch.rand(size, 3, 32, 32, generator=generator),
        tokens=torch.randint(3, 100, (size, 8), generator=generator),
        concepts=torch.arange(size) % 7,
        texts=torch.arange(size),
    )


def gradients(config: CLIPObjectiveConfig, model_config: CLIPConfig = CONFIG) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    objective = CLIPObjective(CLIP(model_config), config).train()
    torch.manual_seed(1)
    objective(small_batch(), 0).loss.backward()
    return {name: p.grad for name, p in objective.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
@pytest.mark.parametrize("chunk_size", [1, 3, 10, 64])
def test_chunks_give_the_gradient_of_the_whole_batch(loss, chunk_size: int) -> None:
    whole = gradients(CLIPObjectiveConfig(loss=loss))
    chunked = gradients(CLIPObjectiveConfig(loss=loss, chunk_size=chunk_size))
    assert whole.keys() == chunked.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(chunked[name], gradient, atol=2e-6, rtol=1e-4, msg=name)


def test_chunks_recompute_with_the_same_random_numbers() -> None:
    """With patch dropout, the second pass must drop the patches that the first one dropped."""
    config = replace(CONFIG, vision=replace(CONFIG.vision, patch_dropout_rate=0.5))
    torch.manual_seed(0)
    objective = CLIPObjective(CLIP(config), CLIPObjectiveConfig(chunk_size=5)).train()
    seen: list[torch.Tensor] = []
    objective.model.vision.transformer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    objective(small_batch(), 0).loss.backward()
    assert len(seen) == 4
    first, again = seen[:2], seen[2:]
    assert all(any(torch.equal(one, other) for other in again) for one in first)


def test_metrics_are_detached_and_collapse_shows() -> None:
    torch.manual_seed(0)
    objective = CLIPObjective(CLIP(CONFIG), CLIPObjectiveConfig())
    output = objective(small_batch(), 0)
    assert not any(value.requires_grad for value in output.metrics.values())
    for parameter in objective.model.image_projection.parameters():
        torch.nn.init.zeros_(parameter)
    objective.model.vision.positions.data.zero_()
    batch = small_batch()
    alike = replace(batch, images=batch.images[:1].expand(10, -1, -1, -1) + 0)
    torch.nn.init.normal_(objective.model.image_projection.weight)
    assert objective(alike, 0).metrics["image_likeness"] > 0.999


def test_a_batch_of_one_concept_has_no_negative_and_no_loss() -> None:
    batch = replace(small_batch(), concepts=torch.zeros(10, dtype=torch.long))
    output = CLIPObjective(CLIP(CONFIG), CLIPObjectiveConfig())(batch, 0)
    assert output.loss.item() == 0.0
