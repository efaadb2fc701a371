"""All panels of the live window: slot, where the class is, and its share of the room left over.

A panel's class is made with the :class:`Session` alone.  Add yours here.
"""

from __future__ import annotations

from rtbci.apps.gui.live.panel import Slot

_LIVE = "rtbci.apps.gui.live"

PANELS: tuple[tuple[Slot, str, int], ...] = (
    (Slot.LEFT, f"{_LIVE}.electrodes_panel:ElectrodesPanel", 1),
    (Slot.LEFT, f"{_LIVE}.display_panel:DisplayPanel", 0),
    (Slot.LEFT, f"{_LIVE}.outputs_panel:OutputsPanel", 0),
    (Slot.CENTRE, f"{_LIVE}.signals_panel:SignalsPanel", 1),
    (Slot.BOTTOM, f"{_LIVE}.strip_panel:StripPanel", 1),
    (Slot.RIGHT, f"{_LIVE}.decode_panels:DecodePanel", 0),
    (Slot.RIGHT, f"{_LIVE}.decode_panels:EvidencePanel", 3),
    (Slot.RIGHT, f"{_LIVE}.decode_panels:ReadsPanel", 0),
    (Slot.RIGHT, f"{_LIVE}.decode_panels:DecisionsPanel", 4),
)
"""``(slot, "module:class", stretch)``, in the order of the screen."""
