"""Real-time brain-computer interface: live EEG in, forecasts and motor-imagery decodes out."""

__version__ = "0.1.0"
