"""Do drawings show what their captions say, and how much does it help to draw many and keep the best?

    python benchmarks/drawn.py --model DALLE --judge CLIP --data pictograms [--protocol S --name drawn_seen]

DALLE is a run of `limner train dalle`. Of each of 100 captions, at most one a group of concepts, it draws a pool of
pictures; the CLIP that re-ranks keeps the best of the first n of the pool, in several orders; and a CLIP that had no
part in that, trained with another seed, is asked which of the 100 captions the kept drawing shows. The same is asked of
the real pictures, and of what the dVAE leaves of them: so much can the judge tell. With protocol U training saw none of
the concepts; with S it saw all of them, and the real pictures are of a style that it never saw. Pools are kept in
--work, and a killed run goes on with the caption at which it was.
"""

import argparse
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from drawn_plot import draw_plot
from limner.config import to_dict
from limner.data.builtin.protocols import COLUMNS, PROTOCOLS
from limner.data.decoding import decode_picture
from limner.data.picture_set import PictureSet, Record
from limner.data.sheet import save_sheet
from limner.data.splitting import hash_share
from limner.evaluation.examples import normal_form
from limner.evaluation.intervals import Estimate, estimate_mean
from limner.evaluation.ranking import figures_of_scores
from limner.generation.autoregressive import draw_codes
from limner.generation.defaults import GUIDANCE, TEMPERATURE, TOP_P
from limner.generation.drawer import Drawer, load_drawer
from limner.generation.sampling import Sampling
from limner.models.checkpoints import resolve
from limner.search.embedder import Embedder, Vectors, load_embedder
from record import markdown_table, write_result

_MEASURES = ("R@1", "R@5")
_PROTOCOLS = [name for name, each in PROTOCOLS.items() if each.set_name == "pictograms"]
_RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Caption:
    """A held-out caption, the group of its concept, and the picture it is of."""

    words: str
    group: str
    picture: Image.Image


@dataclass(frozen=True, kw_only=True)
class Judged:
    """By caption and drawing: the score that re-ranks, and by measure whether the judge finds the caption again."""

    fit: np.ndarray
    found: dict[str, np.ndarray]


class Pools:
    """The drawings of captions as codes, and their vectors, in a folder named for model, manner and seed."""

    def __init__(self, work: Path, drawer: Drawer, how: Sampling, seed: int) -> None:
        self.drawer, self.how, self.seed = drawer, how, seed
        folder = resolve(drawer.name)
        digest = hashlib.sha256(f"{to_dict(how)} {seed}".encode())
        for path in sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".safetensors")):
            digest.update(path.read_bytes())
        self.folder = work / digest.hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)

    def seed_of(self, words: str) -> int:
        """Return the --seed with which `limner draw` draws the same pictures of these words."""
        return int.from_bytes(hashlib.sha256(f"{self.seed} {words}".encode()).digest()[:4])

    def codes(self, words: str, count: int) -> Tensor:
        """Return the codes of `count` drawings; what is missing of them is drawn."""
        seed = self.seed_of(words)
        path = self.folder / f"{seed:08x}.safetensors"
        known = (
            load_file(path)["codes"].long() if path.exists() else torch.zeros(0, self.drawer.model.num_places).long()
        )
        if len(known) < count:
            seeds = [(seed, number) for number in range(len(known), count)]
            prompts = self.drawer.prompt(words).tokens.expand(len(seeds), -1)
            known = torch.cat([known, draw_codes(self.drawer.model, prompts, seeds, self.how, batch_size=64)])
            partial = path.with_suffix(".partial")
            save_file({"codes": known.to(torch.int32)}, partial)
            partial.replace(path)
        return known[:count]

    def vectors(self, words: str, count: int, embedder: Embedder) -> Vectors:
        """Return the vectors that a CLIP gives to `count` drawings."""
        path = self.folder / f"{self.seed_of(words):08x}-{embedder.fingerprint[:16]}.npy"
        known = np.load(path) if path.exists() else np.zeros((0, embedder.embed_dim), dtype=np.float32)
        if len(known) < count:
            drawings = self.drawer.pictures(self.codes(words, count)[len(known) :])
            known = np.concatenate([known, embedder.embed_pictures(drawings)])
            partial = path.with_suffix(".partial.npy")
            np.save(partial, known)
            partial.replace(path)
        return known[:count]


def choose_captions(data: Path, protocol: str, count: int) -> list[Caption]:
    """Return distinct English captions; a second one of a group only where groups do not suffice."""
    pictures = PictureSet.open(data)
    records = pictures.records(PROTOCOLS[protocol].rows(pictures.rows(COLUMNS)))
    seen: Counter[str] = Counter()
    found: list[tuple[int, Record, str]] = []
    for record in sorted(records, key=lambda record: hash_share(record.id)):
        words = next((caption.text for caption in record.captions if caption.language == "en"), "")
        if words and not seen[normal_form(words)]:
            seen.update({normal_form(words), f"group {record.group}"})
            found.append((seen[f"group {record.group}"], record, words))
    found.sort(key=lambda each: each[0])
    if len(found) < count:
        raise SystemExit(f"protocol {protocol} has {len(found)} captions in {data}; ask for fewer with --captions")
    return [
        Caption(words=words, group=record.group, picture=decode_picture(record.picture))
        for _, record, words in found[:count]
    ]


def judge_pools(pools: Pools, captions: Sequence[Caption], count: int, ranker: Embedder, judge: Embedder) -> Judged:
    """Draw what is missing, and judge every drawing."""
    words = [caption.words for caption in captions]
    asked = ranker.embed_texts(words)
    fit, found = [], []
    for place, text in enumerate(words):
        fit.append(pools.vectors(text, count, ranker) @ asked[place])
        found.append(retrieved(judge, words, pools.vectors(text, count, judge), [place] * count))
        print(f"{place + 1} of {len(words)}: {text}, R@1 of any {found[-1]['R@1'].mean():.2f}", flush=True)
    return Judged(fit=np.stack(fit), found={name: np.stack([figures[name] for figures in found]) for name in _MEASURES})


def retrieved(judge: Embedder, words: Sequence[str], vectors: Vectors, own: Sequence[int]) -> dict[str, np.ndarray]:
    """Return by measure whether each picture has the caption at `own` among those that the judge finds nearest."""
    scores = vectors @ judge.embed_texts(words).T
    names = [f"{place:06d}" for place in range(len(words))]
    return figures_of_scores(scores, [np.array([place]) for place in own], names)


def curve(judged: Judged, sizes: Sequence[int], groups: np.ndarray, num_orders: int) -> dict[str, list[Estimate]]:
    """Return each measure of the best of n drawings, averaged over orders of the pool, whose first n are taken."""
    num_captions, count = judged.fit.shape
    rng = np.random.default_rng(0)
    orders = [rng.permutation(count) for _ in range(num_orders)]
    found: dict[str, list[Estimate]] = {name: [] for name in _MEASURES}
    for size in sizes:
        kept = np.stack([order[judged.fit[:, order[:size]].argmax(axis=1)] for order in orders])
        for name in _MEASURES:
            values = judged.found[name][np.arange(num_captions), kept].mean(axis=0)
            found[name].append(estimate_mean(values.astype(np.float64), groups))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the DALL-E")
    parser.add_argument("--judge", required=True, help="a CLIP that was trained with another seed than --rerank")
    parser.add_argument("--rerank", default="pictograms", help="the CLIP that keeps the best")
    parser.add_argument("--data", type=Path, required=True, help="the set pictograms")
    parser.add_argument("--protocol", default="U", choices=_PROTOCOLS)
    parser.add_argument("--captions", type=int, default=100)
    parser.add_argument("--count", type=int, default=128, help="drawings a caption")
    parser.add_argument("--orders", type=int, default=32)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--temperature", type=float, default=TEMPERATURE)
    parser.add_argument("--top-p", type=float, default=TOP_P)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/drawn"))
    parser.add_argument("--name", default="drawn", help="the name of the result page and its plot")
    parser.add_argument("--sheet", type=Path, help="where the kept drawings are shown; default: NAME.png in --work")
    options = parser.parse_args()
    ranker, judge = load_embedder(options.rerank), load_embedder(options.judge)
    if ranker.fingerprint == judge.fingerprint:
        raise SystemExit("--judge is the very CLIP that re-ranks; give one that was trained with another seed")
    captions = choose_captions(options.data, options.protocol, options.captions)
    how = Sampling(guidance=options.guidance, temperature=options.temperature, top_p=options.top_p)
    pools = Pools(options.work, load_drawer(options.model), how, options.seed)
    judged = judge_pools(pools, captions, options.count, ranker, judge)

    groups = np.unique([caption.group for caption in captions], return_inverse=True)[1]
    sizes = [1 << power for power in range(options.count.bit_length()) if 1 << power <= options.count]
    best = curve(judged, sizes, groups, options.orders)
    real = [caption.picture for caption in captions]
    left = pools.drawer.pictures(pools.drawer.codes(real))
    ceilings = {
        "real pictures": judge_pictures(judge, captions, real, groups),
        "real pictures through the dVAE": judge_pictures(judge, captions, left, groups),
    }
    kept = judged.fit[:, : sizes[-1]].argmax(axis=1)
    show_kept(pools, captions, judged, kept, options.sheet or options.work / f"{options.name}.png")
    report(options, sizes, best, ceilings, len(set(groups.tolist())))


def judge_pictures(
    judge: Embedder, captions: Sequence[Caption], pictures: Sequence[Image.Image], groups: np.ndarray
) -> dict[str, Estimate]:
    """Return the same measures of one picture a caption."""
    words = [caption.words for caption in captions]
    found = retrieved(judge, words, judge.embed_pictures(pictures), range(len(words)))
    return {name: estimate_mean(found[name], groups) for name in _MEASURES}


def show_kept(pools: Pools, captions: Sequence[Caption], judged: Judged, kept: np.ndarray, out: Path) -> None:
    """Write a sheet of the drawing kept of each caption; a star is where the judge names it."""
    pictures, titles = [], []
    for place, caption in enumerate(captions):
        number = int(kept[place])
        pictures += pools.drawer.pictures(pools.codes(caption.words, number + 1)[number:])
        titles.append(f"{caption.words}{' *' * int(judged.found['R@1'][place, number])}")
    save_sheet(pictures, titles, out)


def report(
    options: argparse.Namespace,
    sizes: Sequence[int],
    best: dict[str, list[Estimate]],
    ceilings: dict[str, dict[str, Estimate]],
    num_groups: int,
) -> None:
    """Write the page and its plot."""
    rows = [[f"best of {size}", *(_shown(best[name][place]) for name in _MEASURES)] for place, size in enumerate(sizes)]
    rows += [[what, *(_shown(figures[name]) for name in _MEASURES)] for what, figures in ceilings.items()]
    rows.append(["chance", *(f"{100 * int(name[2:]) / options.captions:.1f}" for name in _MEASURES)])
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / f"{options.name}.svg").write_text(draw_plot(sizes, best, ceilings), encoding="utf-8")
    body = (
        f"{__doc__.split(chr(10) * 2)[2].strip()}\n\n"
        f"{markdown_table(['picture', *(f'{name} of its own caption' for name in _MEASURES)], rows)}\n\n"
        f"![The share of captions found again over the number of drawings]({options.name}.svg)\n\n"
        f"Percent with 95 % intervals; {options.captions} captions of {num_groups} groups by protocol "
        f"{options.protocol} ({PROTOCOLS[options.protocol].what}), {options.count} drawings each, {options.orders} "
        f"orders; guidance {options.guidance:g}, temperature {options.temperature:g}, top-p {options.top_p:g}; "
        f"re-ranked by {Path(options.rerank).name}, judged by {Path(options.judge).name}."
    )
    print(write_result(options.name, __doc__.splitlines()[0], body, packages=("torch", "limner")).read_text())


def _shown(figure: Estimate) -> str:
    return f"{100 * figure.mean:.1f} ({100 * figure.low:.0f}–{100 * figure.high:.0f})"


if __name__ == "__main__":
    main()
