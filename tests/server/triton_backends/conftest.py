"""Makes the backend's files importable as they are inside Triton's stub: by their bare names."""

import sys
from pathlib import Path

BACKEND = Path(__file__).resolve().parents[3] / "server" / "triton_backends" / "onnxruntime"

# Last, so that nothing of the project or of the environment is hidden.
sys.path.append(str(BACKEND))
