"""Data sets: what of the effect is natural images?

Images of less and less structure: photographs, digits, clothes, dead leaves, noise with the
spectrum of photographs, and photographs whose pixels are shuffled. A data set that is not prepared
(`python -m randlabels.data.prepare --name=...`) is left out, and its claims stay undecided.
"""

from randlabels.studies.families.one_change import CIFAR10, Setting, question

# Generated sets have no size of their own.
_GENERATED = {"data.image_size": 16, "data.test_size": 1000}


def _stored(name: str, label: str, classes: int = 10, size: int = 16) -> Setting:
    return Setting(
        name,
        label,
        changes={"data.name": name, "data.image_size": size},
        classes=classes,
        optional=True,
    )


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
        Setting(
            "dead_leaves",
            "dead leaves",
            changes=_GENERATED | {"data.name": "dead_leaves"},
            classes=5,
        ),
        Setting(
            "pink_noise",
            "1/f noise",
            changes=_GENERATED | {"data.name": "pink_noise"},
            classes=5,
        ),
    ),
    headline=("shuffled", "pink_noise"),
)
