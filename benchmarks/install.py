"""Install netspec without extras into an empty virtual environment: time, size, and whether it works.

    python benchmarks/install.py

Targets: under 20 s, and under 60 MB for the whole environment; no torch, no numpy. Every command that needs
neither is then run in another folder; `netspec train` and `Network.module` must name the command that
installs what is missing. On a busy machine, compare the CPU time.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

ROOT = Path(__file__).parent.parent
MAX_SECONDS, MAX_MEGABYTES = 20, 60
ABSENT = ("torch", "numpy", "networkx")
COMMANDS = (
    "check vgg16",
    "check lenet --format json",
    "draw resnet18 -o resnet18.dot",
    "export alexnet -o alexnet.py",
    "fmt --check lenet.net",
    "zoo --family vgg",
    "zoo show resnet50",
)
ADVICE = "needs torch: pip install 'netspec[train]'"
MODULE = "import netspec; netspec.load('lenet').module()"


def main() -> None:
    """Install, measure, and run the commands; the exit status is 1 if one of them fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        empty = megabytes(folder / "venv")
        seconds, cpu = install(folder / "venv")
        whole = megabytes(folder / "venv")
        print(f"pip install netspec: {seconds:.1f} s (target {MAX_SECONDS}), {cpu:.1f} s of CPU time")
        print(
            f"environment: {whole:.1f} MB (target {MAX_MEGABYTES}), {whole - empty:.1f} MB of them installed"
        )
        shutil.copy(ROOT / "specs" / "lenet.net", folder)
        faults = [*run_commands(folder), *refusals(folder), *unwanted(folder)]
    print("\n".join(faults) or "every command works")
    sys.exit(bool(faults) or whole > MAX_MEGABYTES)


def install(environment: Path) -> tuple[float, float]:
    """Install this checkout with pip, and return the seconds of wall and CPU time that it took."""
    before, started = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", ROOT], check=True)
    seconds, after = time.perf_counter() - started, getrusage(RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def megabytes(folder: Path) -> float:
    """The size of all files in a folder, in millions of bytes."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink()) / 1e6


def run_commands(folder: Path) -> list[str]:
    """Run the commands that need no extra, and describe those that fail."""
    commands = [*COMMANDS, *(["draw resnet18 -o resnet18.svg"] if shutil.which("dot") else [])]
    netspec = folder / "venv" / "bin" / "netspec"
    runs = [(f"netspec {command}", run([netspec, *command.split()], folder)) for command in commands]
    return [f"{text} fails: {run.stderr.strip()}" for text, run in runs if run.returncode]


def refusals(folder: Path) -> list[str]:
    """Run what needs torch, and describe an error that does not say how to install it."""
    bin_ = folder / "venv" / "bin"
    train = run([bin_ / "netspec", "train", "lenet", "--data", "digits"], folder)
    module = run([bin_ / "python", "-c", MODULE], folder)
    faults = []
    if train.returncode != 1 or len(train.stderr.splitlines()) != 1 or ADVICE not in train.stderr:
        faults.append(f"netspec train ends with {train.returncode} and says: {train.stderr.strip()}")
    if ADVICE not in module.stderr.strip().splitlines()[-1]:
        faults.append(f"Network.module says: {module.stderr.strip()}")
    return faults


def unwanted(folder: Path) -> list[str]:
    """Describe the installed packages that should not be there."""
    code = f"from importlib.util import find_spec; print(*filter(find_spec, {ABSENT}))"
    found = run([folder / "venv" / "bin" / "python", "-c", code], folder).stdout.split()
    return [f"{name} is installed" for name in found]


def run(command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, and keep what it prints."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


if __name__ == "__main__":
    main()
