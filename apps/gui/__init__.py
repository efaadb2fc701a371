"""The window (PySide6, pyqtgraph): the only place that imports Qt."""
