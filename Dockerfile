# docker build -t randlabels .                                     for a CPU
# docker build -t randlabels --build-arg ACCELERATOR=cuda .        for CUDA
# docker run --rm -v "$PWD/runs:/work/runs" randlabels reproduce --study=quickstart --workdir=runs/quickstart
FROM python:3.12-slim

ARG ACCELERATOR=cpu
WORKDIR /work
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*
COPY setup.py setup.cfg pyproject.toml README.md LICENSE ./
COPY randlabels randlabels
COPY configs configs
RUN if [ "$ACCELERATOR" = cuda ]; then package=".[cuda]"; else package="."; fi \
    && pip install --no-cache-dir "$package"
RUN useradd --create-home researcher && chown researcher /work
USER researcher
ENTRYPOINT ["randlabels"]
CMD ["--help"]
