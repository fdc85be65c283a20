"""`python -m netspec.emit.manual FOLDER` writes the generated documents into a folder."""

import sys
from pathlib import Path

from netspec.emit.manual import write_manuals

write_manuals(Path(sys.argv[1]))
