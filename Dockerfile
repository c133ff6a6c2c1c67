# docker build --tag limner .                                        # for CPUs
# docker build --tag limner --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .   # for CUDA
# docker run --rm -it --volume "$PWD":/work limner train my_images
FROM python:3.12-slim AS wheel
COPY . /source
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /wheels /source

FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir torch --index-url "$TORCH_INDEX" \
    && pip install --no-cache-dir "$(echo /wheels/*.whl)" \
    && rm -r /wheels
RUN useradd --create-home limner
USER limner
WORKDIR /work
ENTRYPOINT ["limner"]
