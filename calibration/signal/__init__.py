"""The causal view that decoders get of a signal: bands, regression of the eyes, artefacts."""
