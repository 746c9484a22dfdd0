"""Eight virtual CPU devices for every test, fixed before JAX starts a backend."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"

import jax

jax.config.update("jax_num_cpu_devices", 8)
