"""Data sets: what of the effect is natural images?

Images of less and less structure: photographs, digits, clothes, dead leaves, noise with the
spectrum of photographs, and photographs whose pixels are shuffled. A data set that is not prepared
(`python -m randlabels.data.prepare --name=...`) is left out, and its claims stay undecided.
"""

from randlabels.studies.families.one_change import CIFAR10, Setting, question


def _stored(name: str, label: str, classes: int = 10, size: int = 16) -> Setting:
    changes = {"data.name": name, "data.image_size": size}
    return Setting(name, label, changes=changes, classes=classes, optional=True)


def _generated(name: str, label: str) -> Setting:
    # Generated sets have no size of their own.
    changes = {"data.name": name, "data.image_size": 16, "data.test_size": 1000}
    return Setting(name, label, changes=changes, classes=5)


STUDY = question(
    name="datasets",
    title="Random labels on other data",
    asked="A question of the paper's reproduction reports; CIFAR-10 in the paper",
    settings=(
        CIFAR10,
        Setting("shuffled", "CIFAR-10, pixels shuffled", changes={"data.shuffle_pixels": True}),
        _stored("cifar100", "CIFAR-100", classes=100),
        _stored("svhn_cropped", "SVHN"),
        _stored("fashion_mnist", "Fashion-MNIST", size=14),
        _generated("dead_leaves", "dead leaves"),
        _generated("pink_noise", "1/f noise"),
    ),
    primary=("shuffled", "pink_noise"),
)
