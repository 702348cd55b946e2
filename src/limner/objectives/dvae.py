"""The dVAE's objective: the bound on the likelihood of pictures, with a relaxed sample of their codes.

https://arxiv.org/abs/2102.12092, section 2.1 and appendix A.2.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limner.config import NotNegative, Positive, Share, Whole
from limner.losses.reconstruction import gaussian, kl_to_uniform, laplace, logit_laplace, lower_bound
from limner.models.dvae import DVAE, DVAEOutput
from limner.nn.codebooks import RelaxedCodebook
from limner.nn.gathering import gathered
from limner.nn.pixels import into_interval
from limner.objectives.base import Objective, StepOutput
from limner.objectives.schedules import cosine_between
from limner.types import Images, PictureBatch

__all__ = ["CodeUse", "DVAEObjective", "DVAEObjectiveConfig", "bounds", "use_of_codes"]

PerPicture = Float[Tensor, " batch"]


@dataclass(frozen=True, kw_only=True)
class DVAEObjectiveConfig:
    """The likelihood of pixels, and how temperature and weight of the divergence move along half a cosine each.

    `scale` is the spread of `gaussian` (squared error) and `laplace` (absolute error) pixels; `logit_laplace` predicts
    its own. `temperature_share` and `kl_share` are the shares of the run in which temperature falls and weight rises.
    `straight_through` decodes one code a place instead of a mixture, with the mixture's gradient. Until `revive_share`
    of the run, a code that was the likeliest nowhere in `revive_after` batches is put where a feature is; 0 leaves dead
    codes alone.

    In the last `decoder_share` of the run the codes of pictures stay as they are, and the decoder learns from the
    likeliest ones, which are all that it reads afterwards: before, each place had drawn ones.
    """

    kind: Literal["dvae"] = "dvae"
    likelihood: Literal["logit_laplace", "gaussian", "laplace"] = "logit_laplace"
    scale: Positive = 0.1
    temperature: Positive = 1.0
    final_temperature: Positive = 1 / 16
    temperature_share: Positive = 0.6
    kl_weight: NotNegative = 1.0
    kl_share: Positive = 0.1
    commitment_weight: NotNegative = 0.25
    straight_through: bool = False
    revive_after: Whole = 0
    revive_share: Share = 0.8
    decoder_share: Share = 0.0


class CodeUse(torch.nn.Module):
    """How often each code was the likeliest in the running epoch and in the one before, and for how long not at all."""

    running: Tensor
    last: Tensor
    idle: Tensor
    epoch: Tensor

    def __init__(self, num_codes: int, epoch_steps: int) -> None:
        super().__init__()
        self.epoch_steps = epoch_steps
        for name in ("running", "last", "idle"):
            self.register_buffer(name, torch.zeros(num_codes, dtype=torch.int64))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))

    def count(self, codes: Int[Tensor, "batch rows columns"], step: int) -> None:
        """Add the codes of a batch."""
        counts = torch.bincount(codes.flatten(), minlength=len(self.running))
        if int(self.epoch) != step // self.epoch_steps:
            self.epoch.fill_(step // self.epoch_steps)
            self.last.copy_(self.running)
            self.running.zero_()
        self.running.add_(counts)
        self.idle.add_(1).mul_(counts == 0)

    def figures(self) -> dict[str, Tensor]:
        """Return share of codes used, and perplexity, over the last whole epoch, or over the running first one."""
        return use_of_codes(self.last if int(self.last.sum()) else self.running)


def use_of_codes(counts: Int[Tensor, " num_codes"]) -> dict[str, Tensor]:
    """Return the share of codes that were used at all, and the perplexity: exp of the entropy of their shares."""
    shares = counts.double() / counts.sum().clamp_min(1)
    return {"usage": (counts > 0).double().mean(), "perplexity": (-torch.xlogy(shares, shares).sum()).exp()}


class DVAEObjective(Objective):
    """Raise the bound of a dVAE over a run of `num_steps` steps, of which `epoch_steps` see every picture once."""

    def __init__(self, model: DVAE, config: DVAEObjectiveConfig, *, num_steps: int, epoch_steps: int) -> None:
        super().__init__()
        self.model: DVAE = model
        self.config = config
        self.num_steps = num_steps
        self.use = CodeUse(model.config.num_codes, epoch_steps)

    def own_state(self) -> dict[str, Tensor]:
        """Return nothing: counts of codes are no part of what was learned."""
        return {}

    def forward(self, batch: PictureBatch, step: int) -> StepOutput:
        """Return the loss of a batch in nats per dimension, its parts, and the use of codes over an epoch."""
        config, progress = self.config, step / self.num_steps
        if progress >= 1 - config.decoder_share:
            return self._learn_to_decode(batch.images, step)
        temperature = cosine_between(config.temperature, config.final_temperature, progress / config.temperature_share)
        weight = cosine_between(0.0, config.kl_weight, progress / config.kl_share)
        features = self.model.features(batch.images)
        codebook = self.model.codebook
        if config.revive_after and progress < config.revive_share and isinstance(codebook, RelaxedCodebook):
            dead = self.use.idle >= config.revive_after
            codebook.revive(dead, features.detach())
            self.use.idle.mul_(~dead)
        output = self.model.output(features, temperature, hard=config.straight_through)
        self.use.count(gathered(output.codes), step)
        nats, divergence = negative_log_likelihood(output, batch.images, config), _divergence(output, self.model)
        per_dimension = _places_per_dimension(output)
        loss = nats + weight * per_dimension * divergence + config.commitment_weight * output.commitment
        metrics = {
            "nats": nats.mean().detach(),
            "divergence": divergence.mean().detach(),
            "relaxed_bound": _bound(nats, divergence, output).mean().detach(),
            "temperature": torch.tensor(temperature),
            "kl_weight": torch.tensor(weight),
            **self.use.figures(),
        }
        return StepOutput(loss.mean(), metrics)

    def _learn_to_decode(self, images: Images, step: int) -> StepOutput:
        """Return what the likeliest codes leave to be said of pictures; no gradient reaches what chooses them."""
        for module in (self.model.encoder, self.model.codebook):
            module.eval()
        with torch.no_grad():
            codes = self.model.codes(images)
        self.use.count(gathered(codes), step)
        nats = negative_log_likelihood(self.model.decoded(codes), images, self.config).mean()
        return StepOutput(nats, {"nats": nats.detach(), **self.use.figures()})


def negative_log_likelihood(output: DVAEOutput, images: Images, config: DVAEObjectiveConfig) -> PerPicture:
    """Return -ln p(x | z) in nats per dimension."""
    if config.likelihood == "logit_laplace":
        return logit_laplace(into_interval(images), output.mean, output.log_scale)
    loss = gaussian if config.likelihood == "gaussian" else laplace
    return loss(images, output.pictures(clamped=False), scale=config.scale)


def bounds(model: DVAE, images: Images, config: DVAEObjectiveConfig, *, seed: int = 0) -> dict[str, PerPicture]:
    """Return the bound in nats per dimension: the true one, of one code a place, and the relaxed one that is trained.

    Both are of the same noise; the gap between them closes as the final temperature falls.
    """
    features = model.features(images)
    found = {}
    for name, hard in (("bound", True), ("relaxed_bound", False)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            output = model.output(features, config.final_temperature, hard=hard)
        found[name] = _bound(negative_log_likelihood(output, images, config), _divergence(output, model), output)
    return found


def _divergence(output: DVAEOutput, model: DVAE) -> PerPicture:
    """Return the divergence from uniform codes; a code that is certain costs ln K."""
    if output.logits is not None:
        return kl_to_uniform(output.logits)
    return output.mean.new_full((len(output.mean),), math.log(model.config.num_codes))


def _bound(nats: PerPicture, divergence: PerPicture, output: DVAEOutput) -> PerPicture:
    places, dims = output.codes[0].numel(), output.mean[0].numel()
    return lower_bound(nats, divergence, num_places=places, num_dims=dims)


def _places_per_dimension(output: DVAEOutput) -> float:
    return output.codes[0].numel() / output.mean[0].numel()
