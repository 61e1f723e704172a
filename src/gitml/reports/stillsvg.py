"""SVG that stands still: of what a chart was drawn as, only shapes and text are kept.

A file of SVG is a document: opened by its address, it could run scripts and load things. vl-convert writes neither, and
what a spec says is text to it; here nothing depends on that.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

_SVG = "http://www.w3.org/2000/svg"
_SHAPES = "svg g path line rect circle text tspan title defs clipPath linearGradient radialGradient stop"
_LOOKS = """
transform d x y x1 y1 x2 y2 cx cy r rx ry fx fy fr dx dy width height viewBox version id display offset opacity
clip-path fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-dasharray stroke-dashoffset
stroke-linecap stroke-linejoin stroke-miterlimit stop-color stop-opacity gradientUnits gradientTransform
text-anchor dominant-baseline font-family font-size font-weight font-style font-variant
"""
_ELEMENTS, _ATTRIBUTES = frozenset(_SHAPES.split()), frozenset(_LOOKS.split())
_HERE = re.compile(r"url\(#[A-Za-z0-9_-]+\)")


def still_svg(text: str) -> bytes:
    """The picture without what is no shape or text, as UTF-8. Raises ValueError for what is no SVG.

    >>> still_svg('<svg xmlns="http://www.w3.org/2000/svg" onload="x()"><script>y()</script><g fill="red"/></svg>')
    b'<svg xmlns="http://www.w3.org/2000/svg"><g fill="red" /></svg>'
    """
    # Neither a document type with entities nor a comment: text has &lt; in its place.
    if "<!" in text or "<?" in text:
        raise ValueError("it is no plain SVG")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  no entities: see above
    except ElementTree.ParseError as exc:
        raise ValueError(f"it is no SVG: {exc}") from exc
    if root.tag != f"{{{_SVG}}}svg":
        raise ValueError("it is no SVG")
    _cleaned(root)
    root.set("xmlns", _SVG)
    return ElementTree.tostring(root, encoding="unicode").encode("utf-8", "xmlcharrefreplace")


def _cleaned(element: ElementTree.Element) -> None:
    """It and all below it, without their namespace."""
    element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    for name, value in list(element.attrib.items()):
        if name not in _ATTRIBUTES or "url(" in _HERE.sub("", value):
            del element.attrib[name]
    for child in list(element):
        if child.tag.removeprefix(f"{{{_SVG}}}") in _ELEMENTS:
            _cleaned(child)
        else:
            element.remove(child)


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height in pixels; 0 where it does not say them.

    >>> size_of(b'<svg xmlns="http://www.w3.org/2000/svg" width="386" height="364.5"></svg>')
    (386, 365)
    """
    head = picture.partition(b">")[0]
    width, height = (re.search(rb' %s="([0-9]+(?:\.[0-9]+)?)"' % name, head) for name in (b"width", b"height"))
    return (_whole(width), _whole(height))


def _whole(found: re.Match[bytes] | None) -> int:
    return round(float(found[1]) + 0.49) if found else 0
