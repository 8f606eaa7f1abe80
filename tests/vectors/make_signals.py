"""Vectors of docs/spec/signals.md: what a signal is, and which ones nobody should publish."""

from __future__ import annotations

from federation.local_errors.content import SignalDegenerate, SignalLowQuality, SignalMalformed
from tests.vectors.cases import Case, Json, accepted, refused

PDQ = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"
SHA256_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
SHA256_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
MD5_ABC = "900150983cd24fb0d6963f7d28e17f72"
MD5_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"


TLSH = "2bf02c11b71c0e48ea34fe68a6dcbe2cfb7cc3f0a25ebc3c4c9b8b6a2bda38b3f87c1f"
FRAME = PDQ + "58" + "00000000"
LATER = PDQ + "32" + "000003e8"
LINK = "https://example.org/news/%C3%BC?page=2&q=a%20b"


def _reads(desc: str, text: str, quality: int | None = None) -> Case:
    name, _, value = text.partition(":")
    value_hex = value.encode("ascii").hex() if name == "url" else value
    gives: Json = {"type": name, "value_hex": value_hex, "quality": quality}
    return accepted("signal", desc, gives, text=text, quality=quality)


def _accepted() -> list[Case]:
    return [
        _reads("the example of the page", f"pdq:{PDQ}", 88),
        _reads("a PDQ signal of unknown quality", f"pdq:{PDQ}"),
        _reads("a PDQ signal of quality 0", f"pdq:{PDQ}", 0),
        _reads("a PDQ signal of quality 100", f"pdq:{PDQ}", 100),
        _reads("a SHA-256 signal", f"sha256:{SHA256_ABC}"),
        _reads("an MD5 signal", f"md5:{MD5_ABC}"),
        _reads("an all-zero PDQ signal: the grammar allows it", "pdq:" + "0" * 64),
        _reads("the SHA-256 of the empty file: the grammar allows it", f"sha256:{SHA256_EMPTY}"),
        _reads("the TLSH of the page", f"tlsh:{TLSH}"),
        _reads("a video of one frame", f"vpdq:{FRAME}"),
        _reads("a video of two frames", f"vpdq:{FRAME}{LATER}"),
        _reads("a frame of quality 0: the grammar allows it", f"vpdq:{PDQ}0000000000"),
        _reads("a frame at the last time there is", f"vpdq:{PDQ}64ffffffff"),
        _reads("a video of 1,500 frames", "vpdq:" + _frames(1_500)),
        _reads("a link", f"url:{LINK}"),
        *[_reads(f"a link: {desc}", f"url:{link}") for desc, link in LINKS.items()],
        *[
            accepted("publishable", desc, None, text=text, quality=quality)
            for desc, text, quality in (
                ("publishable: PDQ of unknown quality", f"pdq:{PDQ}", None),
                ("publishable: PDQ of quality 50", f"pdq:{PDQ}", 50),
                ("publishable: SHA-256", f"sha256:{SHA256_ABC}", None),
                ("publishable: MD5", f"md5:{MD5_ABC}", None),
                ("publishable: a video", f"vpdq:{FRAME}{LATER}", None),
                ("publishable: a link", f"url:{LINK}", None),
                ("publishable: a TLSH", f"tlsh:{TLSH}", None),
                ("publishable: one bit set", "pdq:" + "0" * 63 + "1", 100),
            )
        ],
    ]


LINKS = {
    "nothing but a host": "http://example.org/",
    "a port that is not the default": "https://example.org:80/",
    "an international name in ASCII": "https://xn--bcher-kva.example/",
    "a name with an underscore": "http://my_site.example.org/",
    "an IPv4 address": "http://192.0.2.1:8080/a",
    "an IPv6 address": "http://[2001:db8::1]/a",
    "every plain character": "https://example.org/AZaz09-._~!$&'()*+,;=:@/?AZaz09-._~!$&'()*+,;=:@/?",
    "an encoded slash": "https://example.org/a%2Fb",
    "an empty segment": "https://example.org//a/",
    "tracking parameters, which stay": "https://example.org/?utm_source=x&fbclid=y",
    "2,048 bytes": "https://example.org/" + "a" * 2_028,
}
NO_LINKS = {
    "no path": "https://example.org",
    "another scheme": "ftp://example.org/",
    "a scheme in upper case": "HTTPS://example.org/",
    "a host in upper case": "https://Example.org/",
    "no host": "https:///a",
    "a user": "https://user@example.org/",
    "a default port": "https://example.org:443/",
    "http's default port": "http://example.org:80/",
    "a port with a leading zero": "https://example.org:08080/",
    "a port over 65535": "https://example.org:65536/",
    "an empty port": "https://example.org:/",
    "a name with a dot at its end": "https://example.org./",
    "a name with an empty label": "https://example..org/",
    "a label of 64 characters": "https://" + "a" * 64 + ".example/",
    "a name of 254 characters": "https://" + "a." * 126 + "aa/",
    "a fragment": "https://example.org/#a",
    "an empty query": "https://example.org/?",
    "a dot segment": "https://example.org/a/./b",
    "a dot segment at the end": "https://example.org/a/..",
    "an encoded letter": "https://example.org/%41",
    "an encoding in lower case": "https://example.org/%c3%bc",
    "half an encoding": "https://example.org/%4",
    "a percent sign": "https://example.org/100%",
    "a space": "https://example.org/a b",
    "a letter outside ASCII": "https://example.org/\u00fc",
    "a square bracket in the query": "https://example.org/?a[]=1",
    "a backslash": "https://example.org/a\\b",
    "a line feed at the end": "https://example.org/\n",
    "2,049 bytes": "https://example.org/" + "a" * 2_029,
}


def _frames(count: int) -> str:
    return "".join(f"{PDQ}58{1_000 * at:08x}" for at in range(count))


MALFORMED: dict[str, tuple[str, int | None]] = {
    "no characters": ("", None),
    "no type": (PDQ, None),
    "an empty type": (f":{PDQ}", None),
    "no value": ("pdq:", None),
    "an unknown type": (f"photodna:{PDQ}", None),
    "a type in upper case": (f"PDQ:{PDQ}", None),
    "a value in upper case": (f"pdq:{PDQ.upper()}", None),
    "a value with one upper-case digit": (f"pdq:{PDQ[:-3]}B22", None),
    "a digit too few": (f"pdq:{PDQ[:-1]}", None),
    "a byte too few": (f"pdq:{PDQ[:-2]}", None),
    "a byte too many": (f"pdq:{PDQ}00", None),
    "a SHA-256 that is as short as an MD5": (f"sha256:{MD5_ABC}", None),
    "an MD5 that is as long as a SHA-256": (f"md5:{SHA256_ABC}", None),
    "a digit that is not hex": (f"pdq:{PDQ[:-1]}g", None),
    "a digit of another script": (f"pdq:{PDQ[:-1]}\u0661", None),
    "spaces between the digits": (f"pdq:{PDQ[:31]} {PDQ[32:]}", None),
    "a line feed at the end": (f"pdq:{PDQ}\n", None),
    "a line feed in place of the last digit": (f"pdq:{PDQ[:-1]}\n", None),
    "0x before the value": (f"pdq:0x{PDQ[2:]}", None),
    "a space before the type": (f" pdq:{PDQ}", None),
    "a quality below 0": (f"pdq:{PDQ}", -1),
    "a quality above 100": (f"pdq:{PDQ}", 101),
    "a quality on a SHA-256": (f"sha256:{SHA256_ABC}", 100),
    "a quality on an MD5": (f"md5:{MD5_ABC}", 0),
    "a quality on a video": (f"vpdq:{FRAME}", 88),
    "a quality on a link": (f"url:{LINK}", 88),
    "a quality on a TLSH": (f"tlsh:{TLSH}", 88),
    "a TLSH as others write it": (f"tlsh:T1{TLSH.upper()}", None),
    "a TLSH with a byte too few": (f"tlsh:{TLSH[2:]}", None),
    "a video without frames": ("vpdq:", None),
    "a video that ends within a frame": (f"vpdq:{FRAME}{LATER[:-2]}", None),
    "a video of half a byte more": (f"vpdq:{FRAME}0", None),
    "a video whose frames are out of order": (f"vpdq:{LATER}{FRAME}", None),
    "a video with two frames at one time": (f"vpdq:{FRAME}{FRAME}", None),
    "a video with a frame of quality 101": (f"vpdq:{PDQ}6500000000", None),
    "a video of 1,501 frames": ("vpdq:" + _frames(1_501), None),
    **{f"a link with {desc}": (f"url:{link}", None) for desc, link in NO_LINKS.items()},
}


def _refused() -> list[Case]:
    unpublishable = (
        ("PDQ of quality 49", f"pdq:{PDQ}", 49, SignalLowQuality),
        ("PDQ of quality 0", f"pdq:{PDQ}", 0, SignalLowQuality),
        ("an all-zero PDQ signal", "pdq:" + "0" * 64, 100, SignalDegenerate),
        ("an all-one PDQ signal", "pdq:" + "f" * 64, 100, SignalDegenerate),
        ("an all-zero PDQ signal of low quality", "pdq:" + "0" * 64, 0, SignalDegenerate),
        ("an all-zero SHA-256", "sha256:" + "0" * 64, None, SignalDegenerate),
        ("an all-zero MD5", "md5:" + "0" * 32, None, SignalDegenerate),
        ("the SHA-256 of the empty file", f"sha256:{SHA256_EMPTY}", None, SignalDegenerate),
        ("an all-zero TLSH", "tlsh:" + "0" * 70, None, SignalDegenerate),
        ("a video with a frame of quality 49", f"vpdq:{PDQ}3100000000", None, SignalLowQuality),
        ("a video with a black frame", "vpdq:" + "0" * 64 + "6400000000", None, SignalDegenerate),
        ("the MD5 of the empty file", f"md5:{MD5_EMPTY}", None, SignalDegenerate),
    )
    return [
        *[
            refused("signal", desc, SignalMalformed, text=text, quality=quality)
            for desc, (text, quality) in MALFORMED.items()
        ],
        *[
            refused("publishable", f"unpublishable: {desc}", error, text=text, quality=quality)
            for desc, text, quality, error in unpublishable
        ],
    ]


def cases() -> list[Case]:
    """All cases."""
    return [*_accepted(), *_refused()]
