"""How well do the shipped weights find pictures that training never saw?

    limner data get pictograms pictograms && limner data get openclipart openclipart
    python benchmarks/shipped.py --pictograms pictograms --openclipart openclipart

Text to picture by the protocols U, S and C in English, and U and S in Russian, with 95 % intervals; the validation
protocols V-U, V-S and V-C, by which the run was chosen, beside them.
"""

import argparse
from pathlib import Path

from limner.data.picture_set import PictureSet
from limner.models.checkpoints import resolve
from limner.search.embedder import load_embedder
from limner.services.evaluating import judge_protocol
from record import markdown_table, show_figures, write_result

_ROWS = [
    ("U", "pictograms", "en", "concepts never seen, one picture each"),
    ("U", "pictograms", "ru", "the same, asked in Russian"),
    ("S", "pictograms", "en", "concepts seen, in a style never seen (openmoji)"),
    ("S", "pictograms", "ru", "the same, asked in Russian"),
    ("C", "openclipart", "en", "clip art of titles never seen"),
    ("V-U", "pictograms", "en", "like U, for choosing"),
    ("V-U", "pictograms", "ru", "like U in Russian, for choosing"),
    ("V-S", "pictograms", "en", "like S in another style (emojione-v1), for choosing"),
    ("V-S", "pictograms", "ru", "like S in Russian, for choosing"),
    ("V-C", "openclipart", "en", "like C, for choosing"),
]
_TESTS = 5
_PAGES = ("README.md", "src/limner/pretrained/pictograms/README.md")
_SHOWN = ("R@1", "R@5", "R@10", "MRR")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pictograms")
    parser.add_argument("--pictograms", type=Path, required=True)
    parser.add_argument("--openclipart", type=Path, required=True)
    parser.add_argument("--name", default="shipped", help="the name of the result page")
    options = parser.parse_args()
    sets = {name: PictureSet.open(getattr(options, name)) for name in ("pictograms", "openclipart")}
    embedder = load_embedder(options.model)
    lines = []
    for protocol, name, language, what in _ROWS:
        done = judge_protocol(embedder, sets[name], protocol, language=language)
        figures = done.retrieval.text_to_picture
        shown = [
            f"{100 * figures[key].mean:.1f} ({100 * figures[key].low:.1f}-{100 * figures[key].high:.1f})"
            for key in _SHOWN
        ]
        lines.append([protocol, what, language, done.num_pictures, *shown])
        print(*lines[-1], flush=True)
    size = sum(path.stat().st_size for path in resolve(options.model).iterdir()) / 1e6
    count = sum(parameter.numel() for parameter in embedder.model.parameters())
    head = ["test", "what", "language", "pictures", *_SHOWN]
    body = markdown_table(head, lines)
    body += f"\n\nPer cent with 95 % intervals. {count:,} parameters, {size:.1f} MB on disk."
    write_result(options.name, "Text to picture with the shipped weights", body)
    if options.model == "pictograms":
        for page in _PAGES:
            show_figures(Path(__file__).parent.parent / page, markdown_table(head, lines[:_TESTS]))


if __name__ == "__main__":
    main()
