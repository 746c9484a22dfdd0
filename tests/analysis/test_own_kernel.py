"""Kernels of others: their order, alignment that was planted, files of weights, one page."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from randlabels import backend
from randlabels.analysis.kernel_order import in_our_order
from randlabels.analysis.own_kernel import compare_kernel
from randlabels.compare import compare_weights
from randlabels.data.dead_leaves import dead_leaves
from randlabels.data.sources import channel_statistics
from randlabels.eigen import (
    dct_opponent_basis,
    descending_eigh,
    filter_covariance,
    misalignment,
    patch_statistics,
)
from randlabels.errors import InputError
from randlabels.weights import kernel_named, read_weights

IMAGES, _ = dead_leaves(0, 400, 16)
SHAPE = IMAGES.shape[1:]


def standardised(images=IMAGES):
    mean, std = channel_statistics(images)
    return ((images / 255 - mean) / std).astype(np.float32)


VALUES, VECTORS = descending_eigh(patch_statistics(standardised(), 3).covariance)


def planted(basis, count=600, seed=0):
    """Filters [3, 3, 3, count] whose covariance has the columns of a basis as eigenvectors."""
    rng = np.random.default_rng(seed)
    scale = np.linspace(3, 0.3, basis.shape[1])
    return (basis @ (scale[:, None] * rng.normal(size=(basis.shape[1], count)))).reshape(
        3, 3, 3, -1
    )


def torch_order(kernel):
    return kernel.transpose(3, 2, 0, 1)


def test_misalignment_is_that_of_the_definition():
    kernel = planted(VECTORS)
    found = compare_kernel(kernel, IMAGES, source="dead_leaves", random_bases=20)
    wanted = misalignment(VECTORS, filter_covariance(kernel))
    assert found.sets["weights"].misalignment == pytest.approx(float(wanted), rel=1e-6)
    np.testing.assert_allclose(found.eigenvalues, VALUES, rtol=1e-6)
    tau = np.sqrt(np.mean((VECTORS.T @ kernel.reshape(27, -1)) ** 2, axis=1))
    np.testing.assert_allclose(found.sets["weights"].tau, tau, rtol=1e-6)


def test_planted_alignment_beats_the_controls_and_a_planted_control_does_not():
    ours = compare_kernel(planted(VECTORS), IMAGES, source="dead_leaves", random_bases=50)
    of = ours.sets["weights"]
    assert of.controlled.log_ratio[0] > 0
    assert of.controlled.exact_p[0] > 0.05
    assert of.p_value == pytest.approx(1 / 51)
    values = {row["basis"]: row["misalignment"] for row in ours.rows()}
    assert values[of.nearest] == pytest.approx(of.controlled.best_control[0])
    assert of.nearest in str(ours)
    dct = compare_kernel(planted(dct_opponent_basis((3, 3, 3))), IMAGES, random_bases=50)
    assert dct.sets["weights"].controlled.log_ratio[0] < 0
    rotated = np.linalg.qr(np.random.default_rng(1).normal(size=(27, 27)))[0]
    random = compare_kernel(planted(rotated), IMAGES, random_bases=50).sets["weights"]
    assert random.controlled.exact_p[0] < 0.05
    assert random.p_value > 0.05


def test_what_was_learned_is_compared_too():
    rotated = np.linalg.qr(np.random.default_rng(1).normal(size=(27, 27)))[0]
    start = 3 * planted(rotated, seed=1)
    kernel = start + planted(VECTORS, seed=2)
    found = compare_kernel(kernel, IMAGES, start=start, random_bases=20)
    alone = compare_kernel(kernel - start, IMAGES, random_bases=20)
    assert list(found.sets) == ["weights", "learned"]
    assert found.sets["learned"].misalignment == pytest.approx(alone.sets["weights"].misalignment)
    assert found.sets["learned"].misalignment < found.sets["weights"].misalignment / 2
    assert "learned:" in str(found)


@pytest.mark.parametrize("order", ["auto", "flax", "torch"])
def test_the_order_of_axes_makes_no_difference_once_it_is_known(order):
    kernel = planted(VECTORS, 40)
    given = torch_order(kernel) if order == "torch" else kernel
    np.testing.assert_array_equal(in_our_order(given, SHAPE, order), kernel)
    np.testing.assert_array_equal(in_our_order(torch_order(kernel), SHAPE, "auto"), kernel)


def test_a_dense_layer_is_a_convolution_of_full_size():
    rng = np.random.default_rng(0)
    image, units = rng.normal(size=(4, 5, 3)), 7
    flax = rng.normal(size=(60, units))
    np.testing.assert_allclose(
        image.ravel() @ flax, np.einsum("hwc,hwcm->m", image, in_our_order(flax, (4, 5, 3), "auto"))
    )
    torch = rng.normal(size=(units, 60))  # on images flattened channel, row, column
    np.testing.assert_allclose(
        torch @ image.transpose(2, 0, 1).ravel(),
        np.einsum("hwc,hwcm->m", image, in_our_order(torch, (4, 5, 3), "auto")),
    )


@pytest.mark.parametrize(
    ("kernel", "order", "message"),
    [
        (np.ones((3, 3, 3, 3)), "auto", "may be in flax's order or in PyTorch's; say which"),
        (np.ones((768, 768)), "auto", "say which"),
        (np.ones((8, 5, 7, 7)), "auto", "does not see images of"),
        (np.ones((3, 3, 3, 20)), "torch", "does not see images of"),
        (np.ones((20, 20, 3, 8)), "flax", "20 x 20 pixels is larger than the images, .* 16 x 16"),
        (np.ones((8, 3, 20, 20)), "auto", "20 x 20 pixels is larger than the images"),
        (np.ones((3, 3, 3)), "auto", "give numbers of 4 axes"),
        (np.full((3, 3, 3, 8), np.nan), "auto", "not finite"),
        (np.zeros((3, 3, 3, 8)), "auto", "it is all 0"),
        (np.full((3, 3, 3, 8), 1e300), "auto", "so far from 1 that its squares"),
        (np.array([["a"]]), "auto", "give numbers of 4 axes"),
        (np.ones((3, 3, 3, 8)), "tf", "order is 'tf'"),
    ],
)
def test_kernels_that_are_refused(kernel, order, message):
    with pytest.raises(InputError, match=message):
        in_our_order(kernel, SHAPE, order)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.transpose(0, 3, 1, 2), "channels first; give images.transpose"),
        (IMAGES[0], "give uint8, or floats"),
        (IMAGES.astype(np.int32), "give uint8, or floats"),
        (IMAGES.astype(np.uint16), "images are uint16"),
        (np.full((3, 8, 8, 3), np.inf), "not finite"),
    ],
)
def test_images_that_are_refused(images, message):
    with pytest.raises(InputError, match=message):
        compare_kernel(planted(VECTORS, 40), images)


def test_bytes_are_standardised_and_floats_taken_as_they_are():
    kernel = planted(VECTORS, 60)
    ours = compare_kernel(kernel, IMAGES, random_bases=5)
    same = compare_kernel(kernel, standardised(), random_bases=5)
    np.testing.assert_allclose(ours.eigenvalues, same.eigenvalues, rtol=1e-5)
    other = compare_kernel(kernel, standardised() * [1, 2, 3], random_bases=5)
    assert abs(other.eigenvalues[0] / ours.eigenvalues[0] - 1) > 0.5


def test_files_are_not_taken_for_arrays():
    with pytest.raises(InputError, match="'net.npz'; give arrays, or compare a file of weights by"):
        compare_kernel("net.npz", IMAGES)
    with pytest.raises(InputError, match="give numbers of 4 axes"):
        compare_kernel(5, IMAGES)


def test_few_filters_have_a_map_and_a_reason():
    found = compare_kernel(planted(VECTORS, 20), IMAGES, random_bases=5)
    of = found.sets["weights"]
    assert "Sigma_w of 20 filters" in of.reason
    assert np.isnan(of.misalignment)
    assert of.shrunk > 0
    assert "no misalignment" in str(found)
    assert re.search("are few: .* below those to all 5 random bases", str(found))
    assert "not below" not in str(found)
    isotropic = np.random.default_rng(0).standard_normal((3, 3, 3, 14))
    found = compare_kernel(isotropic, IMAGES, random_bases=5)
    assert "14 filters are too few to tell anything" in str(found)
    against = VECTORS @ np.linalg.qr(np.random.default_rng(1).standard_normal((27, 27)))[0]
    found = compare_kernel(planted(against, 20), IMAGES, random_bases=5)
    assert "not below those to all 5 random bases" in str(found)
    pooled = compare_kernel(
        [planted(VECTORS, 20, seed) for seed in range(3)], IMAGES, random_bases=5
    )
    assert pooled.sets["weights"].num_filters == 60
    assert pooled.sets["weights"].reason is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding": "same"}, "padding is 'same'; it may be VALID or SAME"),
        ({"strides": 0}, "strides is 0; give a whole number from 1"),
        ({"strides": 1.5}, "strides is 1.5"),
        ({"random_bases": -1}, "random_bases is -1"),
        ({"random_bases": 10**12}, "random_bases is 1000000000000; give .* from 1 to 100000"),
        ({"kernel": np.ones((3, 3, 3, 64))}, "too much alike to be compared"),
        ({"seed": -1}, "seed is -1; give a whole number from 0"),
        ({"images": np.ones((50, 8, 8, 3))}, "do not vary in every direction"),
        ({"images": IMAGES[:1, :4, :4]}, "do not vary in every direction"),
        ({"images": 1e200 * standardised().astype(float)}, "not finite, or too large"),
        ({"kernel": None}, "kernel is None"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    given = {"kernel": planted(VECTORS, 40), "images": IMAGES} | arguments
    with pytest.raises(InputError, match=message):
        compare_kernel(given.pop("kernel"), given.pop("images"), **given)


def test_starts_that_do_not_fit():
    kernel = planted(VECTORS, 40)
    with pytest.raises(InputError, match="nothing was learned"):
        compare_kernel(kernel, IMAGES, start=kernel)
    with pytest.raises(InputError, match="give the same layer of the same networks"):
        compare_kernel(kernel, IMAGES, start=kernel[..., :30])


# --- files


def write(path, arrays):
    if path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, path)
    elif path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".msgpack":
        from flax.serialization import msgpack_serialize
        from flax.traverse_util import unflatten_dict

        path.write_bytes(msgpack_serialize(unflatten_dict(arrays, sep=".")))
    else:
        import orbax.checkpoint as ocp
        from flax.traverse_util import unflatten_dict

        with ocp.StandardCheckpointer() as saver:
            saver.save(path.resolve(), unflatten_dict(arrays, sep="."))
    return path


FORMS = ["net.safetensors", "net.npz", "net.msgpack", "folder"]


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_read_by_name(tmp_path, form):
    rng = np.random.default_rng(0)
    arrays = {
        "conv1.weight": rng.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "conv1.bias": np.zeros(8, np.float32),
    }
    found = read_weights(write(tmp_path / form, arrays))
    name = "conv1.weight" if form in FORMS[:2] else "conv1/weight"
    np.testing.assert_array_equal(kernel_named(found, name, "x"), arrays["conv1.weight"])
    with pytest.raises(InputError, match=f"did you mean '{name}'"):
        kernel_named(found, name[:-1], "x")
    with pytest.raises(InputError, match=r"; it is one of: conv1.weight \(8, 3, 3, 3\)"):
        kernel_named(found, "", "x")
    with pytest.raises(InputError, match=r"has the shape \(8,\)"):
        kernel_named(found, name.replace("weight", "bias"), "x")


def test_bfloat16_is_read(tmp_path):
    import jax.numpy as jnp
    from safetensors.flax import save_file

    weight = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3, 2, 2)), jnp.bfloat16)
    save_file({"w": weight}, tmp_path / "a.safetensors")
    found = kernel_named(read_weights(tmp_path / "a.safetensors"), "w", "x")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.asarray(weight, np.float32))


@pytest.mark.parametrize("content", [b"", b"hello" * 10, b"\0" * 100, b"PK\x03\x04" + b"x" * 60])
@pytest.mark.parametrize("form", FORMS[:3])
def test_damaged_weights_are_one_sentence(tmp_path, form, content):
    (tmp_path / form).write_bytes(content)
    with pytest.raises(InputError, match="is damaged|is empty") as caught:
        read_weights(tmp_path / form)
    assert "\n" not in str(caught.value)


def test_weights_of_pytorch_need_it(tmp_path, monkeypatch):
    (tmp_path / "net.pt").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="needs PyTorch to be read"):
        read_weights(tmp_path / "net.pt")


def test_other_files_and_pickles_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_weights(tmp_path / "none.npz")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="is of no known form of weights"):
        read_weights(tmp_path / "a.txt")
    np.savez(tmp_path / "a.npz", w=np.array([{}, {}], dtype=object))
    with pytest.raises(InputError, match="is damaged or no .npz file"):
        read_weights(tmp_path / "a.npz")


def test_one_command_makes_one_page(tmp_path, capsys):
    start = torch_order(planted(np.eye(27), 60, seed=3)).astype(np.float32)
    learned = torch_order(planted(VECTORS, 60)).astype(np.float32)
    arrays = {"features.0.weight": start + learned, "fc.weight": np.zeros((10, 60), np.float32)}
    write(tmp_path / "net.safetensors", arrays)
    write(tmp_path / "start.safetensors", arrays | {"features.0.weight": start})
    found, folder = compare_weights(
        tmp_path / "net.safetensors",
        "features.0.weight",
        "dead_leaves",
        start=tmp_path / "start.safetensors",
        random_bases=10,
    )
    assert folder == tmp_path / "net-features.0.weight-alignment"
    assert sorted(path.name for path in folder.iterdir()) == [
        "comparison.json",
        "controls.png",
        "cosines.png",
        "eigenvalue_map.png",
        "eigenvectors.png",
        "page.html",
    ]
    saved = json.loads((folder / "comparison.json").read_text())
    assert saved["sets"]["learned"]["misalignment"] == pytest.approx(
        found.sets["learned"].misalignment
    )
    page = (folder / "page.html").read_text()
    assert "features.0.weight of net.safetensors and dead_leaves" in page
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page.replace("https://arxiv.org", "")


def test_the_page_says_how_it_was_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(backend, "_machine_named", [])
    write(tmp_path / "net.npz", {"w": planted(VECTORS, 40)})
    _, folder = compare_weights(
        tmp_path / "net.npz", "w", "dead_leaves", strides=2, padding="SAME", random_bases=7
    )
    for text in ("--strides=2", "--padding=SAME", "--random_bases=7", "--order=auto"):
        assert text in (folder / "page.html").read_text()
    saved = json.loads((folder / "comparison.json").read_text())["asked"]
    assert (saved["strides"], saved["padding"]) == ("2", "SAME")
    assert f"w of net.npz, on {backend.machine()}.\n" in capsys.readouterr().err


def test_weights_that_are_no_numbers_are_left_out_or_refused(tmp_path):
    import zipfile

    path = write(tmp_path / "net.npz", {"w": planted(VECTORS, 40), "names": np.array([["a"]])})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "hello")
    assert list(read_weights(path)) == ["w"]
    write(tmp_path / "net.npz", {"w": planted(VECTORS, 40) * 1j})
    with pytest.raises(InputError, match="complex numbers in w"):
        kernel_named(read_weights(tmp_path / "net.npz"), "w", "net.npz")


def test_a_folder_that_cannot_be_written_to(tmp_path):
    write(tmp_path / "net.npz", {"w": planted(VECTORS, 40)})
    Path(tmp_path / "out").write_text("x")
    with pytest.raises(InputError, match="is no folder"):
        compare_weights(tmp_path / "net.npz", "w", "dead_leaves", folder=tmp_path / "out")
    with pytest.raises(InputError, match="^data names the images"):
        compare_weights(tmp_path / "net.npz", "w", "")
