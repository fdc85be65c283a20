"""Showing a run to the user: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from netspec.training.report import EpochReport, Plan, Summary, Tick

LINE_EVERY = 30.0  # seconds between lines within an epoch, where there is no terminal


class Progress(Protocol):
    """Hears what a run tells, in this order: begin, then tick and epoch, then end; warn at any time."""

    def begin(self, plan: Plan) -> None:
        """The run starts."""

    def tick(self, tick: Tick) -> None:
        """Some steps of an epoch are done; comes about twice a second."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch is trained and validated."""

    def warn(self, message: str) -> None:
        """Something that the user should know, which does not end the run."""

    def end(self) -> None:
        """The run is over, well or not; comes always."""

    def summary(self, summary: Summary) -> None:
        """How a run ended that was not broken off by a fault."""


class Silent:
    """Says nothing."""

    def begin(self, plan: Plan) -> None: ...
    def tick(self, tick: Tick) -> None: ...
    def epoch(self, report: EpochReport) -> None: ...
    def warn(self, message: str) -> None: ...
    def end(self) -> None: ...
    def summary(self, summary: Summary) -> None: ...


class Lines:
    """Plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.next_line = 0.0
        self.plan: Plan | None = None

    def begin(self, plan: Plan) -> None:
        """Say what is trained on what."""
        self.plan = plan
        self.next_line = time.monotonic() + LINE_EVERY
        self.print(
            f"{plan.parameters:,} parameters on {plan.data} ({plan.train_images:,} images to train on, "
            f"{plan.val_images:,} to validate on, {plan.classes} classes)"
        )
        together = f", {plan.processes} processes" if plan.processes > 1 else ""
        source = f", recipe: {plan.citation}" if plan.citation else ""
        self.print(f"on {plan.machine}{together}{source}")
        epochs = f"{plan.epochs} epoch{'s' * (plan.epochs != 1)}"
        steps = f"{plan.steps_per_epoch:,} step{'s' * (plan.steps_per_epoch != 1)}"
        self.print(f"{epochs} of {steps} of {plan.batch} images, saved in {plan.out}")
        if plan.done:
            self.print(f"going on after {plan.done:,} steps")

    def tick(self, tick: Tick) -> None:
        """A line now and then, so that a long epoch is not silent."""
        if self.plan and time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + LINE_EVERY
            self.print(f"epoch {tick.epoch}/{self.plan.epochs}  {_where(tick, self.plan)}")

    def epoch(self, report: EpochReport) -> None:
        """One line for each epoch."""
        self.next_line = time.monotonic() + LINE_EVERY
        epochs = self.plan.epochs if self.plan else report.epoch
        self.print(
            f"epoch {report.epoch}/{epochs}  loss {report.loss:.4f}  accuracy {report.accuracy:.2%}  "
            f"val loss {report.val.loss:.4f}  top-1 error {report.val.top1_error:.2%}  "
            f"top-5 error {report.val.top5_error:.2%}  lr {report.lr:.3g}  "
            f"{report.images_per_second:,.0f} images/s ({report.waiting:.0%} waiting for images)  "
            f"{duration(report.seconds)}" + ("  best so far" if report.improved else "")
        )

    def warn(self, message: str) -> None:
        """A line that starts with `warning`."""
        self.print(f"warning: {message}")

    def end(self) -> None:
        """Nothing is left open."""

    def summary(self, summary: Summary) -> None:
        """How far the run got, its errors, its speed, and where the weights are."""
        done = "stopped early after" if summary.interrupted else "finished"
        epochs = f"{summary.epochs} epoch{'s' * (summary.epochs != 1)}"
        steps = f"{summary.steps:,} steps"
        speed = f"{summary.images_per_second:,.0f} images/s"
        self.print(f"{done} {epochs} ({steps}) in {duration(summary.seconds)}, {speed}")
        final = "final" if summary.final_view == "centre crop" else f"final ({summary.final_view})"
        best = f"best (epoch {summary.best_epoch}{', centre crop' if final != 'final' else ''})"
        for name, score in ((final, summary.final), (best, summary.best)):
            if score:
                errors = f"top-1 error {score.top1_error:.2%}, top-5 error {score.top5_error:.2%}"
                self.print(f"{name}: accuracy {1 - score.top1_error:.2%}, {errors}")
        self.print(f"weights: {summary.weights}")
        if summary.best_weights:
            self.print(f"best weights: {summary.best_weights}")
        if summary.interrupted:
            self.print(f"checkpoint: {summary.checkpoint}")
            self.print(f"go on with: netspec train --resume {summary.checkpoint.parent}")

    def print(self, line: str) -> None:
        """Write a line as it is."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class Live(Lines):
    """The same lines above a bar that moves."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[where]}"))
        self.bar = Bar(*columns, console=console, refresh_per_second=2, transient=True)
        self.task: TaskID | None = None

    def begin(self, plan: Plan) -> None:
        """Say what is trained on what, and show the bar."""
        super().begin(plan)
        self.task = self.bar.add_task("starting", total=plan.steps_per_epoch, where="")
        self.bar.start()

    def tick(self, tick: Tick) -> None:
        """Move the bar."""
        if self.plan and self.task is not None:
            where = _where(tick, self.plan)
            title = f"epoch {tick.epoch}/{self.plan.epochs}"
            self.bar.update(self.task, completed=tick.step, description=title, where=where)

    def end(self) -> None:
        """Take the bar away."""
        self.bar.stop()


def open_progress(console: Console | None = None) -> Progress:
    """A live display on a terminal, plain lines elsewhere."""
    console = console or Console()
    return Live(console) if console.is_terminal else Lines(console)


def duration(seconds: float) -> str:
    """Spell a time.

    >>> duration(5.25), duration(65), duration(7260)
    ('5.2s', '1m05s', '2h01m')
    """
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def _where(tick: Tick, plan: Plan) -> str:
    return (
        f"{tick.step}/{plan.steps_per_epoch}  loss {tick.loss:.4f}  accuracy {tick.accuracy:.1%}  "
        f"{tick.images_per_second:,.0f} images/s ({tick.waiting:.0%} waiting)  "
        f"{duration(tick.seconds_left)} left"
    )
