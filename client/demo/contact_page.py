"""The contact sheet as a page that stands alone: pictures inside, light and dark, any width."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from twinshelf.client.demo.held_out import MATCH_COUNT, MatchedOffer, photo_path
from twinshelf.client.demo.report import offer_name
from twinshelf.client.demo.thumbnails import data_uri, load_thumbnail

THUMBNAIL_PX = 200

_STYLE = """
:root { color-scheme: light dark; --ground: #f3f2ee; --card: #fff; --offer: #e8ecf5;
  --edge: #dddbd5; --ink: #1c1e22; --faint: #6b6e75; --track: #e8e7e3;
  --right: #168a52; --wrong: #c43e32; }
@media (prefers-color-scheme: dark) { :root { --ground: #15171b; --card: #20242a;
  --offer: #263047; --edge: #343a43; --ink: #eceef1; --faint: #9aa0aa; --track: #3a404a;
  --right: #3fbf80; --wrong: #f0776b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1320px; padding: 2.5rem 1.5rem 4rem; background: var(--ground);
  color: var(--ink); font: 15px/1.4 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { margin: 0; font-size: 2rem; letter-spacing: -.02em; }
header p { margin: .3rem 0 2rem; color: var(--faint); font-size: 1.05rem; }
article { display: grid; grid-template-columns: minmax(0, 1.1fr) 2rem repeat(COUNT, minmax(0, 1fr));
  gap: .8rem; align-items: stretch; margin-bottom: 1.2rem; }
figure { margin: 0; padding: .7rem; border-radius: 14px; background: var(--card);
  border: 1px solid var(--edge); position: relative; min-width: 0; }
figure.offer { background: var(--offer); border-color: transparent; }
figure.right { border: 2px solid var(--right); }
figure.missed { border: 2px solid var(--wrong); }
figure img, figure .none { display: block; width: 100%; aspect-ratio: 1; object-fit: contain;
  border-radius: 8px; background: #fff; }
figure .none { display: grid; place-items: center; color: #6b6e75; }
.arrow { align-self: center; text-align: center; font-size: 1.6rem; }
.arrow.right { color: var(--right); } .arrow.missed { color: var(--wrong); }
.bar { height: 6px; margin: .6rem 0 .35rem; border-radius: 3px; background: var(--track); }
.bar i { display: block; height: 100%; border-radius: 3px; background: var(--faint); }
.right .bar i { background: var(--right); } .missed .bar i { background: var(--wrong); }
.facts { display: flex; justify-content: space-between; align-items: baseline;
  font-variant-numeric: tabular-nums; color: var(--faint); font-size: .85rem; }
.facts b { font-size: 1.15rem; color: var(--ink); }
.right .facts b { color: var(--right); } .missed .facts b { color: var(--wrong); }
.label { margin-top: .6rem; font-size: .75rem; letter-spacing: .08em; color: var(--faint); }
figcaption p { margin: .2rem 0 0; overflow-wrap: anywhere; }
.badge { position: absolute; top: 1.1rem; right: 1.1rem; padding: .1rem .5rem; border-radius: 8px;
  background: #168a52; color: #fff; font-size: .8rem; font-weight: 600; }
@media (max-width: 900px) { article { grid-template-columns: repeat(3, minmax(0, 1fr));
  padding-bottom: 1.2rem; border-bottom: 1px solid var(--edge); } .arrow { display: none; } }
"""


def write_page(path: Path, matched: Sequence[MatchedOffer], *, title: str, subtitle: str) -> None:
    """Writes the page.

    Args:
        path: HTML file to write.
        matched: One row each.
        title: Headline.
        subtitle: Line below it.
    """
    rows = "\n".join(_row(each) for each in matched)
    style = _STYLE.replace("COUNT", str(MATCH_COUNT))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{html.escape(title)}</h1><p>{html.escape(subtitle)}</p></header>
<main>
{rows}
</main>
</body>
</html>
""",
        encoding="utf-8",
    )


def _row(matched: MatchedOffer) -> str:
    name = offer_name(matched)
    state = "right" if matched.found else "missed"
    figures = "".join(_match(matched, rank) for rank in range(len(matched.matches)))
    return (
        f'<article><figure class="offer">{_picture(photo_path(matched.offer), name)}'
        f'<figcaption><div class="label">OFFER</div><p>{html.escape(name)}</p></figcaption>'
        f'</figure><div class="arrow {state}" aria-hidden="true">→</div>{figures}</article>'
    )


def _match(matched: MatchedOffer, rank: int) -> str:
    match, is_right = matched.matches[rank], matched.is_right[rank]
    # A wrong answer is only an error where it stands first.
    state = "right" if is_right else ("missed" if rank == 0 else "")
    name = match.product.title or match.product.product_id
    badge = '<span class="badge">right</span>' if is_right else ""
    width = max(0.0, min(1.0, match.probability))
    return (
        f'<figure class="{state}">{_picture(matched.photos[rank], name)}{badge}'
        f'<figcaption><div class="bar"><i style="width:{width:.1%}"></i></div>'
        f'<div class="facts"><b>{match.probability:.0%}</b><span>score {match.score:.2f}</span>'
        f"</div><p>{html.escape(name)}</p></figcaption></figure>"
    )


def _picture(path: Path | None, name: str) -> str:
    thumbnail = load_thumbnail(path, THUMBNAIL_PX)
    if thumbnail is None:
        return '<div class="none">no photo</div>'
    return f'<img src="{data_uri(thumbnail)}" alt="{html.escape(name, quote=True)}" loading="lazy">'
