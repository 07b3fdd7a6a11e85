"""Twinshelf finds the same product. The folders beside are links to those at the top."""

import ctypes

# usearch holds a copy of this library. Where that copy is the first in a process, libraries that
# are loaded later get parts of it in place of their own: ONNX Runtime ends the process.
ctypes.CDLL("libstdc++.so.6", mode=ctypes.RTLD_GLOBAL)
