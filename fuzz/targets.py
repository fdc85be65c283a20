"""The targets of the fuzzer: specs, settings, images, checkpoints, ONNX models and data sets."""

from __future__ import annotations

import io
import random
from pathlib import Path

from fuzz import checkpoints, datasets, models, specs
from fuzz.damage import damage
from fuzz.harness import Target

TARGETS: dict[str, Target] = {}


def spec(content: bytes) -> None:
    """Check a spec; if it is accepted, also compile, draw, tabulate and format it."""
    from netspec.checker import check_source
    from netspec.diagnostics import Source, render
    from netspec.language.formatter import format_source
    from netspec.network import Network

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    source = Source("fuzz.net", text)
    report = check_source(source, Path())
    for diagnostic in report.diagnostics:
        render(diagnostic)
        assert diagnostic.message
    if report.net is not None and len(report.net.nodes) < 300:
        network = Network(report.net, report=report)
        compile(network.source(), "fuzz.py", "exec")
        assert network.dot()
        assert network.table()
        assert network.to_dict()
        formatted = format_source(source)
        assert format_source(Source("fuzz.net", formatted)) == formatted
        again = check_source(Source("fuzz.net", formatted), Path()).require()
        assert again.totals == report.net.totals


def setting(content: bytes) -> None:
    """Parse a text as a setting, as an input shape, and as a count."""
    from netspec.errors import SettingError
    from netspec.language.settings import read_count, read_setting, read_shape

    text = content.decode("utf-8", errors="replace")
    for read in (read_setting, read_shape, read_count):
        try:
            read(text)
        except SettingError:
            continue


def make_setting(draw: random.Random) -> bytes:
    value = specs.expression(draw, 2)
    return draw.choice([f"n={value}", value, f"train.optimizer={value}", f"image={value}"]).encode()


IMAGES = {
    "JPEG": {},
    "PNG": {},
    "GIF": {},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {},
    "PPM": {},
}


def make_image(draw: random.Random) -> bytes:
    """Return a damaged image file of a random format and mode."""
    from PIL import Image

    mode = draw.choice(["RGB", "L", "P", "CMYK", "I;16", "1", "RGBA", "F"])
    kind = draw.choice(list(IMAGES))
    size = draw.choice([(1, 1), (7, 5), (64, 48), (300, 2)])
    out = io.BytesIO()
    try:
        Image.new(mode, size).save(out, kind, **IMAGES[kind])
    except (OSError, ValueError, KeyError):  # no format supports every mode
        Image.new("RGB", size, (200, 30, 90)).save(out, kind, **IMAGES[kind])
    return damage(draw, out.getvalue())


def image(content: bytes) -> None:
    """Decode an image to H x W x 3; if this fails, the result must give a reason."""
    from netspec.transforms.pixels import DECODE_ERRORS, decode, reason

    try:
        pixels = decode(content)
    except DECODE_ERRORS as error:
        explanation = reason(error)
    else:
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        return
    assert explanation


for target in (
    Target("spec", ".net", specs.make, spec),
    Target("setting", ".txt", make_setting, setting),
    Target("image", ".bin", make_image, image, ("netspec.transforms.pixels",)),
    Target(
        "checkpoint",
        ".pt",
        checkpoints.make,
        checkpoints.run,
        checkpoints.IMPORTS,
    ),
    Target("onnx", ".onnx", models.make, models.run, ("netspec.frontends.onnx",)),
    Target("dataset", ".tar", datasets.make, datasets.run, ("netspec.datasets.packed",)),
):
    TARGETS[target.name] = target
