# docker build --tag limner .                                        # for CPUs
# docker build --tag limner --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .   # for CUDA
# docker run --rm -it --shm-size 4g --volume "$PWD":/work limner train my_images               # --gpus all
# docker run --rm -p 127.0.0.1:8000:8000 --volume "$PWD":/work limner \
#     serve runs/nuclei --host 0.0.0.0 --token-file token.txt
FROM python:3.12-slim AS wheel
COPY . /source
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /wheels /source

FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Both of one index: torchvision, which timm needs, works only with the torch that it was built for.
RUN pip install --no-cache-dir torch torchvision --index-url "$TORCH_INDEX"
ARG EXTRAS=serve
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir "$(echo /wheels/*.whl)[$EXTRAS]" && rm -r /wheels
RUN useradd --create-home limner && install --directory --owner limner /work
USER limner
WORKDIR /work
ENTRYPOINT ["limner"]
