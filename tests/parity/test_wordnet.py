"""Names and explanations are read from files as timm's package has them."""

from pathlib import Path

import pytest

from limner.interop.wordnet import noun_phrases

LEMMAS = "n1\tstarling, Sturnus vulgaris\nn2\tcrochet needle, crochet hook\nn3\tstarling\n"
GLOSSES = (
    "n1\tgregarious birds native to the Old World\nn2\ta needle with a hook on the end\nn3\t" + "long " * 11 + "\n"
)


def test_latin_names_and_long_explanations_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "timm" / "data" / "_info"
    folder.mkdir(parents=True)
    (tmp_path / "timm" / "__init__.py").touch()
    (folder / "imagenet_synset_to_lemma.txt").write_text(LEMMAS)
    (folder / "imagenet_synset_to_definition.txt").write_text(GLOSSES)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert noun_phrases() == ["a needle with a hook on the end", "crochet hook", "crochet needle", "starling"]
