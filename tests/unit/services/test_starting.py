from dataclasses import replace

import torch

from limner.models.clip import CLIP, CLIPConfig
from limner.nn.text import TextConfig
from limner.nn.transformer import TransformerConfig
from limner.nn.vision import VisionTransformerConfig
from limner.recipes.base import Run
from limner.services.starting import Start, build_model, without_muon
from limner.training.loop import LoopConfig
from limner.training.optimizer import OptimizerConfig

SIZES = TransformerConfig(dim=8, depth=1, num_heads=2)
RUN = Run(
    model=CLIPConfig(
        vision=VisionTransformerConfig(image_size=16, patch_size=8, transformer=SIZES),
        text=TextConfig(vocab_size=20, length=4, token_dim=4, transformer=SIZES),
        embed_dim=8,
    ),
    loop=LoopConfig(optimizer=OptimizerConfig(muon={"vision": 4.0, "text.transformer": 2.0})),
    fresh=("text", "text_projection"),
)


def test_parts_named_fresh_begin_anew() -> None:
    torch.manual_seed(1)
    known = CLIP(RUN.model)
    start = Start(name="known", model=known)
    whole, anew = (build_model(run, start).state_dict() for run in (replace(RUN, fresh=()), RUN))
    own = build_model(RUN, None).state_dict()
    for name, tensor in known.state_dict().items():
        assert torch.equal(whole[name], tensor)
        assert torch.equal(anew[name], own[name] if name.startswith("text") else tensor)
    assert not torch.equal(anew["text.tokens.weight"], whole["text.tokens.weight"])


def test_what_is_tuned_steps_by_adamw() -> None:
    assert without_muon(RUN).loop.optimizer.muon == {}
