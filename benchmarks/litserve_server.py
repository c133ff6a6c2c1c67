"""A server of LitServe with a model of limner, for `serving.py` to measure beside `limner serve`.

    python benchmarks/litserve_server.py MODEL --port 8001

Each worker does what `limner serve` does for a PNG of a label map: it decodes the file, predicts, and encodes
the labels with the values of the training's masks.
"""

import argparse
from pathlib import Path

import cv2
import litserve
import numpy as np
from fastapi import Response

import limner


class LabelMaps(litserve.LitAPI):
    """Predicts one image a request, which is the file `images` of a form.

    Args:
        model: A model folder, or a run.
        limner_device: As in `limner.load`.
    """

    def __init__(self, model, limner_device):
        super().__init__()
        self._model, self._device_of_model = model, limner_device

    def setup(self, device):
        """Load the model, once in each worker."""
        self._predictor = limner.load(self._model, device=self._device_of_model)
        self._predictor.share_cores()

    def decode_request(self, request):
        """Return (H, W, 3) uint8 RGB."""
        content = np.frombuffer(request["images"].file.read(), np.uint8)
        return cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]

    def predict(self, image):
        """Return the label map as it is in mask files."""
        return self._predictor.labels.decode(self._predictor.predict(image).semantic)

    def encode_response(self, labels):
        """Return a PNG."""
        return Response(cv2.imencode(".png", labels)[1].tobytes(), media_type="image/png")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    accelerator = "cpu" if options.device == "cpu" else "auto"
    server = litserve.LitServer(
        LabelMaps(options.model, options.device), accelerator=accelerator, timeout=300
    )
    server.run(host="127.0.0.1", port=options.port, generate_client_file=False)


if __name__ == "__main__":
    main()
