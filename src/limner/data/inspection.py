"""Really decode every picture of a source, on several threads, a bounded number ahead."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from limner.data.decoding import decode_picture, picture_size
from limner.data.picture_set import Record
from limner.data.sources.items import Item, Items, Note, Rejected
from limner.data.thumbnails import Thumbnail, thumbnail
from limner.errors import PictureError

__all__ = ["Inspected", "inspect"]

_DECODED_PIXELS = 64


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """A record whose picture was decoded: its size in pixels and how it looks when it is small."""

    record: Record
    width: int
    height: int
    thumbnail: Thumbnail


Outcome = Inspected | Rejected | Note


def inspect(items: Items) -> Iterator[Outcome]:
    """Yield what a source yields, in its order, each record decoded or rejected with the reason."""
    num_threads = min(os.cpu_count() or 1, 8)
    with ThreadPoolExecutor(num_threads) as pool:
        yield from _map_ahead(_inspect, items, pool, num_ahead=4 * num_threads)


def _inspect(item: Item) -> Outcome:
    if not isinstance(item, Record):
        return item
    try:
        picture = decode_picture(item.picture, at_least=_DECODED_PIXELS)
        width, height = picture_size(item.picture)
    except PictureError as error:
        return Rejected(name=item.id, reason=str(error))
    except MemoryError:
        return Rejected(name=item.id, reason="needs more memory than there is; save it smaller")
    return Inspected(record=item, width=width, height=height, thumbnail=thumbnail(picture))


def _map_ahead(
    function: Callable[[Item], Outcome], items: Iterable[Item], pool: ThreadPoolExecutor, *, num_ahead: int
) -> Iterator[Outcome]:
    waiting: deque[Future[Outcome]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > num_ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
