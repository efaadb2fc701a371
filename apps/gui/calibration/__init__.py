"""The guided calibration session."""
