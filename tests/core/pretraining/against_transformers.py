"""Holds a model that an objective wrote against transformers: python against_transformers.py MODEL AUDIO.wav STATES

STATES is what `strata encode MODEL AUDIO.wav --output STATES` wrote. Fails if transformers misses a weight or meets one it
does not know, or if a hidden state differs by more than 5e-6 of its peak. Needs transformers, soundfile and safetensors.
"""

import sys

import soundfile
import torch
from safetensors.torch import load_file
from transformers import AutoFeatureExtractor, AutoModel


def main(folder, audio, states):
    model, info = AutoModel.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    wrong = {kind: names for kind, names in info.items() if names}
    if wrong:
        sys.exit(f"{folder}: {wrong}")
    samples, rate = soundfile.read(audio, dtype="float32")
    inputs = AutoFeatureExtractor.from_pretrained(folder)(samples, sampling_rate=rate, return_tensors="pt")
    with torch.no_grad():
        hidden = model.eval()(inputs.input_values, output_hidden_states=True).hidden_states
    found = {name.rsplit("/", 1)[1]: state for name, state in load_file(states).items()}
    for layer, want in enumerate(hidden):
        error = (found[f"h{layer}"] - want[0]).abs().max().item() / want.abs().max().item()
        print(f"h{layer}: {error:.1e} of the peak")
        if error > 5e-6:
            sys.exit(f"{folder}: h{layer} differs")


main(*sys.argv[1:])
