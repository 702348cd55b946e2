"""How well do pictures answer their teacher of words, before there is a text tower?

    limner train pictograms --data pictograms --data openclipart --data icons --out run
    python benchmarks/taught_pictures.py run --pictograms pictograms --openclipart openclipart

Text to picture in English by the validation protocols V-U and V-C, and V-S: concepts that training saw, as emojione-v1
draws them. The frozen sentence model reads the captions, and the run's own map places them among the pictures. With
--test also U, S and C, to be looked at once. Needs the extra `teachers`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from limner.data.builtin.protocols import PROTOCOLS
from limner.data.picture_set import PictureSet
from limner.interop.sentence_teacher import SentenceTeacher
from limner.models.checkpoints import resolve
from limner.objectives.taught_images import TaughtImagesObjective, TaughtImagesObjectiveConfig
from limner.search.embedder import Embedder, Vectors, load_embedder
from limner.services.evaluating import judge_protocol
from limner.services.starting import load_beside
from record import markdown_table

_CHOOSING, _TEST = ("V-U", "V-C", "V-S"), ("U", "S", "C")
_SHOWN = ("R@1", "R@10", "MRR")


class TaughtEmbedder(Embedder):
    """The pictures of a run, and the teacher's words by the map that the run has learned."""

    def __init__(self, run: Path) -> None:
        folder = resolve(run)
        taught = load_embedder(folder)
        super().__init__(taught.model, taught.tokenizer, name=str(run))
        self.teacher = SentenceTeacher()
        self.objective = TaughtImagesObjective(taught.model, TaughtImagesObjectiveConfig())  # type: ignore[arg-type]
        load_beside(folder, self.objective)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return the places of English texts among the pictures."""
        return np.asarray(self.objective.teacher_projection(torch.from_numpy(self.teacher.embed(texts))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--pictograms", type=Path, required=True)
    parser.add_argument("--openclipart", type=Path, required=True)
    parser.add_argument("--test", action="store_true", help="the test protocols too")
    options = parser.parse_args()
    sets = {name: PictureSet.open(getattr(options, name)) for name in ("pictograms", "openclipart")}
    lines = []
    for run in options.runs:
        embedder = TaughtEmbedder(run)
        for protocol in (*_CHOOSING, *(_TEST if options.test else ())):
            done = judge_protocol(embedder, sets[PROTOCOLS[protocol].set_name], protocol)
            figures = done.retrieval.text_to_picture
            shown = [f"{100 * figures[key].mean:.1f}" for key in _SHOWN]
            lines.append([run.name, protocol, done.num_pictures, *shown])
            print(*lines[-1], flush=True)
    print(markdown_table(["run", "test", "pictures", *_SHOWN], lines))


if __name__ == "__main__":
    main()
