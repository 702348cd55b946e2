"""`limner index` killed for real, again and again, at moments that it cannot foresee."""

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.command import start
from tests.photos import paint_some

from limner.search.collection import Collection
from limner.search.manifest import is_collection
from limner.services.indexing import index_pictures

NUM_PICTURES = 640


def run_and_kill(process: subprocess.Popen, num_reports: int, delay: float, to: Path) -> int:
    """Kill the process some time after so many reports; return the number of pictures it last called saved."""
    assert process.stderr is not None
    saved, reports = 0, 0
    while reports < num_reports and (line := process.stderr.readline()):
        if line.startswith("saved "):
            saved, reports = int(line.split()[1]), reports + 1
    time.sleep(delay)
    process.send_signal(signal.SIGSTOP)
    search_meanwhile(to)
    process.kill()
    for line in process.communicate()[1].splitlines():
        saved = int(line.split()[1]) if line.startswith("saved ") and line.endswith("pictures") else saved
    return saved


def search_meanwhile(collection: Path) -> None:
    """A reader finds whatever is there while a writer is in the middle of its work."""
    if is_collection(collection):
        hits = Collection.open(collection).search("a red circle", top=5)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.slow
def test_no_picture_reported_as_saved_is_lost_or_embedded_twice(model, tmp_path):
    photos, to = tmp_path / "photos", tmp_path / "collection"
    paths = paint_some(photos, NUM_PICTURES)
    moments = random.Random(0)
    present = 0
    for num_reports in (1, 2, 2):
        saved = run_and_kill(
            start("index", photos, "--to", to, "--model", model), num_reports, moments.uniform(0, 0.03), to
        )
        rows = Collection.open(to)._table.read(["path"])["path"].to_pylist()
        assert len(rows) == len(set(rows)) >= saved >= present
        assert set(rows) <= set(map(str, paths))
        present = len(rows)
    assert present > 0
    report = index_pictures([photos], to, model=str(model))
    assert (report.added, report.unchanged, report.num_pictures) == (NUM_PICTURES - present, present, NUM_PICTURES)

    before = [hit.id for hit in Collection.open(to).search("a red circle")]
    assert run_and_kill(start("index", "--to", to, "--reindex"), 1, 0.02, to) > 0
    assert [hit.id for hit in Collection.open(to).search("a red circle")] == before
    assert index_pictures([], to, anew=True).added == NUM_PICTURES
    assert len(list(to.glob("*.lance"))) == 2


@pytest.mark.slow
def test_a_kill_before_anything_is_saved_leaves_nothing_in_the_way(model, tmp_path):
    photos, to = tmp_path / "photos", tmp_path / "collection"
    paint_some(photos, 5)
    for delay in (0.5, 2.5):
        run_and_kill(start("index", photos, "--to", to, "--model", model), 0, delay, to)
        assert not to.exists() or is_collection(to)
    assert index_pictures([photos], to, model=str(model)).num_pictures == 5
