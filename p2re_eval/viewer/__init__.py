"""The trace viewer: one component of plain JavaScript for every place that shows a trace."""

from p2re_eval.viewer.bundle import DARKER_PX, FILES, bundle, module, trace_page

__all__ = ["DARKER_PX", "FILES", "bundle", "module", "trace_page"]
