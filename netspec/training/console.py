"""Shows the progress of a run on the console: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from netspec.diagnostics import one_line
from netspec.evaluation.metrics import Score, has_top5
from netspec.evaluation.run import Run
from netspec.training.callbacks import Callback, EpochReport, Progress

if TYPE_CHECKING:
    from netspec.training.state import RunState

LINE_EVERY = 30.0
"""The seconds between lines within an epoch, if the output is not a terminal."""


def console_callback(console: Console | None = None) -> Callback:
    """Return a callback that shows a live bar on a terminal and prints plain lines elsewhere."""
    console = console or Console()
    return ConsoleBar(console) if console.is_terminal else ConsoleLines(console)


class ConsoleLines(Callback):
    """Shows progress as plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.next_line = 0.0

    def on_start(self, state: RunState) -> None:
        """Print the data set, the network's size, the device, and the length of the run."""
        self.next_line = time.monotonic() + LINE_EVERY
        data, recipe = state.data, state.recipe
        self.print(
            f"{state.parameters:,} parameters on {data.name} ({data.train_images:,} training images, "
            f"{data.val_images:,} validation images, {len(data.class_names)} classes)"
        )
        more = " ..." if len(data.class_names) > 10 else ""
        self.print(f"classes: {', '.join(map(one_line, data.class_names[:10]))}{more}")
        processes = f", {state.processes.world} processes" if state.processes.world > 1 else ""
        citation = f", recipe: {state.citation}" if state.citation else ""
        self.print(f"on {state.execution}{processes}{citation}")
        epochs = f"{recipe.epochs} epoch{'s' * (recipe.epochs != 1)}"
        steps = f"{state.batches.steps:,} step{'s' * (state.batches.steps != 1)}"
        self.print(f"{epochs} of {steps} of {state.batches.batch} images; the run is saved in {state.out}")
        if state.step:
            self.print(f"resuming after {state.step:,} steps")

    def on_progress(self, state: RunState, progress: Progress) -> None:
        """Print a line if LINE_EVERY seconds have passed since the last one."""
        if time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + LINE_EVERY
            self.print(f"epoch {progress.epoch}/{state.recipe.epochs}  {_describe(progress, state)}")

    def on_epoch_saved(self, state: RunState, report: EpochReport) -> None:
        """Print a line for each epoch."""
        self.next_line = time.monotonic() + LINE_EVERY
        self.print(
            f"epoch {report.epoch}/{state.recipe.epochs}  loss {report.loss:.4f}  "
            f"accuracy {report.accuracy:.2%}  val loss {report.val.loss:.4f}  "
            f"{'  '.join(errors(report.val, len(state.data.class_names)))}  "
            f"lr {report.lr:.3g}  {report.images_per_second:,.0f} images/s "
            f"({report.waiting:.0%} waiting for images)  "
            f"{duration(report.seconds)}" + ("  best so far" if report.improved else "")
        )

    def on_end(self, state: RunState, run: Run) -> None:
        """Print the duration, scores and files of the run."""
        self.close()
        outcome = "stopped early after" if run.interrupted else "finished"
        epochs = f"{run.epochs} epoch{'s' * (run.epochs != 1)}"
        speed = f"{run.images_per_second:,.0f} images/s"
        self.print(f"{outcome} {epochs} ({run.steps:,} steps) in {duration(run.seconds)}, {speed}")
        final = "final" if run.final_view == "centre crop" else f"final ({run.final_view})"
        best = f"best (epoch {run.best_epoch}{', centre crop' if final != 'final' else ''})"
        for name, score in ((final, run.final), (best, run.best)):
            if score:
                shown = ", ".join(errors(score, len(state.data.class_names)))
                self.print(f"{name}: accuracy {1 - score.top1_error:.2%}, {shown}")
        self.print(f"weights: {run.weights}")
        if run.best_weights:
            self.print(f"best weights: {run.best_weights}")
        if run.interrupted:
            self.print(f"checkpoint: {run.checkpoint}")
            self.print(f"resume with: netspec train --resume {run.folder}")

    def print(self, line: str) -> None:
        """Print a line without markup or wrapping."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class ConsoleBar(ConsoleLines):
    """Shows the lines of `ConsoleLines` above a progress bar."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
        self.bar = Bar(*columns, console=console, refresh_per_second=2, transient=True)
        self.task: TaskID | None = None

    def on_start(self, state: RunState) -> None:
        """Print the first lines and show the bar."""
        super().on_start(state)
        self.task = self.bar.add_task("starting", total=state.batches.steps, text="")
        self.bar.start()

    def on_progress(self, state: RunState, progress: Progress) -> None:
        """Update the bar."""
        if self.task is not None:
            title, text = f"epoch {progress.epoch}/{state.recipe.epochs}", _describe(progress, state)
            self.bar.update(self.task, completed=progress.step, description=title, text=text)

    def close(self) -> None:
        """Remove the bar."""
        self.bar.stop()


def errors(score: Score, classes: int) -> list[str]:
    """Return the errors of a score as text, without the top-5 error if there are too few classes."""
    top5 = [f"top-5 error {score.top5_error:.2%}"] if has_top5(classes) else []
    return [f"top-1 error {score.top1_error:.2%}", *top5]


def duration(seconds: float) -> str:
    """Return a duration as text.

    >>> duration(5.25), duration(65), duration(7260)
    ('5.2s', '1m05s', '2h01m')
    """
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def _describe(progress: Progress, state: RunState) -> str:
    return (
        f"{progress.step}/{state.batches.steps}  loss {progress.loss:.4f}  "
        f"accuracy {progress.accuracy:.1%}  {progress.images_per_second:,.0f} images/s "
        f"({progress.waiting:.0%} waiting)  {duration(progress.seconds_left)} left"
    )
