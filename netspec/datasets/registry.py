"""The registry of data sets. torch is imported only when a data set is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from netspec.errors import DataError
from netspec.registry import Registry, resolve

if TYPE_CHECKING:
    from netspec.datasets.base import Data


@dataclass(frozen=True)
class Request:
    """The information that an opener needs to open a data set.

    `name` is the full name that the user wrote, and `argument` the text after its colon. `root` is the folder
    of the files. If a data set has no validation images, the fraction `val_share` of each class, drawn at
    random with `seed`, is held out for validation. `download` allows downloading missing files.
    """

    name: str
    argument: str = ""
    root: Path | None = None
    val_share: float = 0.2
    seed: int = 0
    download: bool = True


Opener: TypeAlias = "Callable[[DataSet, Request], Data]"


@dataclass(frozen=True)
class DataSet:
    """A data set, or a kind of data set whose name is followed by `:` and an argument.

    Args:
        name: The name that users write.
        contents: A description of the data set, in one line of Markdown.
        opener: A function that takes this entry and a Request and returns a `netspec.datasets.base.Data`.
            If it is given as "module:function", it is imported when the data set is opened.
        form: The text that follows the name: ":PATH", or "[:CLASSES]" if it is optional.
        root: Whether the parameter `root`, the folder of the files, is optional, required or not accepted.
        classes, channels, train_images, val_images: Counts, if they are known without opening the data set.
        counter: "module:function", which names a function that takes a Request and returns a
            `netspec.datasets.info.DatasetInfo` without opening the data set; empty if there is none.
        photos: Whether the data set consists of image files of any size, which `netspec prepare` can copy.
    """

    name: str
    contents: str
    opener: str | Opener
    form: str = ""
    root: Literal["optional", "required", "none"] = "none"
    classes: int | None = None
    channels: int | None = None
    train_images: int | None = None
    val_images: int | None = None
    counter: str = ""
    photos: bool = False

    @property
    def spelling(self) -> str:
        """The name with its argument, such as `folder:PATH` or `mnist`."""
        return self.name + self.form

    def open(self, request: Request) -> Data:
        """Open the data set; raises DataError if it is missing or cannot be read."""
        opener = self.opener if callable(self.opener) else resolve(self.opener)
        data: Data = opener(self, request)
        return data


@dataclass(frozen=True)
class TorchvisionSet(DataSet):
    """A data set that `torchvision.datasets` reads and downloads.

    Args:
        torchvision: The name of torchvision's class.
        train, val: Arguments of that class for the training and the validation images. Without `val`, a
            share of the training images is held out.
        prefixes: For MNIST's file format: the prefixes of the names of the training and validation files.
        size: The height and width of each image in pixels, if it is the same for all.
    """

    torchvision: str = ""
    train: Mapping[str, object] = field(default_factory=dict)
    val: Mapping[str, object] | None = None
    prefixes: tuple[str, str] = ("train", "t10k")
    size: int | None = None


_HERE = "netspec.datasets"
_SETS = f"{_HERE}.torchvision_sets"
Counts: TypeAlias = tuple[int, int, int, int]
"""The numbers of classes, channels, training images and validation images."""


def _idx(name: str, torchvision: str, contents: str, *counts: int, **parts: Any) -> DataSet:
    """Return an entry for MNIST's format. `counts` are classes, training images and validation images."""
    classes, train, val = counts
    parts |= {"torchvision": torchvision, "size": 28}
    return TorchvisionSet(
        name, contents, f"{_SETS}:open_idx", "", "optional", classes, 1, train, val, **parts
    )


def _arrays(
    name: str, torchvision: str, contents: str, size: int, counts: Counts, train: object, val: object
) -> DataSet:
    """Return an entry for images of one size, which torchvision reads into an array."""
    parts: dict[str, Any] = {"torchvision": torchvision, "size": size, **_parts(train, val)}
    return TorchvisionSet(name, contents, f"{_SETS}:open_arrays", "", "optional", *counts, **parts)


def _photos(
    name: str, torchvision: str, contents: str, counts: Counts, train: object = None, val: object = None
) -> DataSet:
    """Return an entry for RGB image files of any size, which are read during training."""
    parts: dict[str, Any] = {"torchvision": torchvision, "photos": True, **_parts(train, val)}
    return TorchvisionSet(name, contents, f"{_SETS}:open_photos", "", "optional", *counts, **parts)


def _parts(train: object, val: object) -> dict[str, Any]:
    """Return torchvision's arguments for training and validation: `train=True`, or the name of a split."""
    if train is None:
        return {}
    argument = "train" if isinstance(train, bool) else "split"
    return {"train": {argument: train}, "val": {argument: val}}


def _emnist(split: str, classes: int, train: int, val: int) -> DataSet:
    name, contents = f"emnist-{split}", f"handwritten characters, split `{split}`, transposed as published"
    prefixes = (f"emnist-{split}-train", f"emnist-{split}-test")
    contents += " (Cohen et al., 2017)"
    return _idx(name, "EMNIST", contents, classes, train, val, train={"split": split}, prefixes=prefixes)


ROWS: tuple[DataSet, ...] = (
    _idx("mnist", "MNIST", "handwritten digits (LeCun et al., 1998)", 10, 60_000, 10_000),
    _idx("fashion-mnist", "FashionMNIST", "clothes (Xiao et al., 2017)", 10, 60_000, 10_000),
    _idx("kmnist", "KMNIST", "cursive Japanese characters (Clanuwat et al., 2018)", 10, 60_000, 10_000),
    _emnist("balanced", 47, 112_800, 18_800),
    _emnist("byclass", 62, 697_932, 116_323),
    _emnist("bymerge", 47, 697_932, 116_323),
    _emnist("digits", 10, 240_000, 40_000),
    _emnist("letters", 26, 124_800, 20_800),
    _emnist("mnist", 10, 60_000, 10_000),
    _arrays("usps", "USPS", "digits of postal codes (Hull, 1994)", 16, (10, 1, 7_291, 2_007), True, False),
    _arrays("cifar10", "CIFAR10", "objects (Krizhevsky, 2009)", 32, (10, 3, 50_000, 10_000), True, False),
    _arrays("cifar100", "CIFAR100", "objects (Krizhevsky, 2009)", 32, (100, 3, 50_000, 10_000), True, False),
    _arrays(
        "svhn", "SVHN", "house numbers (Netzer et al., 2011)", 32, (10, 3, 73_257, 26_032), "train", "test"
    ),
    _arrays("stl10", "STL10", "objects (Coates et al., 2011)", 96, (10, 3, 5_000, 8_000), "train", "test"),
    _photos("food101", "Food101", "dishes (Bossard et al., 2014)", (101, 3, 75_750, 25_250), "train", "test"),
    _photos(
        "flowers102", "Flowers102", "flowers (Nilsback et al., 2008)", (102, 3, 1_020, 1_020), "train", "val"
    ),
    _photos(
        "oxford-iiit-pet",
        "OxfordIIITPet",
        "cats and dogs by breed (Parkhi et al., 2012)",
        (37, 3, 3_680, 3_669),
        "trainval",
        "test",
    ),
    _photos(
        "imagenette",
        "Imagenette",
        "ten classes of ImageNet (Howard, 2019)",
        (10, 3, 9_469, 3_925),
        "train",
        "val",
    ),
    _photos(
        "gtsrb", "GTSRB", "traffic signs (Stallkamp et al., 2011)", (43, 3, 26_640, 12_630), "train", "test"
    ),
    _photos("dtd", "DTD", "textures (Cimpoi et al., 2014)", (47, 3, 1_880, 1_880), "train", "val"),
    _photos(
        "fgvc-aircraft",
        "FGVCAircraft",
        "aircraft (Maji et al., 2013)",
        (100, 3, 3_334, 3_333),
        "train",
        "val",
    ),
    _photos(
        "country211",
        "Country211",
        "photos by country (Radford et al., 2021)",
        (211, 3, 31_650, 10_550),
        "train",
        "valid",
    ),
    _photos(
        "eurosat",
        "EuroSAT",
        "satellite images, of which a share is held out (Helber et al., 2019)",
        (10, 3, 21_600, 5_400),
    ),
    DataSet(
        "digits",
        "scikit-learn's digits of 8 x 8 pixels, which need no download (Alpaydin and Kaynak, 1998)",
        f"{_SETS}:open_digits",
        "",
        "none",
        *(10, 1, 1_442, 355),
    ),
    DataSet(
        "imagenet",
        "ILSVRC 2012: `train/WNID/` and `val/WNID/`, or its three archives",
        f"{_HERE}.image_folder:open_imagenet",
        "",
        "required",
        *(1000, 3, 1_281_167, 50_000),
        photos=True,
    ),
    DataSet(
        "folder",
        "images in `PATH/train/CLASS/` and `PATH/val/CLASS/`; or in `PATH/CLASS/`, with a share held out",
        f"{_HERE}.image_folder:open_folder",
        ":PATH",
        counter=f"{_HERE}.info:count_folder",
        photos=True,
    ),
    DataSet("prepared", "a copy that `netspec prepare` wrote", f"{_HERE}.packed:open_prepared", ":PATH"),
    DataSet(
        "shards",
        "uncompressed WebDataset archives in a folder, with the word train or val in their names",
        f"{_HERE}.webdataset:open_shards",
        ":PATH",
    ),
    DataSet(
        "synthetic",
        "one batch of noise, repeated; 1000 classes by default",
        f"{_HERE}.in_memory:open_synthetic",
        "[:CLASSES]",
    ),
)

DATASETS: Registry[DataSet] = Registry("data set", "netspec.datasets")
"""All data sets, keyed by name; plug-ins add entries in the entry-point group `netspec.datasets`."""

for _row in ROWS:
    DATASETS.add(_row.name, _row)


def find_row(name: str) -> tuple[DataSet, str]:
    """Return the registry entry and the argument after the colon; raises DataError if the name is invalid."""
    kind, colon, argument = name.partition(":")
    row = DATASETS.find(kind)
    if row is None or (colon and not row.form):
        raise DataError(f"unknown data set {name}: {DATASETS.suggest(kind)}", wrong_use=True)
    if not argument and row.form.startswith(":"):
        raise DataError(f"{name} has no {row.form[1:].lower()}: write {row.spelling}", wrong_use=True)
    return row, argument


def open_data(
    name: str, root: Path | None = None, *, val_share: float = 0.2, seed: int = 0, download: bool = True
) -> Data:
    """Open a data set by name. Its classes and counts are known at once; images are read during training.

    `root` is the folder of the data set's files. If they are missing, they are downloaded to this folder,
    unless `download` is false. `val_share` is the fraction of a folder without `val/` that is held out for
    validation, drawn with `seed`.

    Raises:
        DataError: the data set is unknown, missing or damaged, or cannot be downloaded.
    """
    row, argument = find_row(name)
    if root is not None and row.root == "none":
        raise DataError(f"{name} does not take `root`, but {root} was given: leave it out", wrong_use=True)
    if root is None and row.root == "required":
        raise DataError(f"{name} cannot be downloaded: name its folder with `root`", wrong_use=True)
    return row.open(Request(name, argument, root, val_share, seed, download))


def located(name: str) -> str:
    """Return a data set's name with its path made absolute, so that it works in every working directory.

    >>> located("mnist"), located("folder:/photos")
    ('mnist', 'folder:/photos')
    """
    kind, _, path = name.partition(":")
    row = DATASETS.find(kind)
    return f"{kind}:{Path(path).absolute()}" if path and row and row.form == ":PATH" else name
