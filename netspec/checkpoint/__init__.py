"""The files of a training run, and the content of its checkpoints."""

from netspec.checkpoint.content import Checkpoint, read_checkpoint, read_content
from netspec.checkpoint.files import (
    BEST,
    CHECKPOINT,
    EVENTS,
    LOG,
    LOG_TABLE,
    RECIPE,
    WEIGHTS,
    append_line,
    flatten,
    load,
    lock_run,
    new_folder,
    read_log,
    save,
    save_json,
    save_text,
    write_errors,
)
from netspec.checkpoint.network import describe, restore

__all__ = [
    "BEST",
    "CHECKPOINT",
    "EVENTS",
    "LOG",
    "LOG_TABLE",
    "RECIPE",
    "WEIGHTS",
    "Checkpoint",
    "append_line",
    "describe",
    "flatten",
    "load",
    "lock_run",
    "new_folder",
    "read_checkpoint",
    "read_content",
    "read_log",
    "restore",
    "save",
    "save_json",
    "save_text",
    "write_errors",
]
