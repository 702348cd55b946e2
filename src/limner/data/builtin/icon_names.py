"""What an icon shows, in words, from the name that its family gave it."""

import re
from collections.abc import Sequence

__all__ = ["base_of", "reason_to_drop", "split_style", "telling_category", "words_of"]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NUMBERS = _set("one two three four five six seven eight nine ten")
_VERSIONS = _set("alt alternate alternative filled minimalistic outline outlined variant variation version")
_FILLERS = frozenset({"simple", "ui"})
_CROSSED_OUT = _set("disable disabled off slash slashed")
_TOGETHER = {"e mail": "email", "e book": "e-book", "t shirt": "t-shirt", "wi fi": "wi-fi", "x ray": "x-ray"}
_WITH_DIGITS = _set("2d 360 3d 4k 8k co2 h2o")
_ACTIONS = _set(
    """accept add add-on alert approve approved back ban block bottom cancel center check checked circled clear close
    closed code confirm copy correct dashed data delete denied done dot dots dotted double down download edit
    error exclamation exclude export external favorite favorites favourite flat forward forwarded half hide high
    horizontal import in info information input left less like line lines list locked low maximize medium
    minimize minus mode more move multiple network new next notification ok on open out output pause paused plus
    previous question refresh reload remove return right rotate round rounded save schedule security select send
    setting settings share show single small start stop subtract success sync tick time toggle top transfer
    triple unlock unlocked up update upload validate verified vertical view visible wait warning x xmark zoom"""
)
_THINGS = _set(
    """arrow arrows bolt bookmark box checkmark circle clock cog cross dollar eye filter gear heart hexagon key lock
    pen pencil percent pin play rectangle search shield square star user wifi"""
)
_MODIFIERS = _ACTIONS | _THINGS
_LAYOUT = _set(
    """align angle angles axis badge-letter border borders brackets caret carets chevron chevrons column columns
    corner cursor decimal distribute flex flip format gradienter heading indent justify keyframe keyframes layout
    letter letters line-height margin numbers numeric alpha padding panel paragraph prompt radius resize row rows
    select sidebar sort sorting spacing subscript superscript text typography whitespace wrap"""
)
_SAYS_LITTLE = _ACTIONS | _LAYOUT | _set("a an and at by for from of the to with")
_FORMATS = _set(
    """avi bmp css csv doc docx eps exe flac gif heic html jpeg jpg json jsx mdx mov otf pdf png ppt pptx psd raw rtf
    sass scss sql svg tiff tsx ttf txt wav webp woff xls xlsx xml yaml yml zip"""
)
_BRANDS = _set(
    """adobe airbnb alipay amazon amd android apple-music appstore asana baidu bebo behance bilibili binance bing
    bitbucket blackberry blogger bluesky brandfetch chatgpt chrome claude codepen codesandbox coinbase
    creative-commons debian deepseek deviantart digg dingtalk discord dribbble dribble dropbox envato ethereum
    evernote facebook facetime fedora feiyu figma finder firefox fiverr flickr fontawesome foursquare framer
    gameboy gemini-ai github gitlab gmail gnome google gopro grok gumroad hackerrank homepod html5 ibm icloud
    imac imessage instagram ipad iphone ipod javascript kakao kakaotalk kfc kickstarter kindle ko-fi lastfm
    leetcode linkedin linux litecoin mario mastercard mastodon mcdonalds messenger microsoft misskey namecoin
    netease netflix newdot nintendo nodejs nook npm openai openvpn opera pantone patreon paypal php picasa
    pinterest playstation plurk pokeball pokemon powerpoint powershell qq quora reddit replit siri skype slack
    snapchat soundcloud spiderman spongebob spotify stackoverflow strava swarm teamviewer telegram tencent tesla
    tidal tiktok tinder trello tumblr twitch twitter typescript uber ubuntu unsplash upwork viber vimeo vk vlc
    vscode vue vuejs watson watsonx waze webflow wechat weibo weixin whatsapp wii wikipedia wordpress xbox xing
    yahoo yelp youtube"""
)
_UNTELLING = _set(
    """abstract actions alpha arrange base character components content datas edit interface interfaces essential
    life objects operate other others parts shape shapes smiley ui view"""
)


def split_style(name: str, styles: Sequence[str]) -> tuple[str, str]:
    """A name without the ending of its style, and that ending; the longest of `styles` counts."""
    for style in sorted(styles, key=len, reverse=True):
        if style and name.endswith(f"-{style}"):
            return name.removesuffix(f"-{style}"), style
    return name, ""


def words_of(name: str, categories: Sequence[str] = ()) -> tuple[str, ...]:
    """Words of a name, without what tells versions apart and without the category at its beginning."""
    words = [word for word in name.lower().replace("_", "-").split("-") if word and word not in _FILLERS]
    for category in categories:
        heading = _category_words(category)
        if len(heading) > 1 and words[: len(heading)] == heading:
            words = words[len(heading) :]
            break
    while len(words) > 1 and (words[-1] in _VERSIONS or words[-1] in _NUMBERS or re.fullmatch(r"\d+(px)?", words[-1])):
        words.pop()
    text = " ".join(words)
    for apart, together in _TOGETHER.items():
        text = re.sub(rf"\b{apart}(s?)\b", rf"{together}\1", text)
    return tuple(text.split())


def telling_category(category: str) -> str:
    """A category in lower-case words, without those that tell nothing about a picture."""
    return " ".join(word for word in _category_words(category) if word not in _UNTELLING)


def base_of(words: Sequence[str]) -> tuple[str, ...]:
    """Words without the signs that interfaces add to one drawing: of a "bell plus" the bell."""
    kept = list(words)
    while len(kept) > 1 and kept[-1] in _MODIFIERS:
        kept.pop()
    while len(kept) > 1 and kept[0] in _MODIFIERS:
        kept.pop(0)
    return tuple(kept)


def reason_to_drop(words: Sequence[str], categories: Sequence[str], bases: frozenset[tuple[str, ...]]) -> str:
    """Why an icon of these words is of no use, or ""; `bases` holds the words of its whole family."""
    if _is_brand(words, categories):
        return "a brand"
    if any(word in _FORMATS for word in words):
        return "a kind of file"
    if any(_is_symbol(word) for word in words) or not words:
        return "named by letters or numbers"
    if words[0] in _LAYOUT or _SAYS_LITTLE.issuperset(words):
        return "a sign of interfaces"
    if words[-1] in _CROSSED_OUT and tuple(words[:-1]) in bases:
        return "crossed out"
    return ""


def _is_brand(words: Sequence[str], categories: Sequence[str]) -> bool:
    filed = any(re.match(r"brand|logo", category.lower()) for category in categories)
    named = words[:1] in (("brand",), ("logo",)) or {"logo", "logos"}.intersection(words[-1:])
    return filed or bool(named) or any(word in _BRANDS for word in (*words, "".join(words), "-".join(words)))


def _is_symbol(word: str) -> bool:
    return len(word) == 1 or (re.search(r"\d", word) is not None and word not in _WITH_DIGITS)


def _category_words(category: str) -> list[str]:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", category).lower()
    return re.sub(r"[^a-z ]", " ", words).split()
