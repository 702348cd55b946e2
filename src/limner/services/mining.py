"""Hard negatives for a run: mined by a CLIP at fixed steps into files of the run, and read from there into batches.

A file is named for the step at which it was mined, so that a resumed run reads what an uninterrupted one would.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch

from limner.data.loader import CaptionedLoader
from limner.data.progress import Say
from limner.data.ranking import Negatives, RankingLoader, SideKind
from limner.data.tokenizer import Tokenizer
from limner.models.clip import CLIP
from limner.models.relevance import RelevanceModel
from limner.recipes.base import RankingConfig, Run
from limner.search.embedder import Embedder, Vectors
from limner.search.mine import mine_negatives, read_negatives, write_negatives
from limner.services.gallery import PictureEncoder, gallery_vectors
from limner.training.distributed import own_rank, wait_for_all_ranks
from limner.training.state import latest_step
from limner.types import RankingBatch

__all__ = ["Mine"]

_TEXT_STREAM = 1 << 40


class Mine:
    """The negatives of each stretch of a run; `first_stage` is the CLIP, or the STIR, whose errors they are."""

    def __init__(
        self,
        out: Path,
        run: Run,
        loader: CaptionedLoader,
        tokenizer: Tokenizer,
        first_stage: RelevanceModel | None,
        *,
        say: Say,
    ) -> None:
        self.out, self.run, self.loader, self.tokenizer, self.say = out, run, loader, tokenizer, say
        self.config = cast(RankingConfig, run.ranking)
        self.first_stage = first_stage if isinstance(first_stage, PictureEncoder) else None
        if self.config.num_mined and self.first_stage is None:
            say("warning: nothing to mine with; start --from a CLIP to have hard negatives beside those of the batch")

    def batches(self, lists: RankingLoader) -> Callable[[int], Iterator[RankingBatch]]:
        """Return the stream of batches from any number on; it stops to mine where a new stretch begins."""
        accumulation, every = self.run.loop.accumulation_steps, self.config.mining.every
        length = every * accumulation

        def stream(start: int) -> Iterator[RankingBatch]:
            while True:
                first = start - start % length if length else 0
                stop = first + length if length else None
                yield from lists.batches(start, stop, self.negatives(first // accumulation))
                assert stop is not None, "a stream without a stop does not end"
                start = stop

        return stream

    def negatives(self, step: int) -> Negatives | None:
        """Return the negatives of the stretch that begins at a step, mining them if nobody has yet."""
        if not self.config.num_mined or self.first_stage is None:
            return None
        path = self._folder / f"step-{step:08d}.safetensors"
        if not path.is_file() and own_rank().number == 0:
            negatives = self._mine(self.first_stage)
            write_negatives(path, negatives)
            self._forget()
            count = (negatives >= 0).sum(axis=1)
            self.say(f"step {step}: mined {count.mean():.1f} hard negatives a query; {(count == 0).sum():,} have none")
        wait_for_all_ranks()
        return read_negatives(path)

    @property
    def _folder(self) -> Path:
        return self.out / "negatives"

    def _mine(self, model: PictureEncoder) -> Negatives:
        captions = self.loader.captions
        texts = [captions.draw(item, (self.run.loader.seed, _TEXT_STREAM + item)) for item in range(len(captions))]
        keys = np.stack([np.array(captions.concepts), np.array([text.number for text in texts])], axis=1)
        words = [text.text for text in texts]
        active = [module for module in model.modules() if module.training]
        model.eval()
        with torch.random.fork_rng(devices=[]):
            queries = self._vectors(model, self.config.query, words)
            same = self.config.document == self.config.query
            documents = queries if same else self._vectors(model, self.config.document, words)
        for module in active:
            module.training = True
        return mine_negatives(queries, documents, keys, self.config.mining)

    def _vectors(self, model: PictureEncoder, kind: SideKind, words: Sequence[str]) -> Vectors:
        if kind == "picture":
            return gallery_vectors(model, self.loader)
        assert isinstance(model, CLIP), "extractors and stir read no texts"
        return Embedder(model, self.tokenizer, name="run").embed_texts(words)

    def _forget(self) -> None:
        """Remove what no saved state can come back to."""
        reached = latest_step(self.out / "checkpoints")
        needed = reached - reached % self.config.mining.every if self.config.mining.every else 0
        for path in self._folder.glob("step-*.safetensors"):
            if int(path.stem.removeprefix("step-")) < needed:
                path.unlink()
