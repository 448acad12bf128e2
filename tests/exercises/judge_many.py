"""Judge the answers in a folder: `python -m tests.exercises.judge_many FOLDER`.

A file is called after its exercise and its case, such as "loss-start.py". The findings
go into FOLDER/findings.json.
"""

import json
import sys
from pathlib import Path

from exercises.judge import judge

folder = Path(sys.argv[1])
findings = {
    file.stem: judge(file.stem.partition("-")[0], file)
    for file in sorted(folder.glob("*.py"))
}
(folder / "findings.json").write_text(json.dumps(findings))
